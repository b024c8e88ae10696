"""All start sites of genes, for what belongs to any of them."""

from __future__ import annotations

import os

import polars as pl

from regulome.genome.genes import gene_file_kind, normalize_ids
from regulome.genome.gtf import read_gtf


def all_start_sites(path: str | os.PathLike[str], genes: pl.DataFrame) -> pl.DataFrame:
    """Return every distinct start site of some genes: the one that was chosen for a gene first, then the others.

    A GTF has a site for each transcript; other files have one for each gene.

    Args:
        path: The file that the genes were read from, see :func:`regulome.genome.genes.read_genes`.
        genes: ``id``, ``chrom``, ``strand``, ``tss``.

    Returns:
        ``example`` (row of the gene, int64), ``chrom``, ``tss``; those of a gene in the file's order.
    """
    chosen = genes.with_row_index("example").with_columns(pl.col("example").cast(pl.Int64))
    first = chosen.select("example", "chrom", "tss")
    if gene_file_kind(path) != "gtf":
        return first
    transcripts = read_gtf(path).records.filter(pl.col("feature") == "transcript")
    five_prime = pl.when(pl.col("strand") == "+").then(pl.col("start")).otherwise(pl.col("end") - 1)
    others = transcripts.select("line", "chrom", "strand", id=normalize_ids(pl.col("gene_id")), tss=five_prime)
    others = others.sort("line").join(chosen.select("example", "id", "chrom", "strand"), on=["id", "chrom", "strand"])
    together = pl.concat([first, others.select("example", "chrom", "tss")])
    return together.unique(maintain_order=True).sort("example", maintain_order=True)
