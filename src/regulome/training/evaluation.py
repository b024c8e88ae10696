"""Metrics of a run, with 95 % intervals."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome.datasets.dataset import Dataset
from regulome.errors import InputError
from regulome.training.bootstrap import REPLICATES, estimates, replicate
from regulome.training.metrics import Floats
from regulome.training.multilabel import MANY
from regulome.training.prediction import prediction_table
from regulome.training.runs import PREDICTIONS, Run, open_run
from regulome.training.scores import LabelledScores, evaluate_scores, labelled_scores
from regulome.training.text_evaluation import evaluate_text

# Resamples where outputs are many and values: 919 times a thousand would take hours.
_FEW = 100


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
        accuracy, f1, mcc (at probability 0.5), brier, ece (15 equally wide bins), in the line of sequences also
        perplexity (exp of the mean cross-entropy); regression r2, pearson, spearman, mse. Texts have perplexity,
        bits_per_base and accuracy over all scored ``"letters"``, with intervals over blocks, which ``n`` counts. A
        metric that is not defined has three None and a ``"reason"``. With several outputs the metrics are means over
        those on which they are defined, and ``"outputs"`` has them for each output.

        With more than 32 outputs a classification has auroc, auprc, f1, f1_tuned (at the threshold with the highest F1
        on the validation part), mcc, accuracy and perplexity: means over the features that have positives and
        negatives (accuracy and perplexity: over all), each with ``"median"``; ``"features"`` and ``"scorable"`` count
        them, and ``"groups"`` has the same for each group of features. Their intervals come from the infinitesimal
        jackknife over examples; the run's ``features.tsv`` has the metrics of each feature.

    Raises:
        InputError: The dataset has no targets of the run's task, or nothing in this part.
    """
    run = open_run(run)
    if len(run.info.target_names) >= MANY:
        with labelled_scores(run, dataset, split, device=device) as found:
            if run.info.task == "classification":
                return evaluate_scores(run, found, split).summary()
            return _many_values(run, found, min(replicates, _FEW), seed)
    table = None
    if dataset is None and split in ("valid", "test") and (run.path / PREDICTIONS).exists():
        table = run.predictions().filter(pl.col("split") == split)
    if table is None or table.is_empty():
        table = prediction_table(run, dataset, split, device=device)
    return evaluate_table(
        table, run.info.target_names, run.info.task, replicates=replicates, seed=seed, line=run.info.line
    )


def evaluate_table(
    table: pl.DataFrame,
    names: Sequence[str],
    task: str,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
    line: str = "expression",
) -> dict[str, Any]:
    """Evaluate a table of predictions with the columns NAME and NAME_true; returns what :func:`evaluate` does.

    Tables of texts have ``letters``, ``bits`` and ``accuracy`` of blocks instead.
    """
    if task == "next-letter":
        return evaluate_text(table, replicates=replicates, seed=seed)
    missing = [name for name in names if f"{name}_true" not in table.columns]
    if missing:
        raise InputError(
            f"there are no true values of {missing[0]} to compare with",
            cure=f"evaluate on a dataset with targets for {task}",
        )
    columns = ((name, table[f"{name}_true"].to_numpy(), table[name].to_numpy()) for name in names)
    outputs = {
        name: replicate(truth, score, task, replicates=replicates, seed=seed, line=line)
        for name, truth, score in columns
    }
    return _together(table.height, outputs)


def _many_values(run: Run, found: LabelledScores, replicates: int, seed: int) -> dict[str, Any]:
    outputs = {}
    for place, name in enumerate(run.info.target_names):
        truth = found.truth[:, place][found.rows]
        outputs[name] = replicate(truth, found.values[:, place], run.info.task, replicates=replicates, seed=seed)
    return _together(len(found.rows), outputs)


def _together(n: int, outputs: dict[str, dict[str, Floats]]) -> dict[str, Any]:
    """Report one output as it is; of several the means, and each."""
    first = next(iter(outputs.values()))
    if len(outputs) == 1:
        return {"n": n, **estimates(first)}
    # Every output is resampled with the same seed, so a mean over outputs is a mean within each resample.
    means = {metric: _mean(metric, (values[metric] for values in outputs.values())) for metric in first}
    return {"n": n, **estimates(means), "outputs": {name: estimates(values) for name, values in outputs.items()}}


def _mean(metric: str, parts: Iterable[Floats]) -> Floats:
    """Mean over outputs; perplexities are averaged as logarithms, because they are exp of a mean."""
    values: npt.NDArray[np.float64] = np.stack(list(parts))
    if metric == "perplexity":
        values = np.log(values)
    defined = ~np.isnan(values)
    count = defined.sum(axis=0)
    total = np.where(defined, values, 0.0).sum(axis=0)
    mean: Floats = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return np.exp(mean) if metric == "perplexity" else mean
