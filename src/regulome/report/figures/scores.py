"""How well predictions agree with the truth: ROC, precision-recall, calibration, distributions, scatter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from numpy.typing import NDArray

from regulome.report.figures.style import DASHES, HIGH, LOW, RUNS, grid, panels, styled, whole_counts
from regulome.report.wording import Wording, wording

Floats = NDArray[np.floating[Any]]

_GENES = wording("expression")
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
    return reliability_of(*reliability_sums(truth, score))


def reliability_sums(truth: Floats, score: Floats) -> Floats:
    """Number, sum of labels and sum of probabilities of the ten bins, [3, bins]; sums of parts may be added."""
    place = np.clip((score * RELIABILITY_BINS).astype(int), 0, RELIABILITY_BINS - 1)
    parts = (np.bincount(place, weights, RELIABILITY_BINS) for weights in (None, truth, score))
    return np.stack([np.asarray(part, np.float64) for part in parts])


def reliability_of(count: Floats, labels: Floats, scores: Floats) -> pl.DataFrame:
    """The table of :func:`reliability` from what :func:`reliability_sums` gives."""
    some = np.flatnonzero(count)
    n = count[some]
    observed = labels[some] / n
    z = 1.959964
    centre = (observed + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(observed * (1 - observed) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return pl.DataFrame(
        {
            "from": some / RELIABILITY_BINS,
            "to": (some + 1) / RELIABILITY_BINS,
            "genes": n.astype(np.int64),
            "predicted": scores[some] / n,
            "observed": observed,
            "low": centre - half,
            "high": centre + half,
        }
    )


@styled
def roc_figure(
    curves: Mapping[str, pl.DataFrame], labels: Mapping[str, str], base_rate: float, words: Wording = _GENES
) -> Figure:
    """Draw ROC and precision-recall curves of several runs.

    Args:
        curves: Run → :func:`curve_points`.
        labels: Run → what the legend says.
        base_rate: Share of positives, the precision of guessing.
        words: What examples are called.
    """
    figure, ((left, right),) = panels(1, 2, (9.2, 4.2))
    for index, (name, table) in enumerate(curves.items()):
        style: dict[str, Any] = {"color": RUNS[index % len(RUNS)], "linestyle": DASHES[index % len(DASHES)]}
        left.plot([0, *table["false_positive_rate"]], [0, *table["recall"]], label=labels[name], **style)
        right.plot(table["recall"], table["precision"], **style)
    left.plot([0, 1], [0, 1], color="#9aa5b1", linewidth=1, linestyle=":", label="guessing")
    right.axhline(base_rate, color="#9aa5b1", linewidth=1, linestyle=":")
    recall = words.say("{high} {many} found (recall)")
    left.set(title="ROC", xlabel=words.say("{low} {many} called {high} (false-positive rate)"), ylabel=recall)
    right.set(title="Precision and recall", xlabel=recall, ylabel=words.say("called {many} that are {high}"))
    for axes in (left, right):
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), box_aspect=1)
        grid(axes)
    left.legend(loc="lower right", handlelength=2.6)
    return figure


@styled
def calibration_figure(
    tables: Mapping[str, pl.DataFrame], words: Wording = _GENES, *, counted: str | None = None, log: bool = False
) -> Figure:
    """Draw a reliability diagram of each run, with the number of examples in each bin below it.

    Args:
        tables: Run → :func:`reliability`.
        words: What examples are called.
        counted: What each bin counts; examples when not given.
        log: Whether counts are on a logarithmic axis.
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
        top.set(title=name, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticklabels=[])
        top.set_ylabel(words.say("share that is {high}"))
        bottom.set(xlim=(-0.02, 1.02), xlabel=words.say("predicted probability of {high}"))
        bottom.set_ylabel(counted or words.many)
        if log:
            bottom.set_yscale("log")
            bottom.set_ylim(0.5, None)
            whole_counts(bottom.yaxis)
        grid(top)
        grid(bottom, "y")
    return figure


@styled
def distribution_figure(scores: Mapping[str, tuple[Floats, Floats]], words: Wording = _GENES) -> Figure:
    """Draw how predicted probabilities of positives and negatives (high and low genes) are distributed.

    Args:
        scores: Run → (truth 0/1 [n], probability [n]).
        words: What examples are called.
    """
    columns = min(len(scores), 3)
    rows = -(-len(scores) // columns)
    figure, axes = panels(rows, columns, (6.0 if columns == 1 else 9.2, 2.9 * rows), sharex=True, sharey=True)
    edges = np.linspace(0, 1, 41)
    for index, (name, (truth, score)) in enumerate(scores.items()):
        here = axes[index // columns][index % columns]
        for mask, color, label, style in (
            (truth < 0.5, LOW, words.say("{low} {many}"), "-"),
            (truth >= 0.5, HIGH, words.say("{high} {many}"), "--"),
        ):
            heights = np.histogram(score[mask], edges)[0]
            here.stairs(heights, edges, color=color, fill=True, alpha=0.22)
            here.stairs(heights, edges, color=color, linewidth=1.6, linestyle=style, label=label)
        here.set(title=name)
        grid(here, "y")
        if index // columns == rows - 1:
            here.set_xlabel(words.say("predicted probability of {high}"))
    for row in axes:
        row[0].set_ylabel(words.many)
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
