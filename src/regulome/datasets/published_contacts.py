"""Chromoformer's published layout: a table of genes with their neighbours, and a folder of their depths."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome import storage
from regulome.errors import InputError
from regulome.genome.genes import normalize_ids
from regulome.genome.region_bins import Regions
from regulome.genome.text import BadRows, count_fields, read_fields, read_lines, settle_quotes
from regulome.progress import progress

logger = logging.getLogger(__name__)

#: The marks of the published files, in the order of their rows.
MARKS = ("H3K4me1", "H3K4me3", "H3K9me3", "H3K27me3", "H3K36me3", "H3K27ac", "H3K9ac")
_NEEDED = ("gene_id", "expression", "chrom", "start", "strand", "neighbors", "scores")
_REGION = r"^(.+):([0-9]{1,10})-([0-9]{1,10})$"
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


def read_gene_table(
    path: str | os.PathLike[str], sample: str | None, *, max_region: int, skip_invalid: bool
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, Any]]:
    """Read the published table of genes: CSV with a header, columns in any order.

    Args:
        path: The table, plain or gzipped: ``gene_id, expression, chrom, start`` (0-based start site), ``strand``,
            ``neighbors`` (``chrom:start-end`` joined by ``;``), ``scores``; ``eid``, ``label`` and ``split`` may lack.
        sample: Which ``eid``; None where the table has one.
        max_region: Neighbours may be so many bases long.
        skip_invalid: Leave out wrong genes and neighbours.

    Returns:
        Genes (``id, chrom, tss, strand, expression, label, fold``), contacts (``example, chrom, start, end, score``, in
        the order of the table), and the record for a dataset.

    Raises:
        InputError: A column is missing, or a row is wrong, or a gene comes twice.
    """
    text, bad = _columns(path)
    text = _of_sample(text, sample, path)
    genes = text.select(
        "line",
        id=normalize_ids(pl.col("gene_id")),
        chrom="chrom",
        tss=pl.when(pl.col("start").str.contains(r"^[0-9]{1,10}$")).then(pl.col("start")).cast(pl.Int64),
        strand="strand",
        expression=_number("expression"),
        label=_number("label") if "label" in text.columns else pl.lit(None, pl.Float64),
        fold=(pl.col("split") if "split" in text.columns else pl.lit(None, pl.String)).cast(pl.Int64, strict=False),
        neighbors=_list("neighbors"),
        scores=_list("scores"),
        start_text="start",
        expression_text="expression",
    )
    labelled = pl.lit("label" in text.columns)
    problem = pl.coalesce(
        pl.when(pl.col("id") == "").then(pl.lit("the gene's id is empty")),
        pl.when(pl.col("chrom") == "").then(pl.lit("the chromosome is empty")),
        pl.when(pl.col("tss").is_null()).then(pl.format("start '{}' is not a whole number ≥ 0", "start_text")),
        pl.when(~pl.col("strand").is_in(["+", "-"])).then(pl.format("strand '{}' is not + or -", "strand")),
        pl.when(pl.col("expression").is_null()).then(
            pl.format("expression '{}' is no finite number", "expression_text")
        ),
        pl.when(labelled & ~pl.col("label").is_in([0.0, 1.0]).fill_null(False)).then(pl.lit("the label is not 0 or 1")),
        pl.when(pl.col("neighbors").list.len() != pl.col("scores").list.len()).then(
            pl.format("{} neighbours, but {} scores", pl.col("neighbors").list.len(), pl.col("scores").list.len())
        ),
        pl.when(pl.col("id").is_duplicated() & ~pl.col("id").is_first_distinct()).then(
            pl.format("the gene {} comes twice in one cell", "id")
        ),
    )
    genes = genes.with_columns(problem=problem)
    wrong = genes.filter(pl.col("problem").is_not_null())
    bad.add(wrong["line"], wrong["problem"])
    genes = genes.filter(pl.col("problem").is_null()).with_row_index("example")
    contacts, wrong = _contacts(genes, max_region)
    bad.add(wrong["line"], wrong["problem"])
    bad.refuse(path, skip_invalid=skip_invalid)
    if genes.is_empty():
        raise InputError("has no genes", file=path, cure="name the published table of genes")
    record = {"n_records": genes.height, "n_neighbors": contacts.height, **bad.record()}
    return genes.select("id", "chrom", "tss", "strand", "expression", "label", "fold"), contacts, record


def _columns(path: str | os.PathLike[str]) -> tuple[pl.DataFrame, BadRows]:
    """Name the columns of the table by its header, as text."""
    lines = pl.concat([pl.DataFrame(schema={"line": pl.Int64, "text": pl.String}), *read_lines(path)])
    lines, ill_quoted = settle_quotes(lines, ",")
    if lines.is_empty():
        raise InputError("has no rows", file=path, cure="name the published table of genes")
    lines = lines.with_columns(n=count_fields(pl.col("text"), ","))
    n = lines["n"][0]
    bad = BadRows()
    bad.add(ill_quoted["line"], pl.Series(["has a stray quote"] * ill_quoted.height, dtype=pl.String))
    ragged = lines.filter(pl.col("n") != n)
    bad.add(ragged["line"], ragged.select(p=pl.format(f"has {{}} columns, the header has {n}", "n"))["p"])
    fields = read_fields(lines.filter(pl.col("n") == n).select("line", "text"), ",")
    header = [str(name) for name in fields.row(0)[1:]]
    missing = [name for name in _NEEDED if name not in header]
    if missing or len(set(header)) < len(header):
        problem = f"has no column {', '.join(missing)}" if missing else "has a column twice"
        cure = f"the published table has {', '.join(_NEEDED)}, and may have eid, label, split"
        raise InputError(problem, file=path, record=fields["line"][0], cure=cure)
    return fields.slice(1).rename({f"column_{i}": name for i, name in enumerate(header)}), bad


def _of_sample(text: pl.DataFrame, sample: str | None, path: str | os.PathLike[str]) -> pl.DataFrame:
    if "eid" not in text.columns:
        if sample is not None:
            raise InputError("has no column eid to choose a sample by", file=path, cure="leave --sample out")
        return text
    cells = text["eid"].unique(maintain_order=True).to_list()
    if sample is None and len(cells) > 1:
        raise InputError(f"has {len(cells)} cells", file=path, cure=f"choose one with --sample: {', '.join(cells)}")
    if sample is not None and sample not in cells:
        raise InputError(f"has no cell {sample!r}", file=path, cure=f"it has {', '.join(cells)}")
    return text if sample is None else text.filter(pl.col("eid") == sample)


def _number(name: str) -> pl.Expr:
    number = pl.when(pl.col(name).str.contains(_NUMBER)).then(pl.col(name)).cast(pl.Float64)
    return pl.when(number.is_finite()).then(number)


def _list(name: str) -> pl.Expr:
    """Split what ``;`` joins; nothing, or pandas' word for it, is no neighbour at all."""
    cell = pl.col(name).str.strip_chars_end(";")
    empty = cell.str.to_lowercase().is_in(["", "nan", "none"])
    return pl.when(empty).then(pl.lit([], pl.List(pl.String))).otherwise(cell.str.split(";"))


def _contacts(genes: pl.DataFrame, max_region: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give each neighbour of each gene a row; the wrong ones, with what is wrong, apart."""
    some = genes.filter(pl.col("neighbors").list.len() > 0)
    rows = some.select("example", "line", "neighbors", "scores").explode("neighbors", "scores")
    name, score = pl.col("neighbors").str.strip_chars(), pl.col("scores").str.strip_chars()
    rows = rows.select(
        "example",
        "line",
        chrom=name.str.extract(_REGION, 1),
        start=name.str.extract(_REGION, 2).cast(pl.Int64),
        end=name.str.extract(_REGION, 3).cast(pl.Int64),
        score=pl.when(score.str.contains(_NUMBER)).then(score).cast(pl.Float64),
        name=name,
        score_text=score,
    )
    long = pl.format(f"the neighbour {{}} is {{}} bases long, at most {max_region} are allowed", "name",
                     pl.col("end") - pl.col("start"))  # fmt: skip
    problem = pl.coalesce(
        pl.when(pl.col("chrom").is_null()).then(pl.format("the neighbour '{}' is not CHROM:START-END", "name")),
        pl.when(pl.col("start") >= pl.col("end")).then(
            pl.format("the neighbour {} does not begin before its end", "name")
        ),
        pl.when(~pl.col("score").is_finite().fill_null(False)).then(
            pl.format("the score '{}' is no finite number", "score_text")
        ),
        pl.when(pl.col("end") - pl.col("start") > max_region).then(long),
    )
    rows = rows.with_columns(problem=problem)
    good = pl.col("problem").is_null()
    return rows.filter(good).select("example", "chrom", "start", "end", "score"), rows.filter(~good)


class DepthFolder:
    """A folder of ``chrom:start-end.npy``: read depth, ``[marks, bases]``.

    Args:
        path: The folder.
        marks: Names of the rows; empty takes the published seven.

    Attributes:
        marks: Names of the rows.
    """

    def __init__(self, path: str | os.PathLike[str], marks: Sequence[str] = ()) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise InputError("no such folder", file=self.path, cure="name the folder of .npy files")
        self.marks = list(marks) or list(MARKS)

    def find(self, regions: Regions) -> list[tuple[Path, int] | None]:
        """Return for each region its file and how many of its bases lie before the file's; None where none is there.

        The file of a region that begins before its chromosome may be named by the part inside of it.
        """
        found: list[tuple[Path, int] | None] = []
        here = {file.name for file in self.path.iterdir()}
        columns = (regions.codes.tolist(), regions.starts.tolist(), regions.ends.tolist())
        for code, start, end in zip(*columns, strict=True):
            chrom = regions.chromosomes[code]
            names = {f"{chrom}:{start}-{end}.npy": 0, f"{chrom}:{max(start, 0)}-{end}.npy": max(-start, 0)}
            name = next((name for name in names if name in here), None)
            found.append(None if name is None else (self.path / name, names[name]))
        return found

    def fill(
        self, regions: Regions, files: Sequence[tuple[Path, int] | None], signals: Mapping[int, npt.NDArray[Any]]
    ) -> None:
        """Put the mean depths of all bins into the signals of each width; one region at a time.

        Raises:
            InputError: A file is damaged, or does not hold the depths of its region.
        """
        fine = int(np.gcd.reduce(list(signals)))
        offsets = {width: regions.offsets(width) for width in signals}
        with progress("reading depths", len(files), "regions") as advance:
            for i, file in enumerate(files):
                if file is not None:
                    length = int(regions.lengths[i])
                    sums = np.add.reduceat(self._read(*file, length), np.arange(0, length, fine), axis=1)
                    for width, signal in signals.items():
                        begins = np.arange(0, length, width)
                        totals = np.add.reduceat(sums, begins // fine, axis=1)
                        rows = slice(int(offsets[width][i]), int(offsets[width][i + 1]))
                        signal[rows] = (totals / np.minimum(width, length - begins)).T
                advance(1)

    def _read(self, file: Path, before: int, length: int) -> npt.NDArray[np.float64]:
        """Read the depths of a region, 0 where it leaves its chromosome."""
        cure = "copy it again, or make it again"
        try:
            depth = np.load(file, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise InputError(f"is truncated or no .npy array: {error}", file=file, cure=cure) from None
        if depth.ndim != 2 or depth.dtype.kind not in "fiu" or len(depth) != len(self.marks):
            problem = f"holds {list(depth.shape)} of {depth.dtype}, expected {len(self.marks)} marks × bases"
            raise InputError(problem, file=file, cure="name the marks in the order of its rows: --marks A,B")
        if depth.shape[1] != length - before:
            problem = f"has depths of {depth.shape[1]:,} bases, its name says {length - before:,}"
            raise InputError(problem, file=file, cure=cure)
        depth = depth.astype(np.float64)
        if not np.isfinite(depth).all():
            problem = "has a depth that is infinite or no number: float16 holds at most 65,504"
            raise InputError(problem, file=file, cure="make it again as float32")
        if depth.min() < 0:
            raise InputError("has a depth below 0", file=file, cure="give depths, not their logarithms")
        return np.pad(depth, ((0, 0), (before, 0))) if before else depth


def tell_missing(
    numbers: npt.NDArray[np.int64], regions: Regions, folder: Path, *, what: str, skip_invalid: bool
) -> None:
    """Refuse regions that have no file in the folder, or say that they are left out.

    Raises:
        InputError: There are some, and they may not be left out.
    """
    if not len(numbers):
        return
    i = numbers[0]
    name = f"{regions.chromosomes[regions.codes[i]]}:{regions.starts[i]}-{regions.ends[i]}.npy"
    problem = f"{len(numbers):,} {what} have no depths, the first is {name}"
    if not skip_invalid:
        raise InputError(problem, file=folder, cure="complete the folder, or leave them out with --skip-invalid")
    logger.warning("%s: %s; left out", folder, problem)


def gene_table_source(path: str | os.PathLike[str], record: dict[str, Any]) -> dict[str, Any]:
    """Return what the dataset's manifest says of the table."""
    return {"role": "genes", **storage.source(path), **record}
