"""What published tables do not say of their genes: how strongly they are transcribed, and where they lie."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

import polars as pl

from regulome.datasets.dataset import UNKNOWN_CHROMOSOME
from regulome.errors import InputError
from regulome.genome.expression import Expression
from regulome.genome.genes import Genes

logger = logging.getLogger(__name__)

Path = str | os.PathLike[str]


def with_expression(
    genes: pl.DataFrame, levels: Expression, tables: Mapping[str, Path], skip_invalid: bool
) -> pl.DataFrame:
    """Join genes of published tables with their expression.

    Raises:
        InputError: No gene has one, or some have none and they may not be left out.
    """
    joined = genes.join(levels.table.rename({"value": "expression"}), on="id", how="left", maintain_order="left")
    missing = joined.filter(pl.col("expression").is_null())
    if missing.height == joined.height:
        raise InputError(
            f"the expression table shares no gene with the tables: {levels.table['id'][0]!r} there, "
            f"{genes['id'][0]!r} here",
            file=next(iter(tables.values())),
            cure="use the same kind of gene ids in both",
        )
    if missing.height:
        if not skip_invalid:
            gene = missing.row(0, named=True)
            raise InputError(
                f"{missing.height:,} genes are not in the expression table, the first is {gene['id']}",
                file=tables[gene["split"]],
                record=int(gene["line"]),
                cure="give another table, or --skip-invalid to leave them out",
            )
        logger.warning("left out %d genes that are not in the expression table", missing.height)
    return joined.filter(pl.col("expression").is_not_null())


def regions(genes: pl.DataFrame, annotation: Genes | None, *, offset: int, width: int) -> pl.DataFrame:
    """Make the table of examples.

    Args:
        genes: ``id``, ``split``, perhaps ``symbol`` and ``expression``.
        annotation: Start sites; None where there are none.
        offset: Start of the window relative to the start site, in base pairs.
        width: Width of the window in base pairs.

    Raises:
        InputError: The annotation has none of the genes.
    """
    extras = [
        name for name in ("symbol", "expression") if name in genes.columns and genes[name].null_count() < len(genes)
    ]
    table = genes.select("id", "split", *extras)
    if annotation is None:
        place = {"chrom": pl.lit(UNKNOWN_CHROMOSOME), "start": pl.lit(-1), "end": pl.lit(-1), "strand": pl.lit(".")}
        return table.with_columns(**place)
    sites = annotation.table.select("id", "chrom", "tss", "strand")
    joined = table.join(sites, on="id", how="left", maintain_order="left")
    unknown = joined["tss"].null_count()
    if unknown == joined.height:
        raise InputError(
            f"the annotation has none of the genes: its ids look like {sites['id'][0]!r}, those of the tables like "
            f"{genes['id'][0]!r}",
            cure="use the same kind of gene ids in both, or leave --genes out",
        )
    if unknown:
        logger.warning("%d genes are not in the annotation: their chromosomes are not known", unknown)
    start = pl.col("tss") + offset
    return joined.with_columns(
        pl.col("chrom").fill_null(UNKNOWN_CHROMOSOME),
        pl.col("strand").fill_null("."),
        start=start.fill_null(-1),
        end=(start + width).fill_null(-1),
    )
