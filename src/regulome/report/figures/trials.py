"""What a search found: a map of all combinations of a grid, or the score against each key."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from regulome.report.figures.style import RUNS, SEQUENTIAL, grid, note, panels, styled

# Panels that stand side by side.
_ACROSS = 4
# Letters that fit side by side under a panel.
_LETTERS = 24
_BEST = "#d6006c"


@styled
def grid_figure(
    table: pl.DataFrame,
    values: Mapping[str, Sequence[Any]],
    scores: Mapping[str, str],
    *,
    less_is_better: bool,
    best: int | None,
) -> Figure:
    """Draw each score of a grid as a map of all combinations, the brighter the better, the number in each cell.

    The first keys share the rows and the others the columns; combinations that failed, or were not tried, are empty.

    Args:
        table: A row per trial: ``number``, a column per key, the scores (null where there is none).
        values: Key → its values in order; at least one key.
        scores: Column of a score → what it is called.
        less_is_better: Whether small scores are the good ones.
        best: Number of the best trial, which is outlined.
    """
    keys = list(values)
    down, across = _halves(keys, [len(values[key]) for key in keys])
    rows, columns = (_combinations(part, values) for part in (down, across))
    size = (max(5.0, 2.2 + 0.6 * len(columns)), len(scores) * (1.25 + 0.3 * len(rows)))
    figure, axes = panels(len(scores), 1, size)
    places = {tuple(_name(row[key]) for key in keys): (row["number"], row) for row in table.iter_rows(named=True)}
    for (score, title), (here,) in zip(scores.items(), axes, strict=True):
        found = np.full((len(rows), len(columns)), np.nan)
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                number, trial = places.get(tuple(map(_name, (*row, *column))), (None, {}))
                value = trial.get(score)
                found[i, j] = math.nan if value is None else value
                if number is not None and number == best:
                    here.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=_BEST, linewidth=2.2))
        number_cells(figure, here, found, title, less_is_better)
        here.set_title(title)
        here.set_yticks(range(len(rows)), [" · ".join(map(_name, row)) for row in rows])
        here.set_xticks(range(len(columns)), ["\n".join(map(_name, column)) for column in columns])
        here.set(ylabel=" · ".join(map(key_title, down)), xlabel=", ".join(map(key_title, across)))
        # Lines between the groups that the first key of each side makes.
        for every, line in ((_group(columns), here.axvline), (_group(rows), here.axhline)):
            for place in every:
                line(place - 0.5, color="white", linewidth=3)
    return figure


@styled
def dots_figure(
    table: pl.DataFrame, space: Mapping[str, Mapping[str, Any]], score: str, title: str, *, best: int | None
) -> Figure:
    """Draw a score against the value of each key, a dot for each trial, the best one filled.

    Args:
        table: A row per trial: ``number``, a column per key, and the score (null where there is none).
        space: Key → what it may be, as a space file says it.
        score: Column of the score.
        title: What it is called.
        best: Number of the best trial.
    """
    keys = list(space)
    across = min(_ACROSS, len(keys))
    down = -(-len(keys) // across)
    figure, axes = panels(down, across, (max(4.6, 2.5 * across), 2.7 * down), sharey=True)
    known = table.filter(pl.col(score).is_not_null())
    for place in range(down * across):
        here = axes[place // across][place % across]
        if place >= len(keys):
            here.set_visible(False)
            continue
        key = keys[place]
        if known.is_empty():
            note(here, "there is no score")
            continue
        x = _positions(here, known[key].to_list(), space[key])
        chosen = (known["number"] == best).to_numpy()
        y = known[score].to_numpy()
        here.plot(x[~chosen], y[~chosen], "o", color=RUNS[0], markersize=5, alpha=0.6)
        here.plot(x[chosen], y[chosen], "o", color=_BEST, markersize=8)
        here.set_xlabel(key_title(key))
        grid(here)
        if place % across == 0:
            here.set_ylabel(title)
    return figure


def key_title(key: str) -> str:
    """Say what a key of a recipe is, in few words."""
    return "network" if key == "model.name" else key.rpartition(".")[2].replace("_", " ")


def _halves(keys: Sequence[str], counts: Sequence[int]) -> tuple[list[str], list[str]]:
    """Share keys out to rows and columns, so that there are about as many of both, and not fewer columns."""
    total = math.prod(counts)
    part = max(range(len(keys)), key=lambda n: (math.prod(counts[:n]) ** 2 <= total, n))
    return list(keys[:part]), list(keys[part:])


def _combinations(keys: Sequence[str], values: Mapping[str, Sequence[Any]]) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = [()]
    for key in keys:
        found = [(*before, value) for before in found for value in values[key]]
    return found


def _group(combinations: Sequence[tuple[Any, ...]]) -> list[int]:
    """Where the first value changes, if another key lies within it."""
    if len(combinations[0]) < 2:
        return []
    return [place for place, (before, after) in enumerate(pairwise(combinations), 1) if before[0] != after[0]]


def number_cells(
    figure: Figure,
    axes: Axes,
    found: Any,
    title: str,
    less_is_better: bool,
    limits: tuple[float, float] | None = None,
) -> None:
    """Draw scores [row, column] as cells with their numbers, the brighter the better; those that are NaN are empty."""
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlim=(-0.5, found.shape[1] - 0.5), ylim=(found.shape[0] - 0.5, -0.5))
    if np.isnan(found).all():
        note(axes, "there is no score")
        return
    name = f"{SEQUENTIAL}_r" if less_is_better else SEQUENTIAL
    low, high = limits or (None, None)
    image = axes.imshow(found, cmap=name, aspect="auto", interpolation="nearest", vmin=low, vmax=high)
    for (i, j), value in np.ndenumerate(found):
        if not math.isnan(value):
            red, green, blue, _ = mpl.colormaps[name](image.norm(value))
            ink = "#1f2933" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.45 else "white"
            axes.text(j, i, f"{value:.3f}", ha="center", va="center", fontsize=7.5, color=ink)
    bar = figure.colorbar(image, ax=axes, pad=0.015, aspect=14, fraction=0.05)
    bar.set_label(title)
    bar.outline.set_visible(False)


def _positions(axes: Axes, values: Sequence[Any], said: Mapping[str, Any]) -> Any:
    """Return where values lie on the horizontal axis; choices that are no numbers are set side by side."""
    if "choices" not in said:
        if said.get("log"):
            axes.set_xscale("log")
        return np.array(values, float)
    names = list(dict.fromkeys(_name(choice) for choice in said["choices"]))
    axes.set_xticks(range(len(names)), names)
    if sum(map(len, names)) > _LETTERS:
        axes.tick_params("x", rotation=30)
    axes.set_xlim(-0.5, len(names) - 0.5)
    return np.array([names.index(_name(value)) for value in values])


def _name(value: Any) -> str:
    """Tables hold lists as text, and numbers of one column in one type."""
    if isinstance(value, list):
        return json.dumps(value)
    return _short(value)


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
