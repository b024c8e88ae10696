"""What a model of a genome's letters has learned: how far back it looks, and the words and rhythm of what it writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from regulome.report.figures.language import GUESSING, Floats, line_style, rule
from regulome.report.figures.style import SEQUENTIAL, grid, panels, styled

# Words farthest from the diagonal that are named.
_NAMED = 5


@styled
def context_figure(curves: Mapping[str, pl.DataFrame], lengths: Sequence[int] = ()) -> Figure:
    """Draw perplexity by how many letters lie before the letter that is predicted.

    Args:
        curves: Run → ``from``, ``to`` (letters before), ``perplexity``, ``low``, ``high``.
        lengths: Letters of the windows that the runs were trained on, marked below.
    """
    figure, ((axes,),) = panels(1, 1, (9.2, 3.6 + 0.22 * -(-len(curves) // 3)))
    last = 2
    for index, (name, curve) in enumerate(curves.items()):
        style = line_style(index, linewidth=1.6)
        axes.plot(curve["to"], curve["perplexity"], marker="o", markersize=4, label=name, **style)
        axes.fill_between(curve["to"], curve["low"], curve["high"], color=style["color"], alpha=0.12, linewidth=0)
        last = max(last, int(curve["to"].to_numpy().max()))
    for length in sorted(set(lengths)):
        if 1 < length <= last * 1.2:
            axes.axvline(length, color="#9aa5b1", linewidth=1, linestyle=":", zorder=1)
            axes.annotate(
                f"trained on {length:,}",
                (length, 0),
                xycoords=("data", "axes fraction"),
                xytext=(3, 3),
                textcoords="offset points",
                color="#52606d",
                fontsize=8,
            )
    axes.set(xscale="log", xlabel="letters before the predicted one", ylabel="perplexity", xlim=(0.9, last * 1.15))
    axes.set_xticks([2**power for power in range(int(np.log2(last)) + 1)])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    rule(axes, GUESSING, "guessing")
    axes.margins(y=0.08)
    grid(axes)
    figure.legend(loc="outside lower center", ncols=min(len(curves), 3), handlelength=3)
    return figure


@styled
def words_figure(tables: Mapping[str, pl.DataFrame], held_out: str = "held-out text") -> Figure:
    """Draw how often each word of k letters stands in what a model writes against how often in the genome.

    Args:
        tables: Run → ``word``, ``text`` and ``sample`` (shares) and ``gc`` (share of G and C in the word).
        held_out: What the words of the genome are counted in.
    """
    columns = min(len(tables), 3)
    rows = -(-len(tables) // columns)
    width = {1: 6.0, 2: 9.2, 3: 9.2}[columns]
    figure, axes = panels(rows, columns, (width, (4.6 if columns < 3 else 3.4) * rows), sharex=True, sharey=True)
    some = np.concatenate([table.select("text", "sample").to_numpy().ravel() for table in tables.values()])
    some = some[some > 0]
    # Three decades are enough: what lies below is drawn at the edge.
    low, high = (max(some.min(), some.max() / 1000) / 1.25, some.max() * 1.25) if len(some) else (1e-4, 1.0)
    for index in range(rows * columns):
        here = axes[index // columns][index % columns]
        if index >= len(tables):
            here.set_visible(False)
            continue
        name, table = list(tables.items())[index]
        here.plot([low, high], [low, high], color="#9aa5b1", linewidth=1, linestyle=":", zorder=1)
        x, y = (np.maximum(table[column].to_numpy(), low) for column in ("text", "sample"))
        here.scatter(x, y, c=table["gc"], cmap=SEQUENTIAL, vmin=0, vmax=1, s=18, linewidths=0.3, edgecolors="#1f2933")
        for place in _farthest(x, y, np.log(high / low)):
            # A name stands on the side away from the diagonal, unless the axis is there.
            above = y[place] > x[place] and np.log(x[place] / low) > 0.2 * np.log(high / low)
            here.annotate(
                table["word"][int(place)],
                (x[place], y[place]),
                xytext=(-5 if above else 5, 0),
                textcoords="offset points",
                ha="right" if above else "left",
                va="center",
                fontsize=7.5,
            )
        here.set(title=name, xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), box_aspect=1)
        for axis in (here.xaxis, here.yaxis):
            axis.set_major_locator(LogLocator(10, subs=(1,) if high / low > 60 else (1, 2, 5)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
            axis.set_minor_locator(NullLocator())
        if index >= len(tables) - columns:
            here.set_xlabel(f"share in the {held_out}")
            here.tick_params(labelbottom=True)
        if index % columns == 0:
            here.set_ylabel("share in what the model writes")
        grid(here)
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, 100), SEQUENTIAL), ax=[here for row in axes for here in row], shrink=0.7, pad=0.02
    )
    bar.set_label("G and C in the word (%)")
    bar.outline.set_visible(False)
    return figure


def _farthest(x: Floats, y: Floats, width: float) -> list[int]:
    """Choose the dots farthest from the diagonal, none so near another that their names would overlap."""
    chosen: list[int] = []
    for place in np.argsort(-np.abs(np.log(y / x)) * np.sqrt(np.maximum(x, y)), kind="stable"):
        near = [
            abs(np.log(x[place] / x[other])) < 0.22 * width and abs(np.log(y[place] / y[other])) < 0.06 * width
            for other in chosen
        ]
        if len(chosen) < _NAMED and x[place] != y[place] and not any(near):
            chosen.append(int(place))
    return chosen


@styled
def rhythm_figure(tables: Mapping[str, pl.DataFrame], held_out: str = "held-out text") -> Figure:
    """Draw how much more often than by chance two letters so far apart are the same.

    Args:
        tables: Run → ``distance``, ``text`` and ``sample``: share of equal pairs minus what the composition gives.
        held_out: What the genome's curve is measured on.
    """
    figure, ((axes,),) = panels(1, 1, (9.2, 3.6 + 0.22 * -(-(len(tables) + 1) // 4)))
    first = next(iter(tables.values()))
    axes.axhline(0, color="#9aa5b1", linewidth=1, linestyle=":")
    axes.plot(first["distance"], 100 * first["text"], color="#9aa5b1", linewidth=4.5, alpha=0.6, label=held_out)
    for index, (name, table) in enumerate(tables.items()):
        axes.plot(table["distance"], 100 * table["sample"], label=name, **line_style(index, linewidth=1.5))
    axes.set(xlabel="distance (letters)", ylabel="equal pairs beyond chance (points)")
    last = int(first["distance"].to_numpy().max())
    axes.set_xticks(range(0, last + 1, 3))
    axes.set_xlim(0, last + 0.5)
    grid(axes)
    figure.legend(loc="outside lower center", ncols=min(len(tables) + 1, 4), handlelength=3)
    return figure
