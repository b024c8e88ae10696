"""Compiled arithmetic of multi-label metrics: a sort per feature, and everything that follows from the order.

One radix sort of (probability, label, example) serves all metrics of a feature. With ``influence`` each metric is also
differentiated by the weight of each example (the infinitesimal jackknife, Efron 1982; for the AUROC these derivatives
are DeLong's structural components): the sum of their squares is the metric's variance, and sums of derivatives over
features give the variance of a mean over features, whose members share their examples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from regulome.training.metrics import SMALLEST

#: Order of the metrics in all arrays.
NAMES = ("auroc", "auprc", "f1", "f1_tuned", "mcc", "accuracy", "cross_entropy")
_AUROC, _AUPRC, _F1, _TUNED, _MCC, _ACCURACY, _ENTROPY = range(7)

#: Probabilities from here on are called by F1, MCC and accuracy.
THRESHOLD = 0.5
_BITS = 11
_BUCKETS = 1 << _BITS

Array = npt.NDArray[Any]


@njit(nogil=True, cache=True)
def _sorted(score: Array, label: Array, keys: Array, spare: Array) -> None:
    """Sort a feature's examples: keys = probability (31 bits), label (1 bit), example (32 bits), in rising order.

    The bits of floats of one sign are in the order of their values.
    """
    n = len(score)
    bits = score.view(np.uint32)
    counts = np.zeros((3, _BUCKETS), np.int64)
    for i in range(n):
        # The sign of a negative zero is dropped.
        key = (np.uint64(bits[i] & np.uint32(0x7FFFFFFF)) << np.uint64(1)) | np.uint64(label[i] > 0)
        keys[i] = (key << np.uint64(32)) | np.uint64(i)
        for digit in range(3):
            counts[digit, (key >> np.uint64(digit * _BITS)) & np.uint64(_BUCKETS - 1)] += 1
    for digit in range(3):
        total = 0
        for bucket in range(_BUCKETS):
            here = counts[digit, bucket]
            counts[digit, bucket] = total
            total += here
        source, target = (spare, keys) if digit % 2 else (keys, spare)
        for i in range(n):
            key = source[i]
            bucket = (key >> np.uint64(32 + digit * _BITS)) & np.uint64(_BUCKETS - 1)
            target[counts[digit, bucket]] = key
            counts[digit, bucket] += 1
    # After three passes the sorted keys lie in ``spare``.


@njit(nogil=True, cache=True)
def _ranks(keys: Array, positives: int) -> tuple[float, float, float]:
    """AUROC, average precision, and the threshold with the highest F1, of sorted keys."""
    n = len(keys)
    negatives = n - positives
    area = precision = 0.0
    below = below_positive = 0
    best_f1, best = -1.0, np.uint64(0)
    i = 0
    while i < n:
        value = keys[i] >> np.uint64(33)
        high = low = 0
        while i < n and keys[i] >> np.uint64(33) == value:
            if (keys[i] >> np.uint64(32)) & np.uint64(1):
                high += 1
            else:
                low += 1
            i += 1
        area += high * ((below - below_positive) + 0.5 * low)
        found, called = positives - below_positive, n - below
        precision += high * (found / called)
        f1 = 2.0 * found / (called + positives)
        if f1 >= best_f1:
            best_f1, best = f1, value
        below += high + low
        below_positive += high
    threshold = np.array([best]).astype(np.uint32).view(np.float32)[0]
    return area / (positives * negatives) if negatives else np.nan, precision / positives, threshold


@njit(nogil=True, cache=True)
def _f1_cells(tp: float, fp: float, fn: float, cells: Array) -> float:
    """F1, and its derivatives by the cells TP, FP, FN, TN."""
    below = 2 * tp + fp + fn
    f1 = 2 * tp / below
    cells[0], cells[1], cells[2], cells[3] = (2 - 2 * f1) / below, -f1 / below, -f1 / below, 0.0
    return f1


@njit(nogil=True, cache=True)
def _mcc_cells(tp: float, fp: float, fn: float, tn: float, cells: Array) -> float:
    """Matthews' correlation, and its derivatives by the cells; 0 where nothing or everything is called."""
    called, high, low, quiet = tp + fp, tp + fn, tn + fp, tn + fn
    cells[:] = 0.0
    if called == 0 or quiet == 0:
        return 0.0
    root = np.sqrt(called * high) * np.sqrt(low * quiet)
    mcc = (tp * tn - fp * fn) / root
    cells[0] = tn / root - mcc / 2 * (1 / called + 1 / high)
    cells[1] = -fn / root - mcc / 2 * (1 / called + 1 / low)
    cells[2] = -fp / root - mcc / 2 * (1 / high + 1 / quiet)
    cells[3] = tp / root - mcc / 2 * (1 / low + 1 / quiet)
    return float(mcc)


@njit(nogil=True, cache=True)
def _cell(called: bool, high: bool) -> int:
    """Place of an example in TP, FP, FN, TN."""
    if called:
        return 0 if high else 1
    return 2 if high else 3


@njit(nogil=True, cache=True)
def _confusion(score: Array, label: Array, threshold: float, counts: Array) -> None:
    """Count TP, FP, FN, TN."""
    counts[:] = 0.0
    for i in range(len(score)):
        counts[_cell(score[i] >= threshold, label[i] > 0)] += 1


@njit(nogil=True, cache=True)
def _feature(
    score: Array,
    label: Array,
    threshold: float,
    keys: Array,
    spare: Array,
    steps: Array,
    values: Array,
    errors: Array,
    influence: Array,
) -> tuple[int, float]:
    """All metrics of a feature; returns its positives and the threshold with the highest F1."""
    n = len(score)
    positives = 0
    for i in range(n):
        positives += label[i] > 0
    negatives = n - positives
    values[:], errors[:] = np.nan, np.nan
    scorable = positives > 0 and negatives > 0
    entropy = 0.0
    for i in range(n):
        chance = score[i] if label[i] > 0 else np.float32(1.0) - score[i]
        steps[i, 2] = -np.log(max(chance, np.float32(SMALLEST)))
        entropy += steps[i, 2]
    values[_ENTROPY] = entropy / n
    half, tuned = np.zeros(4), np.zeros(4)
    _confusion(score, label, THRESHOLD, half)
    values[_ACCURACY] = (half[0] + half[3]) / n
    by_f1, by_tuned, by_mcc = np.zeros(4), np.zeros(4), np.zeros(4)
    best = np.nan
    if scorable:
        _sorted(score, label, keys, spare)
        values[_AUROC], values[_AUPRC], best = _ranks(spare, positives)
        values[_F1] = _f1_cells(half[0], half[1], half[2], by_f1)
        values[_MCC] = _mcc_cells(half[0], half[1], half[2], half[3], by_mcc)
        if not np.isnan(threshold):
            _confusion(score, label, threshold, tuned)
            values[_TUNED] = _f1_cells(tuned[0], tuned[1], tuned[2], by_tuned)
    if len(influence) == 0:
        return positives, best

    squares = np.zeros(len(values))
    if scorable:
        _rank_steps(spare, positives, values, squares, steps)
    for i in range(n):
        high = label[i] > 0
        called = score[i] >= THRESHOLD
        step = (steps[i, 2] - values[_ENTROPY]) / n
        squares[_ENTROPY] += step * step
        influence[i, _ENTROPY] += step
        step = ((1.0 if called == high else 0.0) - values[_ACCURACY]) / n
        squares[_ACCURACY] += step * step
        influence[i, _ACCURACY] += step
        if scorable:
            cell = _cell(called, high)
            squares[_F1] += by_f1[cell] ** 2
            influence[i, _F1] += by_f1[cell]
            squares[_MCC] += by_mcc[cell] ** 2
            influence[i, _MCC] += by_mcc[cell]
            if not np.isnan(threshold):
                step = by_tuned[_cell(score[i] >= threshold, high)]
                squares[_TUNED] += step * step
                influence[i, _TUNED] += step
            influence[i, _AUROC] += steps[i, 0]
            influence[i, _AUPRC] += steps[i, 1]
    for metric in range(len(values)):
        if not np.isnan(values[metric]):
            errors[metric] = np.sqrt(squares[metric])
    return positives, best


@njit(nogil=True, cache=True)
def _rank_steps(keys: Array, positives: int, values: Array, squares: Array, steps: Array) -> None:
    """Derivatives of AUROC and average precision by the weight of each example, into ``steps``.

    That is a small array of its own, because sorted keys name the examples in no order that a cache could follow.
    """
    n = len(keys)
    negatives = n - positives
    area, precision = values[_AUROC], values[_AUPRC]
    below = below_positive = 0
    # Sums over the thresholds from the lowest up to here: of 1 / called, and of found / called², over the positives.
    gained = lost = 0.0
    i = 0
    while i < n:
        begin, value = i, keys[i] >> np.uint64(33)
        high = 0
        while i < n and keys[i] >> np.uint64(33) == value:
            high += int((keys[i] >> np.uint64(32)) & np.uint64(1))
            i += 1
        low = i - begin - high
        found, called = positives - below_positive, n - below
        gained += high / called
        lost += high * (found / called) / called
        for_high = ((below - below_positive + 0.5 * low) / negatives - area) / positives
        for_low = ((found - 0.5 * high) / positives - area) / negatives
        high_step = (found / called - precision + gained - lost) / positives
        low_step = -lost / positives
        for j in range(begin, i):
            example = keys[j] & np.uint64(0xFFFFFFFF)
            if (keys[j] >> np.uint64(32)) & np.uint64(1):
                steps[example, 0], steps[example, 1] = for_high, high_step
            else:
                steps[example, 0], steps[example, 1] = for_low, low_step
        squares[_AUROC] += high * for_high**2 + low * for_low**2
        squares[_AUPRC] += high * high_step**2 + low * low_step**2
        below += high + low
        below_positive += high


@njit(nogil=True, cache=True)
def measure(
    scores: Array,
    labels: Array,
    thresholds: Array,
    groups: Array,
    lane: int,
    lanes: int,
    influence: Array,
    values: Array,
    errors: Array,
    positives: Array,
    best: Array,
) -> None:
    """Compute all metrics of every ``lanes``-th feature from feature ``lane`` on.

    Args:
        scores: Probabilities, float32 [features, examples], finite and at least 0, each feature contiguous.
        labels: uint8 [features, examples]; above 0 is positive.
        thresholds: Threshold of ``f1_tuned``, float32 [features]; NaN leaves that metric out.
        groups: Group of each feature, int64 [features].
        lane: Which features.
        lanes: How many lanes there are.
        influence: float32 [groups, examples, metrics], to which each feature's derivatives are added. Without examples,
            derivatives and standard errors are left out.
        values: Filled with values float64 [features, metrics], NaN where not defined.
        errors: Filled with their standard errors.
        positives: Filled with the number of positives, int64 [features].
        best: Filled with the threshold with the highest F1, float32 [features].
    """
    features, examples = scores.shape
    keys, spare = np.empty(examples, np.uint64), np.empty(examples, np.uint64)
    steps = np.empty((examples, 3), np.float32)
    for feature in range(lane, features, lanes):
        positives[feature], best[feature] = _feature(
            scores[feature],
            labels[feature],
            thresholds[feature],
            keys,
            spare,
            steps,
            values[feature],
            errors[feature],
            influence[groups[feature]],
        )


@njit(nogil=True, cache=True)
def rank(scores: Array, labels: Array, lane: int, lanes: int, auroc: Array, auprc: Array) -> None:
    """Compute only AUROC and average precision, float64 [features]; arguments as in :func:`measure`."""
    features, examples = scores.shape
    keys, spare = np.empty(examples, np.uint64), np.empty(examples, np.uint64)
    for feature in range(lane, features, lanes):
        positives = (labels[feature] > 0).sum()
        if positives > 0:
            _sorted(scores[feature], labels[feature], keys, spare)
            auroc[feature], auprc[feature], _ = _ranks(spare, positives)
        else:
            auroc[feature] = auprc[feature] = np.nan
