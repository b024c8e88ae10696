"""One look for all figures: colours that everybody can tell apart, quiet axes, text that stays text."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from regulome.errors import InputError
from regulome.storage import new_file

P = ParamSpec("P")

#: High and low genes: the two ends of the diverging map, apart for every kind of colour vision and in grey.
HIGH, LOW = "#b35806", "#542788"
#: Runs side by side: Okabe and Ito's colours, strongest first; line styles repeat the distinction without colour.
RUNS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)))
#: Sequential and diverging colour maps.
SEQUENTIAL, DIVERGING = "cividis", "PuOr_r"

_INK, _QUIET, _GRID = "#1f2933", "#52606d", "#e4e7eb"
_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": _QUIET,
    "axes.grid": False,
    "axes.labelcolor": _INK,
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlepad": 8,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "savefig.dpi": 200,
    "svg.fonttype": "none",
    "svg.hashsalt": "regulome",
    "text.color": _INK,
    "text.parse_math": False,
    "xtick.color": _QUIET,
    "xtick.labelcolor": _INK,
    "xtick.labelsize": 8.5,
    "ytick.color": _QUIET,
    "ytick.labelcolor": _INK,
    "ytick.labelsize": 8.5,
}
_FONTS = "Inter, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw a figure in the house's style, whatever the caller's settings of matplotlib are."""

    @functools.wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(_STYLE):
            figure = draw(*args, **kwargs)
            FigureCanvasAgg(figure)
            return figure

    return inside


def panels(rows: int, columns: int, size: tuple[float, float], **grid: Any) -> tuple[Figure, Sequence[Sequence[Axes]]]:
    """Make a figure of ``size`` inches with rows × columns of axes, always as a list of lists."""
    figure = Figure(figsize=size)
    return figure, figure.subplots(rows, columns, squeeze=False, **grid).tolist()


def to_svg(figure: Figure) -> str:
    """Return a figure as SVG whose text is text, in a font that the reader's machine has."""
    stream = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue().replace("'DejaVu Sans'", _FONTS)


def save_figure(figure: Figure, path: str | PathLike[str], *, overwrite: bool = True) -> Path:
    """Write a figure as .svg, .pdf or .png (200 dpi), told by the suffix; the file appears when it is complete.

    Raises:
        InputError: The suffix is another one, or the file exists and may not be replaced.
    """
    path = Path(path)
    kind = path.suffix.lower().lstrip(".")
    if kind not in ("svg", "pdf", "png"):
        raise InputError(
            f"expected a name that ends in .svg, .pdf or .png, but got {path.name}", cure="rename --figure"
        )
    with new_file(path, overwrite=overwrite) as temporary, mpl.rc_context(_STYLE):
        if kind == "svg":
            temporary.write_text(to_svg(figure), encoding="utf-8")
        else:
            figure.savefig(temporary, format=kind)
    return path


def whole_counts(axis: Axis) -> None:
    """Label a logarithmic axis of counts in figures that people read: 1, 100, 10 k, 1 M; what lies below one is 0."""
    axis.set_major_locator(LogLocator(10, numticks=5))
    axis.set_major_formatter(FuncFormatter(_count))
    axis.set_minor_formatter(NullFormatter())


def _count(value: float, _: object = None) -> str:
    for unit, size in ((" M", 1e6), (" k", 1e3)):
        if value >= size:
            return f"{value / size:g}{unit}"
    return "0" if value < 1 else f"{value:g}"


def grid(axes: Axes, axis: str = "both") -> None:
    """Draw quiet grid lines."""
    axes.grid(True, axis=axis, color=_GRID, linewidth=0.8)  # type: ignore[arg-type]
    axes.tick_params(length=0 if axis == "both" else 3)


def note(axes: Axes, text: str) -> None:
    """Write a short remark in the middle of empty axes."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=_QUIET)
