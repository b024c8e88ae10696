"""Which of a gene's contacts count: the strongest few distinct regions."""

from __future__ import annotations

import polars as pl


def rank_contacts(contacts: pl.DataFrame, *, threshold: float, top: int) -> pl.DataFrame:
    """Keep the best contacts of each gene, the first by rank first.

    Of several contacts of a gene with one region the first row counts. Equal scores are in the order of the regions'
    names (``chrom:start-end``, as text).

    Args:
        contacts: ``example``, ``chrom``, ``start``, ``end``, ``score``.
        threshold: Scores must be larger.
        top: At most so many regions of a gene.

    Returns:
        The same columns, ordered by example and rank.
    """
    name = pl.format("{}:{}-{}", "chrom", "start", "end")
    kept = contacts.filter(pl.col("score") > threshold).with_columns(name=name)
    kept = kept.unique(["example", "name"], keep="first", maintain_order=True)
    kept = kept.sort("example", "score", "name", descending=[False, True, False], maintain_order=True)
    return kept.filter(pl.int_range(pl.len()).over("example") < top).drop("name")
