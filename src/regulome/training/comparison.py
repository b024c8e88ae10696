"""Runs side by side: differences on the same examples, with intervals."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from regulome.errors import InputError
from regulome.training.bootstrap import REPLICATES, estimates, interval, replicate
from regulome.training.feature_comparison import PAIRS, Comparison, compare_features
from regulome.training.metrics import LESS_IS_BETTER, Floats
from regulome.training.prediction import prediction_table
from regulome.training.runs import PREDICTIONS, Run, open_run
from regulome.training.text_evaluation import replicate_text

logger = logging.getLogger(__name__)


def compare(
    runs: Sequence[Run | str | os.PathLike[str]], *, split: str = "test", replicates: int = REPLICATES, seed: int = 0
) -> Comparison:
    """Compare runs on the examples that they have in common, resampled alike (a paired bootstrap).

    Args:
        runs: Two or more runs of one task, or their folders.
        split: The part; stored predictions are used where they are.
        replicates: Bootstrap resamples.
        seed: Seed of the resampling.

    With several labels the means over features are compared, and intervals and p come from the infinitesimal
    jackknife instead (see :func:`regulome.training.evaluate`).

    Blocks of texts are resampled alike, too; every letter counts alike.

    Raises:
        InputError: Fewer than two runs, another task or target, no common example, or other labels for the same ids.
    """
    if len(runs) < 2:
        raise InputError("a comparison needs at least two runs")
    opened = [open_run(run) for run in runs]
    names = _names(opened)
    first = opened[0].info
    for run in opened[1:]:
        if (run.info.task, run.info.target_names) != (first.task, first.target_names):
            raise InputError(
                f"predicts {', '.join(run.info.target_names)} ({run.info.task}), {names[0]} predicts "
                f"{', '.join(first.target_names)} ({first.task})",
                file=run.path,
                cure="compare runs of the same target",
            )
    if len(first.target_names) > 1 and first.task == "classification":
        return compare_features(opened, names, split)
    text = first.task == "next-letter"
    if len(first.target_names) != 1 and not text:
        raise InputError(
            "runs with several outputs that are values are not compared", cure="compare their `evaluate --json`"
        )
    # What must be the same in all runs: of blocks of a text the number of letters that were scored.
    target, true = ("letters", "letters") if text else (first.target_names[0], f"{first.target_names[0]}_true")
    tables = [_predictions(run, split) for run in opened]
    common = tables[0].select("id")
    for table in tables[1:]:
        common = common.join(table.select("id"), on="id", how="semi", maintain_order="left")
    if common.is_empty():
        raise InputError(f"the runs have no example of the part {split!r} in common", cure="train them on one split")
    dropped = {name: table.height - common.height for name, table in zip(names, tables, strict=True)}
    for name, count in dropped.items():
        if count:
            logger.info("%s: %d of its examples are not in every run and are left out", name, count)
    aligned = [common.join(table, on="id", how="left", maintain_order="left") for table in tables]
    truth = aligned[0][true].to_numpy()
    for run, table in zip(opened[1:], aligned[1:], strict=True):
        differ = np.flatnonzero(table[true].to_numpy() != truth)
        if len(differ):
            raise InputError(
                f"{len(differ)} examples have another {target} than in {names[0]}, the first is "
                f"{common['id'][int(differ[0])]!r}",
                file=run.path,
                cure="compare runs on datasets with the same targets",
            )
    values = [
        replicate_text(table, replicates=replicates, seed=seed)
        if text
        else replicate(truth, table[target].to_numpy(), first.task, replicates=replicates, seed=seed, line=first.line)
        for table in aligned
    ]
    pairs = [
        _difference(metric, names[a], names[b], values[a][metric], values[b][metric])
        for metric in values[0]
        for a, b in combinations(range(len(runs)), 2)
    ]
    metrics: dict[str, dict[str, Any]] = {
        name: {"n": common.height, **estimates(value)} for name, value in zip(names, values, strict=True)
    }
    return Comparison(common.height, dropped, metrics, pl.DataFrame(pairs, schema=PAIRS))


def _difference(metric: str, a: str, b: str, values_a: Floats, values_b: Floats) -> dict[str, Any]:
    difference = values_a - values_b
    low, high = interval(difference[1:])
    row: dict[str, Any] = {"metric": metric, "a": a, "b": b, "value_a": _number(values_a[0])}
    row |= {"value_b": _number(values_b[0]), "difference": _number(difference[0]), "low": low, "high": high}
    drawn = difference[1:][~np.isnan(difference[1:])]
    row["p"] = row["better"] = None
    if len(drawn):
        tail = min((drawn <= 0).mean(), (drawn >= 0).mean())
        row["p"] = float(min(1.0, max(2 * tail, 1 / len(drawn))))
    if low is not None and high is not None and (low > 0 or high < 0):
        row["better"] = a if (low > 0) != (metric in LESS_IS_BETTER) else b
    return row


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _names(runs: Sequence[Run]) -> list[str]:
    """Name runs by their folders; where two folders have one name, by their paths."""
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(Path(run.path)) for run in runs]


def _predictions(run: Run, split: str) -> pl.DataFrame:
    if (run.path / PREDICTIONS).exists():
        table = run.predictions().filter(pl.col("split") == split)
        if not table.is_empty():
            return table
    return prediction_table(run, None, split)
