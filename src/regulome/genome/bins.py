"""Which bins an interval touches, and what is gathered in them in one pass over intervals in any order.

All windows have one width, so those that overlap an interval are neighbours once the windows are sorted by start: a
table of positions leads to the first of them. Memory is that of the bins, whatever the number of intervals.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from regulome.genome.rows import Block
from regulome.genome.windows import Windows


class WindowIndex:
    """Windows sorted by chromosome and start, with a table that leads to the first one from a position on.

    Attributes:
        order: int64 [n], the windows' places before they were sorted.
        arrays: What the compiled functions take: starts int32 [n], sorted; where each chromosome's begin; the table,
            for each chromosome and each multiple of ``2 ** shift`` the first window that starts there or later; where
            each chromosome's part of the table begins; shift, width of a bin, bins in a window.
    """

    def __init__(self, windows: Windows) -> None:
        self.order = np.lexsort((windows.starts, windows.codes))
        starts, codes = windows.starts[self.order].astype(np.int32), windows.codes[self.order]
        chromosomes = len(windows.chromosomes)
        first = np.searchsorted(codes, np.arange(chromosomes + 1)).astype(np.int64)
        parts = [starts[first[c] : first[c + 1]] for c in range(chromosomes)]
        lengths = [max(int(part[-1]), 0) if len(part) else 0 for part in parts]
        # Fine enough that few windows share an entry, coarse enough that the table stays in a core's cache.
        shift = 6
        while sum(lengths) >> shift > max(4 * len(starts), 1024):
            shift += 1
        sizes = [(length >> shift) + 2 for length in lengths]
        tables = [
            begin + np.searchsorted(part, np.arange(size, dtype=np.int64) << shift)
            for part, size, begin in zip(parts, sizes, first[:-1], strict=True)
        ]
        table = np.concatenate([*tables, np.zeros(0)]).astype(np.int32)
        table_first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.arrays = (starts, first, table, table_first, shift, windows.bin, windows.n_bins)

    def restored(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Put rows that belong to the sorted windows into the order in which the windows were given."""
        if np.array_equal(self.order, np.arange(len(self.order))):
            return rows
        out = np.empty_like(rows)
        out[self.order] = rows
        return out


class Counts:
    """Number of intervals that overlap each bin by a base or more, as ``bedtools coverage -counts`` has it."""

    def __init__(self, windows: Windows) -> None:
        self._index = WindowIndex(windows)
        self._steps = np.zeros((len(windows), windows.n_bins), dtype=np.int32)

    def add(self, block: Block) -> None:
        """Count the intervals of a block."""
        _count(self._index.arrays, block.codes, block.starts, block.ends, self._steps)

    def result(self) -> npt.NDArray[np.int32]:
        """Return int32 [windows, bins]; to be called once."""
        _sum_up(self._steps)
        return self._index.restored(self._steps)


class Sums:
    """Sum of the values of the intervals that overlap each bin, each counted once however much it overlaps."""

    def __init__(self, windows: Windows) -> None:
        self._index = WindowIndex(windows)
        self._sums = np.zeros((len(windows), windows.n_bins), dtype=np.float64)

    def add(self, block: Block) -> None:
        """Add the intervals of a block."""
        _add(self._index.arrays, block.codes, block.starts, block.ends, block.values, self._sums)

    def result(self) -> npt.NDArray[np.float32]:
        """Return float32 [windows, bins]."""
        return self._index.restored(self._sums.astype(np.float32))


class Maxima:
    """Largest value among the intervals that overlap each bin."""

    def __init__(self, windows: Windows) -> None:
        self._index = WindowIndex(windows)
        self._highest = np.full((len(windows), windows.n_bins), -np.inf, dtype=np.float32)

    def add(self, block: Block) -> None:
        """Take the intervals of a block into account."""
        _raise(self._index.arrays, block.codes, block.starts, block.ends, block.values, self._highest)

    def result(self) -> npt.NDArray[np.float32]:
        """Return float32 [windows, bins], 0 where no interval lies."""
        return self._index.restored(np.where(np.isneginf(self._highest), np.float32(0), self._highest))


class Coverage:
    """Sum over bases, number of covered bases and maximum of a step function over each bin.

    Args:
        windows: ``n`` windows.
        statistic: ``mean``, ``sum`` or ``max`` of the values of a bin's bases.
        uncovered: ``zero``: bases without a value count as 0; ``ignore``: only covered bases count, and a bin without
            any is 0.
    """

    def __init__(self, windows: Windows, statistic: str, *, uncovered: str) -> None:
        self._index = WindowIndex(windows)
        self._bin, self._statistic, self._uncovered = windows.bin, statistic, uncovered
        shape = (len(windows), windows.n_bins)
        self._total = np.zeros(shape, dtype=np.float64)
        # What the statistic does not need is not gathered.
        needed = statistic == "max" or (statistic == "mean" and uncovered == "ignore")
        self._covered = np.zeros(shape if needed else (0, 0), dtype=np.int32)
        self._highest = np.full(shape if statistic == "max" else (0, 0), -np.inf, dtype=np.float32)

    def add(self, block: Block) -> None:
        """Add the intervals of a block with their values."""
        _cover(
            self._index.arrays, block.codes, block.starts, block.ends, block.values,
            self._total, self._covered, self._highest,
        )  # fmt: skip

    def result(self) -> npt.NDArray[np.float32]:
        """Return float32 [windows, bins]."""
        return self._index.restored(self._summary().astype(np.float32))

    def _summary(self) -> npt.NDArray[Any]:
        zero = self._uncovered == "zero"
        if self._statistic == "sum":
            return self._total
        if self._statistic == "mean":
            return self._total / (self._bin if zero else np.maximum(self._covered, 1))
        floored = np.maximum(self._highest, 0) if zero else np.float32(0)
        return np.where(self._covered < (self._bin if zero else 1), floored, self._highest)


@njit(cache=True, nogil=True)
def _first_window(index: Any, code: Any, position: Any) -> Any:
    """Return the first window of a chromosome that starts at ``position`` or later."""
    starts, first, table, table_first, shift = index[0], index[1], index[2], index[3], index[4]
    entry = table_first[code] + (position >> shift)
    if position < 0:
        low, high = first[code], np.int64(table[table_first[code]])
    elif entry >= table_first[code + 1] - 1:
        return first[code + 1]
    else:
        low, high = np.int64(table[entry]), np.int64(table[entry + 1])
    while low < high:
        middle = (low + high) >> 1
        if starts[middle] < position:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _count(index: Any, codes: Any, starts: Any, ends: Any, steps: Any) -> None:
    """Note where in each window the number of overlapping intervals rises and falls."""
    window_starts, window_first, size, n_bins = index[0], index[1], index[5], index[6]
    width = size * n_bins
    # Multiplying is several times faster than dividing; the half keeps multiples of the size on their side of an edge.
    share = 1.0 / size
    for i in range(len(codes)):
        start, end, stop = np.int64(starts[i]), np.int64(ends[i]), window_first[codes[i] + 1]
        w = _first_window(index, codes[i], start - width + 1)
        while w < stop and window_starts[w] < end:
            origin = window_starts[w]
            steps[w, np.int64((max(start - origin, 0) + 0.5) * share)] += 1
            after = np.int64((end - origin - 0.5) * share) + 1
            if after < n_bins:
                steps[w, after] -= 1
            w += 1


@njit(cache=True, nogil=True)
def _sum_up(steps: Any) -> None:
    for w in range(steps.shape[0]):
        for b in range(1, steps.shape[1]):
            steps[w, b] += steps[w, b - 1]


@njit(cache=True, nogil=True)
def _add(index: Any, codes: Any, starts: Any, ends: Any, values: Any, sums: Any) -> None:
    window_starts, window_first, size, n_bins = index[0], index[1], index[5], index[6]
    for i in range(len(codes)):
        w = _first_window(index, codes[i], starts[i] - size * n_bins + 1)
        while w < window_first[codes[i] + 1] and window_starts[w] < ends[i]:
            begin = max(starts[i] - window_starts[w], 0) // size
            for b in range(begin, min((ends[i] - 1 - window_starts[w]) // size + 1, n_bins)):
                sums[w, b] += values[i]
            w += 1


@njit(cache=True, nogil=True)
def _raise(index: Any, codes: Any, starts: Any, ends: Any, values: Any, highest: Any) -> None:
    window_starts, window_first, size, n_bins = index[0], index[1], index[5], index[6]
    for i in range(len(codes)):
        value = np.float32(values[i])
        w = _first_window(index, codes[i], starts[i] - size * n_bins + 1)
        while w < window_first[codes[i] + 1] and window_starts[w] < ends[i]:
            begin = max(starts[i] - window_starts[w], 0) // size
            for b in range(begin, min((ends[i] - 1 - window_starts[w]) // size + 1, n_bins)):
                highest[w, b] = max(highest[w, b], value)
            w += 1


@njit(cache=True, nogil=True)
def _cover(
    index: Any, codes: Any, starts: Any, ends: Any, values: Any, total: Any, covered: Any, highest: Any
) -> None:  # fmt: skip
    window_starts, window_first, size, n_bins = index[0], index[1], np.int32(index[5]), np.int32(index[6])
    width = size * n_bins
    first, last_code, last_start = np.int64(0), np.int32(-1), np.int32(-1)
    for i in range(len(codes)):
        stop = window_first[codes[i] + 1]
        # In a sorted file the first window in reach is mostly the last one's, or the next.
        near = codes[i] == last_code and starts[i] >= last_start
        if near and first < stop and window_starts[first] + width <= starts[i]:
            first += 1
            near = first == stop or window_starts[first] + width > starts[i]
        if not near:
            first = _first_window(index, codes[i], np.int64(starts[i]) - width + 1)
        last_code, last_start = codes[i], starts[i]
        w = first
        while w < stop and window_starts[w] < ends[i]:
            start = np.int32(max(starts[i] - window_starts[w], 0))
            end = np.int32(min(ends[i] - window_starts[w], width))
            b = start // size
            edge = (b + 1) * size
            while start < end:
                bases = min(end, edge) - start
                total[w, b] += bases * values[i]
                if len(covered):
                    covered[w, b] += bases
                if len(highest):
                    highest[w, b] = max(highest[w, b], np.float32(values[i]))
                start, b, edge = np.int32(edge), b + 1, edge + size
            w += 1
