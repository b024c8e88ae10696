"""Sequences with the same neighbours in another order."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from regulome.genome.kmers import flatten
from regulome.genome.letters import UNKNOWN, Codes

_LETTERS = UNKNOWN + 1


def shuffle_dinucleotides(
    codes: npt.ArrayLike, *, seed: int, offsets: npt.ArrayLike | None = None, first_row: int = 0
) -> Codes:
    """Shuffle each sequence so that every pair of neighbours occurs exactly as often as before.

    All sequences with the same pairs, first and last letter are equally likely, the given one among them (Altschul and
    Erickson, Mol. Biol. Evol. 1985): pairs are the edges of a graph of letters, a shuffled sequence is a path that uses
    each edge once. The edges by which letters are left for the last time are drawn as a uniform tree, by a random walk
    whose loops are erased (Wilson, STOC 1996) where the original draws until the edges happen to be a tree; all other
    edges follow in random order.

    Args:
        codes: uint8 [n, L]; or [bases] with ``offsets``. Unknown letters count as a fifth letter.
        seed: Together with the number of its row decides how a sequence is shuffled, whatever other rows there are.
        offsets: int64 [n + 1] where sequences are of unequal length: sequence ``i`` is
            ``codes[offsets[i]:offsets[i + 1]]``.
        first_row: The number of the first row, where sequences come in parts.

    Returns:
        uint8 of the same shape.
    """
    flat, bounds = flatten(codes, offsets)
    out = flat.copy()
    _shuffle(flat, bounds, np.uint64(seed % 2**64), np.uint64(first_row), out)
    return out.reshape(np.shape(codes))


@njit(cache=True, nogil=True)
def _mix(x: Any) -> Any:
    """Mix the bits of a uint64 (the finaliser of SplitMix64: Steele, Lea and Flood, OOPSLA 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True, nogil=True)
def _draw(state: Any, below: Any) -> Any:
    """Draw a number from 0 to ``below - 1``, each equally likely; ``below`` < 2**32."""
    limit = np.uint64(below)
    # Multiply and take the upper half; the few products that would favour some numbers are drawn again (Lemire 2019).
    least = (np.uint64(1) << np.uint64(32)) % limit
    while True:
        state[0] += np.uint64(0x9E3779B97F4A7C15)
        product = (_mix(state[0]) >> np.uint64(32)) * limit
        if (product & np.uint64(0xFFFFFFFF)) >= least:
            return np.int64(product >> np.uint64(32))


@njit(cache=True, nogil=True)
def _draw_next(state: Any, counts: Any, total: Any) -> Any:
    """Draw a letter with probability proportional to its count."""
    left = _draw(state, total)
    letter = 0
    while left >= counts[letter]:
        left -= counts[letter]
        letter += 1
    return letter


@njit(cache=True, nogil=True)
def _shuffle(flat: Any, bounds: Any, seed: Any, first_row: Any, out: Any) -> None:
    counts = np.zeros((_LETTERS, _LETTERS), dtype=np.int64)
    totals = np.zeros(_LETTERS, dtype=np.int64)
    last = np.zeros(_LETTERS, dtype=np.int64)
    settled = np.zeros(_LETTERS, dtype=np.bool_)
    state = np.zeros(1, dtype=np.uint64)
    for row in range(len(bounds) - 1):
        begin, end = bounds[row], bounds[row + 1]
        if end - begin < 4:
            continue
        state[0] = _mix(_mix(seed + np.uint64(1)) + first_row + np.uint64(row))
        counts[:] = 0
        totals[:] = 0
        for i in range(begin, end - 1):
            here = min(flat[i], UNKNOWN)
            counts[here, min(flat[i + 1], UNKNOWN)] += 1
            totals[here] += 1
        # The tree of last edges: from each letter walk at random to what is settled, and keep the last way out of each.
        settled[:] = False
        settled[min(flat[end - 1], UNKNOWN)] = True
        for letter in range(_LETTERS):
            if totals[letter] == 0:
                continue
            at = letter
            while not settled[at]:
                last[at] = _draw_next(state, counts[at], totals[at])
                at = last[at]
            at = letter
            while not settled[at]:
                settled[at] = True
                counts[at, last[at]] -= 1
                totals[at] -= 1
                at = last[at]
        at = min(flat[begin], UNKNOWN)
        for i in range(begin + 1, end - 1):
            if totals[at] > 0:
                letter = _draw_next(state, counts[at], totals[at])
                counts[at, letter] -= 1
                totals[at] -= 1
                at = letter
            else:
                at = last[at]
            out[i] = at
