"""Copy runs of rows of a signal: what batches of regions are made of."""

from __future__ import annotations

from typing import Any

from numba import njit


@njit(cache=True, nogil=True)
def copy_bins(
    source: Any, begin: Any, count: Any, factor: Any, reverse: Any, columns: Any, out: Any
) -> None:  # fmt: skip
    """Copy the bins of regions, one region after the other.

    Args:
        source: float32 [rows, marks].
        begin: int64 [r], row of the first bin.
        count: int64 [r], bins to make.
        factor: int64 [r], rows of which a bin is the mean.
        reverse: bool [r], whether the last bin comes first.
        columns: int64 [m], marks to take.
        out: float32 [sum of count, m].
    """
    to = 0
    for i in range(len(begin)):
        n, step = count[i], factor[i]
        for j in range(n):
            row = to + (n - 1 - j if reverse[i] else j)
            at = begin[i] + j * step
            if step == 1:
                for m in range(len(columns)):
                    out[row, m] = source[at, columns[m]]
            else:
                for m in range(len(columns)):
                    total = 0.0
                    for k in range(step):
                        total += source[at + k, columns[m]]
                    out[row, m] = total / step
        to += n
