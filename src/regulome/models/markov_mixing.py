"""From counts to probabilities: a constant added to each count, or all orders mixed with weights learned from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from regulome.models.markov_counts import Counts, count_contexts, letter_at

#: For each order, float64 [size of the context, kind of context].
Weights = list[npt.NDArray[np.float64]]
Table = npt.NDArray[np.float32]

# Sizes of contexts are told apart in half octaves, up to 2^40 letters.
_SIZES = 84
# Contexts after which one letter came always, at least every second time, or less often.
_KINDS = 3
# Weights are learned on a tenth of the text, in pieces from all over it, but on no more letters than this.
_PIECES = 200
_MOST = 500_000
_STEPS = 30
# Nats per letter that no longer matter.
_ENOUGH = 1e-7


def add_constant(counts: list[Counts], constant: float) -> Iterator[Table]:
    """Give (n(x) + constant) / (n + 4 constant) of each order: n letters came after a context, n(x) of them x."""
    for table in counts:
        probabilities = np.empty(table.shape, np.float32)
        _add(table, constant, probabilities)
        yield probabilities


def mix_orders(counts: list[Counts], weights: Weights) -> Iterator[Table]:
    """Give the probabilities of each order, mixed with those of the order below.

    P(x | c) = λ n(x) / n + (1 − λ) P(x | c without its first letter), down to 1/4 below order 0.
    """
    below: Table = np.full((1, 4), 0.25, np.float32)
    for table, own in zip(counts, weights, strict=True):
        probabilities = np.empty(table.shape, np.float32)
        _fill(table, below, own, probabilities)
        yield probabilities
        below = probabilities


def learn_weights(
    letters: npt.NDArray[np.uint8], stretches: npt.ArrayLike, order: int, *, both_strands: bool = False
) -> Weights:
    """Learn the weights λ of :func:`mix_orders` on pieces of a text that the counts do not see.

    λ depends on the order, on how often the context came and on how one-sided it is. Leaving out one letter at a time
    instead would take the repeats beside a letter for knowledge of the genome. By expectation maximisation.

    Memory: that of :func:`regulome.models.markov_counts.count_contexts`, and 20 MB.

    Args:
        letters: As for ``count_contexts``.
        stretches: As for ``count_contexts``.
        order: Longest context.
        both_strands: Whether the counts are of both strands.
    """
    kept, held = _leave_out(np.array(stretches, dtype=np.int64).reshape(-1, 2), order)
    counts = count_contexts(letters, kept, order, both_strands=both_strands)
    text = np.asarray(letters)
    words = np.empty(int((held[:, 2] - held[:, 1]).sum()), np.int64)
    known = np.empty(len(words), np.int8)
    _read_words(text, held, order, words, known)
    q = np.full(len(words), 0.25)
    learned: Weights = []
    for j, table in enumerate(counts):
        ratio, bucket = np.empty(len(words), np.float64), np.empty(len(words), np.int16)
        _look_up(table, words, known, j, ratio, bucket)
        own = _maximise(q, ratio, bucket)
        learned.append(own.reshape(_SIZES, _KINDS))
        weight = own[bucket]
        q = weight * ratio + (1 - weight) * q
    return learned


def _leave_out(stretches: npt.NDArray[np.int64], order: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Split stretches into those that are counted [n, 2] and those left out: where to read from, begin, end [m, 3]."""
    total = int((stretches[:, 1] - stretches[:, 0]).sum())
    period = max(10, total // _PIECES)
    length = max(1, min(period // 10, _MOST // _PIECES))
    kept, held = [], []
    passed = 0
    for begin, end in stretches.tolist():
        position = begin
        while position < end:
            # Where the position stands in its period: what is left out lies in the middle.
            place = (passed + position - begin) % period - period // 2
            out = 0 <= place < length
            step = length - place if out else (-place if place < 0 else period - period // 2 - place)
            until = min(end, position + max(1, step))
            if out:
                held.append((max(begin, position - order), position, until))
            else:
                kept.append((position, until))
            position = until
        passed += end - begin
    return np.array(kept, np.int64).reshape(-1, 2), np.array(held, np.int64).reshape(-1, 3)


def _maximise(
    q: npt.NDArray[np.float64], ratio: npt.NDArray[np.float64], bucket: npt.NDArray[np.int16]
) -> npt.NDArray[np.float64]:
    """Find the weight of each bucket where Σ log(λ ratio + (1 − λ) q) is largest; it is concave in each."""
    size = np.repeat(np.arange(_SIZES), _KINDS)
    # What is believed before any letter was seen, worth one letter: n / (n + 4).
    n = np.where(size < 4, size, 2.0 ** (size / 2))
    weights: npt.NDArray[np.float64] = n / (n + 4)
    ends = np.cumsum(np.bincount(bucket, minlength=len(weights)))
    sorted_q, more = np.empty_like(q), np.empty_like(q)
    _sort(q, ratio, bucket, ends - np.bincount(bucket, minlength=len(weights)), sorted_q, more)
    _solve(sorted_q, more, ends, weights, _ENOUGH * len(q))
    return weights


@njit(cache=True, nogil=True)
def _sort(q: Any, ratio: Any, bucket: Any, at: Any, sorted_q: Any, more: Any) -> None:
    for i in range(len(q)):
        place = at[bucket[i]]
        at[bucket[i]] = place + 1
        sorted_q[place] = q[i]
        more[place] = ratio[i] - q[i]


@njit(cache=True, nogil=True)
def _solve(q: Any, more: Any, ends: Any, weights: Any, enough: Any) -> None:
    """Improve each weight by Newton's steps, kept between the bounds that the slope has shown."""
    for bucket in range(_KINDS, len(weights)):
        prior = w = weights[bucket]
        low, high = 0.0, 1.0
        for _ in range(_STEPS):
            slope = prior / w - (1 - prior) / (1 - w)
            bend = -prior / w**2 - (1 - prior) / (1 - w) ** 2
            for i in range(ends[bucket - 1], ends[bucket]):
                change = more[i] / (q[i] + w * more[i])
                slope += change
                bend -= change * change
            if slope > 0:
                low = w
            else:
                high = w
            new = w - slope / bend
            w = new if low < new < high else (low + high) / 2
            # What a step can still bring.
            if slope * slope < -2 * bend * enough:
                break
        weights[bucket] = w


@njit(cache=True, nogil=True)
def _read_words(letters: Any, held: Any, order: Any, words: Any, known: Any) -> None:
    """Write each letter that was left out, behind the letters before it, and how many of those there are."""
    mask = (np.int64(1) << (2 * order + 2)) - 1
    at = 0
    for piece in range(len(held)):
        first, begin, end = held[piece]
        word = np.int64(0)
        for position in range(first, end):
            word = ((word << 2) | np.int64(letter_at(letters, position))) & mask
            if position >= begin:
                words[at] = word
                known[at] = min(position - first, order)
                at += 1


@njit(cache=True, nogil=True)
def _look_up(counts: Any, words: Any, known: Any, order: Any, ratio: Any, bucket: Any) -> None:
    mask = np.int64(counts.size - 1)
    for i in range(len(words)):
        bucket[i], ratio[i] = 0, 0.0
        if known[i] >= order:
            word = words[i] & mask
            row = counts[word >> 2]
            total = _total(row)
            if total:
                bucket[i] = _bucket(row, total)
                ratio[i] = np.float64(row[word & 3]) / total


@njit(cache=True, nogil=True)
def _add(counts: Any, constant: Any, out: Any) -> None:
    for context in range(len(counts)):
        row = counts[context]
        total = _total(row) + 4 * constant
        for x in range(4):
            out[context, x] = (row[x] + constant) / total if total > 0 else 0.25


@njit(cache=True, nogil=True)
def _fill(counts: Any, below: Any, weights: Any, out: Any) -> None:
    mask = len(below) - 1
    flat = weights.reshape(-1)
    for context in range(len(counts)):
        row = counts[context]
        total = _total(row)
        lower = below[context & mask]
        if not total:
            out[context] = lower
            continue
        weight = flat[_bucket(row, total)]
        for x in range(4):
            out[context, x] = weight * row[x] / total + (1 - weight) * lower[x]


@njit(cache=True, nogil=True, inline="always")
def _total(row: Any) -> Any:
    return np.int64(row[0]) + np.int64(row[1]) + np.int64(row[2]) + np.int64(row[3])


@njit(cache=True, nogil=True, inline="always")
def _bucket(row: Any, total: Any) -> Any:
    """Number of the size and the kind of a context that came ``total`` > 0 times."""
    size = np.int64(0)
    rest = np.int64(total)
    while rest > 3:
        rest >>= 1
        size += 2
    top = np.int64(max(max(row[0], row[1]), max(row[2], row[3])))
    kind = 0 if top == total else (1 if 2 * top >= total else 2)
    # 1 → 1, 2 → 2, 3 → 3, 4 and 5 → 4, 6 and 7 → 5, 8 to 11 → 6, …
    return (size + rest) * 3 + kind
