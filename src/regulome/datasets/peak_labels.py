"""Which peaks label which stretch of the genome: intervals against intervals, all at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Edges = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]


def distinct(values: Integers) -> Integers:
    """Sort numbers and keep each once; many times as fast as ``np.unique``, which hashes them."""
    ordered = np.sort(values)
    first = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


def needed_bases(overlap: float, bin: int) -> int:
    """Return how many bases of a bin a peak must cover: ``overlap`` of it, rounded up, at least one."""
    return max(1, int(np.ceil(round(overlap * bin, 6))))


def label_bins(starts: Edges, ends: Edges, *, bin: int, n_bins: int, needed: int, together: bool = False) -> Integers:
    """Find the bins of a chromosome of which a peak covers enough.

    Bin ``i`` is ``[i · bin, (i + 1) · bin)``.

    Args:
        starts: [n] peaks of one feature.
        ends: [n].
        bin: Bases per bin.
        n_bins: Bins of the chromosome.
        needed: Bases that must be covered.
        together: Count what all peaks cover together, instead of each alone.

    Returns:
        The numbers of the bins, in order.
    """
    least = 1 if together else needed
    begins, stops = starts.astype(np.int64), ends.astype(np.int64)
    first = np.maximum(-(-(begins + least) // bin) - 1, 0)
    last = np.minimum((stops - least) // bin, n_bins - 1)
    bins = distinct(_ranges(first, np.where(stops - begins >= least, last + 1, first)))
    return bins[covered_bases(starts, ends, bins * bin, bin) >= needed] if together else bins


def label_places(
    starts: Edges, ends: Edges, places: Integers, *, width: int, needed: int, together: bool = False
) -> Integers:
    """Find the stretches of which a peak covers enough.

    Args:
        starts: [n] peaks of one feature.
        ends: [n].
        places: [m] where each stretch begins, in order.
        width: Bases of a stretch.
        needed: Bases that must be covered.
        together: Count what all peaks cover together, instead of each alone.

    Returns:
        The numbers of the stretches, in order.
    """
    if together:
        return np.flatnonzero(covered_bases(starts, ends, places, width) >= needed)
    first = np.searchsorted(places, starts.astype(np.int64) + needed - width, side="left")
    stop = np.searchsorted(places, ends.astype(np.int64) - needed, side="right")
    return distinct(_ranges(first, np.where(ends - starts >= needed, stop, first)))


def _ranges(first: Integers, stop: Integers) -> Integers:
    """Return the whole numbers of all ranges, one range after the other."""
    count = np.maximum(stop - first, 0)
    within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    numbers: Integers = np.repeat(first, count) + within
    return numbers


def covered_bases(starts: Edges, ends: Edges, places: Integers, width: int) -> Integers:
    """Count the bases of each stretch that any peak covers.

    Args:
        starts: [n] peaks.
        ends: [n].
        places: [m] where each stretch begins.
        width: Bases of a stretch.
    """
    begins, stops = merge(starts, ends)
    if not len(begins):
        return np.zeros(len(places), np.int64)
    total = np.concatenate([[0], np.cumsum(stops - begins)])

    def before(position: Integers) -> Integers:
        """Covered bases before a position."""
        number = np.searchsorted(begins, position, side="left")
        beyond = np.where(number > 0, stops[number - 1] - position, 0)
        return total[number] - np.maximum(beyond, 0)

    return before(places + width) - before(places)


def merge(starts: Edges, ends: Edges) -> tuple[Integers, Integers]:
    """Join intervals that overlap or touch; the result is in order."""
    order = np.argsort(starts, kind="stable")
    begins, stops = starts[order].astype(np.int64), ends[order].astype(np.int64)
    if not len(begins):
        return begins, stops
    reach = np.maximum.accumulate(stops)
    first = np.flatnonzero(np.r_[True, begins[1:] > reach[:-1]])
    return begins[first], reach[np.r_[first[1:] - 1, len(reach) - 1]]


def touches(begins: Integers, stops: Integers, starts: Edges, ends: Edges) -> Mask:
    """Say which intervals share a base with one of the peaks.

    Args:
        begins: [n], in any order.
        stops: [n].
        starts: Peaks, in any order.
        ends: Peaks.

    Returns:
        bool [n].
    """
    merged_starts, merged_ends = merge(starts, ends)
    if not len(merged_starts):
        return np.zeros(len(begins), bool)
    before = np.searchsorted(merged_starts, stops, side="left") - 1
    return (before >= 0) & (merged_ends[np.maximum(before, 0)] > begins)
