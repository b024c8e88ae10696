"""Which genes are perturbed, and which runs predict each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulome.datasets.dataset import Dataset
from regulome.errors import InputError
from regulome.explain.groups import high_genes, sample
from regulome.storage import existing_file
from regulome.training.prediction import select_rows
from regulome.training.runs import Run

_CURE = "choose from all, high, low, top:SHARE, bottom:SHARE, or a file with a name on each line"


@dataclass(frozen=True)
class Genes:
    """Chosen genes.

    Attributes:
        rows: int64 [genes], their rows in the dataset, ascending.
        seen: bool [runs, genes]: whether a run predicts a gene.
        high: bool [genes]; all false where labels are not known.
        rule: What high means, in words.
    """

    rows: NDArray[np.int64]
    seen: NDArray[np.bool_]
    high: NDArray[np.bool_]
    rule: str

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, kept: NDArray[np.bool_] | NDArray[np.int64]) -> Genes:
        """Return some of the genes."""
        return Genes(self.rows[kept], self.seen[:, kept], self.high[kept], self.rule)


def choose_genes(
    runs: Sequence[Run], dataset: Dataset, split: str, genes: str | Path, limit: int | None, seed: int
) -> Genes:
    """Choose genes.

    A gene is predicted by the runs that had it in the part ``split``: with "test", of the folds of a cross-validation
    each gene by the one that has never seen it; with "all", every gene by all runs.

    Args:
        runs: The runs.
        dataset: Their dataset.
        split: "train", "valid", "test" or "all".
        genes: "all"; "high" or "low" (by label, or above and below the median); "top:0.25" or "bottom:0.25" (by value);
            or a file of ids or symbols.
        limit: At most so many, drawn half from high and half from low ones.
        seed: Of the draw.

    Raises:
        InputError: None is left, or a name is not in the dataset.
    """
    every = np.zeros((len(runs), len(dataset)), bool)
    for seen, run in zip(every, runs, strict=True):
        seen[select_rows(run, dataset, split)[0]] = True
    rows = np.flatnonzero(every.any(axis=0))
    labelled = dataset.task != "unlabelled"
    high, rule = np.zeros(len(rows), bool), "no labels: means over all genes only"
    if labelled:
        high, rule = high_genes(dataset.targets[rows, 0], dataset.task)
    chosen = Genes(rows, every[:, rows], high, rule)
    chosen = chosen.take(_wanted(chosen, dataset, genes, labelled=labelled))
    if not len(chosen):
        raise InputError(f"no gene is left of those that are {genes} in the part {split!r}", cure=_CURE)
    if limit is not None and limit < len(chosen):
        chosen = chosen.take(sample(chosen.high, limit, seed))
    return chosen


def _wanted(chosen: Genes, dataset: Dataset, genes: str | Path, *, labelled: bool) -> NDArray[np.bool_]:
    text = str(genes)
    if text == "all":
        return np.ones(len(chosen), bool)
    word, _, share = text.partition(":")
    if text in ("high", "low") or (word in ("top", "bottom") and share):
        if not labelled:
            raise InputError(f"has no labels: nobody knows which genes are {text}", file=dataset.path, cure=_CURE)
        if not share:
            return chosen.high if text == "high" else ~chosen.high
        values = _values(dataset)[chosen.rows]
        part = _share(share, text)
        edge = np.quantile(values, 1 - part if word == "top" else part)
        kept: NDArray[np.bool_] = values >= edge if word == "top" else values <= edge
        return kept
    return _named(chosen, dataset, text)


def _values(dataset: Dataset) -> NDArray[np.float64]:
    """Expression as it was measured, or else the target."""
    column = dataset.regions.get_column("expression", default=None)
    if column is not None and column.dtype.is_numeric() and not column.null_count():
        return np.asarray(column.to_numpy(), np.float64)
    return np.asarray(dataset.targets[:, 0], np.float64)


def _share(text: str, option: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise InputError(f"genes = {option}: expected a share between 0 and 1, such as top:0.25")
    return value


def _named(chosen: Genes, dataset: Dataset, text: str) -> NDArray[np.bool_]:
    if not Path(text).exists():
        raise InputError(f"genes = {text}: neither a group nor a file", cure=_CURE)
    path = existing_file(text)
    names = [line.split()[0] for line in path.read_text("utf-8").splitlines() if line.split() and line[0] != "#"]
    table = dataset.regions
    known: set[str] = set(table["id"]) | (set(table["symbol"].drop_nulls()) if "symbol" in table.columns else set())
    unknown = [name for name in names if name not in known]
    if not names or unknown:
        some = ", ".join(unknown[:3]) + (f" and {len(unknown) - 3:,} more" if len(unknown) > 3 else "")
        problem = f"names genes that the dataset does not have: {some}" if names else "names no gene"
        raise InputError(problem, file=path, cure="give ids or symbols of the dataset, one on each line")
    columns = [name for name in ("id", "symbol") if name in table.columns]
    hits = table[chosen.rows].select(pl.any_horizontal(pl.col(columns).is_in(names)).fill_null(value=False))
    found: NDArray[np.bool_] = hits.to_series().to_numpy()
    return found
