"""Gene and transcript records of GTF files (GENCODE, Ensembl, UCSC), plain or gzipped."""

from __future__ import annotations

import os
from dataclasses import dataclass

import polars as pl

from regulome.errors import InputError
from regulome.genome.text import BadRows, count_fields, read_lines

_COLUMNS = ("chrom", "source", "feature", "start", "end", "score", "strand", "frame", "attributes")
#: The first eight columns and the beginning of the ninth: 1-based start and end as whole numbers, a strand, attributes.
_GOOD = r"^[^\t]+\t[^\t]*\t[^\t]+\t[0-9]{1,12}\t[0-9]{1,12}\t[^\t]*\t[-+.?]\t[^\t]*\t[^\t]"
#: What a transcript's tags say about it, the most trusted first.
CANONICAL_TAGS = ("Ensembl_canonical", "MANE_Select", "appris_principal", "basic")


@dataclass(frozen=True)
class Gtf:
    """The gene and transcript records of a GTF file.

    Attributes:
        records: One row per record: ``line`` (1-based), ``feature`` (gene or transcript), ``chrom``, ``start`` and
            ``end`` (int64, 0-based, half-open), ``strand``, ``gene_id`` (as written), ``symbol``, ``biotype`` (null
            where the file has none), ``tag`` (index of the best of ``CANONICAL_TAGS``; null where it has none).
        bad: The lines that are no valid GTF.
        n_lines: How many lines there are, without comments.
        features: The names of all features in the file, sorted.
    """

    records: pl.DataFrame
    bad: BadRows
    n_lines: int
    features: tuple[str, ...]


def read_gtf(path: str | os.PathLike[str]) -> Gtf:
    """Read the gene and transcript records of a GTF file in one pass, in bounded memory.

    Positions become 0-based and half-open here. Wrong lines are collected in ``bad`` for the caller to judge.

    Args:
        path: GTF, plain or gzipped.

    Raises:
        InputError: The file is missing, empty, damaged, not text, or GFF3 instead of GTF.
    """
    bad, tables, n_lines, features = BadRows(), [], 0, set[str]()
    for lines in read_lines(path):
        good = (pl.col("text").str.count_matches("\t", literal=True) == 8) & pl.col("text").str.contains(_GOOD)
        parsed, wrong = lines.filter(good), lines.filter(~good)
        if not wrong.is_empty():
            wrong = wrong.with_columns(_problem())
            bad.add(wrong["line"], wrong["problem"])
        n_lines += lines.height
        feature = pl.col("text").str.extract(r"^[^\t]*\t[^\t]*\t([^\t]+)")
        parsed = parsed.with_columns(feature=feature)
        features.update(parsed["feature"].unique().to_list())
        table = _records(parsed.filter(pl.col("feature").is_in(["gene", "transcript"])))
        wrong = table.filter(pl.col("problem").is_not_null())
        if not wrong.is_empty():
            if wrong["attributes"].str.contains(r"(^|;)\s*(gene_id|ID)=").all():
                cure = "convert it, for example with `gffread -T`, or download the GTF"
                raise InputError("is GFF3, expected GTF", file=path, record=wrong["line"][0], cure=cure)
            bad.add(wrong["line"], wrong["problem"])
        tables.append(table.filter(pl.col("problem").is_null()).drop("problem", "attributes"))
    if not n_lines:
        raise InputError("has no records, only comments or blank lines", file=path, cure="name a file with genes")
    return Gtf(pl.concat(tables), bad, n_lines, tuple(sorted(features)))


def _problem() -> pl.Expr:
    """Tell what is wrong with a line that is no GTF."""
    fields = pl.col("text").str.split("\t")
    n = count_fields(pl.col("text").str.replace_all('"', ""), "\t")

    def cell(index: int) -> pl.Expr:
        return fields.list.get(index, null_on_oob=True).fill_null("")

    def number(index: int) -> pl.Expr:
        what = pl.format(
            "'{}' in column {} ({}) is not a whole number", cell(index), index + 1, pl.lit(_COLUMNS[index])
        )
        return pl.when(~cell(index).str.contains(r"^[0-9]{1,12}$")).then(what)

    columns = pl.format(
        "has {} column{}, expected 9 separated by tabs", n, pl.when(n != 1).then(pl.lit("s")).otherwise(pl.lit(""))
    )
    strand = pl.format("'{}' in column 7 (strand) is not + or -", cell(6))
    return pl.coalesce(
        pl.when(n != 9).then(columns),
        number(3),
        number(4),
        pl.when(~cell(6).str.contains(r"^[-+.?]$")).then(strand),
        pl.lit("the chromosome, the feature or the attributes are empty"),
    ).alias("problem")


def _attribute(name: str) -> pl.Expr:
    return pl.col("attributes").str.extract(rf'(?:^|[;\s]){name}\s+"?([^";]+)')


def _records(lines: pl.DataFrame) -> pl.DataFrame:
    """Turn lines of GTF into records; ``problem`` is null where a record is good."""
    table = lines.with_columns(pl.col("text").str.split_exact("\t", 8).struct.rename_fields(list(_COLUMNS)).alias("f"))
    table = table.select("line", pl.col("f").struct.field("*"))
    tags = [
        pl.when(pl.col("attributes").str.contains(rf'tag\s+"?{tag}')).then(pl.lit(rank, dtype=pl.Int8))
        for rank, tag in enumerate(CANONICAL_TAGS)
    ]
    start, end = pl.col("start").cast(pl.Int64), pl.col("end").cast(pl.Int64)
    table = table.select(
        "line",
        "feature",
        "chrom",
        start.alias("start") - 1,
        end.alias("end"),
        "strand",
        gene_id=_attribute("gene_id"),
        symbol=pl.coalesce(_attribute("gene_name"), _attribute("gene")),
        biotype=pl.coalesce(_attribute("gene_type"), _attribute("gene_biotype")),
        tag=pl.coalesce(*tags),
        attributes="attributes",
    )
    problem = pl.coalesce(
        pl.when(pl.col("start") < 0).then(pl.lit("start 0: positions in GTF begin at 1")),
        pl.when(pl.col("start") >= pl.col("end")).then(
            pl.format("start {} is after end {}", pl.col("start") + 1, pl.col("end"))
        ),
        pl.when(pl.col("gene_id").is_null()).then(pl.lit('column 9 has no gene_id "…"')),
        pl.when(~pl.col("strand").is_in(["+", "-"])).then(
            pl.format("{} {} has strand '{}', so it has no 5' end", "feature", "gene_id", "strand")
        ),
    )
    return table.with_columns(problem=problem)
