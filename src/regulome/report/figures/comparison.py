"""Differences between runs on the same genes, with intervals."""

from __future__ import annotations

import polars as pl
from matplotlib.figure import Figure

from regulome.report.figures.style import RUNS, grid, note, panels, styled
from regulome.report.wording import metric_title
from regulome.training.metrics import LESS_IS_BETTER


@styled
def comparison_figure(table: pl.DataFrame, metrics: tuple[str, ...] = ("auroc", "auprc", "pearson", "r2")) -> Figure:
    """Draw paired differences between runs: a dot per pair, a bar for its 95 % interval, a line at no difference.

    Args:
        table: ``regulome.training.compare(...).table``: metric, a, b, difference (a − b), low, high.
        metrics: Which metrics to draw, a panel each; those that the table lacks are left out.

    Returns:
        The figure. Right of zero the run named first is better, whatever the metric.
    """
    shown = [name for name in metrics if name in set(table["metric"])]
    shown = shown or table["metric"].unique(maintain_order=True).to_list()[:2]
    pairs = table.filter(pl.col("metric") == shown[0]).height if shown else 1
    height = 1.1 + 0.42 * max(pairs, 1)
    figure, (line,) = panels(1, max(len(shown), 1), (9.2, height))
    for place, (axes, name) in enumerate(zip(line, shown, strict=False)):
        rows = table.filter(pl.col("metric") == name)
        # Where less is better the difference is drawn the other way round.
        sign = -1 if name in LESS_IS_BETTER else 1
        for index, row in enumerate(rows.iter_rows(named=True)):
            if row["difference"] is None or row["low"] is None:
                continue
            settled = row["low"] > 0 or row["high"] < 0
            color = RUNS[0] if settled else "#7b8794"
            axes.plot([sign * row["low"], sign * row["high"]], [index, index], color=color, linewidth=2.2)
            face = color if settled else "white"
            axes.plot(sign * row["difference"], index, "o", color=color, markersize=7, markerfacecolor=face)
        axes.axvline(0, color="#1f2933", linewidth=1, linestyle=(0, (3, 3)))
        names = [f"{row['a']} − {row['b']}" for row in rows.iter_rows(named=True)] if place == 0 else []
        axes.set_yticks(range(rows.height), names or [""] * rows.height)
        axes.set_ylim(rows.height - 0.5, -0.5)
        title = metric_title(name)
        axes.set(title=title, xlabel=f"difference in {title}" + (" (sign turned)" if sign < 0 else ""))
        axes.locator_params(axis="x", nbins=6)
        grid(axes, "x")
        axes.tick_params(axis="y", length=0)
    if not shown:
        note(line[0], "nothing to compare")
    return figure
