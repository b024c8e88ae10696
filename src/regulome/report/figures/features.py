"""Many features at once: how well each is predicted, by group, between runs, and against how rare it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from regulome.report.figures.style import RUNS, grid, note, panels, styled, whole_counts
from regulome.report.wording import metric_title

#: Colour and marker of each group of features; other groups take what is left, in order.
_KNOWN = {"TF": ("#0072b2", "o"), "DNase": ("#d55e00", "s"), "histone": ("#009e73", "^"), "": ("#52606d", "o")}
_OTHER = (("#cc79a7", "D"), ("#e69f00", "v"), ("#56b4e9", "P"), ("#000000", "X"))
# Beyond so many dots an SVG grows and the eye gains nothing: they become pixels.
_VECTOR = 300
# Fewer dots need no quartiles.
_FEW = 5
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
#: Features that a bar chart names; more are drawn as a curve.
NAMED = 40


def group_names(groups: pl.Series) -> list[str]:
    """The groups that there are, TF, DNase and histone first, features without one last."""
    present = groups.fill_null("").unique(maintain_order=True).to_list()
    first = [name for name in ("TF", "DNase", "histone") if name in present]
    return [*first, *(name for name in present if name and name not in first), *([""] if "" in present else [])]


def group_title(group: str, groups: Sequence[str]) -> str:
    """What a group is called; features without one are all features where no other has any."""
    return group or ("all features" if list(groups) == [""] else "other")


def _look(groups: Sequence[str]) -> dict[str, tuple[str, str]]:
    others = [group for group in groups if group not in _KNOWN]
    return {**_KNOWN, **{group: _OTHER[place % len(_OTHER)] for place, group in enumerate(others)}}


def _dots(count: int) -> dict[str, Any]:
    size = 26 if count <= 60 else 16 if count <= _VECTOR else 9
    return {"s": size, "linewidths": 0, "alpha": 0.75 if count <= 60 else 0.5, "rasterized": count > _VECTOR}


@styled
def strip_figure(tables: Mapping[str, pl.DataFrame], metrics: Sequence[str]) -> Figure:
    """Draw a metric of every feature as a dot, by group and run, over its median and quartiles.

    Args:
        tables: Run → a row per feature: ``group`` and the metrics; null where not defined.
        metrics: A panel each.
    """
    groups = group_names(next(iter(tables.values()))["group"])
    rows = len(groups) * len(tables)
    figure, (line,) = panels(1, len(metrics), (9.2, 1.2 + 0.34 * rows + 0.2 * len(groups)), sharey=True)
    for axes, metric in zip(line, metrics, strict=True):
        for index, table in enumerate(tables.values()):
            color, marker = RUNS[index % len(RUNS)], _MARKERS[index % len(_MARKERS)]
            for place, group in enumerate(groups):
                values = table.filter(pl.col("group") == group)[metric].drop_nulls().to_numpy()
                if not len(values):
                    continue
                middle = place * (len(tables) + 0.6) + index
                # The same features jitter alike in every panel and run.
                spread = np.random.default_rng(0).uniform(-0.3, 0.3, len(values))
                axes.scatter(values, middle + spread, color=color, marker=marker, **_dots(len(values)))
                if len(values) < _FEW:
                    continue
                low, mid, high = np.quantile(values, (0.25, 0.5, 0.75))
                axes.plot([low, high], [middle, middle], color="#1f2933", linewidth=2.2, solid_capstyle="butt")
                axes.plot([mid, mid], [middle - 0.33, middle + 0.33], color="#1f2933", linewidth=2.2)
        if metric == "auroc":
            axes.axvline(0.5, color="#9aa5b1", linewidth=1, linestyle=":")
        axes.set(title=metric_title(metric), xlabel=f"{metric_title(metric)} of a feature (dot)")
        axes.xaxis.set_major_locator(MaxNLocator(6))
        grid(axes, "x")
    ticks = [place * (len(tables) + 0.6) + (len(tables) - 1) / 2 for place in range(len(groups))]
    line[0].set_yticks(ticks, [group_title(group, groups) for group in groups])
    line[0].set_ylim((len(groups) - 1) * (len(tables) + 0.6) + len(tables) - 0.4, -0.6)
    for axes in line:
        axes.tick_params(axis="y", length=0)
    if len(tables) > 1:
        _run_legend(figure, list(tables))
    return figure


def _run_legend(figure: Figure, names: Sequence[str]) -> None:
    handles = [
        Line2D([], [], linestyle="", marker=_MARKERS[i % len(_MARKERS)], color=RUNS[i % len(RUNS)], label=name)
        for i, name in enumerate(names)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(names), 3))


def _group_legend(figure: Figure, groups: Sequence[str]) -> None:
    if list(groups) == [""]:
        return
    look = _look(groups)
    handles = [
        Line2D([], [], linestyle="", marker=look[g][1], color=look[g][0], label=group_title(g, groups)) for g in groups
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def _scatter(axes: Axes, table: pl.DataFrame, x: str, y: str, groups: Sequence[str]) -> None:
    look, known = _look(groups), table.drop_nulls([x, y])
    for group in groups:
        rows = known.filter(pl.col("group") == group)
        color, marker = look[group]
        if len(rows):
            axes.scatter(rows[x], rows[y], color=color, marker=marker, **_dots(len(known)))


@styled
def against_figure(tables: Mapping[str, pl.DataFrame], metrics: Sequence[str]) -> Figure:
    """Draw a metric of every feature in the first run against each other run.

    Args:
        tables: Run → a row per feature, in the same order: ``group`` and the metrics.
        metrics: A row of panels each.
    """
    first, *others = tables
    groups = group_names(tables[first]["group"])
    pairs = [(metric, other) for metric in metrics for other in others]
    # Two runs have their metrics side by side, more runs a row for each metric.
    columns = len(metrics) if len(others) == 1 else min(len(others), 3)
    rows = -(-len(pairs) // columns) if len(others) == 1 else len(metrics) * -(-len(others) // columns)
    side = 9.2 / max(columns, 2)
    figure, axes = panels(rows, columns, (side * columns, side * rows + 0.4))
    places = [here for row in axes for here in row]
    for row in range(len(metrics)):
        for index in range(len(others)):
            here = places[row * (len(places) // len(metrics)) + index]
            metric, other = pairs[row * len(others) + index]
            both = tables[first].select("group", a=metric).with_columns(tables[other][metric].alias("b"))
            _scatter(here, both, "b", "a", groups)
            values = both.select("a", "b").drop_nulls().to_numpy()
            low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
            room = 0.04 * (high - low) or 0.02
            ends = (low - room, high + room)
            here.plot(ends, ends, color="#9aa5b1", linewidth=1, linestyle=":")
            here.set(xlim=ends, ylim=ends, box_aspect=1, title=metric_title(metric))
            here.set(xlabel=_short(other), ylabel=_short(first))
            here.xaxis.set_major_locator(MaxNLocator(5))
            here.yaxis.set_major_locator(MaxNLocator(5))
            grid(here)
    for here in places:
        here.set_visible(here.has_data())
    _group_legend(figure, groups)
    return figure


def _short(name: str) -> str:
    return name if len(name) <= 34 else name[:33] + "…"


@styled
def prevalence_figure(tables: Mapping[str, pl.DataFrame]) -> Figure:
    """Draw the AUPRC of every feature against the share of positive examples, which is what guessing reaches.

    Args:
        tables: Run → a row per feature: ``group``, ``prevalence`` and ``auprc``.
    """
    groups = group_names(next(iter(tables.values()))["group"])
    columns = min(len(tables), 3)
    rows = -(-len(tables) // columns)
    width = 6.0 if columns == 1 else 9.2
    figure, axes = panels(rows, columns, (width, (3.8 if columns < 3 else 3.2) * rows + 0.4), sharex=True, sharey=True)
    shares = pl.concat([table["prevalence"] for table in tables.values()]).to_numpy()
    shares = shares[shares > 0]
    low, high = (float(shares.min()) / 1.3, min(1.0, float(shares.max()) * 1.3)) if len(shares) else (0.01, 1.0)
    top = max((float(np.nanmax(values)) for values in _known(tables, "auprc") if len(values)), default=1.0)
    line = np.geomspace(low, high, 100)
    for index in range(rows * columns):
        here = axes[index // columns][index % columns]
        if index >= len(tables):
            here.set_visible(False)
            continue
        name, table = list(tables.items())[index]
        _scatter(here, table.filter(pl.col("prevalence") > 0), "prevalence", "auprc", groups)
        here.plot(line, line, color="#52606d", linewidth=1.2, linestyle=":")
        here.set(title=name, xscale="log", xlim=(low, high), ylim=(-0.02 * top, 1.04 * top))
        here.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5) if high / low < 100 else (1,)))
        here.xaxis.set_major_formatter(FuncFormatter(_percent))
        here.xaxis.set_minor_locator(NullLocator())
        if index >= len(tables) - columns:
            here.set_xlabel("share of positive test windows")
            here.tick_params(labelbottom=True)
        if index % columns == 0:
            here.set_ylabel("AUPRC of a feature")
        grid(here)
    _group_legend(figure, groups)
    return figure


def _known(tables: Mapping[str, pl.DataFrame], metric: str) -> list[NDArray[np.float64]]:
    return [table[metric].drop_nulls().to_numpy() for table in tables.values()]


def _percent(value: float, _: object = None) -> str:
    return f"{100 * value:g} %"


@styled
def positives_figure(counts: pl.DataFrame) -> Figure:
    """Draw how many positive examples each feature has in training, validation and test.

    Args:
        counts: ``name``, ``train``, ``valid``, ``test``: a row per feature.
    """
    parts = {"train": ("training", RUNS[0], "o"), "valid": ("validation", RUNS[4], "^"), "test": ("test", RUNS[1], "s")}
    ordered = counts.sort("train", "test", descending=True)
    named = len(ordered) <= NAMED
    figure, ((axes,),) = panels(1, 1, (9.2, 1.3 + 0.24 * len(ordered) if named else 3.4))
    for part, (title, color, marker) in parts.items():
        # On a logarithmic axis none is drawn just below one.
        values = np.maximum(ordered[part].to_numpy(), 0.5)
        dots: dict[str, Any] = {"color": color, "label": title, "linestyle": "", "marker": marker}
        if named:
            axes.plot(values, np.arange(len(ordered)), markersize=5.5, **dots)
        else:
            axes.plot(np.arange(1, len(ordered) + 1), values, markersize=2.6, rasterized=True, **dots)
    what = "positive windows (logarithmic)"
    if named:
        axes.set(xscale="log", xlabel=what)
        axes.set_yticks(range(len(ordered)), [_short(name) for name in ordered["name"]])
        axes.set_ylim(len(ordered) - 0.4, -0.6)
        whole_counts(axes.xaxis)
    else:
        axes.set(yscale="log", ylabel=what, xlabel="features, most positives in training first")
        whole_counts(axes.yaxis)
    grid(axes)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), markerscale=1 if named else 2.4)
    if not len(ordered):
        note(axes, "no features")
    return figure
