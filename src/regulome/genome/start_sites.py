"""Start sites of genes from plain files: BED with ids as names, or a table with a header."""

from __future__ import annotations

import os
from collections.abc import Sequence

import polars as pl

from regulome.errors import InputError
from regulome.genome.text import ILL_QUOTED, BadRows, count_fields, read_fields, read_lines, settle_quotes

#: What the columns of a table may be called; the first spelling is ours.
_NAMES = {
    "id": ("id", "gene_id", "gene", "geneid", "ensembl_id", "ensembl_gene_id"),
    "chrom": ("chrom", "chr", "chromosome", "seqname", "#chrom"),
    "tss": ("tss", "position", "pos"),
    "start": ("start", "chromstart", "chrom_start"),
    "end": ("end", "chromend", "chrom_end", "stop"),
    "strand": ("strand",),
    "symbol": ("symbol", "gene_name", "gene_symbol", "name"),
    "biotype": ("biotype", "gene_type", "gene_biotype"),
}
_INTEGER = r"^[0-9]{1,12}$"
_BED = ("chrom", "start", "end", "id", "score", "strand")


def read_start_sites(path: str | os.PathLike[str]) -> tuple[pl.DataFrame, BadRows, str]:
    """Read one start site per row.

    Two layouts, both 0-based:

    * BED with at least 4 columns, no header: the name is the gene's id; with a strand in column 6 the start site is
      ``start`` on + and ``end - 1`` on -; without a strand an interval must be one base wide.
    * A table with a header, separated by tabs, commas or semicolons, with the columns ``id`` (or ``gene_id``),
      ``chrom``, ``strand`` (optional) and either ``tss`` (or ``position``: **0-based**) or ``start`` and ``end`` as in
      BED; ``symbol`` and ``biotype`` where there are any.

    Args:
        path: The file, plain or gzipped.

    Returns:
        The rows (``line``, ``id``, ``symbol``, ``chrom``, ``tss``, ``strand``, ``biotype``), the wrong lines, and where
        the start site was taken from, in words.

    Raises:
        InputError: The file is missing, empty, damaged, not text, or has no such layout.
    """
    lines = pl.concat(list(read_lines(path)))
    lines = lines.filter(~pl.col("text").str.contains(r"^(track|browser)\s"))
    if lines.is_empty():
        raise InputError("has no records, only comments or blank lines", file=path, cure="name a file with genes")
    table, bad = _table(lines, path)
    sites = table.with_columns(_checked(table.columns)).with_columns(problem=_row_problem(table.columns))
    wrong = sites.filter(pl.col("problem").is_not_null())
    bad.add(wrong["line"], wrong["problem"])
    sites = sites.filter(pl.col("problem").is_null())
    strand = pl.col("strand")
    if "tss" in table.columns:
        rule = "the 0-based position in the table"
        tss = pl.col("tss")
    else:
        rule = "the 5' end of the interval (start on +, end - 1 on -; the base itself without a strand)"
        tss = pl.when(strand == "-").then(pl.col("end") - 1).otherwise(pl.col("start"))
    absent = [pl.lit(None, dtype=pl.String).alias(n) for n in ("symbol", "biotype") if n not in table.columns]
    sites = sites.with_columns(*absent, tss=tss.cast(pl.Int64))
    return sites.select("line", "id", "symbol", "chrom", "tss", "strand", "biotype"), bad, rule


def _table(lines: pl.DataFrame, path: str | os.PathLike[str]) -> tuple[pl.DataFrame, BadRows]:
    """Split the lines and name the columns; lines with another number of columns than the first are wrong."""
    first = lines["text"][0]
    separator = max("\t,; ", key=lambda s: (min(first.count(s), 2), "\t,; "[::-1].index(s)))
    lines, ill_quoted = settle_quotes(lines, separator)
    if lines.is_empty():
        raise InputError(ILL_QUOTED, file=path, record=ill_quoted["line"][0], cure="mend the quotes")
    n = count_fields(pl.col("text"), separator)
    lines = lines.with_columns(n.alias("n"))
    expected = lines["n"][0]
    ragged = lines.filter(pl.col("n") != expected)
    bad = BadRows()
    bad.add(ill_quoted["line"], pl.Series([ILL_QUOTED] * ill_quoted.height, dtype=pl.String))
    problem = pl.format("has {} columns, line {} has {}", "n", pl.lit(lines["line"][0]), pl.lit(expected))
    bad.add(ragged["line"], ragged.select(problem.alias("p"))["p"])
    fields = read_fields(lines.filter(pl.col("n") == expected), separator)
    cells = [str(value) for value in fields.row(0)[1:]]
    if len(cells) >= 3 and cells[1].isdigit() and cells[2].isdigit():
        if len(cells) < 4:
            few = f"has {len(cells)} columns, expected at least 4: chrom, start, end, gene id"
            raise InputError(few, file=path, record=fields["line"][0], cure="give each start site its gene's id")
        named = fields.rename({f"column_{i}": name for i, name in enumerate(_BED[: len(cells)])})
        return named.select("line", *_BED[: min(len(cells), 6)]), bad
    return _named(fields, cells, path), bad


def _named(fields: pl.DataFrame, header: Sequence[str], path: str | os.PathLike[str]) -> pl.DataFrame:
    """Name the columns of a table by its header."""
    lower = [cell.lower() for cell in header]
    found = {ours: lower.index(name) for ours, names in _NAMES.items() for name in reversed(names) if name in lower}
    if "id" not in found and "symbol" in found:
        found["id"] = found["symbol"]
    missing = [name for name in ("id", "chrom") if name not in found]
    if "tss" not in found and not {"start", "end"} <= set(found):
        missing.append("tss")
    if missing:
        shown = ", ".join(header[:8]) + (", …" if len(header) > 8 else "")
        raise InputError(
            f"no column {' and no column '.join(missing)}; it begins with: {shown}",
            file=path,
            record=fields["line"][0],
            cure="give a GTF, a BED with ids in column 4, or a table with the columns id, chrom, tss, strand",
        )
    if "tss" in found:
        found = {name: i for name, i in found.items() if name not in ("start", "end")}
    return fields.slice(1).select("line", *[pl.col(f"column_{i}").alias(name) for name, i in found.items()])


def _checked(columns: Sequence[str]) -> list[pl.Expr]:
    """Give numbers as numbers (null where they are none) beside the text that was read."""
    numbers = [name for name in ("start", "end", "tss") if name in columns]
    strand = pl.col("strand") if "strand" in columns else pl.lit(".")
    return [
        *[pl.col(name).alias(f"{name}_text") for name in numbers],
        *[pl.when(pl.col(n).str.contains(_INTEGER)).then(pl.col(n)).cast(pl.Int64).alias(n) for n in numbers],
        pl.when(strand == "").then(pl.lit(".")).otherwise(strand).alias("strand"),
    ]


def _row_problem(columns: Sequence[str]) -> pl.Expr:
    """Tell what is wrong with a row; null where it is good."""
    numbers = [name for name in ("start", "end", "tss") if name in columns]
    cases = [
        pl.when(pl.col(n).is_null()).then(pl.format(f"'{{}}' in column {n} is not a whole number ≥ 0", f"{n}_text"))
        for n in numbers
    ]
    cases.append(pl.when(pl.col("id") == "").then(pl.lit("the gene's id is empty")))
    cases.append(pl.when(pl.col("chrom") == "").then(pl.lit("the chromosome is empty")))
    strand = pl.col("strand")
    cases.append(pl.when(~strand.is_in(["+", "-", "."])).then(pl.format("strand '{}' is not +, - or .", strand)))
    if "tss" not in columns:
        width = pl.col("end") - pl.col("start")
        cases.append(pl.when(width <= 0).then(pl.format("start {} is not before end {}", "start", "end")))
        unknown = pl.format("an interval of {} bases without a strand has no 5' end", width)
        cases.append(pl.when((strand == ".") & (width > 1)).then(unknown))
    return pl.coalesce(*cases)
