"""The table of what was in which part: training, validation, test."""

from __future__ import annotations

import numpy as np
import polars as pl

from regulome.report.material import Material
from regulome.report.page import Table
from regulome.report.wording import sentence

# Chromosomes that a row names; drafts have thousands of contigs.
_NAMED = 40


def parts_table(material: Material) -> Table:
    """Count examples by part and chromosome; of a single label the positives too, of a text the letters."""
    assert material.dataset is not None
    dataset, words = material.dataset, material.words
    regions = dataset.regions.select("id", "chrom", *(["letters"] if material.text is not None else []))
    single = material.reads_dna and dataset.task == "classification" and len(dataset.target_names) == 1
    if single:
        regions = regions.with_columns(pl.Series("positive", np.asarray(dataset.targets[:, 0] > 0)))
    summed = (
        {"letters": "Letters"} if material.text is not None else {"positive": words.high.capitalize()} if single else {}
    )
    table = regions.join(material.run.splits, on="id", how="inner", maintain_order="left").filter(pl.col("split") != "")
    rows = []
    for part, name in (("train", "training"), ("valid", "validation"), ("test", "test")):
        here = table.filter(pl.col("split") == part)
        counts = here.group_by("chrom", maintain_order=True).len()
        named = [f"{chrom} ({count:,})" for chrom, count in counts[:_NAMED].iter_rows()]
        if len(counts) > _NAMED:
            named.append(f"{len(counts) - _NAMED:,} more")
        places = sentence(named) if named else "—"
        sums = [f"{int(here[column].sum()):,}" for column in summed]
        rows.append([name, f"{len(here):,}", *sums, places if counts["chrom"].to_list() != ["."] else "not known"])
    shared = (
        table.group_by("chrom").agg(pl.col("split").n_unique()).filter((pl.col("split") > 1) & (pl.col("chrom") != "."))
    )
    mixed = len(shared) > 0
    known = bool((table["chrom"] != ".").any())
    many = words.many
    return Table(
        f"Training, validation and test {many}",
        ["Part", many.capitalize(), *summed.values(), f"Chromosomes ({many})"],
        rows,
        f"Validation {many} choose the epoch; test {many} give the numbers on this page."
        + ("" if mixed or not known else " No chromosome is in two parts.")
        + ("" if known else f" On which chromosome a {words.one} lies is not known, nor whether parts share one."),
        f"Some chromosomes are in several parts: {words.neighbours}" if mixed else "",
    )
