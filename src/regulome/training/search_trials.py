"""Trials of a search: each a fit whose score is kept and whose weights are not; and the candidates at its end."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from regulome import storage
from regulome.datasets.folds import assign_folds
from regulome.errors import InputError
from regulome.recipes.load import with_settings
from regulome.recipes.schema import Recipe
from regulome.recipes.search_space import Space
from regulome.training import partial, runs
from regulome.training.build import new_predictor
from regulome.training.fit import Epoch, FitJob, Fitted
from regulome.training.lines import line_named
from regulome.training.plan import Plan
from regulome.training.proposals import propose
from regulome.training.search_record import RUN, Candidate, SearchInfo, Trial
from regulome.training.targets import summarize_targets
from regulome.training.text_scores import block_bits, perplexity
from regulome.training.trainer import finish, fit_job, fit_member
from regulome.training.validation import SCORES, Validation

logger = logging.getLogger(__name__)

Rows = npt.NDArray[np.int64]
# What these say of each epoch or strength is too much where a trial has one line.
_TALKATIVE = (
    *(f"training.{name}" for name in ("fit", "baselines", "kmer_baseline", "launch", "lines")),
    "datasets.language_batches",
)


@dataclass(frozen=True)
class Work:
    """What all trials share.

    Attributes:
        plan: The checked request, with the recipe before anything is varied.
        space: What is varied.
        sampler: How settings are chosen.
        parts: Rows that train and rows that score, for each fit of a trial.
        folder: Where the search lies while it goes on.
        trials: Number of trials.
        info: The record; it grows.
    """

    plan: Plan
    space: Space
    sampler: str
    parts: Sequence[tuple[Rows, Rows]]
    folder: Path
    trials: int
    info: SearchInfo


def divide(plan: Plan, folds: int, seed: int) -> list[tuple[Rows, Rows]]:
    """Return the rows that train and the rows that score: training and validation part, or each fold of the first.

    Raises:
        InputError: The training part is too small, or all targets of a fold are equal.
    """
    train = plan.rows("train")
    if not folds:
        return [(train, plan.rows("valid"))]
    fold = assign_folds(plan.dataset, train, folds, seed=seed)
    parts = [(train[(fold >= 0) & (fold != k)], train[fold == k]) for k in range(folds)]
    for number, rows in enumerate(parts, 1):
        for part in rows:
            if len(summarize_targets(plan.dataset, part).constant) == len(plan.dataset.target_names):
                raise InputError(
                    f"fold {number} of {folds} would have {len(part):,} examples with the same targets",
                    file=plan.dataset.path,
                    cure="take fewer --folds, or another --split",
                )
    return parts


def run_trials(work: Work) -> Trial:
    """Run the trials that are not done yet; return the best of all.

    Raises:
        InputError: No setting could be trained.
    """
    info = work.info
    while True:
        if not info.trials or info.trials[-1].state != "running":
            number = len(info.trials) + 1
            if number > work.trials:
                break
            seed = int(info.request["seed"])
            settings, drawn = propose(
                *(work.space, work.sampler), seed=seed, number=number, before=info.trials, maximize=info.maximize
            )
            info.trials.append(Trial(number=number, settings=settings, drawn=drawn))
            info.save(work.folder)
        trial = info.trials[-1]
        with _few_words():
            _run(work, trial)
        info.save(work.folder)
        _clear(work.folder)
        logger.info(_line(work, trial))
    best = info.leader()
    if best is None:
        raise InputError(
            f"none of the {len(info.trials)} settings could be trained; the first: {info.trials[0].note}",
            cure="give another --space",
        )
    return best


def _run(work: Work, trial: Trial) -> None:
    plan = work.plan
    try:
        recipe = with_settings(plan.recipe, trial.settings)
        for number in range(len(trial.folds), len(work.parts)):
            fold = f" · fold {number + 1} of {len(work.parts)}" if len(work.parts) > 1 else ""
            job = FitJob(
                recipe,
                plan.dataset,
                *work.parts[number],
                seed=recipe.training.seed,
                member=0,
                checkpoint=work.folder / f"trial-{trial.number}-{number + 1}.pt",
                title=f"trial {trial.number} of {work.trials}{fold} · ",
            )
            fitted, chosen = fit_job(job, plan.device)
            score = kept_score(fitted["history"], recipe, plan.info.task, work.info.metric)
            if plan.info.task == "next-letter":
                trial.test = _test(plan, recipe, fitted, chosen)
            trial.folds.append(score)
            trial.seconds += sum(float(row["seconds"] or 0) for row in fitted["history"])
            work.info.save(work.folder)
        trial.score, trial.state = float(np.mean(trial.folds)), "complete"
    except InputError as error:
        # An error with a file is not one of the setting.
        if error.file is not None:
            raise
        trial.state, trial.note = "failed", error.problem
    except torch.cuda.OutOfMemoryError:
        trial.state, trial.note = "failed", "out of memory"
        torch.cuda.empty_cache()


def _test(plan: Plan, recipe: Recipe, fitted: Fitted, chosen: Mapping[str, Any]) -> float | None:
    """Return the perplexity of what was fitted to a text on its test part; None where there is none."""
    sizes = line_named(recipe.line, recipe.model.name).sizes(plan.dataset, recipe.input)
    predictor = new_predictor(recipe, task=plan.info.task, hyperparameters=chosen, **sizes)
    predictor.load_state_dict(fitted["weights"])
    found = block_bits([predictor], plan.dataset, plan.rows("test"), device=plan.device, description="testing")
    letters = int(found.letters.sum())
    return float(perplexity(found.bits.sum() / letters)) if letters else None


def kept_score(history: Sequence[Epoch], recipe: Recipe, task: str, metric: str) -> float:
    """Return the score of the epoch that the recipe keeps.

    Args:
        history: One row per epoch.
        recipe: The recipe; its ``training.select`` says which epoch is kept.
        task: "classification", "regression" or "next-letter".
        metric: "valid_auroc", "valid_auprc" (regression: both mean Pearson's correlation), "valid_loss", or of texts
            "valid_perplexity".

    Raises:
        InputError: The score is not defined.
    """
    names = {"classification": ("auroc", "auprc"), "regression": ("pearson",)}.get(task, ())
    epochs = [
        Validation(_number(row["valid_loss"]), {name: row.get(f"valid_{name}") for name in names}) for row in history
    ]
    select = recipe.training.select
    kept = epochs[-1] if select == "last" else max(epochs, key=lambda epoch: epoch.value(select))
    if metric == "valid_perplexity":
        score: float | None = float(np.exp(kept.loss))
    else:
        score = kept.loss if metric == "valid_loss" else kept.scores[_score_name(metric, task)]
    if score is None or not np.isfinite(score):
        raise InputError(f"{metric} is not defined")
    return score


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _score_name(metric: str, task: str) -> str:
    return "pearson" if task == "regression" else metric.removeprefix("valid_")


def metric_words(metric: str, task: str) -> str:
    """Say what a metric is."""
    return "validation " + ("loss" if metric == "valid_loss" else SCORES[_score_name(metric, task)])


def _line(work: Work, trial: Trial) -> str:
    """Say how a trial ended, which is the best so far, and how long the others will take."""
    info = work.info
    begin = f"trial {trial.number} of {work.trials}"
    said = ", ".join(f"{key.rpartition('.')[2]} {_short(value)}" for key, value in trial.settings.items())
    if trial.score is None:
        return f"{begin} failed: {trial.note} · {said}"
    best = info.leader()
    first = " (best so far)" if best is trial or best is None else f" (best {best.score:.4f}, trial {best.number})"
    mean = sum(each.seconds for each in info.trials) / len(info.trials)
    left = mean * (work.trials - len(info.trials))
    more = f", about {left:,.0f} s left" if left >= 1 else ""
    words = metric_words(info.metric, work.plan.info.task)
    return f"{begin}: {words} {trial.score:.4f}{first}, {trial.seconds:.1f} s{more} · {said}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def train_candidates(work: Work, recipe: Recipe, candidates: int) -> Recipe:
    """Train the best setting with several seeds; leave the run that is best on the validation part.

    Only the run that is kept is tested.

    Args:
        work: The search.
        recipe: The recipe with the best setting.
        candidates: How many are trained, with seeds from ``recipe.training.seed`` on.

    Returns:
        The recipe of the run that was kept.

    Raises:
        InputError: None could be trained.
    """
    info = work.info
    seeds = range(recipe.training.seed, recipe.training.seed + candidates)
    for number, seed in enumerate(seeds, 1):
        if all(candidate.seed != seed for candidate in info.candidates):
            logger.info("training the best setting, seed %d (%d of %d)", seed, number, candidates)
            score = _fit_candidate(work, with_settings(recipe, {"training.seed": seed}))
            info.candidates.append(Candidate(seed=seed, score=score))
            info.save(work.folder)
        best = max(info.candidates, key=lambda candidate: info.goodness(candidate.score))
        for other in info.candidates:
            if other is not best or other.score is None:
                shutil.rmtree(_candidate(work, other.seed), ignore_errors=True)
    if best.score is None:
        raise InputError("the best setting could not be trained again", cure="give another --seed")
    kept = with_settings(recipe, {"training.seed": best.seed})
    if not (work.folder / RUN).exists():
        finish(work.plan.with_recipe(kept), _candidate(work, best.seed))
        storage.replace(_candidate(work, best.seed), work.folder / RUN)
    info.seed = best.seed
    return kept


def _candidate(work: Work, seed: int) -> Path:
    return runs.partial_folder(work.folder / f"candidate-{seed}")


def _fit_candidate(work: Work, recipe: Recipe) -> float | None:
    plan = work.plan.with_recipe(recipe)
    folder = _candidate(work, recipe.training.seed)
    partial.begin(work.folder / f"candidate-{recipe.training.seed}", plan, resume=folder.exists(), overwrite=False)
    try:
        fit_member(plan, folder, 0)
        history: list[Any] = partial.read_history(folder).to_dicts()
        return kept_score(history, recipe, plan.info.task, work.info.metric)
    except InputError as error:
        if error.file is not None:
            raise
        logger.warning("seed %d: %s", recipe.training.seed, error.problem)
        return None


def _clear(folder: Path) -> None:
    for file in folder.glob("trial-*.pt"):
        file.unlink()


@contextmanager
def _few_words() -> Iterator[None]:
    """Let fits say only what is wrong."""
    loggers = [logging.getLogger(f"regulome.{name}") for name in _TALKATIVE]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
