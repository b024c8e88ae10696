"""Build a dataset of the language line: the letters of genomes as one text, cut into blocks."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome import storage
from regulome.datasets.dataset import Dataset, open_dataset
from regulome.datasets.language_blocks import Blocks, Kept, cut
from regulome.datasets.language_layout import STRANDS
from regulome.datasets.packed_letters import PackedLetters, Runs
from regulome.datasets.split_file import PARTS
from regulome.datasets.writer import write_dataset
from regulome.errors import InputError
from regulome.genome.letters import UNKNOWN
from regulome.genome.sequence import open_letters

logger = logging.getLogger(__name__)

AnyPath = str | os.PathLike[str]
Strands = Literal["forward", "both"]

#: Letters of a block at most, and about how many blocks a short text has, where nothing else was asked for.
BLOCK, BLOCKS = 10_000, 300


def prepare_language(
    fasta: Sequence[AnyPath],
    out: AnyPath,
    *,
    length: int = 100,
    block: int | None = None,
    held_out: float = 0.1,
    validation: float = 0.02,
    strands: Strands = "forward",
    overwrite: bool = False,
) -> Dataset:
    """Make one text of the records of genomes, in the order of the files, and cut it into blocks.

    Letters other than A, C, G and T are left out, and those beside them become neighbours; small letters count as large
    ones. The last letters of the text are held out, those before them validate; blocks never reach from one part, or
    from one record, into another.

    Memory: 4 Mb at a time, 16 bytes per run of letters left out, and the table of blocks.

    Args:
        fasta: FASTA, plain or compressed with gzip, or 2bit; drafts of many contigs, too.
        out: The dataset folder to make.
        length: Letters that a model reads at a time.
        block: Letters of a block at most; None: 10,000, and in short texts a 300th of the text, at least ``length``.
        held_out: Share of all letters that is for the test.
        validation: Share of all letters that is for validation.
        strands: ``forward``, or ``both``: what trains is then read in both directions. Validation and test are always
            on the forward strand.
        overwrite: Replace an existing dataset.

    Returns:
        The dataset, opened.

    Raises:
        InputError: A file is missing, damaged or no DNA, a name is used twice, no record is longer than ``length``, or
            a setting makes no sense.
        OSError: The disk is full.
    """
    _check(fasta, length, block, held_out, validation, strands)
    files = [storage.existing_file(file) for file in fasta]
    with write_dataset(out, line="language", task="unlabelled", overwrite=overwrite) as writer:
        letters = PackedLetters(writer.grow_input("letters", axes=["byte"], dtype=np.uint8))
        read = _Reading(letters)
        for file in files:
            writer.sources.append({"role": "fasta", **storage.source(file), **read.add(file)})
        letters.finish()
        total = letters.bases
        kept = Kept(read.offsets, read.left_out.joined())
        longest = int(np.diff(kept.begins).max())
        if longest <= length:
            problem = f"windows of {length:,} letters are longer than every sequence, the longest has {longest:,}"
            cure = f"give a --length below {longest:,}" if longest > 1 else "give longer sequences"
            raise InputError(problem, file=files[0] if len(files) == 1 else None, cure=cure)
        block = min(BLOCK, max(length, total // BLOCKS)) if block is None else block
        test, valid = round(held_out * total), round(validation * total)
        blocks = cut(kept.begins, block, valid=valid, test=test)
        writer.describe_input("letters", bases=total)
        edges = writer.add_input(
            "block", axes=["example", "edge"], shape=blocks.edges.shape, dtype=np.int64, length=length, strands=strands
        )
        edges[:] = blocks.edges
        writer.set_regions(_regions(blocks, kept, read.names))
        dropped = {str(source["path"]): source["left_out"] for source in writer.sources}
        writer.parameters.update(
            {
                "length": length,
                "block": block,
                "held_out": held_out,
                "validation": validation,
                "strands": strands,
                "letters": {"train": total - test - valid, "valid": valid, "test": test},
                "left_out": dropped,
            }
        )
    _tell(blocks, len(read.names), sum(dropped.values()))
    return open_dataset(out)


def _check(
    fasta: Sequence[AnyPath], length: int, block: int | None, held_out: float, validation: float, strands: str
) -> None:
    """Refuse settings that make no sense."""
    if not fasta:
        raise InputError("no file was given", cure="name one or more FASTA files")
    if length < 1:
        raise InputError(f"a length of {length} letters", cure="give a --length of at least 1")
    if block is not None and block < 1:
        raise InputError(f"blocks of {block} letters", cure="give a --block of at least 1")
    for name, share in (("held-out", held_out), ("validation", validation)):
        if not 0 <= share < 1:
            raise InputError(f"a share of {share} to be the {name} part", cure="give a number from 0 to below 1")
    if held_out + validation >= 1:
        raise InputError(
            f"held-out {held_out} and validation {validation} leave nothing to train", cure="give smaller shares"
        )
    if strands not in STRANDS:
        raise InputError(f"unknown strands {strands!r}", cure="give forward or both")


@dataclass
class _Record:
    """Where a name was first seen: the file, and the number of the record in it, from 1."""

    file: Path
    number: int


class _Reading:
    """Reads one file after the other into a text."""

    def __init__(self, letters: PackedLetters) -> None:
        self._letters = letters
        self._places: list[npt.NDArray[np.int64]] = []
        self._seen: dict[str, _Record] = {}
        self._read = 0
        self.left_out = Runs()

    @property
    def names(self) -> list[str]:
        """Name of each record."""
        return list(self._seen)

    @property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Where each record begins among all letters of the files, and the end: int64 ``[records + 1]``."""
        return np.concatenate([*self._places, [self._read]]).astype(np.int64)

    def add(self, file: Path) -> dict[str, Any]:
        """Read a file; return what is to be recorded of it."""
        before, kept_before = self._read, self._letters.bases
        pieces, finish = open_letters(file)
        for codes in pieces:
            known = codes < UNKNOWN
            if not known.all():
                edges = np.flatnonzero(np.diff(known, prepend=True, append=True))
                self.left_out.add(edges.reshape(-1, 2), self._read)
            self._letters.append(codes if known.all() else codes[known])
            self._read += len(codes)
        names, offsets = finish()
        self._note(names, file)
        self._places.append(offsets[:-1] + before)
        kept = self._letters.bases - kept_before
        if not kept:
            cure = "name a file with sequences; this one may be masked altogether"
            raise InputError("has no letter A, C, G or T: all are N", file=file, cure=cure)
        return {"records": len(names), "letters": kept, "left_out": self._read - before - kept}

    def _note(self, names: Sequence[str], file: Path) -> None:
        for number, name in enumerate(names, 1):
            if (first := self._seen.get(name)) is not None:
                problem = f"the name is used twice, by record {first.number:,} of {first.file} and by record {number:,}"
                cure = "give each record a name of its own, and each file once"
                raise InputError(problem, file=file, record=name, cure=cure)
            self._seen[name] = _Record(file, number)


def _regions(blocks: Blocks, kept: Kept, names: list[str]) -> pl.DataFrame:
    begin = kept.offsets[blocks.records]
    first, last = kept.place(blocks.edges[:, 0]), kept.place(blocks.edges[:, 1] - 1)
    table = pl.DataFrame(
        {
            "chrom": pl.Series(names, dtype=pl.String).gather(blocks.records),
            "start": first - begin,
            "end": last + 1 - begin,
            "split": blocks.parts,
            "letters": blocks.edges[:, 1] - blocks.edges[:, 0],
        }
    )
    return table.select(
        pl.format("{}:{}-{}", "chrom", "start", "end").alias("id"),
        "chrom",
        "start",
        "end",
        pl.lit("+").alias("strand"),
        "split",
        "letters",
    )


def _tell(blocks: Blocks, records: int, left_out: int) -> None:
    letters = blocks.edges[:, 1] - blocks.edges[:, 0]
    parts = ", ".join(f"{int(letters[blocks.parts == part].sum()):,} {part}" for part in PARTS)
    logger.info(
        "%s letters of %s record%s in %s blocks: %s",
        f"{int(letters.sum()):,}",
        f"{records:,}",
        "s" * (records > 1),
        f"{len(letters):,}",
        parts,
    )
    if left_out:
        logger.info("%s letters other than A, C, G and T were left out", f"{left_out:,}")
