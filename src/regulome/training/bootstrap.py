"""Metrics with 95 % bootstrap intervals over examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from regulome.errors import InputError
from regulome.training.metrics import WHY_UNDEFINED, Floats, metrics_of

#: Resamples from which an interval is taken.
REPLICATES = 1000
#: Share of the replicates inside an interval.
CONFIDENCE = 0.95
# How many weights (replicates × examples) are held at once: 32 MB as float64.
_CHUNK = 4_000_000


class Estimate(TypedDict, total=False):
    """A metric with its interval; all None, and ``reason``, where it is not defined."""

    value: float | None
    low: float | None
    high: float | None
    reason: str


def resamples(examples: int, replicates: int, seed: int) -> Iterator[Floats]:
    """Draw bootstrap multiplicities, float64 [some replicates, examples] at a time.

    The weights depend only on the arguments, so that runs on the same examples are resampled alike.
    """
    generator = np.random.default_rng(seed)
    rows = max(1, _CHUNK // max(examples, 1))
    for start in range(0, replicates, rows):
        count = min(rows, replicates - start)
        drawn = generator.integers(0, examples, (count, examples))
        drawn += np.arange(count)[:, None] * examples
        yield np.bincount(drawn.ravel(), minlength=count * examples).reshape(count, examples).astype(np.float64)


def replicate(
    truth: npt.ArrayLike,
    score: npt.ArrayLike,
    task: str,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
    line: str = "expression",
) -> dict[str, Floats]:
    """Compute every metric of a task on the examples and on bootstrap resamples of them.

    Args:
        truth: Labels (0 or 1) or values, [examples].
        score: Probabilities or values, [examples].
        task: "classification" or "regression".
        replicates: Number of resamples.
        seed: Seed of the resampling.
        line: Line of work: sequences have perplexity too.

    Returns:
        For each metric float64 [1 + replicates], the first on the examples themselves; NaN where it is not defined.
    """
    y, s = np.asarray(truth, np.float64).ravel(), np.asarray(score, np.float64).ravel()
    if len(y) != len(s):
        raise ValueError(f"{len(y)} true values and {len(s)} predictions")
    if len(y) == 0:
        raise InputError("there are no examples to evaluate", cure="choose another --split")
    if not np.isfinite(s).all():
        raise InputError("some predictions are not finite numbers", cure="train with a lower learning rate")
    chosen = metrics_of(task, line)
    parts: dict[str, list[Floats]] = {name: [] for name in chosen}
    for weights in (np.ones((1, len(y))), *([] if replicates == 0 else resamples(len(y), replicates, seed))):
        for name, metric in chosen.items():
            parts[name].append(metric(y, s, weights))
    return {name: np.concatenate(values) for name, values in parts.items()}


def estimates(values: Mapping[str, Floats]) -> dict[str, Estimate]:
    """Turn what :func:`replicate` returns into values with percentile intervals.

    A resample on which a metric is not defined (one class only) is left out of its interval.
    """
    return {name: _estimate(name, array) for name, array in values.items()}


def _estimate(name: str, array: Floats) -> Estimate:
    value = array[0]
    if np.isnan(value):
        return {"value": None, "low": None, "high": None, "reason": WHY_UNDEFINED.get(name, "not defined here")}
    low, high = interval(array[1:])
    return {"value": float(value), "low": low, "high": high}


def interval(values: Floats) -> tuple[float | None, float | None]:
    """Return the 2.5th and 97.5th percentile of the defined values, None where there are none."""
    defined = values[~np.isnan(values)]
    if len(defined) == 0:
        return None, None
    low, high = np.quantile(defined, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
