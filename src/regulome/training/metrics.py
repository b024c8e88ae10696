"""Metrics of binary classification and regression, each for many sets of example weights at once.

A weight says how often an example counts. With weights all 1 a metric has its usual value; with the multiplicities of
bootstrap resamples as weights, one sort serves all resamples. All functions take ``truth`` and ``score`` float64
[examples] and ``weights`` [sets, examples], and return float64 [sets], NaN where a metric is not defined.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Metric: TypeAlias = Callable[[Floats, Floats, Floats], Floats]

#: Number of equally wide bins of predicted probability in the expected calibration error.
CALIBRATION_BINS = 15
#: Probabilities from here on are called "high" by accuracy, F1 and MCC.
THRESHOLD = 0.5
#: Chance of what happened where a model gave it none.
SMALLEST = 2.0**-24


def _ratio(above: Floats, below: Floats) -> Floats:
    """Divide, NaN where the divisor is 0."""
    result: Floats = np.full(np.broadcast(above, below).shape, np.nan)
    np.divide(above, below, out=result, where=below > 0)
    return result


def _group_sums(values: Floats, starts: npt.NDArray[np.intp]) -> Floats:
    """Sum ``values`` [sets, examples] over runs of equal scores that begin at ``starts``."""
    if len(starts) == values.shape[1]:
        return values
    sums: Floats = np.add.reduceat(values, starts, axis=1)
    return sums


def _starts(ordered: Floats) -> npt.NDArray[np.intp]:
    """Return where each run of equal values begins in a sorted array."""
    return np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])


def auroc(truth: Floats, score: Floats, weights: Floats) -> Floats:
    """Area under the ROC curve: how often a positive scores above a negative, ties counting half."""
    order = np.argsort(score, kind="stable")
    starts = _starts(score[order])
    ordered, positive = weights[:, order], truth[order] > 0
    high = _group_sums(ordered * positive, starts)
    low = _group_sums(ordered * ~positive, starts)
    below = np.cumsum(low, axis=1) - low / 2
    return _ratio((high * below).sum(axis=1), high.sum(axis=1) * low.sum(axis=1))


def auprc(truth: Floats, score: Floats, weights: Floats) -> Floats:
    """Average precision: Σ (recall − recall before) · precision over falling thresholds, without interpolation."""
    order = np.argsort(-score, kind="stable")
    starts = _starts(score[order])
    ordered = weights[:, order]
    high = _group_sums(ordered * (truth[order] > 0), starts)
    called = np.cumsum(_group_sums(ordered, starts), axis=1)
    found = np.cumsum(high, axis=1)
    # A threshold that nothing of this resample reaches adds no recall, whatever its precision.
    precision = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
    return _ratio((high * precision).sum(axis=1), high.sum(axis=1))


def _confusion(truth: Floats, score: Floats, weights: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    high, called = truth > 0, score >= THRESHOLD
    cells = np.stack([high & called, ~high & called, high & ~called, ~high & ~called], axis=1).astype(np.float64)
    tp, fp, fn, tn = (weights @ cells).T
    return tp, fp, fn, tn


def accuracy(truth: Floats, score: Floats, weights: Floats) -> Floats:
    """Share of examples on the right side of probability 0.5."""
    tp, fp, fn, tn = _confusion(truth, score, weights)
    return _ratio(tp + tn, tp + fp + fn + tn)


def f1(truth: Floats, score: Floats, weights: Floats) -> Floats:
    """Harmonic mean of precision and recall at probability 0.5; undefined without positives and calls."""
    tp, fp, fn, _ = _confusion(truth, score, weights)
    return _ratio(2 * tp, 2 * tp + fp + fn)


def mcc(truth: Floats, score: Floats, weights: Floats) -> Floats:
    """Matthews' correlation of label and call at probability 0.5; undefined where either is constant."""
    tp, fp, fn, tn = _confusion(truth, score, weights)
    return _ratio(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))


def brier(truth: Floats, score: Floats, weights: Floats) -> Floats:
    """Mean squared difference of probability and label."""
    return _ratio(weights @ (score - truth) ** 2, weights.sum(axis=1))


def ece(truth: Floats, score: Floats, weights: Floats) -> Floats:
    """Expected calibration error: mean |share of positives − mean probability| over 15 equally wide bins."""
    bins = np.clip((score * CALIBRATION_BINS).astype(np.int64), 0, CALIBRATION_BINS - 1)
    surplus = np.zeros((len(score), CALIBRATION_BINS))
    surplus[np.arange(len(score)), bins] = truth - score
    return _ratio(np.abs(weights @ surplus).sum(axis=1), weights.sum(axis=1))


def perplexity(truth: Floats, score: Floats, weights: Floats) -> Floats:
    """Exp of the mean cross-entropy −ln p(label); a wrong probability of 0 counts as 2⁻²⁴, float32's smallest step."""
    chance = np.maximum(np.where(truth > 0, score, 1 - score), SMALLEST)
    mean: Floats = np.exp(_ratio(weights @ -np.log(chance), weights.sum(axis=1)))
    return mean


def mse(truth: Floats, score: Floats, weights: Floats) -> Floats:
    """Mean squared error."""
    return brier(truth, score, weights)


def r2(truth: Floats, score: Floats, weights: Floats) -> Floats:
    """Coefficient of determination, 1 − squared error / variance; undefined where the truth is constant."""
    total = weights.sum(axis=1)
    # Centring first keeps the difference of two large sums from losing its digits.
    centred = truth - truth.mean()
    spread = weights @ centred**2 - _ratio((weights @ centred) ** 2, total)
    # Where the truth is constant only rounding is left of its variance.
    spread = np.where(spread > 1e-12 * (weights @ centred**2), spread, 0.0)
    return 1 - _ratio(weights @ (truth - score) ** 2, spread)


def pearson(truth: Floats, score: Floats, weights: Floats) -> Floats:
    """Pearson's correlation; undefined where either side is constant."""
    shape = weights.shape
    return _correlation(np.broadcast_to(truth, shape), np.broadcast_to(score, shape), weights)


def spearman(truth: Floats, score: Floats, weights: Floats) -> Floats:
    """Spearman's rank correlation, ties sharing their mean rank; undefined where either side is constant."""
    return _correlation(_ranks(truth, weights), _ranks(score, weights), weights)


def _ranks(values: Floats, weights: Floats) -> Floats:
    """Return the mean rank that each example has in each resample, [sets, examples]."""
    order = np.argsort(values, kind="stable")
    starts = _starts(values[order])
    size = _group_sums(weights[:, order], starts)
    rank = np.cumsum(size, axis=1) - (size - 1) / 2
    ranks = np.empty(weights.shape)
    ranks[:, order] = np.repeat(rank, np.diff(np.r_[starts, len(values)]), axis=1)
    return ranks


def _correlation(a: Floats, b: Floats, weights: Floats) -> Floats:
    total = weights.sum(axis=1, keepdims=True)
    da = a - (weights * a).sum(axis=1, keepdims=True) / total
    db = b - (weights * b).sum(axis=1, keepdims=True) / total
    va, vb = (weights * da**2).sum(axis=1), (weights * db**2).sum(axis=1)
    # Where a side is constant only rounding is left of its variance.
    va = np.where(va > 1e-24 * (weights * a**2).sum(axis=1), va, 0.0)
    vb = np.where(vb > 1e-24 * (weights * b**2).sum(axis=1), vb, 0.0)
    return _ratio((weights * da * db).sum(axis=1), np.sqrt(va) * np.sqrt(vb))


#: The metrics of each task, in the order in which they are shown.
METRICS: dict[str, dict[str, Metric]] = {
    "classification": {
        "auroc": auroc,
        "auprc": auprc,
        "accuracy": accuracy,
        "f1": f1,
        "mcc": mcc,
        "brier": brier,
        "ece": ece,
    },
    "regression": {"r2": r2, "pearson": pearson, "spearman": spearman, "mse": mse},
}


def metrics_of(task: str, line: str) -> dict[str, Metric]:
    """Return the metrics of a task; in the line of sequences classification has perplexity too."""
    if line == "sequence" and task == "classification":
        return {**METRICS[task], "perplexity": perplexity}
    return METRICS[task]


#: Metrics of which less is better.
LESS_IS_BETTER = frozenset({"brier", "ece", "mse", "perplexity", "bits_per_base", "cross_entropy"})

#: Why a metric may have no value.
WHY_UNDEFINED = {
    "auroc": "needs examples of both classes",
    "auprc": "needs positive examples",
    "f1": "needs positive labels or calls",
    "mcc": "needs both classes among labels and calls",
    "r2": "needs values that differ",
    "pearson": "needs values that differ, on both sides",
    "spearman": "needs values that differ, on both sides",
}
