"""Figures of in-silico perturbations: the change against what is left, and against the distance; enrichment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from regulome.report.figures.style import DASHES, RUNS, grid, panels, styled

_ZERO: dict[str, Any] = {"color": "#52606d", "linewidth": 0.8, "linestyle": (0, (2, 2)), "zorder": 1}


@styled
def dose_figure(profile: pl.DataFrame, groups: Sequence[str], *, unit: str, what: str) -> Figure:
    """Draw the mean change against what is left of the signal, a line for each set of marks.

    Args:
        profile: Columns mark, factor, group, difference, low, high; a row for each.
        groups: Groups of genes, a panel for each.
        unit: What changes, for the axis.
        what: What was done, for the title: "promoter scaled".
    """
    figure, axes = _grouped(groups, unit)
    for group, here in zip(groups, axes, strict=True):
        for number, (mark, rows) in enumerate(_by_mark(profile, group)):
            rows = rows.sort("factor", descending=True)
            _line(here, number, rows["factor"].to_numpy(), rows, mark)
        here.axhline(0, **_ZERO)
        here.set_xlim(1.02, -0.02)
        here.set(title=f"{_name(group)}{what}", xlabel="p, what is left of the signal")
        grid(here)
    _legend(figure, axes[0])
    return figure


@styled
def distance_figure(
    profile: pl.DataFrame, groups: Sequence[str], *, unit: str, what: str, axis: str, classes: bool
) -> Figure:
    """Draw the mean change against the distance to the TSS, a line for each set of marks.

    Args:
        profile: Columns mark, place, from, to, distance, group, difference, low, high, for one factor.
        groups: Groups of genes, a panel for each.
        unit: What changes, for the axis.
        what: What was done, for the title.
        axis: What the horizontal axis is.
        classes: Places are classes of distance: they stand side by side under their names.
    """
    figure, axes = _grouped(groups, unit)
    order, marks = profile["place"].unique(maintain_order=True).to_list(), profile["mark"].n_unique()
    for group, here in zip(groups, axes, strict=True):
        for number, (mark, rows) in enumerate(_by_mark(profile, group)):
            if classes:
                x = np.array([order.index(place) for place in rows["place"]], float)
                _line(here, number, x + 0.07 * (number - (marks - 1) / 2), rows, mark, dots=True)
                continue
            rows = rows.sort("distance")
            # No line leads over what was not perturbed.
            begins = rows["from"].to_numpy()[1:] > rows["to"].to_numpy()[:-1]
            parts = rows.with_columns(part=np.append(0, begins.cumsum()) if len(rows) else None)
            for count, part in enumerate(parts.partition_by("part", maintain_order=True)):
                _line(here, number, part["distance"].to_numpy() / 1000, part, None if count else mark)
        here.axhline(0, **_ZERO)
        if classes:
            here.set_xticks(range(len(order)), order, rotation=30, ha="right")
        else:
            here.axvline(0, **_ZERO)
            _shade(here, profile)
        here.set(title=f"{_name(group)}{what}", xlabel=axis)
        grid(here, "y")
    _legend(figure, axes[0])
    return figure


@styled
def enrichment_figure(table: pl.DataFrame) -> Figure:
    """Draw the number of top places with a locus beside what random places like them have.

    Args:
        table: Columns mark, loci, top, observed, expected, low, high, q.
    """
    rows = len(table)
    figure, ((axes,),) = panels(1, 1, (8.4, 1.5 + 0.36 * rows))
    at = np.arange(rows)
    top = np.maximum(table["top"].to_numpy(), 1) / 100
    low, mean, high, seen = (table[name].to_numpy() / top for name in ("low", "expected", "high", "observed"))
    axes.hlines(at, low, high, color="#9aa5b1", linewidth=6, label="random places, 95 %")
    axes.plot(mean, at, "|", color="#52606d", markersize=11, label="their mean")
    sure = table["q"].to_numpy() < 0.05
    axes.scatter(seen[sure], at[sure], s=38, color=RUNS[1], zorder=3, label="observed, q < 0.05")
    axes.scatter(seen[~sure], at[~sure], s=38, facecolor="white", edgecolor=RUNS[1], zorder=3, label="observed")
    several = table["loci"].n_unique() > 1
    names = [f"{mark}, {loci}" if several else mark for mark, loci in table["mark", "loci"].iter_rows()]
    axes.set_yticks(at, names)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_xlim(0, None)
    title = "Top places with a locus" if several else f"Top places with a locus of {table['loci'][0]}"
    axes.set(xlabel="% of the places that matter most", title=title)
    grid(axes, "x")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def _grouped(groups: Sequence[str], unit: str) -> tuple[Figure, list[Axes]]:
    figure, (axes,) = panels(1, len(groups), (1.2 + 4.4 * len(groups), 3.6), sharey=True)
    axes[0].set_ylabel(unit)
    return figure, list(axes)


def _by_mark(profile: pl.DataFrame, group: str) -> list[tuple[str, pl.DataFrame]]:
    rows = profile.filter(pl.col("group") == group)
    marks = profile["mark"].unique(maintain_order=True).to_list()
    return [(mark, rows.filter(pl.col("mark") == mark)) for mark in marks]


def _line(
    axes: Axes, number: int, x: NDArray[np.float64], rows: pl.DataFrame, label: str | None, *, dots: bool = False
) -> None:
    if rows.is_empty():
        return
    color, dash = RUNS[number % len(RUNS)], DASHES[number % len(DASHES)]
    mean = rows["difference"].to_numpy()
    # A mean without an interval has none to draw.
    low, high = (np.where(np.isnan(edge), mean, edge) for edge in (rows["low"].to_numpy(), rows["high"].to_numpy()))
    if dots:
        reach = np.abs(np.stack([mean - low, high - mean]))
        axes.errorbar(x, mean, reach, fmt="o", color=color, markersize=4, linewidth=1.4, label=label)
        return
    axes.plot(x, mean, color=color, linestyle=dash, label=label, marker="o" if len(x) < 25 else None, markersize=3)
    axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)


def _shade(axes: Axes, profile: pl.DataFrame) -> None:
    """Grey out the stretch between the chunks on both sides, which was left out."""
    left = profile.filter(pl.col("to") <= 0)["to"].max()
    right = profile.filter(pl.col("from") >= 0)["from"].min()
    if isinstance(left, float) and isinstance(right, float) and left < right:
        axes.axvspan(left / 1000, right / 1000, color="#e4e7eb", alpha=0.6, linewidth=0, zorder=0)


def _name(group: str) -> str:
    return "" if group == "all" else f"{group.capitalize()} genes: "


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center")
