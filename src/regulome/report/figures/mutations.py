"""Saturation mutagenesis as a picture: the sequence in letters as tall as they matter, above every single effect."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from regulome.genome.letters import LETTERS, decode
from regulome.report.figures.logo import draw_letters
from regulome.report.figures.style import DIVERGING, styled

Floats = NDArray[np.floating[Any]]

#: Bases in one line of a figure; the widest line of which every letter can be read on a page.
BASES_PER_LINE = 100
# Inches: heights of logo and map, space between lines, below the title and for the axis; margins; width of a base.
_LOGO, _MAP, _GAP, _HEAD, _FOOT = 0.8, 0.72, 0.52, 0.34, 0.92
_LEFT, _RIGHT, _BASE, _NARROWEST = 0.92, 1.22, 0.09, 4.0
#: Inches that a character of the title, and of a tick's label, takes.
_TITLE, _TICK = 0.098, 0.07
_KEY = "Support: minus the mean effect of replacing the base. Dots: the sequence itself."


def base_effects(codes: NDArray[np.uint8], effects: Floats) -> Floats:
    """How much each base supports the prediction: minus the mean effect of replacing it, [bases].

    Args:
        codes: The sequence, [bases].
        effects: Effect of each letter at each base, [4, bases]; that of the sequence's own letter is not looked at.
    """
    other = np.arange(4)[:, None] != codes
    support: Floats = -np.where(other, effects, 0).sum(axis=0) / other.sum(axis=0)
    return support


@styled
def mutation_figure(
    codes: NDArray[np.uint8],
    effects: Floats,
    *,
    start: int,
    title: str,
    unit: str,
    chrom: str = "",
    limit: float | None = None,
) -> Figure:
    """Draw the effects of all substitutions of a stretch, a hundred bases to a line.

    Above, each base stands as tall as it matters: minus the mean effect of its three substitutions, so that letters
    above zero support the prediction and letters below zero hold it down. Below, the effect of each substitution; the
    sequence's own letters are marked by dots.

    Args:
        codes: The sequence, uint8 [bases].
        effects: Effect of replacing each base by A, C, G, T, [4, bases].
        start: Position of the first base, 0-based; the axis counts as genome browsers do, from 1.
        title: What is predicted, of what.
        unit: What the effects are.
        chrom: What the positions are of.
        limit: Largest effect of the colour scale; None takes the largest there is.
    """
    count = len(codes)
    # The common windows of 101 bases stay in one line.
    lines = 1 if count <= 1.2 * BASES_PER_LINE else -(-count // BASES_PER_LINE)
    # Lines of equal length, whole tens of bases where there are several.
    across = count if lines == 1 else -(-count // (10 * lines)) * 10
    inner = max(across * _BASE, _NARROWEST)
    width = _LEFT + inner + _RIGHT
    heading = textwrap.wrap(title, int((width - _LEFT - 0.1) / _TITLE)) or [""]
    head = _HEAD + 0.18 * len(heading)
    height = head + _FOOT + lines * (_LOGO + _MAP) + (lines - 1) * _GAP
    figure = Figure(figsize=(width, height))
    # Every place is given in inches: letters of all figures have one size.
    figure.set_layout_engine("none")
    top = limit or float(np.abs(effects).max()) or 1.0
    support = base_effects(codes, effects)
    low, high = min(float(support.min()), 0.0), max(float(support.max()), 0.0)
    room = 0.06 * ((high - low) or 1.0)
    image = None
    for line in range(lines):
        first = line * across
        here = slice(first, min(first + across, count))
        long = inner * (here.stop - first) / across
        above = height - head - line * (_LOGO + _MAP + _GAP)
        box = (_LEFT / width, long / width)
        logo = figure.add_axes((box[0], (above - _LOGO) / height, box[1], _LOGO / height))
        heat = figure.add_axes((box[0], (above - _LOGO - _MAP) / height, box[1], _MAP / height))
        edges = (start + first, start + here.stop)
        draw_letters(logo, decode(codes[here]), support[here], start=edges[0])
        logo.set(xlim=edges, ylim=(low - room, high + room), xticks=[])
        logo.axhline(0, color="#52606d", linewidth=0.7)
        logo.spines["bottom"].set_visible(False)
        logo.locator_params(axis="y", nbins=3)
        image = heat.imshow(
            effects[:, here],
            cmap=DIVERGING,
            vmin=-top,
            vmax=top,
            aspect="auto",
            interpolation="nearest",
            extent=(*edges, 3.5, -0.5),
        )
        _own_letters(heat, codes[here], edges[0])
        heat.set_yticks(range(4), list(LETTERS))
        _positions(heat, edges, inner / across)
        heat.spines[:].set_visible(False)
        heat.tick_params(axis="y", length=0)
        for axes, text in ((logo, "support"), (heat, "new base")):
            axes.set_ylabel(text, fontsize=8.5)
            axes.yaxis.set_label_coords(-0.66 / long, 0.5)
    heading_at = (_LEFT / width, 1 - 0.14 / height)
    figure.text(*heading_at, "\n".join(heading), fontsize=10.5, fontweight="bold", va="top")
    where = f"position on {chrom} (bp, the first base is 1)" if chrom else "position (bp, the first base is 1)"
    figure.text((_LEFT + inner / 2) / width, 0.42 / height, where, fontsize=9.5, ha="center", va="bottom")
    figure.text(
        (_LEFT + inner / 2) / width, 0.12 / height, _KEY, fontsize=7.5, color="#52606d", ha="center", va="bottom"
    )
    if image is not None:
        tall = _LOGO + _MAP
        place = ((_LEFT + inner + 0.18) / width, (height - head - tall) / height, 0.14 / width, tall / height)
        bar = figure.colorbar(image, cax=figure.add_axes(place))
        bar.set_label(unit, fontsize=8.5)
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=2)
        bar.ax.locator_params(axis="y", nbins=5)
    return figure


def _own_letters(axes: Axes, codes: NDArray[np.uint8], start: int) -> None:
    known = np.flatnonzero(codes < 4)
    axes.plot(start + known + 0.5, codes[known], ".", color="#52606d", markersize=2.2, markeredgewidth=0)
    axes.set_xlim(start, start + len(codes))


def _positions(axes: Axes, edges: tuple[int, int], inches: float) -> None:
    """Mark round positions at the middles of their bases, counted from 1, as densely as their labels allow."""
    room = _TICK * len(f"{edges[1]:,}") + 0.12
    step = next((step for step in (1, 2, 5, 10, 20) if step * inches >= room), 50)
    # The base that is called p lies from p − 1 to p.
    named = np.arange(-(-(edges[0] + 1) // step) * step, edges[1] + 1, step)
    axes.set_xticks(named - 0.5, [f"{place:,}" for place in named])
    axes.tick_params(axis="x", length=3)
