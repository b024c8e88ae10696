"""How well predictions agree with the truth: ROC, precision-recall, calibration, distributions, scatter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from numpy.typing import NDArray

from regulome.report.figures.style import DASHES, HIGH, LOW, RUNS, grid, panels, styled

Floats = NDArray[np.floating[Any]]

#: A curve keeps at most this many points: more cannot be seen.
CURVE_POINTS = 300
#: Number of equally wide bins of the reliability diagram.
RELIABILITY_BINS = 10


def curve_points(truth: Floats, score: Floats) -> pl.DataFrame:
    """Compute ROC and precision-recall points over all thresholds, ties together.

    Args:
        truth: 0 or 1, [n].
        score: Predictions, [n]; higher means more likely 1.

    Returns:
        threshold, false_positive_rate, recall, precision; at most about 300 rows, from strict to lax.
    """
    order = np.argsort(-score, kind="stable")
    ordered, positive = score[order], truth[order] > 0.5
    last = np.r_[np.flatnonzero(np.diff(ordered)), len(ordered) - 1]
    hits, called = np.cumsum(positive)[last], last + 1
    n_high, n_low = max(int(positive.sum()), 1), max(int((~positive).sum()), 1)
    table = pl.DataFrame(
        {
            "threshold": ordered[last].astype(np.float64),
            "false_positive_rate": (called - hits) / n_low,
            "recall": hits / n_high,
            "precision": hits / called,
        }
    )
    if len(table) <= CURVE_POINTS:
        return table
    # Points at equal steps along the ROC curve keep its steep beginning; so do the first ones for precision.
    length = np.cumsum(np.abs(np.diff(table["false_positive_rate"], prepend=0)) + np.diff(table["recall"], prepend=0))
    picked = np.searchsorted(length, np.linspace(0, length[-1], CURVE_POINTS))
    return table[np.unique(np.r_[0, np.minimum(picked, len(table) - 1), len(table) - 1])]


def reliability(truth: Floats, score: Floats) -> pl.DataFrame:
    """Compare predicted probabilities with what happened, in ten equally wide bins.

    Returns:
        from, to, genes, predicted (mean), observed (share of high), low, high (95 % Wilson interval of observed); bins
        without genes are left out.
    """
    place = np.clip((score * RELIABILITY_BINS).astype(int), 0, RELIABILITY_BINS - 1)
    count = np.bincount(place, minlength=RELIABILITY_BINS)
    some = np.flatnonzero(count)
    n = count[some]
    observed = np.bincount(place, truth, RELIABILITY_BINS)[some] / n
    z = 1.959964
    centre = (observed + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(observed * (1 - observed) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return pl.DataFrame(
        {
            "from": some / RELIABILITY_BINS,
            "to": (some + 1) / RELIABILITY_BINS,
            "genes": n,
            "predicted": np.bincount(place, score, RELIABILITY_BINS)[some] / n,
            "observed": observed,
            "low": centre - half,
            "high": centre + half,
        }
    )


@styled
def roc_figure(curves: Mapping[str, pl.DataFrame], labels: Mapping[str, str], base_rate: float) -> Figure:
    """Draw ROC and precision-recall curves of several runs.

    Args:
        curves: Run → :func:`curve_points`.
        labels: Run → what the legend says.
        base_rate: Share of high genes, the precision of guessing.
    """
    figure, ((left, right),) = panels(1, 2, (9.2, 4.2))
    for index, (name, table) in enumerate(curves.items()):
        style: dict[str, Any] = {"color": RUNS[index % len(RUNS)], "linestyle": DASHES[index % len(DASHES)]}
        left.plot([0, *table["false_positive_rate"]], [0, *table["recall"]], label=labels[name], **style)
        right.plot(table["recall"], table["precision"], **style)
    left.plot([0, 1], [0, 1], color="#9aa5b1", linewidth=1, linestyle=":", label="guessing")
    right.axhline(base_rate, color="#9aa5b1", linewidth=1, linestyle=":")
    left.set(title="ROC", xlabel="low genes called high (false-positive rate)", ylabel="high genes found (recall)")
    right.set(title="Precision and recall", xlabel="high genes found (recall)", ylabel="called genes that are high")
    for axes in (left, right):
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), box_aspect=1)
        grid(axes)
    left.legend(loc="lower right", handlelength=2.6)
    return figure


@styled
def calibration_figure(tables: Mapping[str, pl.DataFrame]) -> Figure:
    """Draw a reliability diagram of each run, with the number of genes in each bin below it.

    Args:
        tables: Run → :func:`reliability`.
    """
    columns = min(len(tables), 3)
    rows = -(-len(tables) // columns)
    figure = panels(1, 1, (3.3 * columns + 1.0 if columns < 3 else 9.2, 4.2 * rows))[0]
    figure.clear()
    outer = figure.add_gridspec(rows, columns)
    for index, (name, table) in enumerate(tables.items()):
        inner = outer[index // columns, index % columns].subgridspec(2, 1, height_ratios=[3.2, 1], hspace=0.02)
        top, bottom = figure.add_subplot(inner[0]), figure.add_subplot(inner[1])
        color = RUNS[index % len(RUNS)]
        top.plot([0, 1], [0, 1], color="#9aa5b1", linewidth=1, linestyle=":")
        errors = np.abs(np.stack([table["observed"] - table["low"], table["high"] - table["observed"]]))
        top.errorbar(
            table["predicted"], table["observed"], yerr=errors, color=color, marker="o", markersize=4, capsize=2
        )
        bottom.bar(table["from"] + 0.05, table["genes"], width=0.09, color=color)
        top.set(title=name, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel="share that is high", xticklabels=[])
        bottom.set(xlim=(-0.02, 1.02), xlabel="predicted probability of high", ylabel="genes")
        grid(top)
        grid(bottom, "y")
    return figure


@styled
def distribution_figure(scores: Mapping[str, tuple[Floats, Floats]]) -> Figure:
    """Draw how predicted probabilities of high and low genes are distributed.

    Args:
        scores: Run → (truth 0/1 [n], probability [n]).
    """
    columns = min(len(scores), 3)
    rows = -(-len(scores) // columns)
    figure, axes = panels(rows, columns, (6.0 if columns == 1 else 9.2, 2.9 * rows), sharex=True, sharey=True)
    edges = np.linspace(0, 1, 41)
    for index, (name, (truth, score)) in enumerate(scores.items()):
        here = axes[index // columns][index % columns]
        for mask, color, label, style in (
            (truth < 0.5, LOW, "low genes", "-"),
            (truth >= 0.5, HIGH, "high genes", "--"),
        ):
            heights = np.histogram(score[mask], edges)[0]
            here.stairs(heights, edges, color=color, fill=True, alpha=0.22)
            here.stairs(heights, edges, color=color, linewidth=1.6, linestyle=style, label=label)
        here.set(title=name)
        grid(here, "y")
        if index // columns == rows - 1:
            here.set_xlabel("predicted probability of high")
    for row in axes:
        row[0].set_ylabel("genes")
    for index in range(len(scores), rows * columns):
        axes[index // columns][index % columns].set_visible(False)
    axes[0][0].legend(loc="upper center")
    return figure


@styled
def scatter_figure(scores: Mapping[str, tuple[Floats, Floats]], unit: str) -> Figure:
    """Draw prediction against truth, and what is left over, for regression runs.

    Args:
        scores: Run → (truth [n], prediction [n]).
        unit: Name of the target, for the axes.
    """
    figure, axes = panels(len(scores), 2, (9.2, 3.9 * len(scores)))
    for index, (name, (truth, score)) in enumerate(scores.items()):
        left, right = axes[index]
        color = RUNS[index % len(RUNS)]
        # Beyond a few thousand points an SVG grows and the eye gains nothing: the points become pixels.
        dots: dict[str, Any] = {"s": 7, "alpha": 0.35, "color": color, "linewidths": 0, "rasterized": True}
        left.scatter(score, truth, **dots)
        low, high = min(truth.min(), score.min()), max(truth.max(), score.max())
        left.plot([low, high], [low, high], color="#9aa5b1", linewidth=1, linestyle=":")
        right.scatter(score, truth - score, **dots)
        right.axhline(0, color="#9aa5b1", linewidth=1, linestyle=":")
        left.set(title=name, xlabel=f"predicted {unit}", ylabel=f"measured {unit}")
        right.set(title="Residuals", xlabel=f"predicted {unit}", ylabel="measured − predicted")
        for here in (left, right):
            grid(here)
    return figure
