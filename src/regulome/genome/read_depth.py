"""Sequencing reads to depth at each base of some regions, in one pass over the file."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from regulome.errors import InputError
from regulome.genome.reads import ReadSource
from regulome.genome.rows import Block
from regulome.genome.windows import LAST_POSITION


def depth(
    path: str | PathLike[str],
    regions: Any,
    *,
    extend: int | None = None,
    min_mapq: int = 0,
    keep_duplicates: bool = False,
    keep_secondary: bool = True,
    skip_invalid: bool = False,
) -> list[npt.NDArray[np.int32]]:
    """Return how many reads cover each base of some regions, as ``bedtools genomecov -d`` has it.

    Args:
        path: tagAlign, BED or BAM, in any order.
        regions: A table (polars, pandas, a dict of columns) with ``chrom``, ``start`` (0-based) and ``end``
            (exclusive); regions may have any length, may overlap, and may leave their chromosome (depth 0 there).
        extend: See :func:`regulome.genome.reads.count_reads`, as are the other arguments.
        min_mapq: Least mapping quality (BAM).
        keep_duplicates: Count reads marked as duplicates (BAM).
        keep_secondary: Count secondary and supplementary alignments (BAM).
        skip_invalid: Leave invalid rows out.

    Returns:
        For each region int32 [end - start].

    Raises:
        InputError: The file or a row of it is wrong, or a region is empty.
    """
    starts = np.asarray(regions["start"], dtype=np.int64)
    ends = np.asarray(regions["end"], dtype=np.int64)
    chromosomes, codes = np.unique(np.asarray(regions["chrom"], dtype=np.str_), return_inverse=True)
    if (starts >= ends).any() or (ends > LAST_POSITION).any():
        wrong = int(np.argmax((starts >= ends) | (ends > LAST_POSITION)))
        raise InputError(f"start {starts[wrong]} is not before end {ends[wrong]}", record=f"region {wrong + 1}")
    merged = _Merged(codes.reshape(-1), starts, ends, len(chromosomes))
    source = ReadSource(path, chromosomes.tolist(), None, None)
    for block in source.blocks("overlap", extend, min_mapq, keep_duplicates, keep_secondary, skip_invalid):
        _change(
            merged.first,
            merged.starts,
            merged.ends,
            merged.offsets,
            block.codes,
            block.starts,
            block.ends,
            merged.steps,
        )
    source.record()
    return merged.result()


class _Merged:
    """Regions merged to disjoint ones, with the change of depth at each of their bases."""

    def __init__(
        self, codes: npt.NDArray[Any], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], chromosomes: int
    ) -> None:
        self._codes, self._starts, self._ends = codes, starts, ends
        order = np.lexsort((starts, codes))
        c, s = codes[order], starts[order]
        # The furthest end so far tells where a gap begins; chromosomes are lifted above each other to share one sweep.
        lift = c.astype(np.int64) * (LAST_POSITION + 1) * 2
        reach = np.maximum.accumulate(ends[order] + lift)
        fresh = np.ones(len(order), dtype=bool)
        fresh[1:] = (s + lift)[1:] > reach[:-1]
        begins = np.flatnonzero(fresh)
        last = np.append(begins[1:], len(order)) - 1
        self.starts, self.ends = s[begins], (reach - lift)[last]
        self.first = np.searchsorted(c[begins], np.arange(chromosomes + 1)).astype(np.int64)
        # One more than its length for each, for reads that end with it.
        self.offsets = np.concatenate([[0], np.cumsum(self.ends - self.starts + 1)]).astype(np.int64)
        self.steps = np.zeros(self.offsets[-1], dtype=np.int32)
        group = np.empty(len(order), dtype=np.int64)
        group[order] = np.cumsum(fresh) - 1
        self._group = group

    def add(self, block: Block) -> None:
        """Add the reads of a block."""
        _change(self.first, self.starts, self.ends, self.offsets, block.codes, block.starts, block.ends, self.steps)

    def result(self) -> list[npt.NDArray[np.int32]]:
        """Return the depth of each of the regions that were given."""
        # Each merged region's changes sum to zero, so one running sum serves all.
        np.cumsum(self.steps, out=self.steps)
        begins = self.offsets[self._group] + self._starts - self.starts[self._group]
        spans = zip(begins.tolist(), (self._ends - self._starts).tolist(), strict=True)
        return [self.steps[begin : begin + length].copy() for begin, length in spans]


@njit(cache=True, nogil=True)
def _change(
    first: Any, starts: Any, ends: Any, offsets: Any, codes: Any, read_starts: Any, read_ends: Any, steps: Any
) -> None:  # fmt: skip
    for i in range(len(codes)):
        low, high = first[codes[i]], first[codes[i] + 1]
        stop = high
        while low < high:
            middle = (low + high) >> 1
            if ends[middle] <= read_starts[i]:
                low = middle + 1
            else:
                high = middle
        while low < stop and starts[low] < read_ends[i]:
            steps[offsets[low] + max(np.int64(read_starts[i]) - starts[low], 0)] += 1
            steps[offsets[low] + min(np.int64(read_ends[i]), ends[low]) - starts[low]] -= 1
            low += 1
