"""How a dataset of sequences is to be made: the options, checked."""

from __future__ import annotations

import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from regulome import storage
from regulome.datasets.peak_labels import needed_bases
from regulome.errors import InputError

logger = logging.getLogger(__name__)

EXAMPLES = ("bins", "peaks")
NEGATIVES = ("none", "all", "random", "gc-matched", "shuffle")
ENDS = ("pad", "drop")


@dataclass(frozen=True)
class SequencePlan:
    """The options of :func:`regulome.datasets.prepare_sequence`, where they are explained.

    Raises:
        InputError: An option has a value that it cannot have, or two do not go together.
    """

    examples: str
    bin: int
    length: int
    overlap: float
    merge_peaks: bool
    group: str
    negatives: str
    ratio: float
    ends: str
    max_unknown: float
    margin: int
    seed: int

    def __post_init__(self) -> None:
        _choice("--examples", self.examples, EXAMPLES)
        _choice("--ends", self.ends, ENDS)
        for name, value, least in (("--bin", self.bin, 1), ("--length", self.length, 1), ("--margin", self.margin, 0)):
            if value < least:
                raise InputError(f"{name} {value} is too small", cure=f"give at least {least}")
        if not 0 < self.overlap <= 1:
            raise InputError(f"--overlap {self.overlap} is no share of a bin", cure="give a number above 0, at most 1")
        if not 0 <= self.max_unknown <= 1:
            cure = "give a number from 0 to 1"
            raise InputError(f"--max-unknown {self.max_unknown} is no share of a window", cure=cure)
        if self.seed < 0:
            raise InputError(f"--seed {self.seed} is negative", cure="give 0 or more")
        if self.negatives not in NEGATIVES:
            if not Path(self.negatives).is_file():
                cure = f"give one of {', '.join(NEGATIVES)}, or a BED file"
                raise InputError(f"unknown negatives {self.negatives!r}, and no such file", cure=cure)
            storage.existing_file(self.negatives)
        if self.negatives == "all" and self.examples != "bins":
            cure = "choose gc-matched, random, shuffle, none or a BED file, or --examples bins"
            raise InputError("--negatives all keeps every bin, and --examples peaks has none", cure=cure)
        if not 0 < self.ratio < float("inf"):
            raise InputError(f"--ratio {self.ratio} is no number of negatives per positive", cure="give one above 0")
        if self.negatives == "shuffle" and self.ratio != int(self.ratio):
            cure = "give a whole number: each positive is shuffled so many times"
            raise InputError(f"--ratio {self.ratio} of shuffled negatives", cure=cure)

    def check_against(self, genome: Path, longest: int) -> None:
        """Compare lengths with those of a genome.

        Raises:
            InputError: Its longest chromosome is shorter than a bin, a window or the margin.
        """
        for name, bases in (("--length", self.length), ("--bin", self.bin), ("--margin", self.margin)):
            if bases > longest:
                problem = f"{name} {bases:,} is longer than the longest chromosome, which has {longest:,} bases"
                raise InputError(problem, file=genome, cure=f"give a smaller {name}")
        if self.bin > self.length and self.examples == "bins":
            logger.warning(
                f"bins of {self.bin:,} bases are wider than windows of {self.length:,}: what lies outside labels them"
            )

    @property
    def needed(self) -> int:
        """Bases of a bin that a peak must cover."""
        return needed_bases(self.overlap, self.bin)

    @property
    def given(self) -> Path | None:
        """The file of negatives, where there is one."""
        return None if self.negatives in NEGATIVES else Path(self.negatives)

    @property
    def rule(self) -> str:
        """How a label comes about, in words."""
        what = "the peaks of the feature together cover" if self.merge_peaks else "a peak of the feature covers"
        part = f"at least {self.needed} of the {self.bin} bases"
        if self.examples == "bins":
            return f"1 where {what} {part} of the bin"
        return f"1 where the window is centred on a peak of the feature, or {what} {part} around the centre"

    def parameters(self) -> dict[str, Any]:
        """What the dataset remembers."""
        return asdict(self) | {"negatives": self.negatives if self.given is None else str(self.given.resolve())}


def default_negatives(examples: str, negatives: str | os.PathLike[str] | None) -> str:
    """Return what was asked for; else none for bins, and shuffles for peaks."""
    if negatives is not None:
        return os.fspath(negatives)
    return "shuffle" if examples == "peaks" else "none"


def _choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"unknown {name} {value!r}", cure=f"choose one of {', '.join(choices)}")
