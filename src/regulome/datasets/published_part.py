"""One part of a published set of sequences: what all layouts are turned into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome.errors import InputError
from regulome.genome.letters import encode

Bytes = npt.NDArray[np.uint8]
#: Codes [n, length] and labels [n, features] of some examples.
Chunk = tuple[Bytes, Bytes]


@dataclass(frozen=True)
class Part:
    """The training, validation or test examples of a published set.

    Attributes:
        split: ``"train"``, ``"valid"`` or ``"test"``.
        file: The file that holds them.
        examples: How many there are.
        length: Letters of each sequence.
        features: ``name, cell, assay, treatment, group`` of each label.
        chunks: Called with a folder for temporary files, reads the examples in order, in bounded memory.
        ids: Name of each example; None where the file has no names.
        record: What to remember of the file; complete when the chunks have been read.
    """

    split: str
    file: Path
    examples: int
    length: int
    features: pl.DataFrame
    chunks: Callable[[Path], Iterator[Chunk]]
    ids: pl.Series | None = None
    record: dict[str, Any] = field(default_factory=dict)


def held(split: str, file: Path, codes: Bytes, labels: Bytes, features: pl.DataFrame, **more: Any) -> Part:
    """Make a part of examples that are in memory: codes [n, length], labels [n, features]."""
    return Part(split, file, codes.shape[0], codes.shape[1], features, lambda _: iter([(codes, labels)]), **more)


def feature_names(names: list[str]) -> pl.DataFrame:
    """Make the table of features of which nothing but the names is known; a repeated name gets a number."""
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    unknown = {column: pl.lit("") for column in ("cell", "assay", "treatment", "group")}
    return pl.DataFrame({"name": pl.Series(unique, dtype=pl.String)}).with_columns(**unknown)


def encode_rows(text: pl.Series, lines: pl.Series, file: Path) -> Bytes:
    """Turn sequences of one length into codes [n, length].

    Args:
        text: The sequences.
        lines: The line of each in the file.
        file: Named in errors.

    Raises:
        InputError: Their lengths differ, or a character is no letter of DNA.
    """
    lengths = text.str.len_bytes()
    length = int(lengths[0])
    if lengths.n_unique() > 1:
        other = int((lengths != length).arg_true()[0])
        raise InputError(
            f"a sequence of {lengths[other]:,} letters, that of line {lines[0]:,} has {length:,}",
            file=file,
            record=int(lines[other]),
            cure="cut or pad all sequences to one length",
        )
    if not length:
        raise InputError("an empty sequence", file=file, record=int(lines[0]), cure="leave it out")
    try:
        return encode("".join(text).encode()).reshape(len(text), length)
    except InputError:
        for sequence, line in zip(text, lines, strict=True):
            try:
                encode(sequence)
            except InputError as error:
                raise InputError(error.problem, file=file, record=int(line), cure=error.cure) from None
        raise


def read_bounds(text: pl.Series, lines: pl.Series, file: Path, what: str) -> Bytes:
    """Turn labels, ``0`` or ``1`` (also ``1.0``), into bytes [n, 1].

    Raises:
        InputError: Another label.
    """
    labels = text.str.strip_chars().replace_strict(
        {"0": 0, "1": 1, "0.0": 0, "1.0": 1}, default=None, return_dtype=pl.UInt8
    )
    if labels.null_count():
        wrong = int(labels.is_null().arg_true()[0])
        raise InputError(
            f"{what} is {text[wrong]!r}, expected 0 or 1",
            file=file,
            record=int(lines[wrong]),
            cure="is it another --published layout? Labels are 1 for bound and 0 for unbound",
        )
    return labels.to_numpy()[:, None]


def carve(groups: pl.Series, fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Choose the examples that validate: whole groups, a fraction of them, at least one.

    Args:
        groups: The group of each example.
        fraction: Share of the groups.
        seed: The same seed chooses the same groups.
    """
    names = groups.unique(maintain_order=True)
    count = max(1, round(fraction * len(names)))
    chosen = np.random.default_rng(seed).permutation(len(names))[:count]
    return groups.is_in(names.gather(np.sort(chosen)).implode()).to_numpy()
