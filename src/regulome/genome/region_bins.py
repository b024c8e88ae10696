"""Regions of many lengths, cut into bins, and the signal gathered in them in one pass over intervals in any order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from regulome.errors import InputError
from regulome.genome.chromosomes import key
from regulome.genome.rows import Block
from regulome.genome.windows import LAST_POSITION, Windows

#: Chromosomes are cut into tiles of so many bases (as a power of 2), each of which knows the regions that lie in it.
_SHIFT = 12


@dataclass(frozen=True)
class Regions:
    """``r`` regions of any lengths; 0-based, half-open. They may overlap, and may leave their chromosome.

    A region of ``l`` bases has ``⌈l / bin⌉`` bins, counted from its start; the last may be shorter. Bins of all regions
    are rows of one array, those of region 0 first.

    Attributes:
        chromosomes: Names.
        codes: int32 [r], index into ``chromosomes``.
        starts: int64 [r]; may be negative.
        ends: int64 [r], exclusive.
    """

    chromosomes: tuple[str, ...]
    codes: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]

    @classmethod
    def of(cls, chrom: Iterable[str], start: npt.ArrayLike, end: npt.ArrayLike) -> Regions:
        """Make regions of columns.

        Raises:
            InputError: A region is empty or out of range.
        """
        names, codes = np.unique(np.asarray(list(chrom), dtype=np.str_), return_inverse=True)
        starts, ends = np.asarray(start, dtype=np.int64), np.asarray(end, dtype=np.int64)
        wrong = (starts >= ends) | (ends > LAST_POSITION)
        if wrong.any():
            i = int(np.argmax(wrong))
            raise InputError(f"start {starts[i]} is not before end {ends[i]}", record=f"region {i + 1}")
        return cls(tuple(names.tolist()), codes.astype(np.int32).reshape(-1), starts, ends)

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """int64 [r], bases."""
        return self.ends - self.starts

    def counts(self, bin: int) -> npt.NDArray[np.int64]:
        """Return the number of bins of each region, int64 [r]."""
        return -(-self.lengths // bin)

    def offsets(self, bin: int) -> npt.NDArray[np.int64]:
        """Return the row of each region's first bin, and the number of all rows: int64 [r + 1]."""
        return np.concatenate([[0], np.cumsum(self.counts(bin))]).astype(np.int64)

    def describe(self, index: int) -> str:
        """Tell where a region lies, for messages: ``chr1:5,000-15,000``."""
        return f"{self.chromosomes[self.codes[index]]}:{self.starts[index]:,}-{self.ends[index]:,}"

    def check_inside(self, sizes: Mapping[str, int], *, file: str | PathLike[str]) -> None:
        """Refuse regions whose centre lies beyond their chromosome's end: the files are of different assemblies.

        Raises:
            InputError: It names the first such region and counts them.
        """
        lengths = {key(name): size for name, size in sizes.items()}
        limits = np.array([lengths.get(key(name), LAST_POSITION) for name in self.chromosomes], dtype=np.int64)
        beyond = (self.starts + self.ends) // 2 >= limits[self.codes] if len(self) else np.zeros(0, dtype=bool)
        if beyond.any():
            first = int(np.argmax(beyond))
            raise InputError(
                f"the region {self.describe(first)} is centred beyond the chromosome's end at "
                f"{limits[self.codes[first]]:,}; {int(beyond.sum()):,} of {len(self):,} regions are",
                file=file,
                cure="use genes, contacts and signal files of the same genome assembly",
            )


class RegionSums:
    """Sum over the bases of each bin of the values of the intervals that cover them.

    Memory is that of the bins, 8 bytes each, whatever the number of intervals.

    Args:
        regions: The regions.
        bin: Bases in a bin.
    """

    def __init__(self, regions: Regions, bin: int) -> None:
        first = np.maximum(regions.starts, 0) >> _SHIFT
        last = np.maximum(regions.ends - 1, 0) >> _SHIFT
        chromosomes = len(regions.chromosomes)
        tiles = np.zeros(chromosomes, dtype=np.int64)
        np.maximum.at(tiles, regions.codes, last + 1)
        begins = np.concatenate([[0], np.cumsum(tiles)]).astype(np.int64)
        lift = begins[regions.codes]
        steps = np.zeros(begins[-1] + 1, dtype=np.int64)
        np.add.at(steps, first + lift, 1)
        np.add.at(steps, last + lift + 1, -1)
        members = np.concatenate([[0], np.cumsum(np.cumsum(steps[:-1]))]).astype(np.int64)
        entries = np.empty(members[-1], dtype=np.int32)
        _enter(first + lift, last + lift, members[:-1].copy(), entries)
        self._tiles = begins, members, entries
        self._bins = regions.starts, regions.ends, regions.offsets(bin), bin
        self._chromosomes = regions.chromosomes
        self._sums = np.zeros(self._bins[2][-1], dtype=np.float64)

    @property
    def windows(self) -> Windows:
        """The stretches of the genome in which something is gathered, for readers that can leave out the others."""
        begins, members, _ = self._tiles
        tiles = np.flatnonzero(np.diff(members))
        codes = np.searchsorted(begins, tiles, "right") - 1
        starts = (tiles - begins[codes]) << _SHIFT
        return Windows(self._chromosomes, codes.astype(np.int32), starts, 1, 1 << _SHIFT)

    def near(self, block: Block) -> npt.NDArray[np.bool_]:
        """Say which intervals of a block may touch a region; those that do are among them."""
        near: npt.NDArray[np.bool_] = _near(*self._tiles[:2], block.codes, block.starts, block.ends)
        return near

    def add(self, block: Block) -> None:
        """Add the intervals of a block, each with its value for each of its bases."""
        _add(*self._tiles, *self._bins, block.codes, block.starts, block.ends, block.values, self._sums)

    def result(self) -> npt.NDArray[np.float64]:
        """Return float64 [rows of all bins]."""
        return self._sums


def bin_means(sums: npt.NDArray[np.float64], regions: Regions, fine: int, bin: int) -> npt.NDArray[np.float32]:
    """Merge the sums of fine bins to the means of wider ones.

    Args:
        sums: float64 [rows], sums over the bases of bins of ``fine`` bases.
        regions: The regions.
        fine: Width of a fine bin.
        bin: Width of a bin, a multiple of ``fine``.

    Returns:
        float32 [rows]: means over the bases of each bin, also of a shorter last one.
    """
    out = np.empty(regions.offsets(bin)[-1], dtype=np.float32)
    _merge(sums, regions.offsets(fine), regions.offsets(bin), regions.lengths, bin // fine, bin, out)
    return out


@njit(cache=True, nogil=True)
def _enter(first: Any, last: Any, place: Any, entries: Any) -> None:
    for r in range(len(first)):
        for tile in range(first[r], last[r] + 1):
            entries[place[tile]] = r
            place[tile] += 1


@njit(cache=True, nogil=True)
def _near(begins: Any, members: Any, codes: Any, starts: Any, ends: Any) -> Any:
    out = np.zeros(len(codes), dtype=np.bool_)
    for i in range(len(codes)):
        begin = begins[codes[i]]
        low = begin + (np.int64(starts[i]) >> _SHIFT)
        high = min(begin + ((np.int64(ends[i]) - 1) >> _SHIFT) + 1, begins[codes[i] + 1])
        out[i] = low < high and members[high] > members[low]
    return out


@njit(cache=True, nogil=True)
def _add(
    begins: Any, members: Any, entries: Any, region_starts: Any, region_ends: Any, offsets: Any, size: Any,
    codes: Any, starts: Any, ends: Any, values: Any, sums: Any,
) -> None:  # fmt: skip
    for i in range(len(codes)):
        begin, start, end = begins[codes[i]], np.int64(starts[i]), np.int64(ends[i])
        low = begin + (start >> _SHIFT)
        high = min(begin + ((end - 1) >> _SHIFT) + 1, begins[codes[i] + 1])
        for tile in range(low, high):
            # What lies in this tile alone, so that a region in several tiles gets each base once.
            left = max(start, (tile - begin) << _SHIFT)
            right = min(end, (tile - begin + 1) << _SHIFT)
            for k in range(members[tile], members[tile + 1]):
                r = entries[k]
                x = max(left, region_starts[r]) - region_starts[r]
                y = min(right, region_ends[r]) - region_starts[r]
                if x >= y:
                    continue
                b = x // size
                edge = (b + 1) * size
                while x < y:
                    sums[offsets[r] + b] += (min(y, edge) - x) * values[i]
                    x, b, edge = edge, b + 1, edge + size


@njit(cache=True, nogil=True)
def _merge(sums: Any, fine_offsets: Any, offsets: Any, lengths: Any, factor: Any, size: Any, out: Any) -> None:
    for r in range(len(lengths)):
        for b in range(offsets[r + 1] - offsets[r]):
            first = fine_offsets[r] + b * factor
            total = 0.0
            for f in range(first, min(first + factor, fine_offsets[r + 1])):
                total += sums[f]
            out[offsets[r] + b] = total / min(size, lengths[r] - b * size)
