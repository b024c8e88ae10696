"""The first wrong rows of a BED-like file, each told in words: for a report that names more than one."""

from __future__ import annotations

import os

import polars as pl

from regulome.genome.text import KEPT_ROWS, read_lines

_WHOLE = r"^[0-9]{1,10}$"
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_LARGEST = 2**31 - 1


def find_row_problems(
    path: str | os.PathLike[str], *, value_column: int = 0, most: int = KEPT_ROWS
) -> list[tuple[int, str]]:
    """Find the first rows that :class:`regulome.genome.rows.Rows` would call invalid whatever the chromosomes are.

    Args:
        path: BED, tagAlign, narrowPeak, broadPeak or bedGraph, plain or gzipped.
        value_column: Column (from 1) that must hold a number; 0 for none.
        most: How many to find.

    Returns:
        Line and problem, in file order.
    """
    found: list[tuple[int, str]] = []
    columns = 0
    separator = "\t"
    for lines in read_lines(path):
        rows = lines.filter(~pl.col("text").str.contains(r"^(track|browser)(\s|$)"))
        if rows.is_empty():
            continue
        if not columns:
            first = rows["text"][0]
            separator = "\t" if "\t" in first else " "
        text = pl.col("text") if separator == "\t" else pl.col("text").str.strip_chars().str.replace_all(r"\s+", " ")
        rows = rows.select("line", text.str.split(separator).alias("fields"))
        rows = rows.with_columns(pl.col("fields").list.len().cast(pl.Int64).alias("n"))
        if not columns:
            # As long as no row is valid, the first with enough columns sets how many there are.
            least = max(3, value_column)
            columns = next(iter(rows.filter(pl.col("n") >= least)["n"].head(1)), 0)
        wrong = rows.with_columns(_problem(columns, max(3, value_column), value_column)).filter(
            pl.col("problem").is_not_null()
        )
        found += wrong.select("line", "problem").head(most - len(found)).rows()
        if len(found) >= most:
            break
    return found


def _problem(columns: int, least: int, value_column: int) -> pl.Expr:
    n = pl.col("n")

    def cell(index: int) -> pl.Expr:
        return pl.col("fields").list.get(index, null_on_oob=True).fill_null("")

    def whole(index: int) -> pl.Expr:
        return pl.when(cell(index).str.contains(_WHOLE)).then(cell(index)).cast(pl.Int64)

    def position(name: str, index: int) -> pl.Expr:
        words = pl.format(f"{name} '{{}}' is not a whole number from 0 to 2^31 - 1", cell(index))
        return pl.when(whole(index).is_null() | (whole(index) > _LARGEST)).then(words)

    expected = f"{columns} as in the first row" if columns else f"at least {least}, separated by tabs"
    many = pl.when(n != 1).then(pl.lit("s")).otherwise(pl.lit(""))
    cases = [
        pl.when(n != (columns or -1)).then(pl.format(f"has {{}} column{{}}, expected {expected}", n, many)),
        position("start", 1),
        position("end", 2),
        pl.when(whole(1) >= whole(2)).then(pl.format("start {} is not before end {}", cell(1), cell(2))),
    ]
    if value_column:
        text = cell(value_column - 1)
        bad = pl.format(f"value '{{}}' in column {value_column} is not a number", text)
        cases.append(pl.when(~text.str.contains(_NUMBER)).then(bad))
    return pl.coalesce(*cases).alias("problem")
