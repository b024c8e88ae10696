"""Tables on standard output: aligned for people, whole whatever the width of the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def show(headings: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = ()) -> None:
    """Print rows under headings.

    Args:
        headings: One per column.
        rows: The cells of each row; None is shown as a dash.
        right: Headings of the columns to align on the right.
    """
    import sys

    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console() if sys.stdout.isatty() else Console(width=100_000, color_system=None)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text("–" if cell is None else str(cell)) for cell in row))
    console.print(table)


def interval(metric: dict[str, Any] | None, digits: int = 3) -> str | None:
    """Write a metric with its 95 % interval, for example ``0.912 [0.901, 0.923]``."""
    if not metric or metric.get("value") is None:
        return None
    text = _rounded(metric["value"], digits)
    if metric.get("low") is not None:
        text += f" [{_rounded(metric['low'], digits)}, {_rounded(metric['high'], digits)}]"
    return text


def _rounded(value: float, digits: int) -> str:
    """Write a number without the sign of a rounded zero."""
    return f"{round(value, digits) + 0.0:.{digits}f}"
