"""Names and sizes of chromosomes: ``chr1`` = ``1``, what is unknown, and what lies beyond an end."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regulome.errors import InputError

if TYPE_CHECKING:
    from regulome.genome.windows import Windows

logger = logging.getLogger(__name__)

#: What :meth:`Names.resolve` answers for a chromosome that may well exist but holds no window.
ELSEWHERE = -1
#: ... and for a chromosome that cannot exist.
UNKNOWN = -2


def key(name: str) -> str:
    """Reduce a name to what all its spellings share: ``chr1``, ``Chr1``, ``1`` → ``1``; ``chrMT``, ``MT`` → ``M``."""
    bare = name[3:] if name[:3].lower() == "chr" and len(name) > 3 else name
    return "M" if bare.upper() in {"M", "MT"} else bare.upper() if len(bare) == 1 else bare


def match_names(wanted: Iterable[str], present: Iterable[str], *, file: str | PathLike[str]) -> dict[str, str]:
    """Find each wanted chromosome among those that a file has.

    ``chr1`` = ``1``, ``chrM`` = ``MT`` = ``M``, and the prefix may be written in any case. The exact name wins.

    Args:
        wanted: Names of the region file.
        present: Names in ``file``.
        file: Named in the error.

    Returns:
        Wanted name → name in the file, for those found.

    Raises:
        InputError: None was found, or two wanted names mean one chromosome.
    """
    wanted, present = list(wanted), list(present)
    _codes(wanted)
    by_key: dict[str, str] = {}
    for name in present:
        by_key.setdefault(key(name), name)
    exact = set(present)
    found = {}
    for name in wanted:
        other = name if name in exact else by_key.get(key(name))
        if other is not None:
            found[name] = other
    if wanted and not found:
        raise none_shared(wanted, present, file)
    return found


def none_shared(wanted: Iterable[str], present: Iterable[str], file: str | PathLike[str]) -> InputError:
    """Make the error for a file that has none of the wanted chromosomes."""
    return InputError(
        f"none of its chromosomes ({_some(present)}) is among those of the windows ({_some(wanted)})",
        file=file,
        cure="use files of the same species and assembly, with chromosomes named chr1 or 1",
    )


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "") if names else "none"


def aliases(found: Mapping[str, str], file: str | PathLike[str]) -> dict[str, str]:
    """Keep the matches whose names differ (wanted → present) and say so, once for the file."""
    differ = {name: other for name, other in found.items() if name != other}
    if differ:
        name, other = next(iter(differ.items()))
        more = f" and {len(differ) - 1} more alike" if len(differ) > 1 else ""
        logger.info(f"{Path(file).name}: chromosome {other} = {name}{more}")
    return differ


def say_missing(missing: Iterable[str], file: str | PathLike[str]) -> list[str]:
    """Say which chromosomes of the windows a file has nothing on, and return them as a list."""
    missing = list(missing)
    if missing:
        logger.info(f"{Path(file).name}: nothing on {_some(missing)}; the windows there are 0")
    return missing


class Names:
    """What the name of a chromosome in a row means for windows, decided once for each name.

    A name is

    - *wanted*, if it is the name of a chromosome with windows, or an alias of one;
    - *unknown*, if it is a number, with or without ``chr``, and the set of chromosomes is known and lacks it: ``chr23``
      in a human file. Rows on it are invalid;
    - *elsewhere* otherwise: ``chrY``, ``chrM``, ``chrUn_gl000211``, ``chr6_apd_hap1``, ``GL000192.1``, decoys and
      scaffolds are left unread without complaint.

    The set of chromosomes is known when sizes are given, when the caller gives ``known``, or when the chromosomes with
    windows are visibly a whole karyotype: a sex chromosome (X, Y, Z, W) and the numbers from 1 to 8 or more without a
    gap. Windows on a few chromosomes alone therefore never make the others unknown.

    Args:
        wanted: Chromosomes with windows, in the order of their codes.
        sizes: Chromosome → length in bases, where known.
        known: All chromosomes of the annotation, also those without windows.
        whole: The sizes are those of all chromosomes. Otherwise they may be those of a part of the genome, and the set
            of chromosomes is known only if it is given or visibly a karyotype.
        file: The file whose rows are read.
    """

    def __init__(
        self,
        wanted: Iterable[str],
        *,
        sizes: Mapping[str, int] | None = None,
        known: Iterable[str] | None = None,
        whole: bool = True,
        file: str | PathLike[str],
    ) -> None:
        self.wanted = tuple(wanted)
        self.file = file
        self._codes = _codes(self.wanted)
        self._sizes = {key(name): size for name, size in (sizes or {}).items()}
        given = [*self._sizes] if sizes and whole else [] if known is None else [key(name) for name in known]
        self._known = set(given) | set(self._codes) if given else _karyotype(self._codes)
        #: Names in the file, in order of appearance, with the code that each got.
        self.present: dict[str, int] = {}
        #: Wanted name → name in the file.
        self.found: dict[str, str] = {}

    def resolve(self, name: str) -> int:
        """Return the code of the wanted chromosome that ``name`` means, or ``ELSEWHERE`` or ``UNKNOWN``.

        Raises:
            InputError: The file spells a wanted chromosome in two ways.
        """
        bare = key(name)
        code = self._codes.get(bare, ELSEWHERE)
        if code >= 0:
            wanted = self.wanted[code]
            if wanted in self.found:
                raise InputError(
                    f"names one chromosome in two ways, {self.found[wanted]} and {name}",
                    file=self.file,
                    cure="give the rows of one of them another name, or leave them out",
                )
            self.found[wanted] = name
        elif self._known and bare not in self._known and _number(bare) is not None:
            code = UNKNOWN
        self.present[name] = code
        return code

    def limit(self, name: str) -> int | None:
        """Return the length of a chromosome where it is known."""
        return self._sizes.get(key(name))

    def why_unknown(self, name: str) -> str:
        """Say against what ``name`` is unknown."""
        return f"unknown chromosome {name}: the annotation has {_ranges(self._known)}"


def _codes(wanted: Iterable[str]) -> dict[str, int]:
    """Number the wanted chromosomes by key."""
    codes: dict[str, tuple[int, str]] = {}
    for code, name in enumerate(wanted):
        _, other = codes.setdefault(key(name), (code, name))
        if other != name:
            cure = "name each chromosome in one way in the file of genes or regions"
            raise InputError(f"the windows name one chromosome in two ways, {other} and {name}", cure=cure)
    return {bare: code for bare, (code, _) in codes.items()}


def _number(bare: str) -> int | None:
    return int(bare) if bare.isascii() and bare.isdigit() else None


def _karyotype(keys: Iterable[str]) -> set[str]:
    """Return ``keys`` if they are visibly all chromosomes of a species, else nothing."""
    keys = set(keys)
    numbers = {number for name in keys if (number := _number(name)) is not None}
    whole = len(numbers) >= 8 and numbers == set(range(1, len(numbers) + 1)) and keys & {"X", "Y", "Z", "W"}
    return keys if whole else set()


def _ranges(keys: Iterable[str]) -> str:
    keys = set(keys)
    numbers = sorted(number for name in keys if (number := _number(name)) is not None)
    letters = sorted(name for name in keys if name in {"X", "Y", "Z", "W", "M"})
    if numbers and numbers == list(range(1, len(numbers) + 1)):
        return ", ".join([f"1 to {len(numbers)}", *letters])
    return ", ".join([*map(str, numbers[:30]), *letters]) or f"{len(keys)} others"


def check_inside(windows: Windows, sizes: Mapping[str, int], *, file: str | PathLike[str]) -> None:
    """Refuse windows whose centre lies beyond the end of its chromosome: the files are of different assemblies.

    Args:
        windows: Windows of the annotation.
        sizes: Chromosome → length in bases, as ``file`` has it; names are matched by alias.
        file: Where the sizes come from.

    Raises:
        InputError: It names the first such window and counts them.
    """
    lengths = {key(name): size for name, size in sizes.items()}
    by_code = np.array([lengths.get(key(name), np.iinfo(np.int64).max) for name in windows.chromosomes], dtype=np.int64)
    beyond = windows.centres >= by_code[windows.codes] if len(windows) else np.zeros(0, dtype=bool)
    if beyond.any():
        first = int(np.argmax(beyond))
        size = int(by_code[windows.codes[first]])
        raise InputError(
            f"window {first + 1} ({windows.describe(first)}) is centred beyond the chromosome's end at {size:,}; "
            f"{int(beyond.sum()):,} of {len(windows):,} windows are",
            file=file,
            cure="use genes and signal files of the same genome assembly",
        )
