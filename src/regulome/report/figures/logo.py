"""Letters of DNA drawn to size: sequence logos of any heights, by base effects now, of motifs as well."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

#: Colours of A, C, G and T (Okabe and Ito's), apart for every kind of colour vision; and of unknown letters.
LETTER_COLORS = {"A": "#009e73", "C": "#0072b2", "G": "#e69f00", "T": "#d55e00", "N": "#9aa5b1"}
#: Share of a column's width that a letter fills.
_FILL = 0.92


def draw_logo(axes: Axes, heights: Floats, *, start: float = 0.0, letters: str = "ACGT") -> None:
    """Draw a logo: in each column the letters stacked, the largest on top; negative ones hang below zero.

    Args:
        axes: Where; its limits are left alone.
        heights: Height of each letter in each column, [letters, columns]; zeros are not drawn.
        start: Place of the first column's left edge; a column is 1 wide.
        letters: One letter for each row of ``heights``.
    """
    above, below = np.clip(heights, 0, None), np.clip(heights, None, 0)
    outlines: dict[str, list[Path]] = {letter: [] for letter in letters}
    for part in (above, below):
        order = np.argsort(np.abs(part), axis=0, kind="stable")
        sizes = np.take_along_axis(part, order, axis=0)
        bases = np.cumsum(sizes, axis=0) - sizes
        for rank, column in zip(*np.nonzero(sizes), strict=True):
            letter = letters[order[rank, column]]
            # A letter below zero stands upright, too: it hangs by its upper edge.
            low, high = sorted((bases[rank, column], bases[rank, column] + sizes[rank, column]))
            outlines[letter].append(_placed(letter, start + float(column), float(low), float(high)))
    _fill(axes, outlines)


def draw_letters(axes: Axes, text: str, heights: Floats, *, start: float = 0.0) -> None:
    """Draw one letter per column, below zero where its height is negative.

    Args:
        axes: Where; its limits are left alone.
        text: One letter per column.
        heights: Their heights, [columns]; zeros are not drawn.
        start: Place of the first column's left edge; a column is 1 wide.
    """
    outlines: dict[str, list[Path]] = {letter: [] for letter in dict.fromkeys(text)}
    for column, (letter, height) in enumerate(zip(text, heights.tolist(), strict=True)):
        if height:
            outlines[letter].append(_placed(letter, start + column, min(height, 0.0), max(height, 0.0)))
    _fill(axes, outlines)


def _fill(axes: Axes, outlines: dict[str, list[Path]]) -> None:
    for letter, paths in outlines.items():
        if paths:
            # One patch for all places of a letter: a thousand of them draw as fast as one.
            color = LETTER_COLORS.get(letter, LETTER_COLORS["N"])
            axes.add_patch(PathPatch(_joined(paths), facecolor=color, edgecolor="none", linewidth=0))


def _joined(paths: Iterable[Path]) -> Path:
    return Path.make_compound_path(*paths)


def _placed(letter: str, left: float, low: float, high: float) -> Path:
    """The outline of a letter, stretched over its column from ``low`` to ``high``."""
    unit = _outline(letter)
    gap = (1 - _FILL) / 2
    vertices = np.asarray(unit.vertices, np.float64) * [_FILL, high - low] + [left + gap, low]
    return Path(vertices, unit.codes)


@lru_cache(maxsize=64)
def _outline(letter: str) -> Path:
    """The outline of a letter in bold type, stretched to the unit square."""
    path = TextPath((0, 0), letter, size=100, prop=FontProperties(family="DejaVu Sans", weight="bold"))
    box = path.get_extents()
    return Path((np.asarray(path.vertices, np.float64) - [box.x0, box.y0]) / [box.width, box.height], path.codes)
