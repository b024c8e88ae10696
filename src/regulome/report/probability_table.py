"""The probability table as a file: for spreadsheets, for a browser that sorts it, or for paper."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Any

import jinja2
import polars as pl
from markupsafe import Markup

import regulome
from regulome.errors import InputError
from regulome.explain.feature_profile import ABOUT
from regulome.report.figures.table_pages import number_text, write_pages
from regulome.report.wording import amount
from regulome.storage import check_target, new_file
from regulome.training.prediction import write_table

#: How the columns are headed; "value" where the run predicts values.
TITLES = {
    "sequence": "Sequence",
    "rank": "Rank",
    "feature": "Feature",
    "cell": "Cell type",
    "assay": "Assay",
    "treatment": "Treatment",
    "group": "Group",
    "probability": "Probability",
    "value": "Value",
}
_TABLES = (".tsv", ".csv", ".parquet")


def write_probability_table(
    table: pl.DataFrame, out: str | PathLike[str], *, title: str = "", overwrite: bool = False
) -> Path:
    """Write what :func:`regulome.explain.profile` found.

    Args:
        table: Columns rank, feature, cell, assay, treatment, group, probability (or value); sequence, where there is
            one.
        out: ``.tsv``, ``.csv`` or ``.parquet``: the table as it is. ``.html``: one page that needs nothing but itself,
            whose columns sort on a click and whose rows can be searched. ``.pdf``: pages of A4 with about sixty rows.
        title: Heading of page and PDF; None names the sequence.
        overwrite: Replace an existing file.

    Returns:
        The file; it appears when it is complete.

    Raises:
        InputError: Another ending, an empty table, or the file exists.
    """
    path = Path(out)
    kind = path.suffix.lower()
    if kind not in (*_TABLES, ".html", ".pdf"):
        raise InputError(
            f"a table cannot be written as {kind or 'a file without ending'!r}",
            file=path,
            cure=f"choose from {', '.join((*_TABLES, '.html', '.pdf'))}",
        )
    if table.is_empty():
        raise InputError("the table has no rows", cure="name at least one sequence")
    check_target(path, overwrite=overwrite)
    if kind in _TABLES:
        write_table(table, path, overwrite=overwrite)
        return path
    title = title or _title(table)
    shown = shown_columns(table)
    with new_file(path, overwrite=overwrite) as temporary:
        if kind == ".html":
            temporary.write_text(_page(shown, title, _subtitle(table)), encoding="utf-8")
        else:
            write_pages(shown, temporary, title=title, subtitle=_subtitle(table), titles=TITLES)
    return path


def shown_columns(table: pl.DataFrame) -> pl.DataFrame:
    """Leave out columns that say nothing: the name of the only sequence, and what is known of no feature."""
    drop = [name for name in ABOUT if name in table.columns and not _says(table, name)]
    if "sequence" in table.columns and table["sequence"].n_unique() == 1:
        drop.append("sequence")
    return table.drop(drop)


def _says(table: pl.DataFrame, name: str) -> bool:
    return bool((table[name].fill_null("") != "").any())


def _score(table: pl.DataFrame) -> str:
    return "probability" if "probability" in table.columns else "value"


def _title(table: pl.DataFrame) -> str:
    names = table["sequence"].unique(maintain_order=True).to_list() if "sequence" in table.columns else []
    return str(names[0]) if len(names) == 1 else amount(len(names), "sequence") if names else "Predictions"


def _subtitle(table: pl.DataFrame) -> str:
    count = table["feature"].n_unique()
    what = "most likely first" if _score(table) == "probability" else "largest value first"
    return f"{amount(count, 'feature')}, {what}"


def _page(table: pl.DataFrame, title: str, subtitle: str) -> str:
    files = resources.files("regulome.report")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    script = (files / "table.js").read_text(encoding="utf-8")
    score = _score(table)
    kinds = [table.schema[name].is_numeric() for name in table.columns]
    columns = [
        {
            "title": TITLES.get(name, name),
            "number": number,
            "sorted": ("ascending" if name == "rank" and "sequence" not in table.columns else None),
        }
        for name, number in zip(table.columns, kinds, strict=True)
    ]
    rows = [
        [_cell(name, value, score) for name, value in zip(table.columns, row, strict=True)] for row in table.iter_rows()
    ]
    return environment.from_string((files / "table.html").read_text(encoding="utf-8")).render(
        title=title,
        subtitle=subtitle,
        columns=columns,
        rows=rows,
        style=Markup((files / "page.css").read_text(encoding="utf-8")),
        table_style=Markup((files / "table.css").read_text(encoding="utf-8")),
        script=Markup(script),
        # The page's policy lets this one script run and no other.
        script_hash=Markup(base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()),
        version=regulome.__version__,
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _cell(name: str, value: Any, score: str) -> dict[str, Any]:
    if isinstance(value, float):
        bar = f"{100 * value:.1f}" if name == score == "probability" else None
        return {"text": number_text(value), "value": repr(value), "bar": bar}
    if isinstance(value, int):
        return {"text": f"{value:,}", "value": value, "bar": None}
    return {"text": "" if value is None else str(value), "value": None, "bar": None}
