"""Arithmetic of context mixing: counts of contexts of many lengths, scored, weighted, and turned to probabilities.

Short contexts have counts of 15 bits each, in a table of all contexts. Of long ones only those that occur are kept, in
a table found by hashing: 16 bits hold four counts up to 7 and four bits that tell contexts in one place apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from regulome.models.markov_counts import letter_at

#: Longest context with a table of all contexts.
DIRECT = 11
#: Kinds of contexts that have weights of their own, by how often they came and how one-sided they are.
KINDS = 16
# Counts of the two sorts of tables end here; then all four are halved.
_MOST, _MOST_HASHED = 32767, 7
# log(n + _EXTRA) is the score of a letter that came n times, in the two sorts of tables.
_EXTRA, _EXTRA_HASHED = 0.4, 0.06
_RATE, _LAST_RATE, _SLOWER = 0.02, 0.001, 20_000.0


def make_logs() -> Any:
    """Return log(n + extra) float32 for both sorts of tables: [counts up to 32,767, then 8 for hashed tables]."""
    direct, hashed = np.log(np.arange(_MOST + 1) + _EXTRA), np.log(np.arange(_MOST_HASHED + 1) + _EXTRA_HASHED)
    return np.concatenate([direct, hashed]).astype(np.float32)


@njit(cache=True, nogil=True, inline="always")
def _place(context: Any, order: Any, bits: Any) -> Any:
    """Return where a context stands in its hashed table, and its four check bits, in their place."""
    mixed = (context + np.uint64(order)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return np.int64(mixed >> np.uint64(64 - bits)), np.int64((mixed >> np.uint64(8)) & np.uint64(15)) << 12


@njit(cache=True, nogil=True, inline="always")
def _kind(total: Any, top: Any, hashed: Any) -> Any:
    if hashed:
        return min(total, 7) + (8 if top == total else 0)
    kind = 0
    while total:
        total >>= 1
        kind += 1
    return min(kind, KINDS - 1)


@njit(cache=True, nogil=True)
def _mix(
    history: Any, known: Any, orders: Any, begins: Any, direct: Any, hashed: Any, bits: Any, logs: Any, weights: Any,
    scores: Any, kinds: Any, p: Any,
) -> Any:  # fmt: skip
    """Write each order's scores and kind, and the four probabilities; return which set of weights was used."""
    found = 0
    for i in range(len(orders)):
        order = orders[i]
        kinds[i] = -1
        if known < order:
            continue
        context = history & ((np.uint64(1) << np.uint64(2 * order)) - np.uint64(1))
        if order <= DIRECT:
            at = begins[i] + 4 * np.int64(context)
            n0, n1, n2, n3 = (
                np.int64(direct[at]),
                np.int64(direct[at + 1]),
                np.int64(direct[at + 2]),
                np.int64(direct[at + 3]),
            )
            shift = 0
        else:
            at, check = _place(context, order, bits)
            slot = np.int64(hashed[begins[i], at]) & 0xFFFF
            if slot & 0xF000 != check or not slot & 0xFFF:
                continue
            n0, n1, n2, n3 = slot & 7, (slot >> 3) & 7, (slot >> 6) & 7, (slot >> 9) & 7
            shift = _MOST + 1
            found += 1
        total = n0 + n1 + n2 + n3
        if not total:
            continue
        kinds[i] = _kind(total, max(max(n0, n1), max(n2, n3)), shift > 0)
        s0, s1, s2, s3 = logs[shift + n0], logs[shift + n1], logs[shift + n2], logs[shift + n3]
        mean = np.float32(0.25) * (s0 + s1 + s2 + s3)
        scores[i, 0], scores[i, 1], scores[i, 2], scores[i, 3] = s0 - mean, s1 - mean, s2 - mean, s3 - mean
    own = weights[found]
    z0, z1, z2, z3 = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    for i in range(len(orders)):
        if kinds[i] >= 0:
            w = own[i, kinds[i]]
            z0 += w * scores[i, 0]
            z1 += w * scores[i, 1]
            z2 += w * scores[i, 2]
            z3 += w * scores[i, 3]
    top = max(max(z0, z1), max(z2, z3))
    p[0], p[1], p[2], p[3] = np.exp(z0 - top), np.exp(z1 - top), np.exp(z2 - top), np.exp(z3 - top)
    total_p = p[0] + p[1] + p[2] + p[3]
    for x in range(4):
        p[x] /= total_p
    return found


@njit(cache=True, nogil=True, inline="always")
def _count(context: Any, x: Any, i: Any, orders: Any, begins: Any, direct: Any, hashed: Any, bits: Any) -> None:
    if orders[i] <= DIRECT:
        at = begins[i] + 4 * np.int64(context)
        if direct[at + x] == _MOST:
            for y in range(4):
                direct[at + y] >>= 1
        direct[at + x] += 1
        return
    at, check = _place(context, orders[i], bits)
    slot = np.int64(hashed[begins[i], at]) & 0xFFFF
    n = (slot >> (3 * x)) & 7
    if slot & 0xF000 != check or not slot & 0xFFF:
        # Another context stands here: it loses half of its counts, and its place when it has none left.
        slot = slot & 0xF000 | ((slot & 0xFFF) >> 1) & 0x6DB
        if not slot & 0xFFF:
            slot = check | (1 << (3 * x))
    elif n == _MOST_HASHED:
        slot = slot & 0xF000 | ((((slot & 0xFFF) >> 1) & 0x6DB) + (1 << (3 * x)))
    else:
        slot += 1 << (3 * x)
    hashed[begins[i], at] = np.int16(slot if slot < 0x8000 else slot - 0x10000)


@njit(cache=True, nogil=True)
def learn(
    letters: Any, pieces: Any, both: Any, orders: Any, begins: Any, direct: Any, hashed: Any, logs: Any, weights: Any
) -> Any:
    """Predict each letter of packed text, correct the weights, and only then count it; return nats and letters.

    Args:
        letters: Packed text.
        pieces: int64 [n, 2], its stretches; nothing is known before each.
        both: Count the other strand too.
        orders: int64 [orders], ascending.
        begins: int64 [orders], where the table of each begins in ``direct``, or its row in ``hashed``.
        direct: int16, counts, four to a context.
        hashed: int16 [tables, 2^bits].
        logs: As :func:`make_logs` gives them.
        weights: float32 [hashed orders + 1, orders, KINDS], learned here.
    """
    bits = 0
    while 1 << bits < hashed.shape[1]:
        bits += 1
    scores, kinds, p = np.zeros((len(orders), 4), np.float32), np.zeros(len(orders), np.int64), np.zeros(4, np.float32)
    loss, seen = 0.0, 0
    for piece in range(len(pieces)):
        # The last 32 letters; and the other strand's, of which the first is the complement of the last one read.
        history, other, known = np.uint64(0), np.uint64(0), 0
        for position in range(pieces[piece, 0], pieces[piece, 1]):
            x = np.int64(letter_at(letters, position))
            found = _mix(history, known, orders, begins, direct, hashed, bits, logs, weights, scores, kinds, p)
            loss -= np.log(max(p[x], np.float32(1e-9)))
            rate = np.float32(max(_LAST_RATE, _RATE / np.sqrt(1 + seen / _SLOWER)))
            seen += 1
            for i in range(len(orders)):
                if kinds[i] >= 0:
                    slope = scores[i, x]
                    for y in range(4):
                        slope -= p[y] * scores[i, y]
                    weights[found, i, kinds[i]] += rate * slope
            last = np.uint64(3 - x)
            for i in range(len(orders)):
                order = orders[i]
                if known < order:
                    break
                width = np.uint64(2 * order)
                _count(history & ((np.uint64(1) << width) - np.uint64(1)), x, i, orders, begins, direct, hashed, bits)
                if both:
                    # The other strand reads this letter and those before it, and then the one before them all.
                    turned = (other >> (np.uint64(64) - width + np.uint64(2))) | (last << (width - np.uint64(2)))
                    oldest = np.int64(3) - np.int64((history >> (width - np.uint64(2))) & np.uint64(3))
                    _count(turned, oldest, i, orders, begins, direct, hashed, bits)
            history = (history << np.uint64(2)) | np.uint64(x)
            other = (other >> np.uint64(2)) | (last << np.uint64(62))
            known = min(known + 1, 32)
    return loss, seen


@njit(cache=True, nogil=True)
def predict(
    seen: Any, reach: Any, out: Any, orders: Any, begins: Any, direct: Any, hashed: Any, logs: Any, weights: Any
) -> None:
    """Write log-probabilities [batch, letter, 4] after each letter of ``seen`` but the first ``reach``."""
    bits = 0
    while 1 << bits < hashed.shape[1]:
        bits += 1
    scores, kinds, p = np.zeros((len(orders), 4), np.float32), np.zeros(len(orders), np.int64), np.zeros(4, np.float32)
    for b in range(len(seen)):
        history, known = np.uint64(0), 0
        for i in range(seen.shape[1]):
            if seen[b, i] > 3:
                known = 0
            else:
                history = (history << np.uint64(2)) | np.uint64(seen[b, i])
                known = min(known + 1, 32)
            if i >= reach:
                _mix(history, known, orders, begins, direct, hashed, bits, logs, weights, scores, kinds, p)
                for x in range(4):
                    out[b, i - reach, x] = np.log(max(p[x], np.float32(1e-9)))
