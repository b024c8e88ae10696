"""Expression tables: one value per gene for one sample."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from regulome.errors import InputError
from regulome.genome.genes import normalize_ids
from regulome.genome.text import ILL_QUOTED, BadRows, count_fields, read_fields, read_lines, settle_quotes

logger = logging.getLogger(__name__)

#: What the column of gene ids may be called; otherwise it is the first one.
_ID_NAMES = ("gene_id", "id", "ensembl_gene_id", "ensembl_id", "geneid", "gene")
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
#: The name that the value column of a two-column table without a header gets.
UNNAMED = "value"


@dataclass(frozen=True)
class Expression:
    """The expression of genes in one sample.

    Attributes:
        table: ``id`` (normalised as :func:`regulome.genome.genes.normalize_ids` does) and ``value`` (float64, ≥ 0, in
            the unit of the file), in file order.
        samples: The samples that the file has.
        record: How the table was read, for the dataset's own record.
    """

    table: pl.DataFrame
    samples: list[str]
    record: dict[str, Any]

    def __len__(self) -> int:
        return self.table.height


@dataclass(frozen=True)
class ExpressionText:
    """An expression table as text.

    Attributes:
        rows: ``line`` (1-based) and ``column_0``, ``column_1``, …
        bad: Lines with a wrong number of columns.
        id_column: Which column has the gene ids.
        columns: Sample name to column.
        header_line: The line of the header; None where there is none.
    """

    rows: pl.DataFrame
    bad: BadRows
    id_column: str
    columns: dict[str, str]
    header_line: int | None


def read_expression(
    path: str | os.PathLike[str], sample: str | None = None, *, skip_invalid: bool = False
) -> Expression:
    """Read the expression of one sample.

    The layouts: Roadmap's ``57epigenomes.RPKM.pc.gz`` (tabs; rows end in one more tab), any table with a header whose
    columns are separated by tabs, commas, semicolons or spaces (quoted fields allowed; R's header without a name for
    the row names, too), and two columns without a header. The separator is found in the first line.

    Args:
        path: The table, plain or gzipped.
        sample: The name of a column; None where the table has a single one.
        skip_invalid: Leave wrong lines out, counted in the record, instead of refusing the file.

    Returns:
        One value per gene. Of several lines with one gene id the first is kept.

    Raises:
        InputError: The file is damaged; there is no such sample; or a line has another number of columns, no id, or a
            value that is missing, no number, not finite or negative.
    """
    text = read_expression_text(path)
    column = choose_sample(path, text.columns, sample)
    table, bad = sample_values(text, column)
    bad.refuse(path, skip_invalid=skip_invalid)
    if table.is_empty():
        raise InputError("has no genes", file=path, cure="name a table with a row per gene")
    return _finish(path, table, bad, list(text.columns), column)


def _finish(
    path: str | os.PathLike[str], table: pl.DataFrame, bad: BadRows, samples: list[str], column: str
) -> Expression:
    kept = table.unique("id", keep="first", maintain_order=True)
    twice = table.filter(pl.col("id").is_duplicated())
    differing = twice.group_by("id").agg(pl.col("value").n_unique().alias("n")).filter(pl.col("n") > 1).height
    record: dict[str, Any] = {
        "sample": column,
        "n_records": table.height,
        "n_genes": kept.height,
        "n_duplicates": table.height - kept.height,
        "n_duplicates_differing": differing,
        "duplicate_rule": "of several lines with one gene id the first is kept",
        **bad.record(),
    }
    record["words"] = f"expression of {kept.height:,} genes in {column}"
    if record["n_duplicates"]:
        logger.warning(
            "%s: %d lines repeat a gene id (%d ids with differing values); the first line of each is kept",
            path,
            record["n_duplicates"],
            differing,
        )
    return Expression(kept.select("id", "value"), samples, record)


def choose_sample(path: str | os.PathLike[str], columns: dict[str, str], sample: str | None) -> str:
    """Return the name of the sample that is meant.

    Raises:
        InputError: The table has no such sample, or several and none was named.
    """
    if sample is None:
        if len(columns) == 1:
            return next(iter(columns))
        raise InputError(f"has {len(columns)} samples", file=path, cure=f"choose one with --sample: {_listed(columns)}")
    if sample in columns:
        return sample
    if len(columns) == 1 and UNNAMED in columns:
        logger.info("%s: has no header; its only value column is taken as %s", path, sample)
        columns[sample] = columns.pop(UNNAMED)
        return sample
    by_case = {name.lower(): name for name in columns}
    near = [by_case[name] for name in difflib.get_close_matches(sample.lower(), by_case, n=4, cutoff=0.5)]
    cure = f"did you mean {' or '.join(near)}? " if near else ""
    raise InputError(f"has no sample {sample!r}", file=path, cure=f"{cure}it has {_listed(columns)}")


def _listed(columns: dict[str, str]) -> str:
    names = list(columns)
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def read_expression_text(path: str | os.PathLike[str]) -> ExpressionText:
    """Read an expression table as text, find its header and samples, and collect lines with too many or few columns.

    Raises:
        InputError: The file is missing, empty, damaged, not text, or no table.
    """
    lines = pl.concat(list(read_lines(path)))
    if lines.is_empty():
        raise InputError("has no records, only comments or blank lines", file=path, cure="name an expression table")
    separator = _separator(lines["text"][0])
    if separator == " ":
        lines = lines.with_columns(pl.col("text").str.strip_chars().str.replace_all(r"[ \t]+", " "))
    lines, ill_quoted = settle_quotes(lines, separator)
    if lines.is_empty():
        raise InputError(ILL_QUOTED, file=path, record=ill_quoted["line"][0], cure="mend the quotes")
    lines = lines.with_columns(count_fields(pl.col("text"), separator).alias("n"))
    head, body = lines.head(1), lines.slice(1)
    names = [str(value) for value in read_fields(head.select("line", "text"), separator).row(0)[1:]]
    if len(names) > 1 and names[-1] == "":
        names.pop()
    if len(names) < 2 and not (body.height and body["n"][0] > 1):
        what = "has one column, expected gene ids and values"
        raise InputError(what, file=path, record=head["line"][0], cure="separate the columns by tabs or commas")
    has_header = not _is_number(names[1:])
    if not has_header:
        body = lines
    ends = pl.col("text").str.ends_with(separator)
    if has_header and body.height and body["n"][0] == len(names) + 1 and not body.head(1).select(ends).item():
        names = ["", *names]  # R leaves out the name of the row names
    width = len(names)
    # A separator at the end of a row (Roadmap) adds no column.
    trailing = (pl.col("n") == width + 1) & ends
    body = body.with_columns(
        n=pl.when(trailing).then(pl.col("n") - 1).otherwise(pl.col("n")),
        text=pl.when(trailing).then(pl.col("text").str.strip_suffix(separator)).otherwise(pl.col("text")),
    )
    bad = BadRows()
    bad.add(ill_quoted["line"], pl.Series([ILL_QUOTED] * ill_quoted.height, dtype=pl.String))
    wrong = body.filter(pl.col("n") != width)
    where = "the header" if has_header else "the first line"
    problem = pl.format(
        "has {} column{}, expected {} as in {}",
        "n",
        pl.when(pl.col("n") != 1).then(pl.lit("s")).otherwise(pl.lit("")),
        pl.lit(width),
        pl.lit(where),
    )
    bad.add(wrong["line"], wrong.select(problem.alias("problem"))["problem"])
    rows = read_fields(body.filter(pl.col("n") == width).select("line", "text"), separator)
    id_index, columns = _columns(names if has_header else None, width)
    return ExpressionText(rows, bad, f"column_{id_index}", columns, int(head["line"][0]) if has_header else None)


def _columns(names: Sequence[str] | None, width: int) -> tuple[int, dict[str, str]]:
    """Find the column of ids and name the others."""
    if names is None:
        named = [UNNAMED] if width == 2 else [f"column_{i + 1}" for i in range(1, width)]
        return 0, {name: f"column_{i}" for i, name in enumerate(named, 1)}
    lower = [name.lower() for name in names]
    id_index = next((lower.index(name) for name in _ID_NAMES if name in lower), 0)
    columns: dict[str, str] = {}
    for i, name in enumerate(names):
        if i != id_index:
            columns.setdefault(name, f"column_{i}")
    return id_index, columns


def sample_values(text: ExpressionText, sample: str) -> tuple[pl.DataFrame, BadRows]:
    """Turn one sample of a table into numbers.

    Returns:
        The good rows (``line``, ``id`` normalised, ``value`` float64) and the wrong ones, those of the table included.
    """
    bad = BadRows(list(text.bad.first), text.bad.count)
    if text.rows.is_empty():
        return pl.DataFrame(schema={"line": pl.Int64, "id": pl.String, "value": pl.Float64}), bad
    raw = text.rows.select("line", id=normalize_ids(pl.col(text.id_column)), text=pl.col(text.columns[sample]))
    number = pl.when(pl.col("text").str.contains(_NUMBER)).then(pl.col("text")).cast(pl.Float64)
    cell = pl.col("text")
    problem = pl.coalesce(
        pl.when(pl.col("id") == "").then(pl.lit("the gene's id is empty")),
        pl.when(cell == "").then(pl.lit(f"the value of {sample} is missing")),
        pl.when(
            cell.str.to_lowercase().is_in(["nan", "na", "n/a", "null", "none", "inf", "+inf", "-inf", "infinity"])
        ).then(pl.format("the value of {} is {}", pl.lit(sample), cell)),
        pl.when(pl.col("value").is_null()).then(pl.format("the value of {} is '{}', no number", pl.lit(sample), cell)),
        pl.when(~pl.col("value").is_finite()).then(pl.format("the value of {} is not finite", pl.lit(sample))),
        pl.when(pl.col("value") < 0).then(
            pl.format(
                "the value of {} is {}; expression cannot be negative (are these logarithms?)", pl.lit(sample), cell
            )
        ),
    )
    rows = raw.with_columns(value=number).with_columns(problem=problem)
    wrong = rows.filter(pl.col("problem").is_not_null())
    bad.add(wrong["line"], wrong["problem"])
    return rows.filter(pl.col("problem").is_null()).select("line", "id", "value"), bad


def _separator(line: str) -> str:
    """Find the separator by the first line: the first of tab, comma, semicolon, space that splits it outside quotes."""
    counts = pl.DataFrame({"t": [line.strip()]}).select(
        *[count_fields(pl.col("t"), s).alias(str(i)) for i, s in enumerate("\t,; ")]
    )
    found = [s for s, n in zip("\t,; ", counts.row(0), strict=True) if n > 1]
    return found[0] if found else "\t"


def _is_number(cells: Sequence[str]) -> bool:
    return bool(cells) and bool(pl.Series(cells, dtype=pl.String).str.contains(_NUMBER).all())
