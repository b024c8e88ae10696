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
from regulome.datasets.regions import RegionTable
from regulome.datasets.writer import write_dataset
from regulome.errors import InputError, blame
from regulome.genome.contact_ranks import rank_contacts
from regulome.genome.targets import Target, make_target
from regulome.progress import progress

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
    if weak := contacts.filter(pl.col("score") <= threshold).height:
        logger.warning("%s: left out %s neighbours with a score of %g or less", table, f"{weak:,}", threshold)
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


def export_contacts(dataset: Dataset, table: str | os.PathLike[str], folder: str | os.PathLike[str]) -> None:
    """Write a dataset in Chromoformer's published layout.

    A dataset keeps the mean depths of bins, not the depth of every base: each base of a file gets the mean of its
    finest bin (float32), which leaves the features of all of the dataset's widths as they are.

    Args:
        dataset: A dataset with contacts.
        table: The CSV file to make; it must not exist.
        folder: The folder to make; it must not exist.

    Raises:
        InputError: The dataset has no regions, or there is something already.
    """
    near, names = RegionTable(dataset), {}
    regions, fine = near.regions, min(near.signals)
    storage.check_target(table)
    offsets, signal = regions.offsets(fine), near.signals[fine]
    with storage.new_folder(folder) as made, progress("writing depths", len(regions), "regions") as advance:
        for i, length in enumerate(regions.lengths.tolist()):
            chrom = regions.chromosomes[regions.codes[i]]
            names[i] = f"{chrom}:{regions.starts[i]}-{regions.ends[i]}"
            bins = np.asarray(signal[offsets[i] : offsets[i + 1]])
            np.save(made / f"{names[i]}.npy", np.repeat(bins, fine, axis=0)[:length].T)
            advance(1)
    contacts = pl.DataFrame(
        {
            "example": near.contact[:, 0],
            "neighbors": [names[i] for i in near.contact[:, 1].tolist()],
            "scores": [f"{score:.6g}" for score in near.frequency.tolist()],
        },
        schema_overrides={"neighbors": pl.String, "scores": pl.String},
    )
    joined = contacts.group_by("example", maintain_order=True).agg(
        pl.col("neighbors").str.join(";"), pl.col("scores").str.join(";")
    )
    genes = dataset.regions.with_row_index("example").with_columns(pl.col("example").cast(pl.Int64))
    tss = pl.col("start") + near.window // 2
    labels = dataset.targets[:, 0] if dataset.task == "classification" else np.zeros(len(dataset))
    split = pl.col("fold") if "fold" in genes.columns else pl.lit(1)
    rows = genes.join(joined, on="example", how="left", maintain_order="left").select(
        pl.col("id").alias("gene_id"),
        pl.lit(dataset.manifest.parameters.get("sample") or "cell").alias("eid"),
        pl.Series("label", labels).cast(pl.Int64),
        "expression",
        "chrom",
        tss.alias("start"),
        (tss + 1).alias("end"),
        "strand",
        split.alias("split"),
        pl.col("neighbors", "scores").fill_null(""),
    )
    with storage.new_file(table) as target:
        rows.write_csv(target)
