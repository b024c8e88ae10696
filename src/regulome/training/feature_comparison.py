"""Runs of many labels side by side: means over features with paired intervals, and feature by feature."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import ndtr

from regulome.errors import InputError
from regulome.training import ranking
from regulome.training.metrics import LESS_IS_BETTER
from regulome.training.multilabel import Multilabel, feature_blocks, multilabel, norm
from regulome.training.runs import Run
from regulome.training.scores import LabelledScores, described, labelled_scores, tuned_thresholds

logger = logging.getLogger(__name__)

#: Columns of a table of pairs.
PAIRS = {
    "metric": pl.String,
    "a": pl.String,
    "b": pl.String,
    "value_a": pl.Float64,
    "value_b": pl.Float64,
    "difference": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "p": pl.Float64,
    "better": pl.String,
}
# 97.5th percentile of the normal distribution.
_Z = 1.959963984540054


@dataclass(frozen=True)
class Comparison:
    """What :func:`regulome.training.compare` finds.

    Attributes:
        n: Examples that all runs have in this part.
        dropped: For each run, examples of its part that another run lacks.
        metrics: For each run its metrics on the common examples, with intervals.
        table: One row per metric and pair of runs: ``metric, a, b, value_a, value_b, difference`` (a − b), ``low,
            high`` (95 % interval of the difference), ``p`` (two-sided bootstrap: how often resamples put the
            difference on the other side of 0; never below 1 / replicates), ``better`` (name of the better run,
            null while 0 is inside the interval).
        features: Where runs have many outputs, one row per feature, metric and pair of runs: ``name, group, metric, a,
            b, value_a, value_b, difference, better`` (the run with the better value); otherwise empty.
    """

    n: int
    dropped: dict[str, int]
    metrics: dict[str, dict[str, Any]]
    table: pl.DataFrame
    features: pl.DataFrame = field(default_factory=pl.DataFrame, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return everything but the single features as JSON-able values."""
        found = {"n": self.n, "dropped": self.dropped, "runs": self.metrics, "pairs": self.table.to_dicts()}
        if not self.features.is_empty():
            found["features"] = self.wins().to_dicts()
        return found

    def wins(self) -> pl.DataFrame:
        """Count for each metric and pair of runs on how many features either is better."""
        return self.features.group_by("metric", "a", "b", maintain_order=True).agg(
            pl.len().alias("features"),
            (pl.col("better") == pl.col("a")).sum().alias("better_a"),
            (pl.col("better") == pl.col("b")).sum().alias("better_b"),
        )


def compare_features(runs: Sequence[Run], names: Sequence[str], split: str) -> Comparison:
    """Compare runs of many labels on the examples that they have in common; see :func:`regulome.training.compare`.

    Memory: as :func:`regulome.training.multilabel.multilabel` for each run.

    Args:
        runs: Two or more runs of the same labels.
        names: What to call them.
        split: The part.

    Raises:
        InputError: No common example, or other labels for the same ids.
    """
    with ExitStack() as stack:
        parts = [stack.enter_context(labelled_scores(run, None, split)) for run in runs]
        common = parts[0].ids.to_frame("id")
        for part in parts[1:]:
            common = common.join(part.ids.to_frame("id"), on="id", how="semi", maintain_order="left")
        if common.is_empty():
            raise InputError(
                f"the runs have no example of the part {split!r} in common", cure="train them on one split"
            )
        places = [_places(part, common) for part in parts]
        dropped = {name: len(part.ids) - common.height for name, part in zip(names, parts, strict=True)}
        for name, count in dropped.items():
            if count:
                logger.info("%s: %d of its examples are not in every run and are left out", name, count)
        for run, part, place in zip(runs[1:], parts[1:], places[1:], strict=True):
            if run.info.dataset == runs[0].info.dataset:
                continue
            _check_labels(run, parts[0], places[0], part, place, names[0])
        found = [
            multilabel(
                part.values,
                part.truth,
                described(run.info),
                rows=part.rows[place],
                chosen=place,
                thresholds=None if split == "valid" else tuned_thresholds(run),
            )
            for run, part, place in zip(runs, parts, places, strict=True)
        ]
    pairs = [
        _difference(metric, names[a], names[b], found[a], found[b])
        for metric in range(len(ranking.NAMES))
        for a, b in combinations(range(len(runs)), 2)
    ]
    single = [
        _by_feature(metric, names[a], names[b], found[a], found[b])
        for metric in range(len(ranking.NAMES))
        for a, b in combinations(range(len(runs)), 2)
    ]
    summaries = {name: one.summary() for name, one in zip(names, found, strict=True)}
    return Comparison(common.height, dropped, summaries, pl.DataFrame(pairs, schema=PAIRS), pl.concat(single))


def _places(part: LabelledScores, common: pl.DataFrame) -> npt.NDArray[np.int64]:
    """Where the common examples are in a part."""
    numbered = part.ids.to_frame("id").with_row_index("place")
    return common.join(numbered, on="id", how="left", maintain_order="left")["place"].to_numpy().astype(np.int64)


def _check_labels(run: Run, first: LabelledScores, here: Any, part: LabelledScores, there: Any, name: str) -> None:
    """Refuse runs whose labels differ, a block of features at a time."""
    for block in feature_blocks(len(here), first.truth.shape[1]):
        ours, theirs = first.truth[:, block][first.rows[here]], part.truth[:, block][part.rows[there]]
        differ = np.flatnonzero((ours != theirs).any(axis=1))
        if len(differ):
            raise InputError(
                f"{len(differ)} examples have other labels than in {name}, the first is "
                f"{first.ids[int(here[differ[0]])]!r}",
                file=run.path,
                cure="compare runs on datasets with the same targets",
            )


def _difference(metric: int, a: str, b: str, one: Multilabel, other: Multilabel) -> dict[str, Any]:
    """Compare means over features; the runs share their examples, so that their derivatives are subtracted."""
    (value_a, slope_a), (value_b, slope_b) = one.mean(metric), other.mean(metric)
    name = ranking.NAMES[metric]
    if name == "cross_entropy":
        name, value_a, value_b = "perplexity", math.exp(value_a), math.exp(value_b)
        slope_a, slope_b = value_a * slope_a, value_b * slope_b
    row: dict[str, Any] = {"metric": name, "a": a, "b": b, "value_a": _number(value_a), "value_b": _number(value_b)}
    row |= dict.fromkeys(("difference", "low", "high", "p", "better"))
    difference, error = value_a - value_b, norm(slope_a - slope_b)
    if math.isnan(difference):
        return row
    row |= {"difference": difference, "low": difference - _Z * error, "high": difference + _Z * error}
    row["p"] = 1.0 if error == 0 and difference == 0 else float(2 * ndtr(-abs(difference) / max(error, 1e-300)))
    if row["low"] > 0 or row["high"] < 0:
        row["better"] = a if (difference > 0) != (name in LESS_IS_BETTER) else b
    return row


def _by_feature(metric: int, a: str, b: str, one: Multilabel, other: Multilabel) -> pl.DataFrame:
    name = ranking.NAMES[metric]
    difference = one.values[:, metric] - other.values[:, metric]
    sign = np.sign(difference) * (-1 if name in LESS_IS_BETTER else 1)
    better = np.where(sign > 0, a, np.where(sign < 0, b, ""))
    table = pl.DataFrame(
        {
            "value_a": one.values[:, metric],
            "value_b": other.values[:, metric],
            "difference": difference,
            "better": better,
        }
    ).with_columns(pl.col("value_a", "value_b", "difference").fill_nan(None), pl.col("better").replace("", None))
    about = one.features.select("name", "group").with_columns(
        pl.lit(name).alias("metric"), pl.lit(a).alias("a"), pl.lit(b).alias("b")
    )
    return pl.concat([about, table], how="horizontal").drop_nulls("difference")


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
