"""A simulated world of promoters, enhancers and contacts in several cells, in real file formats, with the truth."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from regulome.datasets import simulated_files as files
from regulome.datasets.simulated_contacts_world import (
    CELLS,
    HALF,
    MARKS,
    PARTS,
    REACH,
    ContactWorld,
    make_contact_world,
    make_mark_reads,
)
from regulome.errors import InputError
from regulome.genome.genes import normalize_ids
from regulome.progress import progress
from regulome.storage import new_folder

logger = logging.getLogger(__name__)

#: Protein-coding genes of each size.
CONTACT_SIZES = {"small": 1_000, "medium": 5_000}
_TEST, _VALID = ("chr7", "chr8"), ("chr6",)
#: This mark comes as depth over each base, the others as reads.
_BIG_WIG = "H3K27ac"

_README = """A simulated world of promoters, enhancers and contacts
(regulome simulate contacts --seed {seed} --size {size})

genes.gtf.gz            {n_genes:,} genes (GENCODE layout) on {n_chromosomes} chromosomes, {n_coding:,} protein-coding
expression.tsv.gz       RPKM of the protein-coding genes in {cells}
CELL.MARK.tagAlign.gz   reads of {reads} in each cell (BED6, sorted)
CELL.{big_wig}.bigWig     depth of {big_wig} over each base, in each cell
contacts.tsv            {n_contacts:,} pairs of fragments with scores, the same in all cells
chrom.sizes             lengths of the chromosomes
truth.json              what moves expression, and how well models that see a part of it can do
truth_enhancers.bed     the {n_enhancers:,} enhancers; the name is their number
truth_links.tsv         which enhancer moves which gene, from which distance, and where it is active

From this folder:

regulome prepare contacts --genes genes.gtf.gz --expression expression.tsv.gz --sample {cell} --target log2 \\
    {tracks} \\
    --contacts contacts.tsv --out DATASET
regulome train chromoformer-regression DATASET --test-chromosomes {test} --valid-chromosomes {valid} --out RUN

Expression follows the strength of the promoter (H3K4me3), active enhancers inside of the 40-kb window, and active
enhancers outside of it that touch the promoter. An enhancer is active where it has H3K27ac; H3K4me1 alone says nothing,
nor does H3K27me3. The further away, the smaller the effect, and the lower the score of the contact.
"""


def simulate_contacts(
    out: str | os.PathLike[str], *, seed: int = 0, size: str = "small", overwrite: bool = False
) -> Path:
    """Write a folder with a small world of promoters, enhancers and contacts, in the formats in which labs publish.

    Three cells share the genome, its genes, enhancers and contacts, and differ in how strong promoters are and which
    enhancers are active. Half of what moves expression comes from enhancers outside of the 40-kb window around the
    start site: models of promoters cannot see it, models with contacts can. The same seed and size give the same bytes
    with the same versions of the libraries.

    Args:
        out: The folder to make.
        seed: Seed of all random numbers.
        size: ``small`` (1,000 protein-coding genes) or ``medium`` (5,000).
        overwrite: Replace ``out`` if it exists.

    Returns:
        The folder. ``README.txt`` in it names its files and the commands to go on with; ``truth.json`` the planted
        parts and the best correlation that can be reached from each.

    Raises:
        InputError: There is no such size, the seed is negative, or ``out`` exists.
    """
    if size not in CONTACT_SIZES:
        raise InputError(f"no size {size!r}", cure=f"one of {', '.join(CONTACT_SIZES)}")
    if seed < 0:
        raise InputError(f"seed {seed} is negative", cure="choose a whole number from 0")
    steps = len(CELLS) * len(MARKS) + 1
    with new_folder(out, overwrite=overwrite) as folder, progress("simulating", steps, "files") as advance:
        made = make_contact_world(CONTACT_SIZES[size], seed)
        world = made.world
        files.write_gtf(folder / "genes.gtf.gz", world)
        sizes = "".join(f"{name}\t{length}\n" for name, length in world.sizes.items())
        (folder / "chrom.sizes").write_text(sizes)
        made.contacts.write_csv(folder / "contacts.tsv", separator="\t")
        _write_expression(folder / "expression.tsv.gz", made)
        _write_truth(folder, made, seed, size)
        (folder / "README.txt").write_text(_readme(made, seed, size), encoding="utf-8")
        advance(1)
        for cell, name in enumerate(CELLS):
            for mark in MARKS:
                reads = make_mark_reads(made, mark, cell, seed)
                if mark == _BIG_WIG:
                    files.write_big_wig(folder / f"{name}.{mark}.bigWig", world, reads)
                else:
                    files.write_tag_align(folder / f"{name}.{mark}.tagAlign.gz", world, reads)
                advance(1)
    told = f"{CONTACT_SIZES[size]:,} protein-coding genes, {made.contacts.height:,} contacts, {len(CELLS)} cells"
    logger.info("%s: %s; see README.txt in it", out, told)
    return Path(out)


def _write_expression(path: Path, made: ContactWorld) -> None:
    coding = (made.world.genes["biotype"] == "protein_coding").to_numpy()
    ids = made.world.genes.select(normalize_ids(pl.col("id")))["id"].filter(pl.Series(coding))
    order = ids.arg_sort()
    values = made.expression[coding][order.to_numpy()]
    files.write_expression(path, ids.gather(order), {cell: values[:, i] for i, cell in enumerate(CELLS)})


def _write_truth(folder: Path, made: ContactWorld, seed: int, size: str) -> None:
    genes = made.world.genes
    coding = (genes["biotype"] == "protein_coding").to_numpy()
    test = coding & genes["chrom"].is_in(_TEST).to_numpy()
    names = list(PARTS)[:-1]
    oracle = {}
    for cell, name in enumerate(CELLS):
        level = np.log2(made.expression[:, cell] + 1)
        seen = made.parts[:, cell, : len(names)].cumsum(1)
        oracle[name] = {
            " + ".join(names[: i + 1]): round(float(np.corrcoef(seen[test, i], level[test])[0, 1]), 4)
            for i in range(len(names))
        }
    truth: dict[str, Any] = {
        "line": "expression",
        "seed": seed,
        "size": size,
        "cells": list(CELLS),
        "marks": list(MARKS),
        "window": 2 * REACH,
        "rules": {
            "promoter": "strength = logarithm of the reads of H3K4me3 at the start site",
            "near": "active enhancers (H3K27ac) inside of the window",
            "distal": "active enhancers outside of the window whose fragment touches that of the start site",
            "effect": f"of an active enhancer: sqrt({HALF} / distance in bases), then each part scaled to its spread",
        },
        "decoys": ["H3K27me3", "H3K4me1 without H3K27ac", "contacts with fragments without an enhancer"],
        "spread": PARTS,
        "oracle": {
            "pearson_test": oracle,
            "words": "correlation of the true parts with log2(RPKM + 1) on test_chromosomes: models of promoters alone "
            "cannot go beyond promoter + near",
        },
        "test_chromosomes": list(_TEST),
        "valid_chromosomes": list(_VALID),
        "n_genes": genes.height,
        "n_coding": int(coding.sum()),
        "n_enhancers": made.enhancers.height,
    }
    (folder / "truth.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")
    enhancers = made.enhancers.with_row_index("number")
    bed = enhancers.select("chrom", "start", "end", "number").sort("chrom", "start")
    bed.write_csv(folder / "truth_enhancers.bed", separator="\t", include_header=False)
    where = pl.DataFrame(made.active.astype(np.int64), schema=[f"active_{cell}" for cell in CELLS], orient="row")
    about = pl.concat([enhancers.select(enhancer="number"), where], how="horizontal").cast(pl.Int64)
    ids = genes.select(gene_id=normalize_ids(pl.col("id")), gene=pl.int_range(pl.len()).cast(pl.Int64))
    links = made.links.join(about, on="enhancer", maintain_order="left").join(ids, on="gene", maintain_order="left")
    active = [f"active_{cell}" for cell in CELLS]
    table = links.select("gene_id", "enhancer", "distance", pl.col("effect").round(4), "score", *active)
    table.write_csv(folder / "truth_links.tsv", separator="\t")


def _readme(made: ContactWorld, seed: int, size: str) -> str:
    cell = CELLS[0]
    tracks = [f"--track {mark}={cell}.{mark}.{'bigWig' if mark == _BIG_WIG else 'tagAlign.gz'}" for mark in MARKS]
    return _README.format(
        seed=seed,
        size=size,
        n_genes=made.world.genes.height,
        n_coding=CONTACT_SIZES[size],
        n_chromosomes=len(made.world.sizes),
        n_contacts=made.contacts.height,
        n_enhancers=made.enhancers.height,
        cells=", ".join(CELLS),
        cell=cell,
        reads=", ".join(mark for mark in MARKS if mark != _BIG_WIG),
        big_wig=_BIG_WIG,
        tracks=" \\\n    ".join(tracks),
        test=",".join(_TEST),
        valid=",".join(_VALID),
    )
