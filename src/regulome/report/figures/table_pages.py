"""A long table on paper: pages of A4, every row readable."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.artist import Artist
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle

from regulome.report.figures.style import RUNS, styled

_PAGE = (8.27, 11.69)  # inches
_MARGIN, _ROW, _TOP, _BOTTOM = 0.6, 0.163, 1.2, 0.65
#: Rows of a page.
ROWS = int((_PAGE[1] - _TOP - _BOTTOM) / _ROW)
_SIZE = 7.0
#: Inches of a letter and of a digit at that size; of the bar; between columns.
_LETTER, _DIGIT, _BAR, _SPACE = 0.058, 0.066, 0.8, 0.14
_QUIET, _LINE, _INK = "#52606d", "#d9dee4", "#1f2933"


def number_text(value: float) -> str:
    """Write a probability or value with four digits; small ones in powers of ten."""
    text = f"{value:.4f}" if value == 0 or abs(value) >= 0.001 else f"{value:.1e}"
    return text.replace("-", "−")


def write_pages(
    table: pl.DataFrame, path: str | PathLike[str], *, title: str, subtitle: str, titles: Mapping[str, str]
) -> int:
    """Write a table as PDF.

    Args:
        table: Texts, whole numbers and numbers; beside a ``probability`` stands a bar.
        path: The file.
        title: Heading of the first page, and small on all others.
        subtitle: What stands under it.
        titles: Column → what stands above it.

    Returns:
        Number of pages.
    """
    texts = [[_text(value) for value in table[name].to_list()] for name in table.columns]
    heads = [titles.get(name, name) for name in table.columns]
    numbers = [table.schema[name].is_numeric() for name in table.columns]
    places, widths = _columns(table.columns, texts, heads, numbers)
    pages = -(-len(table) // ROWS)
    bars = table["probability"].to_numpy() if "probability" in table.columns else None
    with mpl.rc_context({"pdf.fonttype": 42}), PdfPages(path, metadata={"Title": title, "CreationDate": None}) as pdf:
        for page in range(pages):
            rows = slice(page * ROWS, (page + 1) * ROWS)
            part = [
                [_cut(text, width, number) for text in column[rows]]
                for column, width, number in zip(texts, widths, numbers, strict=True)
            ]
            words = (title, subtitle if page == 0 else "", f"page {page + 1} of {pages}")
            pdf.savefig(page_figure(part, heads, numbers, places, widths, None if bars is None else bars[rows], words))
    return pages


@styled
def page_figure(
    columns: list[list[str]],
    heads: list[str],
    numbers: list[bool],
    places: list[float],
    widths: list[float],
    bars: np.ndarray[Any, np.dtype[Any]] | None,
    words: tuple[str, str, str],
) -> Figure:
    """Draw one page.

    Args:
        columns: Texts of each column.
        heads: What stands above each.
        numbers: Which columns are numbers, set to the right.
        places: Left edge of each column, in inches.
        widths: Width of each, in inches.
        bars: Length of the bar in each row, 0 to 1, right of the last column; or None.
        words: Title, subtitle, number of the page.
    """
    figure = Figure(figsize=_PAGE)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, _PAGE[0]), ylim=(_PAGE[1], 0))
    axes.axis("off")
    title, subtitle, number = words
    axes.text(_MARGIN, 0.5, _cut(title, 4.6, False, 0.11), fontsize=12, fontweight="bold", va="center")
    axes.text(_MARGIN, 0.72, subtitle, fontsize=8, color=_QUIET, va="center")
    axes.text(_PAGE[0] - _MARGIN, 0.5, number, fontsize=8, color=_QUIET, va="center", ha="right")
    head = _TOP - 0.6 * _ROW
    for texts, name, right, place, width in zip(columns, heads, numbers, places, widths, strict=True):
        x, side = (place + width, "right") if right else (place, "left")
        axes.text(x, head, name, fontsize=_SIZE, fontweight="bold", va="center", ha=side)
        axes.add_artist(_Lines(texts, x, right))
    count = len(columns[0])
    edge = _PAGE[0] - _MARGIN
    axes.plot([_MARGIN, edge], [_TOP, _TOP], color=_QUIET, linewidth=0.9)
    below = [[(_MARGIN, _TOP + row * _ROW), (edge, _TOP + row * _ROW)] for row in range(1, count + 1)]
    axes.add_collection(LineCollection(below, colors=_LINE, linewidths=0.4))
    if bars is not None:
        left = places[-1] + widths[-1] + 0.1
        for row, value in enumerate(bars.tolist()):
            top = _TOP + (row + 0.28) * _ROW
            axes.add_patch(Rectangle((left, top), _BAR, 0.44 * _ROW, color="#eef1f4", linewidth=0))
            axes.add_patch(Rectangle((left, top), _BAR * value, 0.44 * _ROW, color=RUNS[0], linewidth=0))
    return figure


class _Lines(Artist):
    """The texts of a column, a row each, at a place in inches: matplotlib's own texts take three times as long."""

    def __init__(self, texts: list[str], x: float, right: bool) -> None:
        super().__init__()
        self.texts, self.x, self.right = texts, x, right

    def draw(self, renderer: Any) -> None:
        """Draw them."""
        font, context = FontProperties(family="DejaVu Sans", size=_SIZE), renderer.new_gc()
        context.set_foreground(_INK)
        inch, point = renderer.points_to_pixels(72.0), renderer.points_to_pixels(1.0)
        for row, text in enumerate(self.texts):
            if not text:
                continue
            # From the top of the page to the base line, which lies below the middle of small letters.
            down = (_TOP + (row + 0.5) * _ROW) * inch + 0.36 * _SIZE * point
            x = self.x * inch
            if self.right:
                x -= renderer.get_text_width_height_descent(text, font, ismath=False)[0]
            y = down if renderer.flipy() else _PAGE[1] * inch - down
            renderer.draw_text(context, x, y, text, font, 0, ismath=False)
        context.restore()


def _columns(
    names: list[str], texts: list[list[str]], heads: list[str], numbers: list[bool]
) -> tuple[list[float], list[float]]:
    """Left edges and widths of the columns, in inches: as wide as needed, the widest ones cut where all do not fit."""
    widths = []
    for column, head, number in zip(texts, heads, numbers, strict=True):
        letter = _DIGIT if number else _LETTER
        widths.append(max(len(head) * _LETTER * 1.15, max(map(len, column)) * letter))
    bar = _BAR + 0.1 if names[-1] == "probability" else 0.0
    room = _PAGE[0] - 2 * _MARGIN - bar - _SPACE * (len(widths) - 1)
    while sum(widths) > room:
        widest = widths.index(max(widths))
        second = max([width for place, width in enumerate(widths) if place != widest], default=0.0)
        widths[widest] = max(widths[widest] - (sum(widths) - room), min(second, widths[widest] - _LETTER))
    # What is left over lies between the columns.
    space = _SPACE + min((room - sum(widths)) / max(len(widths) - 1, 1), 0.5)
    places = _MARGIN + np.concatenate([[0.0], np.cumsum(np.array(widths[:-1]) + space)])
    return places.tolist(), widths


def _text(value: Any) -> str:
    if isinstance(value, float):
        return number_text(value)
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _cut(text: str, width: float, number: bool, letter: float = _LETTER) -> str:
    most = max(int(width / letter + 0.01), 1)
    return text if number or len(text) <= most else text[: most - 1] + "…"
