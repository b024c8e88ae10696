"""For each gene, the mark and the bin that an explanation puts first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulome.datasets.dataset import Dataset


def gene_table(
    dataset: Dataset,
    rows: NDArray[np.int64],
    marks: Sequence[str],
    high: NDArray[np.bool_],
    top: dict[str, NDArray[Any]],
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
    *,
    orient: bool,
) -> pl.DataFrame:
    """Tabulate each example's strongest mark and bin.

    Args:
        dataset: Where the examples are.
        rows: Which examples, int64 [n].
        marks: Names of the rows of the maps.
        high: Which of them are high, bool [n].
        top: "mark" and "bin" (indices), "value" (of that cell) and "beta" (weight of the mark; NaN = none), each [n].
        starts: Where each bin of the maps begins, bp from the TSS, [T'].
        ends: Where it ends, [T'].
        orient: Whether bins run 5' → 3', so that those of "-" genes count down along the chromosome.

    Returns:
        id, symbol (where known), chrom, start, end, strand of the window, target, group, top_mark, beta (where there
        is one), top_bin (1-based), from, to (bp from the TSS), bin_start, bin_end (on the chromosome), value.
    """
    table = dataset.regions[rows]
    columns = [name for name in ("id", "symbol", "chrom", "start", "end", "strand") if name in table.columns]
    place = top["bin"].astype(np.int64)
    names = [*marks, "all marks"]
    targets = []
    if dataset.task != "unlabelled":
        targets = [pl.Series("target", dataset.targets[rows, 0]), pl.Series("group", np.where(high, "high", "low"))]
    table = table.select(columns).with_columns(
        *targets,
        pl.Series("top_mark", [names[mark] for mark in top["mark"]]),
        pl.Series("beta", top["beta"], dtype=pl.Float32, nan_to_null=True),
        pl.Series("top_bin", place + 1),
        pl.Series("from", starts[place]),
        pl.Series("to", ends[place]),
        pl.Series("value", top["value"], dtype=pl.Float32),
    )
    centre = (pl.col("start") + pl.col("end")) / 2
    mirrored = (pl.col("strand") == "-") if orient else pl.lit(False)
    table = table.with_columns(
        pl.when(mirrored).then(centre - pl.col("to")).otherwise(centre + pl.col("from")).alias("bin_start"),
        pl.when(mirrored).then(centre - pl.col("from")).otherwise(centre + pl.col("to")).alias("bin_end"),
    )
    known = pl.col("start") >= 0
    table = table.with_columns(
        pl.when(known).then(pl.col(name).round().cast(pl.Int64)).alias(name) for name in ("bin_start", "bin_end")
    )
    return table if table["beta"].null_count() < len(table) else table.drop("beta")
