"""Metrics of a run, with 95 % intervals."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from regulome.datasets.dataset import Dataset
from regulome.errors import InputError
from regulome.training.bootstrap import REPLICATES, estimates, replicate
from regulome.training.prediction import prediction_table
from regulome.training.runs import PREDICTIONS, Run, open_run


def evaluate(
    run: Run | str | os.PathLike[str],
    dataset: Dataset | str | os.PathLike[str] | None = None,
    *,
    split: str = "test",
    replicates: int = REPLICATES,
    seed: int = 0,
    device: str = "auto",
) -> dict[str, Any]:
    """Evaluate a run.

    Args:
        run: The run, or its folder.
        dataset: A dataset or its folder; None takes the run's own, and its stored predictions where they are.
        split: "train", "valid", "test" or "all".
        replicates: Bootstrap resamples of the examples.
        seed: Seed of the resampling.
        device: "auto", "cpu" or "cuda".

    Returns:
        ``{"n": examples, METRIC: {"value", "low", "high"}, …}``. Classification has auroc, auprc (average precision),
        accuracy, f1, mcc (at probability 0.5), brier, ece (15 equally wide bins); regression r2, pearson, spearman,
        mse. A metric that is not defined has three None and a ``"reason"``. With several outputs the metrics are means
        over those on which they are defined, and ``"outputs"`` has them for each output.

    Raises:
        InputError: The dataset has no targets of the run's task, or nothing in this part.
    """
    run = open_run(run)
    table = None
    if dataset is None and split in ("valid", "test") and (run.path / PREDICTIONS).exists():
        table = run.predictions().filter(pl.col("split") == split)
    if table is None or table.is_empty():
        table = prediction_table(run, dataset, split, device=device)
    return evaluate_table(table, run.info.target_names, run.info.task, replicates=replicates, seed=seed)


def evaluate_table(
    table: pl.DataFrame, names: Sequence[str], task: str, *, replicates: int = REPLICATES, seed: int = 0
) -> dict[str, Any]:
    """Evaluate a table of predictions with the columns NAME and NAME_true; returns what :func:`evaluate` does."""
    missing = [name for name in names if f"{name}_true" not in table.columns]
    if missing:
        raise InputError(
            f"there are no true values of {missing[0]} to compare with",
            cure=f"evaluate on a dataset with targets for {task}",
        )
    outputs = {}
    for name in names:
        outputs[name] = replicate(
            table[f"{name}_true"].to_numpy(), table[name].to_numpy(), task, replicates=replicates, seed=seed
        )
    if len(names) == 1:
        return {"n": table.height, **estimates(outputs[names[0]])}
    # Every output is resampled with the same seed, so a mean over outputs is a mean within each resample.
    means = {}
    for metric in outputs[names[0]]:
        values = np.stack([outputs[name][metric] for name in names])
        defined = ~np.isnan(values)
        count = defined.sum(axis=0)
        total = np.where(defined, values, 0.0).sum(axis=0)
        means[metric] = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return {
        "n": table.height,
        **estimates(means),
        "outputs": {name: estimates(values) for name, values in outputs.items()},
    }
