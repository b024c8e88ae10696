"""How often each short word of DNA occurs in sequences."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from regulome.errors import InputError
from regulome.genome.letters import LETTERS, UNKNOWN

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

#: Entries that the kernel is given room for at a time.
_ENTRIES = 1 << 22


def kmer_names(k_min: int = 1, k_max: int = 5) -> list[str]:
    """Name the columns of :func:`count_kmers`: by length, then in the order A, C, G, T.

    Example:
        >>> kmer_names(1, 2)[:6]
        ['A', 'C', 'G', 'T', 'AA', 'AC']
    """
    _check(k_min, k_max)
    return ["".join(word) for k in range(k_min, k_max + 1) for word in product(LETTERS, repeat=k)]


def _check(k_min: int, k_max: int) -> None:
    if not 1 <= k_min <= k_max <= 12:
        raise InputError(f"cannot count k-mers of {k_min} to {k_max} letters", cure="choose lengths from 1 to 12")


def count_kmers(
    codes: npt.ArrayLike, k_max: int = 5, k_min: int = 1, *, offsets: npt.ArrayLike | None = None
) -> csr_matrix:
    """Count all words of ``k_min`` to ``k_max`` letters in each sequence, overlapping ones too.

    Words with an unknown letter do not count. The strand is taken as it is.

    Args:
        codes: uint8 [n, L]; or [bases] with ``offsets``.
        k_max: Letters of the longest words, at most 12.
        k_min: Letters of the shortest words.
        offsets: int64 [n + 1] where sequences are of unequal length: sequence ``i`` is
            ``codes[offsets[i]:offsets[i + 1]]``.

    Returns:
        float32 [n, words], sparse, columns as in :func:`kmer_names` (1,364 for 1 to 5 letters).

    Raises:
        InputError: The lengths are out of range.
    """
    from scipy.sparse import csr_matrix

    _check(k_min, k_max)
    flat, bounds = flatten(codes, offsets)
    n = len(bounds) - 1
    width = sum(4**k for k in range(k_min, k_max + 1))
    table, marks = np.zeros(width, dtype=np.int32), np.zeros((width + 63) // 64, dtype=np.uint64)
    ends = np.zeros(n + 1, dtype=np.int64)
    columns, values = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32)
    most = min(width, (k_max - k_min + 1) * int(np.diff(bounds).max(initial=0)))  # entries of one row
    step = max(1, _ENTRIES // max(most, 1))
    for first in range(0, n, step):
        last = min(first + step, n)
        filled = int(ends[first])
        needed = filled + (last - first) * most
        if needed > len(columns):
            # What the rows so far had, and some more, is enough for all; the arrays then move only once.
            expected = needed if not first else max(needed, int(1.05 * filled / first * n) + step * most)
            columns, values = _grown(columns, filled, expected), _grown(values, filled, expected)
        _count(flat, bounds, first, last, k_min, k_max, table, marks, ends, columns[filled:], values[filled:])
    entries = int(ends[-1])
    # Both are given back to their size in place; scipy wants both indices of one type.
    columns.resize(entries, refcheck=False)
    values.resize(entries, refcheck=False)
    index: Any = np.int32 if entries <= np.iinfo(np.int32).max else np.int64
    return csr_matrix((values, columns.astype(index, copy=False), ends.astype(index)), shape=(n, width), copy=False)


def _grown(array: npt.NDArray[Any], filled: int, size: int) -> npt.NDArray[Any]:
    grown = np.empty(size, dtype=array.dtype)
    grown[:filled] = array[:filled]
    return grown


def flatten(codes: npt.ArrayLike, offsets: npt.ArrayLike | None) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return sequences one after the other, and where each begins."""
    rows = np.ascontiguousarray(codes, dtype=np.uint8)
    if offsets is not None:
        bounds = np.array(offsets, dtype=np.int64)
        if rows.ndim != 1 or len(bounds) < 1 or bounds[0] < 0 or bounds[-1] > len(rows) or (np.diff(bounds) < 0).any():
            raise ValueError("offsets must ascend from 0 to the number of codes")
        return rows, bounds
    if rows.ndim != 2:
        raise ValueError(f"codes have shape {rows.shape}, expected [n, L]")
    return rows.reshape(-1), np.arange(rows.shape[0] + 1, dtype=np.int64) * rows.shape[1]


def _count_trailing_zeros(typing_context: Any, word: Any) -> Any:
    """Give the compiler the processor's own way to find the lowest set bit of a uint64, which must not be 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


_lowest_bit: Any = intrinsic(_count_trailing_zeros)


@njit(cache=True, nogil=True)
def _count(
    flat: Any, bounds: Any, first: Any, last: Any, k_min: Any, k_max: Any, table: Any, marks: Any, ends: Any,
    columns: Any, values: Any,
) -> None:  # fmt: skip
    """Count the words of some rows.

    ``table`` has a count for each word and ``marks`` a bit for each word that occurs, so that a short row does not have
    to look through the whole table; both are zero before and after.
    """
    word: Any
    column: Any
    begin: Any
    filled = 0
    mask = (np.int64(1) << (2 * k_max)) - 1
    for row in range(first, last):
        word, run = np.int64(0), 0
        for i in range(bounds[row], bounds[row + 1]):
            code = flat[i]
            if code >= UNKNOWN:
                run = 0
                continue
            word = ((word << 2) | np.int64(code)) & mask
            run += 1
            begin = 0
            for k in range(k_min, min(run, k_max) + 1):
                size = np.int64(1) << (2 * k)
                column = begin + (word & (size - 1))
                table[column] += 1
                marks[column >> 6] |= np.uint64(1) << np.uint64(column & 63)
                begin += size
        begins = filled
        for i in range(len(marks)):
            bits = marks[i]
            while bits:
                column = 64 * i + np.int64(_lowest_bit(bits))
                columns[filled] = column
                values[filled] = table[column]
                filled += 1
                table[column] = 0
                bits &= bits - np.uint64(1)
            marks[i] = 0
        ends[row + 1] = ends[row] + filled - begins
