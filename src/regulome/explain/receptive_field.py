"""How active each mark is in what a network can see of a gene, beside expression and beside the network's error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulome.datasets.batches import Batches
from regulome.datasets.dataset import Dataset
from regulome.datasets.views import choose_view
from regulome.errors import InputError
from regulome.training.bootstrap import REPLICATES, estimates, replicate
from regulome.training.prediction import as_dataset, prediction_table, select_rows
from regulome.training.runs import Run, open_run

_BATCH = 1024


@dataclass(frozen=True)
class MarkActivity:
    """The activity of marks in genes; see :func:`mark_activity`.

    Attributes:
        marks: Names of the marks.
        window: Base pairs around the start site.
        genes: One row per gene: id, symbol (where known), chrom, start, end, strand; target (where there is one), and
            of a run predicted and error, the distance between the two.
        values: float32 [genes, marks]: mean over the bins of log2(x + 1).
        correlations: Columns mark, quantity ("target" or "error"), genes, coefficient ("pearson" or "spearman"), value,
            low, high (95 % bootstrap interval over genes); null where a side is constant.
    """

    marks: tuple[str, ...]
    window: int
    genes: pl.DataFrame
    values: NDArray[np.float32]
    correlations: pl.DataFrame

    def table(self) -> pl.DataFrame:
        """Return the genes with one column ``activity_MARK`` per mark."""
        return self.genes.with_columns(
            pl.Series(f"activity_{mark}", self.values[:, place]) for place, mark in enumerate(self.marks)
        )


def mark_activity(
    dataset: Dataset | str | PathLike[str],
    run: Run | str | PathLike[str] | None = None,
    *,
    marks: Sequence[str] = (),
    window: int = 0,
    split: str = "test",
    device: str = "auto",
    replicates: int = REPLICATES,
    seed: int = 0,
) -> MarkActivity:
    """Measure how active each mark is around genes, and what goes with it (Murphy et al. 2025).

    Activity is the mean over the bins of a window of log2(x + 1), x being what the dataset holds. It is correlated with
    the target and, for a run, with the absolute error of its predictions. Memory: one batch, and a row per gene.

    Args:
        dataset: A dataset of marks, or its folder.
        run: A run, or its folder; None measures activity and expression alone.
        marks: Names of the marks; empty takes all of the dataset, whether the run sees them or not.
        window: Base pairs around the start site, for example 6,000 or 40,000; 0 takes the dataset's.
        split: Genes of this part of the run; without a run all genes are taken.
        device: Where the run predicts.
        replicates: Number of bootstrap resamples behind an interval.
        seed: Seed of the resampling.

    Raises:
        InputError: The dataset lacks a mark or the window, holds values of −1 or below, or does not fit the run.
    """
    data = as_dataset(dataset)
    view = choose_view(data, marks, window)
    opened = None if run is None else open_run(run)
    rows = np.arange(len(data)) if opened is None else select_rows(opened, data, split)[0]
    labelled = data.task != "unlabelled"
    names = [name for name in ("id", "symbol", "chrom", "start", "end", "strand") if name in data.regions.columns]
    genes = data.regions.select(names)[rows]
    if labelled:
        genes = genes.with_columns(pl.Series("target", np.asarray(data.targets[rows, 0], np.float64)))
    if opened is not None:
        predicted = prediction_table(opened, data, split, device=device)[opened.info.target_names[0]].cast(pl.Float64)
        genes = genes.with_columns(predicted.alias("predicted"))
        if labelled and data.task == opened.info.task:
            genes = genes.with_columns(error=(pl.col("predicted") - pl.col("target")).abs())
    values = np.empty((len(rows), len(view.marks)), np.float32)
    done = 0
    for batch in Batches(data, rows, batch_size=_BATCH, view=view):
        found = (batch.inputs + 1).log2().mean(dim=2).numpy()
        values[done : done + len(found)] = found
        done += len(found)
    if not np.isfinite(values).all():
        raise InputError("holds values of −1 or below, of which log2(x + 1) is none", file=data.path)
    correlations = [
        {"mark": mark, "quantity": quantity, "genes": len(rows), "coefficient": name, **known}
        for quantity in ("target", "error")
        if quantity in genes.columns
        for place, mark in enumerate(view.marks)
        for name, known in _correlate(genes[quantity].to_numpy(), values[:, place], replicates, seed)
    ]
    return MarkActivity(view.marks, view.window, genes, values, pl.DataFrame(correlations, schema=_SCHEMA))


_SCHEMA = {
    "mark": pl.String,
    "quantity": pl.String,
    "genes": pl.Int64,
    "coefficient": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
}


def _correlate(
    quantity: NDArray[np.float64], activity: NDArray[np.float32], replicates: int, seed: int
) -> list[tuple[str, dict[str, float | None]]]:
    found = estimates(replicate(quantity, activity, "regression", replicates=replicates, seed=seed))
    ends = ("value", "low", "high")
    return [(name, {end: found[name].get(end) for end in ends}) for name in ("pearson", "spearman")]  # type: ignore[misc]
