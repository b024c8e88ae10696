"""Train a recipe on a dataset: check, fit each member, predict, evaluate, and leave a run folder."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from regulome import storage
from regulome.datasets.dataset import Dataset
from regulome.recipes.schema import Recipe
from regulome.training import partial, runs, state
from regulome.training.baselines import fit_baseline
from regulome.training.evaluation import evaluate, evaluate_table
from regulome.training.fit import FitJob, Fitted, fit
from regulome.training.launch import launch
from regulome.training.multilabel import MANY
from regulome.training.plan import Plan, headline, make_plan
from regulome.training.prediction import as_rows, tabulate
from regulome.training.scores import keep_features, write_scores

logger = logging.getLogger(__name__)

# The metric that is told at the end: its name, its word, and its decimals.
_TOLD = {
    "classification": ("auroc", "AUROC", 4),
    "regression": ("pearson", "Pearson", 4),
    "next-letter": ("perplexity", "perplexity", 3),
}


def train(
    recipe: str | Path | Recipe,
    dataset: str | os.PathLike[str] | Dataset,
    out: str | os.PathLike[str],
    *,
    split: str | None = None,
    test_chromosomes: Sequence[str] = (),
    valid_chromosomes: Sequence[str] = (),
    seed: int | None = None,
    device: str = "auto",
    devices: int = 1,
    ensemble: int = 1,
    resume: bool = False,
    overwrite: bool = False,
    set: Mapping[str, object] | Iterable[str] = (),
) -> runs.Run:
    """Train.

    Until it is complete the run lies in ``OUT.partial``; after a crash or Ctrl-C it is finished with ``resume``, and
    ends with the weights that it would have had without the interruption (same machine, same number of threads).

    Args:
        recipe: Name of a recipe, a TOML file, or a recipe.
        dataset: A dataset or its folder.
        out: The run folder to make.
        split: See :func:`regulome.datasets.assign_split`.
        test_chromosomes: Chromosomes to test on.
        valid_chromosomes: Chromosomes that choose the epoch.
        seed: Replaces the recipe's seed.
        device: "auto", "cpu" or "cuda".
        devices: Number of devices; each takes ``training.batch_size`` examples per step.
        ensemble: Number of members, with seeds seed, seed + 1 …; their probabilities or values are averaged.
        resume: Finish ``OUT.partial``; start anew where there is none.
        overwrite: Replace ``out`` and ``OUT.partial``.
        set: Settings that replace the recipe's, ``["training.epochs=5"]`` or ``{"training.epochs": 5}``.

    Returns:
        The run.

    Raises:
        InputError: Anything in recipe, dataset, split or device that cannot be; ``out`` exists; there is nothing to
            resume of this recipe and dataset.
    """
    plan = make_plan(recipe, dataset, split, test_chromosomes, valid_chromosomes, seed, device, devices, ensemble, set)
    out = Path(out).absolute()
    if resume and out.exists() and not overwrite:
        partial.check_same(out, plan)
        logger.info("%s is complete: nothing to resume", out)
        return runs.open_run(out)
    storage.check_target(out, overwrite=overwrite)
    folder = partial.begin(out, plan, resume=resume, overwrite=overwrite)
    logger.info(headline(plan))
    with state.own_randomness(), partial.cut_off_tidily(folder, lambda: partial.fitting_begun(folder)):
        for member in range(ensemble):
            fit_member(plan, folder, member)
        finish(plan, folder)
    storage.replace(folder, out)
    run = runs.open_run(out)
    _tell(run)
    return run


def fit_member(plan: Plan, folder: Path, member: int) -> None:
    """Fit one member into a folder that :func:`regulome.training.partial.begin` gave, unless it is there already."""
    members = len(plan.info.members)
    done = partial.read_history(folder)
    if member in done["member"]:
        return
    title = f"member {member + 1} of {members} · " if members > 1 else ""
    job = FitJob(
        plan.recipe,
        plan.dataset,
        plan.rows("train"),
        plan.rows("valid"),
        seed=plan.info.members[member],
        member=member,
        checkpoint=folder / partial.CHECKPOINT,
        title=title,
    )
    fitted, chosen = fit_job(job, plan.device, plan.info.devices)
    partial.keep_member(folder, member, members, fitted, chosen, done)


def fit_job(job: FitJob, device: torch.device, devices: int = 1) -> tuple[Fitted, dict[str, Any]]:
    """Fit by the method of the recipe; return what was fitted, and the hyperparameters that were chosen on the way."""
    if job.recipe.training.method == "scikit-learn":
        return fit_baseline(job)
    if job.recipe.training.method == "full-batch":
        from regulome.training.kmer_baseline import fit_kmer

        return fit_kmer(job)
    if job.recipe.training.method == "counting":
        from regulome.training.text_baselines import fit_counting

        return fit_counting(job)
    return launch(fit, job, device=device, devices=devices, precision=job.recipe.training.precision), {}


def finish(plan: Plan, folder: Path) -> None:
    """Predict validation and test, evaluate, and mark the run as complete."""
    info = runs.read_info(folder)
    run = runs.Run(folder, info, plan.recipe)
    valid, test = plan.rows("valid"), plan.rows("test")
    rows = np.concatenate([valid, test])
    parts = [str(part) for part in plan.parts[rows]]
    if len(info.target_names) >= MANY:
        values = write_scores(folder / runs.SCORES, run, plan.dataset, rows, plan.device)
        as_rows(plan.dataset, rows, parts).write_parquet(folder / runs.PREDICTIONS)
        if info.task == "classification":
            metrics = keep_features(folder, info, plan.dataset.targets, values, valid, test).summary()
        else:
            metrics = evaluate(run, plan.dataset)
    else:
        table = tabulate(run, plan.dataset, rows, parts, device=plan.device)
        table.write_parquet(folder / runs.PREDICTIONS)
        tested = table.filter(pl.col("split") == "test")
        metrics = evaluate_table(tested, info.target_names, info.task, line=info.line)
    partial.write_text(folder / runs.METRICS, json.dumps(metrics, indent=2) + "\n")
    info.status = "complete"
    partial.write_text(folder / runs.INFO, info.to_json())


def _tell(run: runs.Run) -> None:
    name, word, digits = _TOLD[run.info.task]
    found = run.metrics()[name]
    if found["value"] is None:
        logger.info("test %s is not defined: it %s", word, found["reason"])
        return
    logger.info(
        "test %s %.*f (95 %% interval %.*f to %.*f) · %.0f s of training · %s",
        *(word, digits, found["value"], digits, found["low"], digits, found["high"], run.info.seconds, run.path),
    )
