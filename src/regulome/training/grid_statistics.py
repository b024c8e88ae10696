"""Means over cells and folds, and paired differences, of a grid's results.

A *block* is a fold of a cell: all trainings of a block are tested on the same genes. Seeds are averaged first; what is
averaged over models, mark sets or seeds is averaged within each block, and blocks are what intervals count. Intervals
are Student's t over blocks: mean ± t(0.975, n - 1) · s / √n. The training parts of folds overlap, so that blocks of one
cell are not quite independent, and intervals over few cells are somewhat too narrow (Bengio & Grandvalet 2004).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import stats

from regulome.training.bootstrap import CONFIDENCE
from regulome.training.metrics import LESS_IS_BETTER

Floats = npt.NDArray[np.float64]

#: Columns of :func:`summarize`.
SUMMARY = {
    "metric": pl.String,
    "by": pl.String,
    "cell": pl.String,
    "model": pl.String,
    "marks": pl.String,
    "mark": pl.String,
    "n": pl.Int64,
    "mean": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
}
#: Columns of :func:`paired_differences`.
DIFFERENCES = {
    "metric": pl.String,
    "factor": pl.String,
    "within": pl.String,
    "a": pl.String,
    "b": pl.String,
    "n": pl.Int64,
    **dict.fromkeys(("value_a", "value_b", "difference", "low", "high", "p", "p_holm"), pl.Float64),
    "better": pl.String,
}


class _Scores:
    """A metric of all trainings, as an array [block, model, mark set]; NaN where there is no value."""

    def __init__(self, table: pl.DataFrame, metric: str) -> None:
        known = table.filter(pl.col(metric).is_not_null())
        by = ["cell", "fold", "model", "marks"]
        means = known.group_by(by, maintain_order=True).agg(pl.col(metric).mean())
        self.blocks = known.select("cell", "fold").unique(maintain_order=True).rows()
        self.models = table["model"].unique(maintain_order=True).to_list()
        self.sets = table["marks"].unique(maintain_order=True).to_list()
        self.values = np.full((len(self.blocks), len(self.models), len(self.sets)), np.nan)
        places: list[dict[Any, int]] = [
            {name: place for place, name in enumerate(names)} for names in (self.blocks, self.models, self.sets)
        ]
        for cell, fold, model, marks, value in means.iter_rows():
            self.values[places[0][cell, fold], places[1][model], places[2][marks]] = value

    def of_cell(self, cell: str) -> Floats:
        return self.values[[block[0] == cell for block in self.blocks]]

    @property
    def cells(self) -> list[str]:
        return list(dict.fromkeys(block[0] for block in self.blocks))


def mean_interval(values: npt.ArrayLike) -> dict[str, Any]:
    """Return the mean of values with its t interval, and the p of the t test that it is 0.

    Args:
        values: One per block, [blocks]; NaN is left out.

    Returns:
        ``n``, ``mean``, ``low``, ``high``, ``p``; the last three are None for fewer than two values, p also where all
        values are the same.
    """
    array = np.asarray(values, np.float64)
    known = array[~np.isnan(array)]
    found: dict[str, Any] = {"n": len(known), "mean": None, "low": None, "high": None, "p": None}
    if len(known) == 0:
        return found
    mean = float(known.mean())
    found["mean"] = mean
    if len(known) > 1:
        error = float(known.std(ddof=1) / np.sqrt(len(known)))
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(known) - 1)) * error
        found |= {"low": mean - half, "high": mean + half}
        # Where only rounding is left of the spread there is nothing to test.
        if error > 1e-12 * max(abs(mean), float(np.abs(known).max())):
            found["p"] = float(2 * stats.t.sf(abs(mean) / error, len(known) - 1))
    return found


def summarize(table: pl.DataFrame, metrics: Sequence[str], sets: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """Average a grid's results over cells and folds.

    Args:
        table: The results, a row per training: cell, fold, model, marks, and the metrics.
        metrics: The metrics.
        sets: The marks of each mark set.

    Returns:
        ``metric, by, cell, model, marks, mark, n, mean, low, high``. ``by`` says what a row is of: ``cell, model,
        marks`` and ``model, marks`` are each combination; ``model`` is over the mark sets that all models have in a
        block, ``marks`` over the models that all mark sets have there, so that each is measured alike; ``model, mark``
        is over all sets that contain a mark. ``n`` counts blocks.
    """
    rows = [row for metric in metrics for row in _summary(_Scores(table, metric), metric, sets)]
    return pl.DataFrame(rows, schema=SUMMARY)


def _summary(scores: _Scores, metric: str, sets: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Any]]:
    def row(by: str, values: Floats, **names: str) -> Iterator[dict[str, Any]]:
        found = mean_interval(values)
        found.pop("p")
        if found["n"]:
            empty = dict.fromkeys(("cell", "model", "marks", "mark"))
            yield {"metric": metric, "by": by, **empty, **names, **found}

    values = scores.values
    shared = ~np.isnan(values).any(axis=1)  # [block, set]: all models have it
    for i, model in enumerate(scores.models):
        yield from row("model", _mean(values[:, i], shared), model=model)
    shared = ~np.isnan(values).any(axis=2)  # [block, model]: all sets have it
    for j, marks in enumerate(scores.sets):
        yield from row("marks", _mean(values[:, :, j], shared), marks=marks)
    for i, model in enumerate(scores.models):
        for mark in dict.fromkeys(mark for name in scores.sets for mark in sets[name]):
            having = np.array([mark in sets[name] for name in scores.sets])
            yield from row("model, mark", _mean(values[:, i], having), model=model, mark=mark)
        for j, marks in enumerate(scores.sets):
            yield from row("model, marks", values[:, i, j], model=model, marks=marks)
            for cell in scores.cells:
                yield from row("cell, model, marks", scores.of_cell(cell)[:, i, j], cell=cell, model=model, marks=marks)


def _mean(values: Floats, where: npt.NDArray[np.bool_] | None = None) -> Floats:
    """Average over the last axis what is known (and wanted); NaN where there is nothing."""
    chosen = values if where is None else np.where(where, values, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found: Floats = np.nanmean(chosen, axis=-1)
    return found


def paired_differences(table: pl.DataFrame, metrics: Sequence[str], sets: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """Compare models, mark sets, and sets with and without a mark, each on the same genes.

    Args:
        table: See :func:`summarize`.
        metrics: The metrics.
        sets: The marks of each mark set.

    Returns:
        ``metric, factor, within, a, b, n, value_a, value_b, difference, low, high, p, p_holm, better``.
        ``factor`` is "model" (``within`` a mark set; empty: all that both have), "marks" (``within`` a model, or all),
        or "mark": ``a`` is a mark that is added, ``b`` "without", over all pairs of sets that differ by it alone.
        ``difference`` is a - b, mean over the ``n`` blocks in which both are known; ``p`` is of the paired t test,
        ``p_holm`` adjusted (Holm 1979) for all rows of the same metric, factor and within. ``better`` names the better
        one where the interval excludes 0.
    """
    rows: list[dict[str, Any]] = []
    for metric in metrics:
        scores = _Scores(table, metric)
        for kind in (_between_models(scores), _between_sets(scores), _with_and_without(scores, sets)):
            for factor, within, group in kind:
                found = [row for a, b, x, y in group if (row := _difference(metric, factor, within, a, b, x, y))]
                for row, adjusted in zip(found, holm([row["p"] for row in found]), strict=True):
                    rows.append({**row, "p_holm": adjusted})
    return pl.DataFrame(rows, schema=DIFFERENCES)


_Pair = tuple[str, str, Floats, Floats]
_Group = tuple[str, str, list[_Pair]]


def _within(names: Sequence[str]) -> list[tuple[int | None, str]]:
    """Everything together, and, where there are several, each by itself."""
    return [(None, ""), *(enumerate(names) if len(names) > 1 else ())]


def _between_models(scores: _Scores) -> Iterator[_Group]:
    pairs = list(combinations(range(len(scores.models)), 2))
    for place, marks in _within(scores.sets):
        group = []
        for i, k in pairs:
            x, y = scores.values[:, i], scores.values[:, k]
            group.append((scores.models[i], scores.models[k], *_both(x, y, place)))
        yield "model", marks, group


def _between_sets(scores: _Scores) -> Iterator[_Group]:
    pairs = list(combinations(range(len(scores.sets)), 2))
    for place, model in _within(scores.models):
        group = []
        for j, k in pairs:
            x, y = scores.values[:, :, j], scores.values[:, :, k]
            group.append((scores.sets[j], scores.sets[k], *_both(x, y, place)))
        yield "marks", model, group


def _with_and_without(scores: _Scores, sets: Mapping[str, Sequence[str]]) -> Iterator[_Group]:
    places = {frozenset(sets[name]): place for place, name in enumerate(scores.sets)}
    marks = dict.fromkeys(mark for name in scores.sets for mark in sets[name])
    for place, model in _within(scores.models):
        group = []
        for mark in marks:
            added = [
                (places[more], places[more - {mark}]) for more in places if mark in more and more - {mark} in places
            ]
            if added:
                # [block, model, pair of sets] → [block, pair], or of all models [block, model · pair].
                x, y = (scores.values[:, :, [pair[side] for pair in added]] for side in (0, 1))
                if place is None:
                    x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
                else:
                    x, y = x[:, place], y[:, place]
                group.append((mark, "without", *_both(x, y, None)))
        yield "mark", model, group


def _both(x: Floats, y: Floats, place: int | None) -> tuple[Floats, Floats]:
    """Take one place of the last axis, or average it where both are known."""
    if place is not None:
        return x[:, place], y[:, place]
    known = ~np.isnan(x) & ~np.isnan(y)
    return _mean(x, known), _mean(y, known)


def _difference(metric: str, factor: str, within: str, a: str, b: str, x: Floats, y: Floats) -> dict[str, Any] | None:
    known = ~np.isnan(x) & ~np.isnan(y)
    if not known.any():
        return None
    found = mean_interval(x[known] - y[known])
    better = None
    if found["low"] is not None and (found["low"] > 0 or found["high"] < 0):
        better = a if (found["low"] > 0) != (metric in LESS_IS_BETTER) else b
    values = {"value_a": float(x[known].mean()), "value_b": float(y[known].mean())}
    names = {"metric": metric, "factor": factor, "within": within, "a": a, "b": b}
    return {**names, **values, "difference": found.pop("mean"), **found, "better": better}


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Adjust p values of several tests so that any false alarm is as rare as each was (Holm 1979); None stays None."""
    order = sorted((value, place) for place, value in enumerate(p) if value is not None)
    adjusted: list[float | None] = [None] * len(p)
    worst = 0.0
    for rank, (value, place) in enumerate(order):
        worst = max(worst, min(1.0, value * (len(order) - rank)))
        adjusted[place] = worst
    return adjusted
