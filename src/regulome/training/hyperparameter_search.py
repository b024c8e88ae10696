"""Search for the best setting of a recipe on a dataset, and train it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from regulome import storage
from regulome.datasets.dataset import Dataset
from regulome.errors import InputError
from regulome.recipes.load import nearest, to_toml, with_settings
from regulome.recipes.schema import Recipe
from regulome.recipes.search_space import Space, load_space
from regulome.training import runs, state
from regulome.training.partial import cut_off_tidily, write_text
from regulome.training.plan import Plan, count_parameters, headline, make_plan
from regulome.training.proposals import SAMPLERS
from regulome.training.search_record import INFO, RECIPE, Search, SearchInfo, Trial, check_same, open_search, read_info
from regulome.training.search_trials import Work, divide, metric_words, run_trials, train_candidates

logger = logging.getLogger(__name__)

#: What trials may be scored by.
METRICS = ("valid_auroc", "valid_auprc", "valid_loss", "valid_perplexity")
#: Trials of a search that has no end of its own.
TRIALS = 30


def search(
    recipe: str | Path | Recipe,
    dataset: str | os.PathLike[str] | Dataset,
    out: str | os.PathLike[str],
    *,
    trials: int | None = None,
    sampler: str = "random",
    space: str | Path | Mapping[str, Any] | None = None,
    split: str | None = None,
    test_chromosomes: Sequence[str] = (),
    valid_chromosomes: Sequence[str] = (),
    metric: str | None = None,
    folds: int = 0,
    candidates: int = 3,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    set: Mapping[str, object] | Iterable[str] = (),
) -> Search:
    """Search.

    Each trial fits the recipe with another setting and is scored on the validation part, or on each fold of the
    training part in turn. The best setting is then trained on the whole training part with several seeds; the run that
    is best on the validation part is kept, and it alone is tested. With ``trials=30, folds=3, candidates=6`` and the
    space of ``deepbind-published`` this is DeepBind's calibration (Alipanahi et al. 2015), except that the validation
    part, on which nothing is trained, chooses the epoch and the candidate.

    Until it is complete the search lies in ``OUT.partial``; after a crash or Ctrl-C it is finished with ``resume``, and
    ends with the trials and the weights that it would have had without the interruption (same machine, same number of
    threads).

    Args:
        recipe: Name of a recipe, a TOML file, or a recipe.
        dataset: A dataset or its folder.
        out: The folder to make.
        trials: Settings to try; None means 30, of a grid all.
        sampler: "random"; "tpe", which draws near good trials; or "grid", every combination.
        space: What is varied: name of a recipe whose space comes with regulome, a TOML file, or the content of its
            ``[space]``; None takes the recipe's own, or learning rate, weight decay and batch size.
        split: See :func:`regulome.datasets.assign_split`.
        test_chromosomes: Chromosomes to test on.
        valid_chromosomes: Chromosomes that score trials and choose epochs.
        metric: What trials are scored by, at the epoch that the recipe keeps: "valid_auroc" (the default),
            "valid_auprc" (regression: Pearson's correlation) or "valid_loss"; of texts "valid_perplexity" (the default)
            or "valid_loss".
        folds: Score each setting by cross-validation within the training part in so many folds; 0 takes the validation
            part. Texts have no folds.
        candidates: Trainings of the best setting, with seeds seed, seed + 1 …
        seed: Seed of the settings, the folds and the trainings; replaces the recipe's.
        device: "auto", "cpu" or "cuda".
        resume: Finish ``OUT.partial``; start anew where there is none. More ``trials`` than before may be asked for.
        overwrite: Replace ``out`` and ``OUT.partial``.
        set: Settings that replace the recipe's in all trials.

    Returns:
        The search: its trials, the best recipe, and the run.

    Raises:
        InputError: Anything in recipe, space, dataset or split that cannot be; ``out`` exists; there is nothing to
            resume of this request; no setting could be trained.
    """
    _check(sampler, metric, trials, folds, candidates)
    plan = make_plan(recipe, dataset, split, test_chromosomes, valid_chromosomes, seed, device, 1, 1, set)
    metric = _metric(metric, folds, plan)
    chosen = load_space(space, plan.recipe)
    _check_space(chosen, plan)
    count = _count(chosen, sampler, trials)
    info = _record(plan, chosen, sampler, metric, folds, seed)
    out = Path(out).absolute()
    if resume and out.exists() and not overwrite:
        found = open_search(out)
        check_same(out, found.info, info.request)
        logger.info("%s is complete with %d trials: nothing to resume", out, len(found.info.trials))
        return found
    storage.check_target(out, overwrite=overwrite)
    parts = divide(plan, folds, seed)
    folder, info = _begin(out, info, resume=resume, overwrite=overwrite)
    work = Work(plan, chosen, sampler, parts, folder, max(count, len(info.trials)), info)
    logger.info(headline(plan))
    logger.info(_say(work))
    with state.own_randomness(), cut_off_tidily(work.folder, lambda: _begun(work)):
        best = run_trials(work)
        info.best = best.number
        kept = train_candidates(work, _best_recipe(work, best), candidates)
        write_text(folder / RECIPE, to_toml(kept))
        info.status = "complete"
        info.save(folder)
    storage.replace(folder, out)
    found = Search(out, info)
    logger.info("%s", _tell(found))
    return found


def _check(sampler: str, metric: str | None, trials: int | None, folds: int, candidates: int) -> None:
    for name, value, known in (("sampler", sampler, SAMPLERS), ("metric", metric, METRICS)):
        if value is not None and value not in known:
            raise InputError(f"unknown {name} {value!r}", cure=nearest(value, known))
    if trials is not None and trials < 1:
        raise InputError(f"trials must be at least 1, got {trials}")
    if folds < 0 or folds == 1:
        raise InputError(f"folds must be 0 or at least 2, got {folds}")
    if candidates < 1:
        raise InputError(f"candidates must be at least 1, got {candidates}")


def _metric(metric: str | None, folds: int, plan: Plan) -> str:
    """Return what trials are scored by, where the dataset has it."""
    if plan.info.task != "next-letter":
        if metric == "valid_perplexity":
            raise InputError(f"{metric} is searched by over texts", cure="give valid_loss, which orders the same")
        return metric or "valid_auroc"
    if folds:
        raise InputError("a text is not divided into folds", file=plan.dataset.path, cure="leave --folds away")
    if metric in ("valid_auroc", "valid_auprc"):
        raise InputError(f"{metric} is of labels: a text has none", cure="give valid_perplexity or valid_loss")
    return metric or "valid_perplexity"


def _check_space(space: Space, plan: Plan) -> None:
    """Make a network with every choice and both ends of every range, by itself, before any work."""
    for dimension in space.dimensions:
        for value in dimension.ends():
            try:
                count_parameters(with_settings(plan.recipe, {dimension.key: value}), plan.dataset)
            except InputError as error:
                named = error.problem.startswith(dimension.key)
                record = None if named else dimension.key
                raise InputError(error.problem, file=space.file, record=record, cure=error.cure) from error


def _count(space: Space, sampler: str, trials: int | None) -> int:
    if sampler != "grid":
        return trials or TRIALS
    combinations = space.combinations()
    if trials is not None and trials < combinations:
        logger.info("the grid has %s combinations: the first %d are tried", f"{combinations:,}", trials)
    return min(trials or combinations, combinations)


def _record(plan: Plan, space: Space, sampler: str, metric: str, folds: int, seed: int) -> SearchInfo:
    prose = {"system", "description", "paper", "differences"}
    request: dict[str, Any] = {
        "recipe": plan.recipe.model_dump(mode="json", exclude=prose),
        "dataset": plan.dataset.checksum,
        "split": hashlib.sha256(plan.parts.tobytes()).hexdigest(),
        "space": space.record(),
        "sampler": sampler,
        "metric": metric,
        "folds": folds,
        "seed": seed,
    }
    return SearchInfo(
        recipe=plan.recipe.name,
        line=plan.recipe.line,
        task=plan.info.task,
        dataset=runs.DatasetRecord(path=str(plan.dataset.path), checksum=plan.dataset.checksum),
        split=plan.info.split,
        request=request,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={**plan.info.versions, "optuna": importlib.metadata.version("optuna")},
    )


def _begin(out: Path, info: SearchInfo, *, resume: bool, overwrite: bool) -> tuple[Path, SearchInfo]:
    """Return the folder to work in and its record, new or taken up again."""
    folder = runs.partial_folder(out)
    if folder.exists() and not resume and not overwrite:
        raise InputError(
            "holds unfinished work", file=folder, cure="finish it with --resume, or start anew with --overwrite"
        )
    if folder.exists() and resume and any(not file.name.startswith(".") for file in folder.iterdir()):
        before = read_info(folder)
        check_same(folder, before, info.request)
        for file in folder.glob(".*.tmp"):
            # A killed process was writing it.
            file.unlink()
        ended = sum(trial.state != "running" for trial in before.trials)
        logger.info("resumed after %d trials", ended)
        return folder, before
    if resume:
        logger.info("nothing to resume: starting anew")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    info.save(folder)
    return folder, info


def _begun(work: Work) -> bool:
    """Say whether a search's unfinished folder has a scored trial, or is not yet a search's."""
    return work.info.leader() is not None or not (work.folder / INFO).exists()


def _best_recipe(work: Work, best: Trial) -> Recipe:
    base = work.plan.recipe
    request = work.info.request
    how = f"{request['folds']}-fold cross-validation" if request["folds"] else "the validation part"
    said = (
        f"The best of {len(work.info.trials)} settings ({request['sampler']} search, {request['metric']} "
        f"{best.score:.4f} by {how}) of the recipe {base.name}: {', '.join(best.settings)} were searched over."
    )
    name = base.name.removesuffix("-best") + "-best"
    differences = f"{base.differences} {said}".strip()
    return with_settings(base, {**best.settings, "name": name, "differences": differences})


def _say(work: Work) -> str:
    request = work.info.request
    how = f"mean over {request['folds']} folds of the training part" if request["folds"] else "on the validation part"
    words = metric_words(work.info.metric, work.plan.info.task)
    keys = ", ".join(dimension.key for dimension in work.space.dimensions)
    source = f" (space {work.space.name})" if work.space.name else ""
    return f"{work.trials} trials, {request['sampler']}, by {words} {how}, over {keys}{source}"


def _tell(found: Search) -> str:
    best = found.best
    said = ", ".join(f"{key} = {value}" for key, value in best.settings.items())
    return f"best of {len(found.info.trials)} trials: number {best.number}, {best.score:.4f}: {said} · {found.path}"
