"""From sections to one HTML page that needs nothing but itself."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources

import jinja2
import polars as pl
from markupsafe import Markup
from matplotlib.figure import Figure

import regulome
from regulome.report.figures.style import to_svg


@dataclass(frozen=True)
class Picture:
    """A figure with everything that a reader needs beside it.

    Attributes:
        title: Its heading.
        figure: What is drawn.
        alt: What it shows, for readers who do not see it.
        meaning: How to read it.
        data: The numbers behind it; offered as CSV.
        name: Name of that CSV file, without suffix.
        bad: What to do when it looks bad.
    """

    title: str
    figure: Figure
    alt: str
    meaning: str
    data: pl.DataFrame
    name: str
    bad: str = ""
    kind: str = field(default="picture", init=False)

    @property
    def source(self) -> str:
        """The figure as a data URI."""
        return "data:image/svg+xml;base64," + base64.b64encode(to_svg(self.figure).encode()).decode()

    @property
    def csv(self) -> str:
        """The data as a data URI."""
        return _csv(self.data)


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        title: Its caption.
        header: One text per column.
        rows: Texts; the first of a row is its heading.
        meaning: How to read it.
        bad: What to do when the numbers are bad.
        numbers: Whether all columns but the first are numbers, set to the right.
        data: The whole table where only a part of it is shown; offered as CSV.
        name: Name of that CSV file, without suffix.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    meaning: str = ""
    bad: str = ""
    numbers: bool = False
    data: pl.DataFrame | None = None
    name: str = ""
    kind: str = field(default="table", init=False)

    @property
    def csv(self) -> str:
        """The data as a data URI; empty where there are none."""
        return "" if self.data is None else _csv(self.data)


@dataclass(frozen=True)
class Words:
    """Paragraphs of plain text, under a heading of their own where there is one."""

    paragraphs: Sequence[str]
    title: str = ""
    kind: str = field(default="words", init=False)


@dataclass(frozen=True)
class Listing:
    """Text that is shown as it is, a recipe for example."""

    title: str
    text: str
    kind: str = field(default="listing", init=False)


Block = Picture | Table | Words | Listing


@dataclass(frozen=True)
class Section:
    """A chapter of the page; ``anchor`` is its place in the table of contents."""

    anchor: str
    title: str
    blocks: Sequence[Block]
    lead: str = ""


def _csv(data: pl.DataFrame) -> str:
    return "data:text/csv;base64," + base64.b64encode(data.write_csv().encode()).decode()


def stack(tables: Mapping[str, pl.DataFrame], digits: int = 6) -> pl.DataFrame:
    """Put the tables of runs under each other, the run's name first, numbers with so many digits."""
    parts = [table.with_columns(run=pl.lit(name)) for name, table in tables.items()]
    stacked = pl.concat(parts, how="diagonal_relaxed")
    numbers = [name for name, kind in stacked.schema.items() if kind.is_float()]
    return stacked.select("run", pl.exclude("run")).with_columns(pl.col(numbers).round_sig_figs(digits))


def render(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """Write the page.

    Every text is escaped; style, figures and data are inside; there is no script and no address of another machine.

    Args:
        title: Heading of the page.
        subtitle: What stands under it.
        sections: The chapters, in order; those without blocks are left out.

    Returns:
        The HTML.
    """
    files = resources.files("regulome.report")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((files / "page.html").read_text(encoding="utf-8"))
    return template.render(
        title=title,
        subtitle=subtitle,
        sections=[section for section in sections if section.blocks],
        style=Markup((files / "page.css").read_text(encoding="utf-8")),
        version=regulome.__version__,
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
