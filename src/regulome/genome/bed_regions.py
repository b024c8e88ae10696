"""Regions of BED files on a genome, piece by piece, in file order and with their names."""

from __future__ import annotations

import os
from collections.abc import Iterator

import polars as pl

from regulome.errors import InputError
from regulome.genome.sequence import Genome
from regulome.genome.text import BadRows, read_lines

#: Bytes of text read at a time.
_PIECE = 1 << 22
_WHOLE = r"^[0-9]{1,10}$"
SCHEMA = {"chrom": pl.String, "start": pl.Int64, "end": pl.Int64, "name": pl.String, "strand": pl.String}


class BedRegions:
    """A BED file (or narrowPeak, broadPeak), to be iterated over as often as needed.

    A row is wrong when it has fewer than three columns, its start or end is no whole number, it is empty, its
    chromosome is not in the genome, or it ends beyond the chromosome.

    Args:
        path: The file, plain or gzip.
        genome: The genome on which it lies; ``chr20`` = ``20``.
        skip_invalid: Leave wrong rows out and count them instead of refusing the file.

    Attributes:
        invalid: The wrong rows of the latest iteration.
        rows: The others.
    """

    def __init__(self, path: str | os.PathLike[str], genome: Genome, *, skip_invalid: bool = False) -> None:
        self.path = path
        self.genome = genome
        self.skip_invalid = skip_invalid
        self.invalid = BadRows()
        self.rows = 0
        self._codes: dict[str, int] = {}

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Iterate over the rows.

        Yields:
            Tables with ``chrom, start, end, name, strand`` as they came (name ``.`` and strand ``.`` where there is
            none) and ``code``, the index of the chromosome in the genome.

        Raises:
            InputError: The file cannot be read, or at its end: it has wrong rows, or none.
        """
        self.invalid, self.rows = BadRows(), 0
        separator = ""
        for lines in read_lines(self.path, _PIECE):
            lines = lines.filter(~pl.col("text").str.contains(r"^(track|browser)(\s|$)"))
            if lines.is_empty():
                continue
            separator = separator or ("\t" if "\t" in lines["text"][0] else " ")
            table = self._read(lines, separator)
            wrong = table.filter(pl.col("problem").is_not_null())
            if len(wrong):
                self.invalid.add(wrong["line"], wrong["problem"])
            table = table.filter(pl.col("problem").is_null()).select(*SCHEMA, "code")
            self.rows += len(table)
            yield table
        self.invalid.refuse(self.path, skip_invalid=self.skip_invalid)
        if not self.rows:
            raise InputError("has no valid row" if self.invalid.count else "has no rows", file=self.path)

    def _read(self, lines: pl.DataFrame, separator: str) -> pl.DataFrame:
        text = pl.col("text") if separator == "\t" else pl.col("text").str.strip_chars().str.replace_all(r"\s+", " ")
        table = lines.with_columns(text.str.split(separator).alias("fields"))

        def cell(index: int) -> pl.Expr:
            return pl.col("fields").list.get(index, null_on_oob=True)

        def whole(index: int) -> pl.Expr:
            return pl.when(cell(index).str.contains(_WHOLE)).then(cell(index)).cast(pl.Int64)

        table = table.select(
            "line", chrom=cell(0), start=whole(1), end=whole(2), name=cell(3).fill_null("."),
            strand=pl.when(cell(5).is_in(["+", "-"])).then(cell(5)).otherwise(pl.lit(".")),
            first=cell(1), last=cell(2),
        )  # fmt: skip
        for name in table["chrom"].unique().to_list():
            if name not in self._codes:
                self._codes[name] = self._code(name)
        code = pl.col("chrom").replace_strict(self._codes, return_dtype=pl.Int32)
        sizes = dict(enumerate(self.genome.lengths.values())) | {-1: -1}
        table = table.with_columns(code=code).with_columns(
            size=pl.col("code").replace_strict(sizes, return_dtype=pl.Int64)
        )
        number = "'{}' is not a whole number"
        problem = pl.coalesce(
            pl.when(pl.col("last").is_null()).then(pl.lit("has fewer than three columns")),
            pl.when(pl.col("start").is_null()).then(pl.format(f"start {number}", "first")),
            pl.when(pl.col("end").is_null()).then(pl.format(f"end {number}", "last")),
            pl.when(pl.col("start") >= pl.col("end")).then(pl.format("start {} is not before end {}", "start", "end")),
            pl.when(pl.col("code") < 0).then(pl.format("chromosome {} is not in the genome", "chrom")),
            pl.when(pl.col("end") > pl.col("size")).then(
                pl.format("end {} is beyond the end of {} at {}; another assembly?", "end", "chrom", "size")
            ),
        )
        return table.with_columns(problem=problem)

    def _code(self, name: str) -> int:
        try:
            return self.genome.find(name)
        except InputError:
            return -1
