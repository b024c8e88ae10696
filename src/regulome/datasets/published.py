"""Turn published tables into a dataset: DeepChrome's (also AttentiveChrome's copy of them) and DeepDiff's."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from regulome import storage
from regulome.datasets.dataset import Dataset, open_dataset
from regulome.datasets.manifest import Task
from regulome.datasets.published_genes import Path, regions, with_expression
from regulome.datasets.published_layouts import DEEPCHROME_MARKS, LAYOUTS, Layout
from regulome.datasets.published_tables import count_genes, read_table
from regulome.datasets.writer import write_dataset
from regulome.errors import InputError, blame
from regulome.genome.expression import Expression, read_expression
from regulome.genome.genes import read_genes
from regulome.genome.targets import make_target
from regulome.progress import progress

logger = logging.getLogger(__name__)

#: Base pairs per bin of all published tables.
BIN_SIZE = 100


def prepare_published(
    layout: str,
    train: Path | None,
    valid: Path | None,
    test: Path | None,
    out: Path,
    *,
    marks: Sequence[str] | None = None,
    expression: Path | None = None,
    sample: str | None = None,
    target: str = "median",
    genes: Path | None = None,
    bins: str | None = None,
    skip_invalid: bool = False,
    overwrite: bool = False,
) -> Dataset:
    """Read published tables (CSV, plain or gzipped) and write a dataset with their own split.

    Layouts:

    * ``"deepchrome"``: ``id,bin,count × M,label``, 100 rows per gene (Singh et al. 2016). Any number of marks; five
      are taken as DeepChrome's H3K27me3, H3K36me3, H3K4me1, H3K4me3, H3K9me3.
    * ``"deepdiff"``: ``ID_SYMBOL_BIN,count × 5``, 200 rows per gene, no label (Sekhon et al. 2018). The marks, in the
      files H3K4me1, H3K4me3, H3K9me3, H3K27me3, H3K36me3, are put into DeepChrome's order, and the label is made of
      ``expression``: for ``"median"``, 1 where the gene is at or above the median of the whole table.

    A gene that is repeated with the same values in one table is taken once and said (DeepChrome's tables have seven,
    Ensembl genes with two symbols). Where the genes lie is not in these tables; unless ``genes`` says it, ``chrom`` is
    ``"."``, ``start`` and ``end`` are -1, ``strand`` is ``"."``.

    Args:
        layout: ``"deepchrome"`` or ``"deepdiff"``.
        train: Table of the training genes; None where there is none, as for the others.
        valid: Table of the validation genes.
        test: Table of the test genes.
        out: The dataset folder to make.
        marks: Names of the marks in the order of the columns, for ``"deepchrome"``.
        expression: Expression table, for ``"deepdiff"``.
        sample: Its column.
        target: What to predict, for ``"deepdiff"``; see :func:`regulome.genome.targets.make_target`.
        genes: Annotation with the same gene ids (GTF, BED or TSV), for splits by chromosome; see
            :func:`regulome.genome.genes.read_genes`.
        bins: ``"FIRST:END"``: keep these bins, counted from 0, END not included; ``"50:150"`` keeps the middle 100 of
            200, which is DeepChrome's window.
        skip_invalid: Leave out genes without expression, and later copies of a gene that differ or are in another
            table.
        overwrite: Replace an existing dataset.

    Raises:
        InputError: A file is missing, damaged or not of the layout (with the line), a gene occurs twice, or genes have
            no expression.
    """
    if layout not in LAYOUTS:
        raise InputError(f"unknown layout {layout!r}", cure=f"give one of {', '.join(LAYOUTS)}")
    form = LAYOUTS[layout]
    tables = {
        part: storage.existing_file(file)
        for part, file in (("train", train), ("valid", valid), ("test", test))
        if file is not None
    }
    if not tables:
        raise InputError("no table was given", cure="give --train, --valid and --test")
    storage.check_target(out, overwrite=overwrite)
    columns = _mark_names(form, tables, marks)
    chosen = _slice(bins, form.bins)
    levels = _expression(form, expression, sample, skip_invalid)
    places = None if genes is None else read_genes(genes, biotype=None, skip_invalid=skip_invalid)
    with blame(expression):
        task: Task = "classification" if levels is None else make_target(levels.table["value"], target).task
    names = list(DEEPCHROME_MARKS) if set(columns) == set(DEEPCHROME_MARKS) else columns

    with write_dataset(out, line="expression", task=task, overwrite=overwrite) as writer:
        array = writer.add_input(
            "marks",
            axes=["example", "mark", "bin"],
            shape=(sum(count_genes(file, form) for file in tables.values()), len(names), chosen.stop - chosen.start),
            dtype=np.float32,
            mark=names,
            bin_size=BIN_SIZE,
            unit="reads",
        )
        found = _read(tables, form, array, [columns.index(name) for name in names], chosen)
        kept = _distinct(found, array, tables, skip_invalid)
        if levels is None:
            labels, rule = kept["label"].to_numpy(), {"rule": "the label of the published table"}
            if labels.min() == labels.max():
                problem = f"all {len(labels):,} genes have the label {labels[0]:g}"
                raise InputError(problem, file=next(iter(tables.values())), cure="give tables with both labels")
        else:
            kept = with_expression(kept, levels, tables, skip_invalid)
            with blame(expression):
                made = make_target(kept["expression"], target, reference=levels.table["value"])
            labels, rule = made.values, made.record
        writer.narrow("marks", kept["row"].to_numpy())
        offset = (chosen.start - form.bins // 2) * BIN_SIZE
        width = (chosen.stop - chosen.start) * BIN_SIZE
        writer.set_regions(regions(kept, places, offset=offset, width=width))
        writer.set_targets(labels[:, None], ["expression"], rule)
        writer.sources += [{"role": part, **storage.source(file)} for part, file in tables.items()]
        if levels is not None and expression is not None:
            writer.sources.append({"role": "expression", **storage.source(expression), **levels.record})
        if places is not None and genes is not None:
            writer.sources.append({"role": "genes", **storage.source(genes), **places.record})
        writer.parameters.update(
            published=layout,
            bins=[chosen.start, chosen.stop],
            window=width,
            bin=BIN_SIZE,
            mark_columns=columns,
            genes_read=found.height,
            genes_left_out=found.height - kept.height,
        )
    return open_dataset(out)


def _mark_names(layout: Layout, tables: Mapping[str, Path], marks: Sequence[str] | None) -> list[str]:
    """Name the count columns in the order of the files."""
    counts = {file: layout.count_marks(file) for file in tables.values()}
    (first, number), *others = counts.items()
    for file, other in others:
        if other != number:
            raise InputError(f"has {other} marks, {first} has {number}", file=file, cure="give tables of one study")
    if layout.marks is not None:
        if marks is not None:
            raise InputError(f"the layout {layout.name!r} names its own marks", cure="leave --marks out")
        return list(layout.marks)
    if marks is None:
        if number != len(DEEPCHROME_MARKS):
            raise InputError(
                f"has {number} marks", file=first, cure="name them in the order of the columns: --marks A,B"
            )
        return list(DEEPCHROME_MARKS)
    twice = [name for name in marks if list(marks).count(name) > 1]
    if twice:
        raise InputError(f"the mark {twice[0]} is named twice", cure="name every column once")
    if len(marks) != number:
        raise InputError(f"has {number} marks, but {len(marks)} names were given", file=first, cure="name every column")
    return list(marks)


def _slice(bins: str | None, total: int) -> slice:
    if bins is None:
        return slice(0, total)
    match = re.fullmatch(r"(\d+):(\d+)", bins)
    if match is None or not 0 <= int(match[1]) < int(match[2]) <= total:
        raise InputError(
            f"bins {bins!r} are not among the {total} of the table", cure=f"write FIRST:END, up to 0:{total}"
        )
    return slice(int(match[1]), int(match[2]))


def _expression(layout: Layout, path: Path | None, sample: str | None, skip_invalid: bool) -> Expression | None:
    if layout.labelled:
        if path is not None:
            raise InputError(f"tables of the layout {layout.name!r} have labels", cure="leave --expression out")
        return None
    if path is None:
        raise InputError(
            f"tables of the layout {layout.name!r} have no labels", cure="give --expression and --sample to make them"
        )
    return read_expression(path, sample, skip_invalid=skip_invalid)


def _read(
    tables: Mapping[str, Path], layout: Layout, array: np.ndarray[Any, Any], order: list[int], chosen: slice
) -> pl.DataFrame:
    """Put the values of all tables into ``array``, and return id, symbol, split, line and label of each gene."""
    frames, row = [], 0
    with progress("reading published tables", len(array), "genes") as advance:
        for part, file in tables.items():
            for genes in read_table(file, layout, len(order)):
                n = len(genes.ids)
                array[row : row + n] = genes.values[:, order, chosen]
                row += n
                advance(n)
                frames.append(
                    pl.DataFrame(
                        {"id": genes.ids, "symbol": genes.symbols, "line": genes.lines, "label": genes.labels},
                        schema_overrides={"label": pl.Float32},
                    ).with_columns(split=pl.lit(part))
                )
    return pl.concat(frames).with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))


def _distinct(
    genes: pl.DataFrame, array: np.ndarray[Any, Any], tables: Mapping[str, Path], skip_invalid: bool
) -> pl.DataFrame:
    """Keep the first of several genes with one id; the others must be its copies."""
    kept = pl.col("row").first().over("id")
    again = genes.with_columns(first=kept).filter(pl.col("row") != pl.col("first"))
    if again.is_empty():
        return genes
    first = genes[again["first"].to_numpy()]
    same = (array[again["row"].to_numpy()] == array[first["row"].to_numpy()]).all(axis=(1, 2))
    same &= (again["split"].eq(first["split"]) & again["label"].eq_missing(first["label"])).to_numpy()
    if not same.all() and not skip_invalid:
        one = int(np.argmin(same))
        gene, before = again.row(one, named=True), first.row(one, named=True)
        raise InputError(
            f"the gene {gene['id']} occurs twice, first in line {before['line']} of {tables[before['split']]}",
            file=tables[gene["split"]],
            record=int(gene["line"]),
            cure="remove one of them, or give --skip-invalid to keep the first",
        )
    logger.warning(
        "%d genes occur more than once in the tables (the first is %s): the first of each is kept",
        again["id"].n_unique(),
        again["id"][0],
    )
    return genes.filter(pl.col("row") == kept)
