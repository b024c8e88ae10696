"""The bins of many windows as one sorted list of edges for each chromosome, and what can be gathered on it in one pass.

Windows may overlap and need not be aligned, so their bins are not disjoint. Their distinct edges are in order, and
everything that is asked of a bin follows from what is known at the edges or between neighbouring edges:

- the intervals that overlap a bin [a, b) are those that start before b less those that end at a or before: a histogram
  of starts and one of ends over the edges, summed up, give all counts, whatever the order of the intervals;
- sums, coverage and maxima of a bin are those of the segments between its edges.

Memory is a few numbers for each edge, whatever the number of intervals.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from regulome.genome.rows import Block
from regulome.genome.windows import LAST_POSITION, Windows


class Edges:
    """The distinct bin edges of windows, chromosome after chromosome, with a table to find a position among them.

    Attributes:
        edges: int32 [n], ascending within each chromosome, whose last one is the last position there can be.
        first: int64 [chromosomes + 1], where each chromosome's edges begin.
        table: int32, for each chromosome and each multiple of ``2 ** shift``: the first edge not before it.
        table_first: int64 [chromosomes + 1], where each chromosome's part of the table begins.
        shift: See ``table``.
    """

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        order = np.argsort(windows.codes, kind="stable")
        chromosomes = len(windows.chromosomes)
        bounds = np.searchsorted(windows.codes[order], np.arange(chromosomes + 1))
        steps = np.arange(windows.n_bins + 1, dtype=np.int32) * np.int32(windows.bin)
        # The edge after all others stands for whatever lies behind the last window.
        behind = np.array([LAST_POSITION], dtype=np.int32)
        parts = [
            np.append(np.unique(np.sort(windows.starts[order[a:b]]).astype(np.int32)[:, None] + steps), behind)
            for a, b in pairwise(bounds.tolist())
        ]
        self.first = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
        self.edges = np.concatenate([*parts, np.zeros(0, dtype=np.int32)])
        self._make_table(parts)

    def _make_table(self, parts: list[npt.NDArray[np.int32]]) -> None:
        lengths = [max(int(part[-2]), 0) if len(part) > 1 else 0 for part in parts]
        # Fine enough that few edges share an entry, coarse enough that the table is no larger than the edges.
        self.shift = 6
        while sum(lengths) >> self.shift > max(len(self.edges), 1024):
            self.shift += 1
        sizes = [(length >> self.shift) + 2 for length in lengths]
        self.table_first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        tables = [
            begin + np.searchsorted(part, np.arange(size, dtype=np.int64) << self.shift)
            for part, size, begin in zip(parts, sizes, self.first[:-1], strict=True)
        ]
        self.table = np.concatenate([*tables, np.zeros(0)]).astype(np.int32)

    @property
    def index(self) -> tuple[Any, ...]:
        """What the compiled functions need to find a position."""
        return self.edges, self.first, self.table, self.table_first, self.shift


class Counts:
    """Number of intervals that overlap each bin by a base or more, as ``bedtools coverage -counts`` has it."""

    def __init__(self, windows: Windows) -> None:
        self._edges = Edges(windows)
        self._started = np.zeros(len(self._edges.edges) + 1, dtype=np.int32)
        self._ended = np.zeros(len(self._edges.edges) + 1, dtype=np.int32)

    def add(self, block: Block) -> None:
        """Count the intervals of a block."""
        _count(self._edges.index, block.codes, block.starts, block.ends, self._started, self._ended)

    def result(self) -> npt.NDArray[np.int32]:
        """Return int32 [windows, bins]."""
        windows = self._edges.windows
        out = np.zeros((len(windows), windows.n_bins), dtype=np.int32)
        edges, first = self._edges.edges, self._edges.first
        _overlaps(edges, first, self._started, self._ended, windows.codes, windows.starts, windows.bin, out)
        return out


class WeightedCounts:
    """Sum of the values of the intervals that overlap each bin, each counted once."""

    def __init__(self, windows: Windows) -> None:
        self._counts = Counts(windows)
        edges = len(self._counts._edges.edges) + 1
        self._started, self._ended = np.zeros(edges), np.zeros(edges)

    def add(self, block: Block) -> None:
        """Add the intervals of a block."""
        self._counts.add(block)
        _weigh(
            self._counts._edges.index, block.codes, block.starts, block.ends, block.values, self._started, self._ended
        )

    def result(self) -> npt.NDArray[np.float32]:
        """Return float32 [windows, bins]."""
        edges = self._counts._edges
        windows = edges.windows
        out = np.zeros((len(windows), windows.n_bins), dtype=np.float64)
        started, ended = self._started, self._ended
        _overlaps(edges.edges, edges.first, started, ended, windows.codes, windows.starts, windows.bin, out)
        # Differences of running sums leave rounding errors where nothing lies.
        out[self._counts.result() == 0] = 0
        return out.astype(np.float32)


class Segments:
    """Sum, covered bases and maximum of a step function (bedGraph, or the values of peaks) over each bin."""

    def __init__(self, windows: Windows) -> None:
        self._edges = Edges(windows)
        n = len(self._edges.edges)
        self._total = np.zeros(n, dtype=np.float64)
        self._covered = np.zeros(n, dtype=np.int32)
        self._highest = np.full(n, -np.inf, dtype=np.float32)

    def add(self, block: Block) -> None:
        """Add the intervals of a block with their values."""
        _spread(
            self._edges.index, block.codes, block.starts, block.ends, block.values,
            self._total, self._covered, self._highest,
        )  # fmt: skip

    def result(self, statistic: str, *, uncovered: str = "zero") -> npt.NDArray[np.float32]:
        """Summarize the bins.

        Args:
            statistic: ``mean``, ``sum`` or ``max``.
            uncovered: ``zero``: bases without a value count as 0; ``ignore``: only covered bases count, and a bin
                without any is 0.

        Returns:
            float32 [windows, bins].
        """
        windows = self._edges.windows
        shape = (len(windows), windows.n_bins)
        total, covered = np.zeros(shape), np.zeros(shape, dtype=np.int64)
        highest = np.zeros(shape, dtype=np.float32)
        _gather(
            self._edges.edges, self._edges.first, self._total, self._covered, self._highest,
            windows.codes, windows.starts, windows.bin, total, covered, highest,
        )  # fmt: skip
        if statistic == "sum":
            return total.astype(np.float32)
        if statistic == "mean":
            return (total / (windows.bin if uncovered == "zero" else np.maximum(covered, 1))).astype(np.float32)
        partly = (covered < windows.bin) if uncovered == "zero" else (covered == 0)
        floor = np.maximum(highest, np.float32(0)) if uncovered == "zero" else np.float32(0)
        return np.where(partly, floor, highest)


@njit(cache=True, nogil=True)
def _find(index: Any, code: Any, position: Any) -> Any:
    """Return the first edge of a chromosome that is not before ``position`` (0 or more)."""
    edges, first, table, table_first, shift = index
    entry = table_first[code] + (position >> shift)
    if entry >= table_first[code + 1] - 1:
        low, high = np.int64(table[table_first[code + 1] - 1]), first[code + 1]
    else:
        low, high = np.int64(table[entry]), np.int64(table[entry + 1])
    while low < high:
        middle = (low + high) >> 1
        if edges[middle] < position:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _count(
    index: Any, codes: Any, starts: Any, ends: Any, started: Any, ended: Any,
) -> None:  # fmt: skip
    edges, first = index[0], index[1]
    for i in range(len(codes)):
        code = codes[i]
        begin = _find(index, code, np.int64(starts[i]) + 1)
        # An interval ends near its start: a few steps are cheaper than another search.
        end, steps, stop = begin, 0, first[code + 1]
        while end < stop and edges[end] < ends[i] and steps < 8:
            end += 1
            steps += 1
        if steps == 8:
            end = _find(index, code, np.int64(ends[i]))
        started[begin] += 1
        ended[end] += 1


@njit(cache=True, nogil=True)
def _weigh(
    index: Any, codes: Any, starts: Any, ends: Any, values: Any, started: Any, ended: Any,
) -> None:  # fmt: skip
    for i in range(len(codes)):
        started[_find(index, codes[i], np.int64(starts[i]) + 1)] += values[i]
        ended[_find(index, codes[i], np.int64(ends[i]))] += values[i]


@njit(cache=True, nogil=True)
def _spread(
    index: Any, codes: Any, starts: Any, ends: Any, values: Any, total: Any, covered: Any, highest: Any,
) -> None:  # fmt: skip
    edges, first = index[0], index[1]
    for i in range(len(codes)):
        start, end, value, stop = starts[i], ends[i], values[i], first[codes[i] + 1]
        segment = _find(index, codes[i], np.int64(start) + 1) - 1
        segment = max(segment, first[codes[i]])
        while segment < stop - 1 and edges[segment] < end:
            overlap = min(end, edges[segment + 1]) - max(start, edges[segment])
            total[segment] += overlap * value
            covered[segment] += overlap
            highest[segment] = max(highest[segment], np.float32(value))
            segment += 1


@njit(cache=True, nogil=True)
def _seek(edges: Any, low: Any, high: Any, position: Any) -> Any:
    while low < high:
        middle = (low + high) >> 1
        if edges[middle] < position:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _overlaps(
    edges: Any, first: Any, started: Any, ended: Any, codes: Any, window_starts: Any, width: int, out: Any
) -> None:  # fmt: skip
    """Sum the histograms up in place, chromosome by chromosome, and take the difference for each bin."""
    for code in range(len(first) - 1):
        for i in range(first[code] + 1, first[code + 1]):
            started[i] += started[i - 1]
            ended[i] += ended[i - 1]
    for w in range(len(codes)):
        left = _seek(edges, first[codes[w]], first[codes[w] + 1], window_starts[w])
        for b in range(out.shape[1]):
            right, edge = left + 1, window_starts[w] + (b + 1) * width
            while edges[right] < edge:
                right += 1
            out[w, b] = started[right] - ended[left]
            left = right


@njit(cache=True, nogil=True)
def _gather(
    edges: Any, first: Any, total: Any, covered: Any, highest: Any, codes: Any, window_starts: Any, width: int,
    out_total: Any, out_covered: Any, out_highest: Any,
) -> None:  # fmt: skip
    for w in range(len(codes)):
        segment = _seek(edges, first[codes[w]], first[codes[w] + 1], window_starts[w])
        for b in range(out_total.shape[1]):
            edge, peak = window_starts[w] + (b + 1) * width, np.float32(-np.inf)
            while edges[segment] < edge:
                out_total[w, b] += total[segment]
                out_covered[w, b] += covered[segment]
                peak = max(peak, highest[segment])
                segment += 1
            out_highest[w, b] = peak
