"""Counts of what follows each context of 0 to k letters, in one pass over packed text."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Counts = npt.NDArray[np.int64] | npt.NDArray[np.uint32]

# Up to this order a count has 8 bytes: a short word may occur more than 2^32 times in a genome, a longer one does not.
_WIDE = 8


def count_contexts(
    letters: npt.NDArray[np.uint8], stretches: npt.ArrayLike, order: int, *, both_strands: bool = False
) -> list[Counts]:
    """Count the letters that follow each context, for all orders at once.

    Only words of ``order`` + 1 letters are counted; shorter ones are sums of them, and those of the other strand are
    the same words read backwards. Memory: 4 bytes per word of the highest order and 8 per shorter one (360 MB at order
    12), however long the text is.

    Args:
        letters: Text of two bits per letter, the first in the lowest bits; may be memory-mapped.
        stretches: int64 [n, 2], where pieces of the text begin and end; no word spans two of them.
        order: Length k of the longest context.
        both_strands: Count the reverse complement of each piece too.

    Returns:
        For each order j from 0 to k an array [4^j, 4]: how often each letter follows each context. In the number of a
        context its last letter has the lowest two bits.
    """
    pieces = np.array(stretches, dtype=np.int64).reshape(-1, 2)
    text = np.asarray(letters)
    counts: list[Any] = [np.zeros(4 ** (j + 1), np.int64) for j in range(order)]
    counts.append(np.zeros(4 ** (order + 1), np.int64 if order <= _WIDE else np.uint32))
    _count(text, pieces, order, counts[order])
    for j in range(order, 0, -1):
        counts[j - 1] += counts[j].reshape(4, -1).sum(axis=0, dtype=np.int64)
    for j in range(order):
        _count_begin(text, pieces, j, order, counts[j])
    if both_strands:
        for j in range(order + 1):
            _add_other_strand(counts[j], j + 1)
    return [table.reshape(-1, 4) for table in counts]


@njit(cache=True, nogil=True)
def letter_at(letters: Any, position: Any) -> Any:
    """Read one letter of a packed text."""
    return (letters[position >> 2] >> np.uint8((position & 3) << 1)) & np.uint8(3)


@njit(cache=True, nogil=True)
def _count(letters: Any, pieces: Any, order: Any, counts: Any) -> None:
    mask = np.int64(len(counts) - 1)
    one = counts.dtype.type(1)
    for piece in range(len(pieces)):
        position, end = pieces[piece]
        word = np.int64(0)
        stop = min(position + order, end)
        while position < stop:
            word = (word << 2) | np.int64(letter_at(letters, position))
            position += 1
        while position < end and position & 3:
            word = ((word << 2) | np.int64(letter_at(letters, position))) & mask
            counts[word] += one
            position += 1
        for byte in range(position >> 2, end >> 2):
            four = np.int64(letters[byte])
            word = ((word << 2) | (four & 3)) & mask
            counts[word] += one
            word = ((word << 2) | ((four >> 2) & 3)) & mask
            counts[word] += one
            word = ((word << 2) | ((four >> 4) & 3)) & mask
            counts[word] += one
            word = ((word << 2) | (four >> 6)) & mask
            counts[word] += one
            position += 4
        while position < end:
            word = ((word << 2) | np.int64(letter_at(letters, position))) & mask
            counts[word] += one
            position += 1


@njit(cache=True, nogil=True)
def _count_begin(letters: Any, pieces: Any, order: Any, longest: Any, counts: Any) -> None:
    """Add the words at the beginning of pieces that lie in no longer word."""
    mask = np.int64(len(counts) - 1)
    for piece in range(len(pieces)):
        begin, end = pieces[piece]
        word = np.int64(0)
        for position in range(begin, min(begin + longest, end)):
            word = ((word << 2) | np.int64(letter_at(letters, position))) & mask
            if position - begin >= order:
                counts[word] += 1


@njit(cache=True, nogil=True, inline="always")
def _turned(word: Any, length: Any) -> Any:
    """Return the reverse complement of a word of up to 32 letters: the order of its pairs of bits turned, inverted."""
    w = ~np.uint64(word)
    for bits, low in (
        (2, 0x3333333333333333),
        (4, 0x0F0F0F0F0F0F0F0F),
        (8, 0x00FF00FF00FF00FF),
        (16, 0x0000FFFF0000FFFF),
        (32, 0x00000000FFFFFFFF),
    ):
        mask = np.uint64(low)
        w = ((w >> np.uint64(bits)) & mask) | ((w & mask) << np.uint64(bits))
    return np.int64(w >> np.uint64(64 - 2 * length))


@njit(cache=True, nogil=True)
def _add_other_strand(counts: Any, length: Any) -> None:
    """Give every word and its reverse complement the sum of both their counts."""
    for word in range(len(counts)):
        other = _turned(word, length)
        if word < other:
            both = counts[word] + counts[other]
            counts[word] = both
            counts[other] = both
        elif word == other:
            counts[word] += counts[word]
