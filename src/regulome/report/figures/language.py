"""Runs that predict the next letter: perplexity while they learned, along the genome, and between two runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from regulome.report.figures.style import DASHES, RUNS, grid, note, panels, styled

Floats = NDArray[np.float64]

#: Perplexity and bits per base of a model to which all four letters are equally likely.
GUESSING, GUESSING_BITS = 4.0, 2.0
_QUIET, _INK, _RULE = "#52606d", "#1f2933", "#9aa5b1"
# A stretch without held-out blocks between two records, as a share of the whole width.
_GAP = 0.012
# Records narrower than this share of the width have no room for a name.
_NAMED = 0.035
# Bins on either side of zero, at most.
_FAR = 24
# More blocks than this are drawn with thin lines.
_MANY = 400


def line_style(index: int, **more: Any) -> dict[str, Any]:
    """Colour and dashes of a run, the same in every figure."""
    return {"color": RUNS[index % len(RUNS)], "linestyle": DASHES[index % len(DASHES)], **more}


def rule(axes: Axes, value: float, text: str, align: str = "center") -> None:
    """Draw a level line, keep it in view, and say right of the axes what it is."""
    axes.axhline(value, color=_RULE, linewidth=1, linestyle=":", zorder=1)
    axes.annotate(
        text,
        (1, value),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va=align,
        color=_QUIET,
        fontsize=8,
    )


@styled
def perplexity_history_figure(
    histories: Mapping[str, pl.DataFrame], level: tuple[str, float] | None, steps: str = "epoch"
) -> Figure:
    """Draw the perplexity of the training text (left) and of the validation text (right) by epoch.

    Args:
        histories: Run → member, epoch, train_loss, valid_loss in nats; missing values are null.
        level: Name of the best baseline and its perplexity on the validation text; None where none is compared.
        steps: What a row of a history is.
    """
    figure, ((left, right),) = panels(1, 2, (9.2, 3.6 + 0.22 * -(-len(histories) // 3)), sharey=True)
    longest = 1
    for index, (name, history) in enumerate(histories.items()):
        for number, member in enumerate(history["member"].unique(maintain_order=True)):
            rows = history.filter(pl.col("member") == member).sort("epoch")
            for axes, column in ((left, "train_loss"), (right, "valid_loss")):
                known = rows.drop_nulls(column).drop_nans(column) if column in rows.columns else rows[:0]
                if known.is_empty():
                    continue
                longest = max(longest, int(known["epoch"].cast(pl.Int64).max() or 1))  # type: ignore[arg-type]
                axes.plot(
                    known["epoch"],
                    known[column].exp(),
                    marker="o" if len(known) < 13 else None,
                    markersize=5 if len(known) == 1 else 3.5,
                    label=name if number == 0 and axes is right else None,
                    **line_style(index, linewidth=1.5),
                )
    for axes, title in ((left, "Training text"), (right, "Validation text")):
        axes.set(title=title, xlabel=steps)
        axes.set_xlim(0.5, longest + 0.5) if longest < 13 else axes.margins(x=0.03)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        axes.tick_params(labelleft=True)
        if not axes.lines:
            note(axes, "not measured")
        grid(axes)
    left.set_ylabel("perplexity")
    rule(left, GUESSING, "guessing")
    if level is None or not np.isfinite(level[1]):
        rule(right, GUESSING, "guessing")
    else:
        # The two texts go apart, however near the levels are.
        ends = ("bottom", "top") if level[1] < GUESSING else ("top", "bottom")
        rule(right, GUESSING, "guessing", ends[0])
        rule(right, level[1], f"{_short(level[0], 16)}\n{level[1]:.3f}", ends[1])
    low, high = left.get_ylim()
    left.set_ylim(low - 0.03 * (high - low), high + 0.06 * (high - low))
    _legend(figure, right)
    return figure


@styled
def along_figure(tables: Mapping[str, pl.DataFrame]) -> Figure:
    """Draw bits per base of every block along the genome, record after record.

    Args:
        tables: Run → chrom, start, end, bits of each block, in the order of the text.
    """
    figure, ((axes,),) = panels(1, 1, (9.2, 3.5 + 0.22 * -(-len(tables) // 3)))
    places = pl.concat([table.select("chrom", "start", "end") for table in tables.values()])
    spans = places.group_by("chrom", maintain_order=True).agg(pl.col("start").min(), pl.col("end").max())
    widths = (spans["end"] - spans["start"]).to_numpy().astype(np.float64)
    gap = _GAP * widths.sum() if len(widths) > 1 else 0.0
    # A single record has its own coordinates.
    left = np.r_[0.0, np.cumsum(widths + gap)[:-1]] if len(widths) > 1 else spans["start"].to_numpy().astype(np.float64)
    shift = dict(zip(spans["chrom"], left - spans["start"].to_numpy(), strict=True))
    for index, (name, table) in enumerate(tables.items()):
        x, y = _steps(table, shift)
        # Dashes cannot be seen in short steps.
        look = {"linewidth": 0.8, "linestyle": "-"} if len(table) > _MANY else {"linewidth": 1.5}
        axes.plot(x, y, label=name, **(line_style(index) | look))
    if len(spans) == 1:
        unit, size = _unit(widths.sum())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / size:g}"))
        axes.set_xlabel(f"position on {_short(spans['chrom'][0])} ({unit})")
    else:
        named = np.flatnonzero(widths > _NAMED * widths.sum())
        axes.set_xticks((left + widths / 2)[named], [_short(spans["chrom"][int(i)], 16) for i in named])
        # Long names stand on their side, where they would run into each other.
        if sum(len(_short(spans["chrom"][int(i)], 16)) for i in named) > 90:
            axes.tick_params(axis="x", rotation=35)
        for edge in left[1:] - gap / 2:
            axes.axvline(edge, color="#d9dee4", linewidth=0.8, zorder=0)
        unit, size = _unit(widths.sum())
        axes.set_xlabel(
            f"held-out blocks, record after record ({len(widths)} records, {widths.sum() / size:.3g} {unit})"
        )
    axes.set(ylabel="bits per base", xlim=(left[0], left[-1] + widths[-1]))
    rule(axes, GUESSING_BITS, "guessing")
    axes.margins(y=0.08)
    grid(axes, "y")
    if len(tables) > 1:
        _legend(figure, axes)
    return figure


def _steps(table: pl.DataFrame, shift: Mapping[str, float]) -> tuple[Floats, Floats]:
    """A level stretch per block; the line breaks between blocks that do not touch."""
    offset = table["chrom"].replace_strict(shift, return_dtype=pl.Float64).to_numpy()
    begin, end = (table[name].to_numpy() + offset for name in ("start", "end"))
    bits = table["bits"].to_numpy().astype(np.float64)
    apart = begin[1:] != end[:-1]
    x = np.stack([begin, end, np.full(len(begin), np.nan)], axis=1)
    y = np.stack([bits, bits, np.full(len(begin), np.nan)], axis=1)
    keep = np.ones(x.shape, bool)
    keep[:-1, 2] = apart
    keep[-1:, 2] = False
    return x[keep], y[keep]


@styled
def block_difference_figure(pairs: Sequence[tuple[str, str, Floats, Mapping[str, float | None]]]) -> Figure:
    """Draw how differences between two runs are distributed over blocks.

    Args:
        pairs: Names of two runs, bits per base of the first minus the second in every block, and ``difference``,
            ``low`` and ``high`` over all letters.
    """
    columns = min(len(pairs), 3)
    rows = -(-len(pairs) // columns)
    figure, axes = panels(rows, columns, (6.0 if columns == 1 else 9.2, 3.2 * rows))
    for index in range(rows * columns):
        here = axes[index // columns][index % columns]
        if index >= len(pairs):
            here.set_visible(False)
            continue
        first, second, values, found = pairs[index]
        edges = _edges(values)
        better = values < 0
        for mask, color, hatch in ((better, RUNS[0], None), (~better, RUNS[4], "////")):
            # What lies beyond the outermost edges is counted at them.
            heights = np.histogram(np.clip(values[mask], edges[0], edges[-1]), edges)[0]
            here.bar(
                edges[:-1], heights, np.diff(edges), align="edge", color=color, hatch=hatch, edgecolor="white", lw=0.5
            )
        here.axvline(0, ymax=0.82, color=_INK, linewidth=1, linestyle=(0, (3, 3)))
        top = here.get_ylim()[1]
        here.set_ylim(0, top * 1.32)
        mean, low, high = found["difference"], found["low"], found["high"]
        if mean is not None:
            here.plot([mean], [1.06 * top], "D", color=_INK, markersize=5)
            if low is not None and high is not None:
                here.plot([low, high], [1.06 * top] * 2, color=_INK, linewidth=2)
        # Shares stand at the side on which the blocks lie.
        for x, align, count, name in ((0.01, "left", better.mean(), first), (0.99, "right", 1 - better.mean(), second)):
            here.text(
                x,
                0.995,
                f"{_short(name, 22 if columns < 3 else 14)}\nbetter: {100 * count:.0f} %",
                transform=here.transAxes,
                ha=align,
                va="top",
                fontsize=8,
                color=_QUIET,
            )
        here.set_xlabel(f"bits per base, {_short(first, 14)} − {_short(second, 14)}", fontsize=8.5)
        here.xaxis.set_major_locator(MaxNLocator(5))
        here.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        grid(here, "y")
    for row in axes:
        row[0].set_ylabel("held-out blocks")
    return figure


def _edges(values: Floats) -> Floats:
    """Edges of bins of one width, one of them at zero; blocks far out decide neither the width nor the range."""
    low, high = (float(end) for end in np.quantile(values, (0.1, 0.9)))
    width = (max(high, 0.0) - min(low, 0.0)) / int(np.clip(np.sqrt(len(values)), 5, 16)) or 0.01
    first, last = np.floor(float(values.min()) / width), np.ceil(float(values.max()) / width)
    return np.asarray(np.arange(np.clip(first, -_FAR, -1), np.clip(last, 1, _FAR) + 1) * width, np.float64)


def _legend(figure: Figure, axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, names, loc="outside lower center", ncols=min(len(names), 3), handlelength=3)


def _unit(width: float) -> tuple[str, float]:
    return ("Mb", 1e6) if width >= 3e5 else ("kb", 1e3) if width >= 3e3 else ("bp", 1.0)


def _short(name: str, length: int = 34) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"
