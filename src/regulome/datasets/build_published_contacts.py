"""Chromoformer's published layout to a dataset, and a dataset to that layout."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from regulome import storage
from regulome.datasets.dataset import Dataset, open_dataset
from regulome.datasets.published_contacts import DepthFolder, gene_table_source, read_gene_table, tell_missing
from regulome.datasets.region_writer import add_regions, check_widths, number_regions
from regulome.datasets.writer import write_dataset
from regulome.errors import InputError, blame
from regulome.genome.contact_ranks import rank_contacts
from regulome.genome.targets import Target, make_target

logger = logging.getLogger(__name__)


def prepare_published_contacts(
    genes: str | os.PathLike[str],
    published: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    sample: str | None = None,
    marks: Sequence[str] = (),
    window: int = 40_000,
    resolutions: Sequence[int] = (2000, 500, 100),
    threshold: float = 1.5,
    top: int = 8,
    max_region: int = 40_000,
    target: str = "median",
    skip_invalid: bool = False,
    overwrite: bool = False,
) -> Dataset:
    """Make a dataset of Chromoformer's published table of genes and its folder of depths.

    Examples keep the order of the table; its ``split`` becomes the column ``fold``. For the target ``median`` the
    table's own label is taken where it has one. Memory: one region at a time.

    Args:
        genes: The table, see :func:`regulome.datasets.published_contacts.read_gene_table`.
        published: Folder of ``chrom:start-end.npy``, depth [marks, bases] of each region; those of promoters are named
            by the start site ± ``window`` / 2.
        out: The dataset folder to make.
        sample: Which cell (``eid``) of the table; None where it has one.
        marks: Names of the rows of the files; empty takes the published seven.
        window: Bases around the start site.
        resolutions: Widths of bins, each a divisor of ``window``.
        threshold: Scores of neighbours must be larger.
        top: At most so many neighbours of a gene.
        max_region: A neighbour that is longer is wrong.
        target: What to predict; see :func:`regulome.genome.targets.make_target`.
        skip_invalid: Leave out wrong genes and neighbours, and those without depths, instead of refusing the files.
        overwrite: Replace an existing dataset.

    Raises:
        InputError: A row or a file is wrong, or a region has no file.
    """
    widths = check_widths(resolutions, window, max_region)
    table = storage.existing_file(genes)
    folder = DepthFolder(published, marks)
    storage.check_target(out, overwrite=overwrite)
    examples, contacts, record = read_gene_table(table, sample, max_region=max_region, skip_invalid=skip_invalid)
    examples = examples.with_columns(start=pl.col("tss") - window // 2, end=pl.col("tss") - window // 2 + window)
    contacts = rank_contacts(contacts, threshold=threshold, top=top)
    numbered = number_regions(examples, contacts)
    found = folder.find(numbered.regions)
    absent = np.array([file is None for file in found])
    if absent.any():
        lost, without = np.unique(numbered.promoter[absent[numbered.promoter]]), absent[numbered.contact[:, 1]]
        tell_missing(lost, numbered.regions, folder.path, what="promoters", skip_invalid=skip_invalid)
        distal = np.unique(numbered.contact[without, 1])
        tell_missing(distal, numbered.regions, folder.path, what="neighbours", skip_invalid=skip_invalid)
        examples, contacts = _without(examples, contacts, absent[numbered.promoter], without)
        if examples.is_empty():
            raise InputError("has the depths of no promoter", file=folder.path, cure="check --window and the folder")
        numbered = number_regions(examples, contacts)
        found = folder.find(numbered.regions)
    with blame(table):
        labels = _labels(examples, target)
    regions = examples.select("id", "chrom", "start", "end", "strand", "tss", "expression", "fold")
    with write_dataset(out, line="expression", task=labels.task, regions=regions, overwrite=overwrite) as writer:
        signals = add_regions(
            writer, numbered, window=window, max_region=max_region, resolutions=widths, marks=folder.marks
        )
        folder.fill(numbered.regions, found, signals)
        writer.set_targets(labels.values[:, None], ["expression"], labels.record)
        writer.sources.append(gene_table_source(table, record))
        writer.sources.append({"role": "depths", "path": str(folder.path.absolute()), "n_records": len(found)})
        writer.parameters.update(
            published="chromoformer",
            sample=sample,
            window=window,
            resolutions=list(widths),
            threshold=threshold,
            top=top,
            max_region=max_region,
            target=target,
            windows_before_chromosome_start=int((examples["start"] < 0).sum()),
        )
    return open_dataset(out)


def _without(
    examples: pl.DataFrame, contacts: pl.DataFrame, lost: np.ndarray[Any, Any], without: np.ndarray[Any, Any]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Leave out examples and contacts, and number the examples anew."""
    kept = np.flatnonzero(~lost)
    number = np.full(len(lost), -1, np.int64)
    number[kept] = np.arange(len(kept))
    example = number[contacts["example"].to_numpy()]
    contacts = contacts.with_columns(example=pl.Series(example)).filter(pl.Series(~without & (example >= 0)))
    return examples[kept], contacts


def _labels(examples: pl.DataFrame, target: str) -> Target:
    """Take the table's label for the target that it is made by, else make one of the expression."""
    labels = examples["label"]
    if target != "median" or labels.null_count():
        return make_target(examples["expression"].to_numpy(), target)
    if labels.min() == labels.max():
        problem = f"all {len(labels):,} genes have the label {labels[0]:g}"
        raise InputError(problem, cure="give a table with both labels, or choose --target log2")
    rule = {"target": target, "rule": "the label of the published table"}
    return Target(labels.to_numpy().astype(np.float32), "classification", target, rule)
