"""What a grid of trainings found: marks and cells, the best mark sets, and one model against another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from regulome.report.figures.style import RUNS, grid, note, panels, styled
from regulome.report.figures.trials import number_cells
from regulome.report.wording import metric_title
from regulome.training.metrics import LESS_IS_BETTER

# Mark sets that a ranking shows.
_BEST = 20
# Models and mark sets that have a colour of their own.
_COLORS, _OTHER = len(RUNS), "#7b8794"
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")


@styled
def score_map_figure(summary: pl.DataFrame, metric: str) -> Figure:
    """Draw the score of every mark set in every cell as a map, a panel for each model; of one cell, a column for each.

    Args:
        summary: Rows ``cell, model, marks, mean`` of one metric: means over folds and seeds.
        metric: The metric.
    """
    cells, models, sets = (summary[name].unique(maintain_order=True).to_list() for name in ("cell", "model", "marks"))
    title = f"test {metric_title(metric)}"
    one = len(cells) == 1
    columns, shown = (models, ["all models"]) if one else (cells, models)
    wide = max(map(len, columns), default=1) > 9
    size = (
        2.6 + max(map(len, sets)) * 0.07 + len(shown) * (0.9 + 0.75 * len(columns)),
        1.5 + 0.3 * len(sets) + 0.5 * wide,
    )
    figure, (line,) = panels(1, len(shown), size, sharey=True)
    # One colour is one score in all panels.
    known = summary["mean"].drop_nulls().to_list()
    limits = (min(known), max(known)) if known else None
    for axes, panel in zip(line, shown, strict=True):
        found = np.full((len(sets), len(columns)), np.nan)
        for row in summary.iter_rows(named=True):
            if one or row["model"] == panel:
                found[sets.index(row["marks"]), columns.index(row["model" if one else "cell"])] = row["mean"]
        number_cells(figure, axes, found, title, metric in LESS_IS_BETTER, limits)
        axes.set_title(cells[0] if one else panel)
        axes.set_yticks(range(len(sets)), sets)
        turned: Any = {"rotation": 25, "ha": "right"} if wide else {}
        axes.set_xticks(range(len(columns)), columns, **turned)
    return figure


@styled
def mark_set_figure(summary: pl.DataFrame, results: pl.DataFrame, metric: str) -> Figure:
    """Draw the best mark sets: for each model the mean over cells and folds, its 95 % interval, and every fold.

    Args:
        summary: Rows ``model, marks, mean, low, high`` of one metric.
        results: Rows ``model, marks`` and the metric, one per training.
        metric: The metric.
    """
    models = summary["model"].unique(maintain_order=True).to_list()
    best = pl.col("mean").min() if metric in LESS_IS_BETTER else pl.col("mean").max()
    order = summary.group_by("marks", maintain_order=True).agg(best)
    order = order.sort("mean", descending=metric not in LESS_IS_BETTER, maintain_order=True)
    sets = order["marks"].head(_BEST).to_list()
    step = min(0.22, 0.7 / len(models))
    figure, ((axes,),) = panels(1, 1, (8.2, 1.3 + len(sets) * (0.24 + 0.13 * len(models))))
    for number, model in enumerate(models):
        color, marker = RUNS[number % _COLORS], _MARKERS[number % len(_MARKERS)]
        shift = step * (number - (len(models) - 1) / 2)
        known = results.filter(pl.col("model") == model, pl.col("marks").is_in(sets), pl.col(metric).is_not_null())
        places = np.array([sets.index(name) for name in known["marks"]], float)
        axes.plot(known[metric].to_numpy(), places + shift, "|", color=color, markersize=7, alpha=0.45)
        rows = [row for row in summary.filter(pl.col("model") == model).iter_rows(named=True) if row["marks"] in sets]
        heights = [sets.index(row["marks"]) + shift for row in rows]
        axes.plot([row["mean"] for row in rows], heights, marker, color=color, markersize=6, label=model)
        for row, height in zip(rows, heights, strict=True):
            if row["low"] is not None:
                axes.plot([row["low"], row["high"]], [height, height], color=color, linewidth=1.4)
    title = f"The best {len(sets)} of {len(order)} mark sets" if len(order) > len(sets) else "Mark sets, best first"
    axes.set_yticks(range(len(sets)), sets)
    axes.set_ylim(len(sets) - 0.5, -0.5)
    axes.set(
        title=title,
        xlabel=f"test {metric_title(metric)}: mean, 95 % interval; | one fold",
    )
    grid(axes, "x")
    if len(models) > 1:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


@styled
def model_figure(scores: pl.DataFrame, pairs: Sequence[tuple[str, str]], metric: str) -> Figure:
    """Draw one model against another, a dot for each cell, mark set and fold; a panel for each pair.

    Args:
        scores: ``cell, marks, fold`` and a column per model; null where it was not trained.
        pairs: Models on the horizontal and on the vertical axis.
        metric: The metric.
    """
    figure, (line,) = panels(1, max(1, len(pairs)), (1.9 + 3.3 * max(1, len(pairs)), 3.6))
    shown = [scores.filter(*(pl.col(model).is_not_null() for model in pair)) for pair in pairs]
    groups = {
        by: list(dict.fromkeys(name for table in shown for name in table[by])) for by in ("marks", "cell", "fold")
    }
    by = next((by for by, names in groups.items() if 1 < len(names) <= _COLORS), "marks")
    colored = {name: RUNS[place] for place, name in enumerate(groups[by])} if len(groups[by]) <= _COLORS else {}
    if not pairs:
        note(line[0], "there is one model only")
    title = metric_title(metric)
    for axes, (first, second), known in zip(line, pairs, shown, strict=False):
        for name in colored or [""]:
            here = known.filter(pl.col(by) == name) if colored else known
            axes.plot(
                *(here[first].to_numpy(), here[second].to_numpy(), "o"),
                color=colored.get(name, _OTHER),
                markersize=5,
                alpha=0.75,
                label=name,
            )
        ends = [*known[first], *known[second]]
        low, high = min(ends), max(ends)
        room = 0.05 * (high - low or 1e-3)
        limits = (low - room, high + room)
        axes.plot(limits, limits, color="#1f2933", linewidth=1, linestyle=(0, (3, 3)))
        axes.set(xlim=limits, ylim=limits, xlabel=f"{first}: test {title}", ylabel=f"{second}: test {title}")
        axes.set_aspect("equal")
        axes.locator_params(nbins=5)
        gains = (known[second] - known[first]).to_numpy()
        if metric in LESS_IS_BETTER:
            gains = -gains
        axes.set_title(f"{second} better in {int((gains > 0).sum())} of {len(gains)}")
        grid(axes)
    if len(colored) > 1:
        line[-1].legend(title=by, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
