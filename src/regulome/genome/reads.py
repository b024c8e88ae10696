"""Sequencing reads (tagAlign, BED, BAM) to counts per bin, in one pass over the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from regulome.errors import InputError
from regulome.genome.bam import Alignments, chromosome_sizes
from regulome.genome.bins import Counts
from regulome.genome.chromosomes import Names, aliases, check_inside, match_names, none_shared, say_missing
from regulome.genome.rows import Block, Rows, Tally
from regulome.genome.windows import LAST_POSITION, Windows

COUNTS = ("overlap", "five_prime")


def count_reads(
    path: str | PathLike[str],
    windows: Windows,
    *,
    count: str = "overlap",
    extend: int | None = None,
    min_mapq: int = 0,
    keep_duplicates: bool = False,
    keep_secondary: bool = True,
    skip_invalid: bool = False,
    chromosome_sizes: Mapping[str, int] | None = None,
    known_chromosomes: Iterable[str] | None = None,
) -> tuple[npt.NDArray[np.int32], dict[str, Any]]:
    """Count reads in each bin.

    A read counts in every bin that it overlaps by a base or more, whatever windows the bins belong to, as
    ``bedtools multicov`` and ``bedtools coverage -counts`` have it. The file is read once and in any order, and memory
    depends on the bins alone.

    Args:
        path: tagAlign or BED (plain or gzip), or BAM (with or without index).
        windows: ``n`` windows.
        count: ``overlap``, or ``five_prime``: a read is its first sequenced base only.
        extend: Make every read this many bases long, from its 5' end, as fragments are; before counting.
        min_mapq: Least mapping quality (BAM).
        keep_duplicates: Count reads marked as duplicates (BAM). By default they are left out, as multicov does.
        keep_secondary: Count secondary and supplementary alignments (BAM), as multicov does.
        skip_invalid: Leave invalid rows out and count them instead of refusing the file.
        chromosome_sizes: Chromosome → length; rows that pass an end are invalid.
        known_chromosomes: All chromosomes of the annotation, see :class:`regulome.genome.chromosomes.Names`.

    Returns:
        Counts int32 [n, bins], and the record for a dataset.

    Raises:
        InputError: The file or a row of it is wrong, or the genome is another one.
    """
    source = ReadSource(path, windows.chromosomes, chromosome_sizes, known_chromosomes)
    source.check(windows)
    reads = source.blocks(count, extend, min_mapq, keep_duplicates, keep_secondary, skip_invalid)
    counts = Counts(windows)
    for block in reads:
        counts.add(block)
    parameters: dict[str, Any] = {"count": count, "extend": extend}
    if source.is_bam:
        more = {"min_mapq": min_mapq, "keep_duplicates": keep_duplicates, "keep_secondary": keep_secondary}
        parameters |= more
    return counts.result(), {"kind": "reads", "parameters": parameters, **source.record()}


def resized(block: Block, count: str, extend: int | None) -> Block:
    """Extend reads to fragments from their 5' ends, or shrink them to these ends."""
    length = 1 if count == "five_prime" else extend
    if length is None:
        return block
    reverse = block.reverse == 1
    starts = np.where(reverse, np.maximum(block.ends.astype(np.int64) - length, 0), block.starts)
    ends = np.where(reverse, block.ends, np.minimum(block.starts.astype(np.int64) + length, LAST_POSITION))
    return Block(block.codes, starts.astype(np.int32), ends.astype(np.int32), block.reverse, block.values)


def trimmed(block: Block, length: int | None) -> Block:
    """Cut reads that are longer to ``length`` bases from their 5' ends."""
    if length is None:
        return block
    reverse = block.reverse == 1
    starts = np.where(reverse, np.maximum(block.ends - length, block.starts), block.starts)
    # Not starts + length, which might pass the largest int32.
    ends = np.where(reverse, block.ends, block.starts + np.minimum(block.ends - block.starts, length))
    return Block(block.codes, starts, ends, block.reverse, block.values)


class ReadSource:
    """A file of reads of either kind, and what it was found to hold."""

    def __init__(
        self,
        path: str | PathLike[str],
        chromosomes: Iterable[str],
        sizes: Mapping[str, int] | None,
        known: Iterable[str] | None,
    ) -> None:
        self.path = Path(path)
        self.is_bam = self.path.suffix.lower() == ".bam"
        self._given = sizes
        self.sizes = chromosome_sizes(self.path) if self.is_bam else sizes
        self.names = Names(chromosomes, sizes=sizes, known=known, file=self.path)
        if self.is_bam and self.sizes is not None:
            match_names(self.names.wanted, self.sizes, file=self.path)
        self._tally: Tally | None = None

    def check(self, windows: Windows) -> None:
        """Refuse windows beyond the chromosomes."""
        for sizes in (self.sizes, self._given):
            if sizes:
                check_inside(windows, sizes, file=self.path)

    def blocks(
        self,
        count: str,
        extend: int | None,
        min_mapq: int,
        keep_duplicates: bool,
        keep_secondary: bool,
        skip: bool,
        *,
        trim: int | None = None,
    ) -> Iterator[Block]:
        """Iterate over the reads that pass, as they are to be counted."""
        if count not in COUNTS:
            raise InputError(f"unknown way to count {count!r}", cure=f"choose one of {', '.join(COUNTS)}")
        if extend is not None and extend < 1:
            raise InputError(f"cannot extend reads to {extend} bases", cure="give a positive number of bases")
        stranded = count == "five_prime" or extend is not None or trim is not None
        text = f"counting {self.path.name}"
        reader: Rows | Alignments
        if self.is_bam:
            reader = Alignments(
                self.path, self.names, min_mapq=min_mapq, keep_duplicates=keep_duplicates,
                keep_secondary=keep_secondary, skip_invalid=skip, description=text,
            )  # fmt: skip
        else:
            if min_mapq > 0:
                cure = "give a BAM file, or leave the filter out"
                raise InputError("has no mapping qualities to filter by", file=self.path, cure=cure)
            reader = Rows(self.path, self.names, strand=stranded, skip_invalid=skip, description=text)
        self._tally = reader.tally
        for block in reader:
            yield resized(trimmed(block, trim), count, extend)

    def record(self) -> dict[str, Any]:
        """Return what was found, and say what a user should know of it.

        Raises:
            InputError: No chromosome with windows is in the file.
        """
        return found(self._tally or Tally(np.zeros(0, dtype=np.int64)), self.names)


def found(tally: Tally, names: Names) -> dict[str, Any]:
    """Return the record of a file that was read to its end, and say which names it spells otherwise or lacks.

    Raises:
        InputError: It has rows, but none of its chromosomes holds a window.
    """
    if names.wanted and not names.found:
        raise none_shared(names.wanted, names.present, names.file)
    missing = [name for name, rows in zip(names.wanted, tally.rows, strict=True) if not rows]
    return {
        **tally.record(),
        "aliases": aliases(names.found, names.file),
        "missing_chromosomes": say_missing(missing, names.file),
    }
