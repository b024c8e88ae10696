"""Metrics of many outputs at once: per feature, by group of features, and over all, with 95 % intervals.

Intervals come from the infinitesimal jackknife (see :mod:`regulome.training.ranking`), because 1,000 bootstrap
resamples of 455,024 examples × 919 features would take days: the same variance to first order, from one pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from regulome.errors import InputError
from regulome.progress import progress
from regulome.training import ranking

#: Outputs from which on metrics and files are those of many features.
MANY = 33
#: Values of a block of features (features × examples): 5 bytes each.
_BLOCK = 1 << 24
# Rows that are read together.
_ROWS = 2048
#: Threads that each keep derivatives of their own.
_THREADS = 8
# 97.5th percentile of the normal distribution.
_Z = 1.959963984540054
#: Columns of a table of features that say what a feature is.
FEATURE_COLUMNS = ("name", "cell", "assay", "treatment", "group")

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Multilabel:
    """Metrics of many outputs.

    Attributes:
        n: Number of examples.
        features: One row per output: name, cell, assay, treatment, group.
        values: float64 [features, metrics] in the order of :data:`regulome.training.ranking.NAMES`, NaN where not
            defined: all but accuracy and cross_entropy need positives and negatives.
        errors: Their standard errors; NaN where none were asked for.
        positives: Positive examples of each feature.
        thresholds: Threshold of ``f1_tuned``; NaN where none was given.
        best: Threshold with the highest F1 on these examples.
        influence: Derivatives of each metric, summed over the features of each group, by the weight of each example:
            float32 [groups, examples, metrics]; no examples where no intervals were asked for.
        groups: Name of each group of ``influence``; the last, ``""``, has the features without one.
    """

    n: int
    features: pl.DataFrame = field(repr=False)
    values: Floats = field(repr=False)
    errors: Floats = field(repr=False)
    positives: npt.NDArray[np.int64] = field(repr=False)
    thresholds: npt.NDArray[np.float32] = field(repr=False)
    best: npt.NDArray[np.float32] = field(repr=False)
    influence: npt.NDArray[np.float32] = field(repr=False)
    groups: tuple[str, ...]

    @property
    def scorable(self) -> npt.NDArray[np.bool_]:
        """Features that have positives and negatives."""
        return (self.positives > 0) & (self.positives < self.n)

    def members(self, group: str | None = None) -> npt.NDArray[np.bool_]:
        """Features of a group; None takes all."""
        if group is None:
            return np.ones(len(self.features), bool)
        return (self.features["group"] == group).to_numpy()

    def mean(self, metric: int, group: str | None = None) -> tuple[float, Floats]:
        """Mean of a metric over the features that have it, and its derivative by each example's weight."""
        column = self.values[self.members(group), metric]
        defined = ~np.isnan(column)
        if not defined.any():
            return math.nan, np.zeros(self.influence.shape[1])
        chosen = range(len(self.groups)) if group is None else [self.groups.index(group)]
        total = np.zeros(self.influence.shape[1])
        for place in chosen:
            total += self.influence[place, :, metric]
        return float(column[defined].mean()), total / defined.sum()

    def summary(self) -> dict[str, Any]:
        """Return means over the features, as ``metrics.json`` has them; see :func:`regulome.training.evaluate`."""
        named = [group for group in self.groups if group]
        about = {group: {"features": int(self.members(group).sum()), **self._means(group)} for group in named}
        return {"n": self.n, "features": len(self.features), **self._means(None), "groups": about}

    def _means(self, group: str | None) -> dict[str, Any]:
        found: dict[str, Any] = {"scorable": int((self.scorable & self.members(group)).sum())}
        for metric, name in enumerate(ranking.NAMES):
            value, slope = self.mean(metric, group)
            column = self.values[self.members(group), metric]
            if name == "cross_entropy":
                found["perplexity"] = estimate("perplexity", math.exp(value), math.exp(value) * norm(slope))
            elif not (name == "f1_tuned" and np.isnan(self.thresholds).all()):
                row = estimate(name, value, norm(slope))
                median = float(np.nanmedian(column)) if not np.isnan(column).all() else None
                found[name] = row if row["value"] is None else {**row, "median": median}
        return found

    def table(self) -> pl.DataFrame:
        """One row per feature: what it is, positives, prevalence, scorable, then each metric with its interval."""
        columns: dict[str, Any] = {
            "n": np.full(len(self.features), self.n),
            "positives": self.positives,
            "prevalence": self.positives / max(1, self.n),
            "scorable": self.scorable,
        }
        for metric, name in enumerate(ranking.NAMES):
            rows = [estimate(name, *pair) for pair in zip(self.values[:, metric], self.errors[:, metric], strict=True)]
            for key, column in (("value", name), ("low", f"{name}_low"), ("high", f"{name}_high")):
                columns[column] = pl.Series([row[key] for row in rows], dtype=pl.Float64)
            if name == "f1_tuned":
                columns["threshold"] = pl.Series(self.thresholds).fill_nan(None)
        return self.features.with_columns(**{name: pl.Series(values) for name, values in columns.items()})


def multilabel(
    scores: Array,
    truth: Array,
    features: pl.DataFrame | Sequence[str],
    *,
    rows: npt.NDArray[np.int64] | None = None,
    chosen: npt.NDArray[np.int64] | None = None,
    thresholds: npt.NDArray[np.float32] | None = None,
    intervals: bool = True,
) -> Multilabel:
    """Compute the metrics of many outputs, a block of features at a time.

    Memory: 5 bytes for each value of a block of 16.8 million; with intervals also 28 bytes per example, group and
    thread. ``scores`` and ``truth`` may be memory maps.

    Args:
        scores: Probabilities, float32 [examples, features].
        truth: Labels, [rows of the dataset, features]; above 0 is positive.
        features: One row per feature with ``name`` and ``group``, or only their names.
        rows: Row of ``truth`` of each example; None takes all in order.
        chosen: Row of ``scores`` of each example; None takes all in order.
        thresholds: Threshold of each feature for ``f1_tuned``, chosen on other examples; None leaves it out.
        intervals: Compute standard errors too.

    Raises:
        InputError: There are no examples, or predictions that are not probabilities.
    """
    n, count = scores.shape if chosen is None else (len(chosen), scores.shape[1])
    if n == 0:
        raise InputError("there are no examples to evaluate", cure="choose another --split")
    table = _described(features, count)
    named = [group for group in table["group"].unique(maintain_order=True) if group]
    groups = (*named, "")
    codes = np.array([groups.index(group) for group in table["group"]], np.int64)
    lanes = _lanes(count)
    influence = np.zeros((lanes, len(groups), n if intervals else 0, len(ranking.NAMES)), np.float32)
    tuned = np.full(count, np.nan, np.float32) if thresholds is None else np.asarray(thresholds, np.float32)
    values, errors = np.empty((count, len(ranking.NAMES))), np.empty((count, len(ranking.NAMES)))
    positives, best = np.empty(count, np.int64), np.empty(count, np.float32)
    with progress("evaluating", count, "features") as advance, ThreadPoolExecutor(lanes) as threads:
        for block in feature_blocks(n, count):
            given = (*read_block(scores, truth, rows, block, chosen), tuned[block], codes[block])
            filled = (values[block], errors[block], positives[block], best[block])
            waiting = [
                threads.submit(ranking.measure, *given, lane, lanes, influence[lane], *filled) for lane in range(lanes)
            ]
            for lane in waiting:
                lane.result()
            advance(block.stop - block.start)
    for other in influence[1:]:
        influence[0] += other
    return Multilabel(n, table, values, errors, positives, tuned, best, influence[0], groups)


def rank_features(scores: Array, truth: Array, *, rows: npt.NDArray[np.int64] | None = None) -> tuple[Floats, Floats]:
    """Compute only AUROC and average precision of each feature, [features]; arguments as in :func:`multilabel`."""
    n, count = scores.shape
    lanes = _lanes(count)
    auroc, auprc = np.empty(count), np.empty(count)
    with ThreadPoolExecutor(lanes) as threads:
        for block in feature_blocks(n, count):
            given, filled = read_block(scores, truth, rows, block), (auroc[block], auprc[block])
            for lane in [threads.submit(ranking.rank, *given, lane, lanes, *filled) for lane in range(lanes)]:
                lane.result()
    return auroc, auprc


def _lanes(features: int) -> int:
    # Compiled loops on threads of their own: those of OpenMP would change torch's number of threads.
    return max(1, min(torch.get_num_threads(), features, _THREADS))


def feature_blocks(examples: int, features: int) -> list[slice]:
    """Cut the features into blocks that are held at once."""
    width = max(1, min(features, _BLOCK // max(1, examples)))
    return [slice(start, min(start + width, features)) for start in range(0, features, width)]


def read_block(
    scores: Array,
    truth: Array,
    rows: npt.NDArray[np.int64] | None,
    block: slice,
    chosen: npt.NDArray[np.int64] | None = None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Read some features, a row for each: probabilities and labels.

    Raises:
        InputError: A value is not a probability.
    """
    n, width = len(scores) if chosen is None else len(chosen), block.stop - block.start
    columns, labels = np.empty((width, n), np.float32), np.empty((width, n), np.uint8)
    # Some thousand rows at a time, which turn around inside the cache.
    for start in range(0, n, _ROWS):
        part = slice(start, min(start + _ROWS, n))
        some = scores[part, block] if chosen is None else scores[chosen[part], block]
        # Comparisons with NaN are false.
        if not (some.min() >= 0 and some.max() <= 1):
            raise InputError("some predictions are not probabilities", cure="train with a lower learning rate")
        columns[:, part] = some.T
        labels[:, part] = (truth[part if rows is None else rows[part], block] > 0).T
    return columns, labels


def norm(slope: Floats) -> float:
    """Standard error that belongs to derivatives by the examples' weights; NaN where there are none."""
    return float(np.sqrt((slope**2).sum())) if len(slope) else math.nan


def estimate(name: str, value: float, error: float) -> dict[str, float | None]:
    """Put a value and its standard error into the form of all metrics: value, low, high.

    Shares (all but MCC and perplexity) have their interval on the scale of log-odds, which keeps it inside 0 and 1.
    """
    value, error = float(value), float(error)
    if math.isnan(value):
        return {"value": None, "low": None, "high": None}
    if math.isnan(error):
        return {"value": value, "low": None, "high": None}
    if name in ("perplexity", "cross_entropy"):
        # Both have 0 or 1 as their limit, and are positive: on the scale of logarithms.
        spread = math.exp(_Z * error / value) if value > 0 else 1.0
        return {"value": value, "low": max(value / spread, float(name == "perplexity")), "high": value * spread}
    if name == "mcc":
        return {"value": value, "low": max(-1.0, value - _Z * error), "high": min(1.0, value + _Z * error)}
    if not 0 < value < 1:
        return {"value": value, "low": value, "high": value}
    centre, spread = math.log(value / (1 - value)), _Z * error / (value * (1 - value))
    return {"value": value, "low": _share(centre - spread), "high": _share(centre + spread)}


def _share(odds: float) -> float:
    return 1 / (1 + math.exp(-odds)) if odds > -700 else 0.0


def _described(features: pl.DataFrame | Sequence[str], count: int) -> pl.DataFrame:
    table = features if isinstance(features, pl.DataFrame) else pl.DataFrame({"name": list(features)})
    if len(table) != count:
        raise ValueError(f"{len(table)} features are described, there are {count}")
    known = [name for name in FEATURE_COLUMNS if name in table.columns]
    empty = [pl.lit("").alias(name) for name in FEATURE_COLUMNS if name not in table.columns]
    return table.select(known).with_columns(empty).select(FEATURE_COLUMNS).fill_null("")
