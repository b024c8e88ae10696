"""Train a recipe on a dataset: check, fit each member, predict, evaluate, and leave a run folder."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import platform
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

import regulome
from regulome import storage
from regulome.datasets.dataset import Dataset
from regulome.datasets.splits import assign_split, describe_split
from regulome.errors import InputError
from regulome.recipes.load import load_recipe, to_toml
from regulome.recipes.schema import Recipe
from regulome.training import runs, state
from regulome.training.baselines import fit_baseline
from regulome.training.build import new_predictor
from regulome.training.device import choose_device, describe_device
from regulome.training.evaluation import evaluate_table
from regulome.training.fit import FitJob, Fitted, fit
from regulome.training.launch import launch
from regulome.training.prediction import as_dataset, as_table, predict_dataset

logger = logging.getLogger(__name__)

_CHECKPOINT = "checkpoint.pt"
_HISTORY_SCHEMA = {
    "member": pl.Int64,
    "epoch": pl.Int64,
    "step": pl.Int64,
    **dict.fromkeys(
        ("train_loss", "valid_loss", "valid_auroc", "valid_pearson", "learning_rate", "seconds"), pl.Float64
    ),
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
    plan = _plan(recipe, dataset, split, test_chromosomes, valid_chromosomes, seed, device, devices, ensemble, set)
    out = Path(out).absolute()
    if resume and out.exists() and not overwrite:
        _same(out, plan)
        logger.info("%s is complete: nothing to resume", out)
        return runs.open_run(out)
    storage.check_target(out, overwrite=overwrite)
    folder = _begin(out, plan, resume=resume, overwrite=overwrite)
    logger.info(_headline(plan))
    with state.own_randomness():
        for member in range(ensemble):
            _fit_member(plan, folder, member)
        _finish(plan, folder)
    storage.replace(folder, out)
    run = runs.open_run(out)
    _tell(run)
    return run


@dataclass(frozen=True)
class _Plan:
    """A checked request."""

    recipe: Recipe
    dataset: Dataset
    parts: npt.NDArray[np.str_]
    device: torch.device
    info: runs.RunInfo

    def rows(self, part: str) -> npt.NDArray[np.int64]:
        return np.flatnonzero(self.parts == part)

    @property
    def splits(self) -> pl.DataFrame:
        return pl.DataFrame({"id": self.dataset.regions["id"], "split": self.parts.tolist()})


def _plan(
    recipe: str | Path | Recipe,
    dataset: str | os.PathLike[str] | Dataset,
    split: str | None,
    test_chromosomes: Sequence[str],
    valid_chromosomes: Sequence[str],
    seed: int | None,
    device: str,
    devices: int,
    ensemble: int,
    settings: Mapping[str, object] | Iterable[str],
) -> _Plan:
    chosen = _resolve(recipe, settings, seed)
    if ensemble < 1:
        raise InputError(f"ensemble must be at least 1, got {ensemble}")
    where = choose_device(device, devices)
    data = as_dataset(dataset)
    if data.line != chosen.line:
        raise InputError(
            f"is a dataset of the line {data.line!r}, the recipe {chosen.name} takes {chosen.line!r}",
            file=data.path,
            cure="choose another recipe: `regulome recipes` lists them",
        )
    if data.task not in ("classification", "regression"):
        raise InputError("has no targets to learn", file=data.path, cure="prepare it with targets or labels")
    if devices > 1 and chosen.training.method == "scikit-learn":
        raise InputError(f"{chosen.name} is fitted on one device", cure="leave --devices away")
    parts = assign_split(*(data, split), test_chromosomes=test_chromosomes, valid_chromosomes=valid_chromosomes, seed=0)
    _check_targets(data, parts, chosen)
    # On the meta device nothing is allocated and no random number is drawn.
    with torch.device("meta"):
        model = new_predictor(chosen, marks=len(data.marks), bins=data.bins, task=data.task)
    first = chosen.training.seed
    info = runs.RunInfo(
        recipe=chosen.name,
        model=chosen.model.name,
        line=data.line,
        task="classification" if data.task == "classification" else "regression",
        marks=data.marks,
        bins=data.bins,
        bin_size=data.bin_size,
        target_names=data.target_names,
        dataset=runs.DatasetRecord(path=str(data.path), checksum=data.checksum),
        split=describe_split(data, parts),
        members=list(range(first, first + ensemble)),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        device=describe_device(where, devices),
        devices=devices,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=_versions(),
    )
    return _Plan(chosen, data, parts, where, info)


def _resolve(recipe: str | Path | Recipe, settings: Mapping[str, object] | Iterable[str], seed: int | None) -> Recipe:
    pairs = dict(settings) if isinstance(settings, Mapping) else list(settings)
    if isinstance(recipe, Recipe):
        if pairs:
            raise InputError("settings replace those of a recipe that is given by name or file, not of a Recipe")
        chosen = recipe
    else:
        chosen = load_recipe(recipe, pairs)
    if seed is None:
        return chosen
    return Recipe.model_validate({**chosen.model_dump(), "training": {**chosen.training.model_dump(), "seed": seed}})


def _check_targets(dataset: Dataset, parts: npt.NDArray[np.str_], recipe: Recipe) -> None:
    """Refuse targets from which nothing can be learned, before any work."""
    for part in ("train", "valid"):
        values = np.asarray(dataset.targets[parts == part])
        if not np.isfinite(values).all():
            raise InputError(f"the {part} targets are not all finite numbers", file=dataset.path)
        constant = np.flatnonzero(values.min(axis=0) == values.max(axis=0))
        if len(constant) == 0:
            continue
        needed = part == "train" or recipe.training.select == "valid_auroc"
        if needed and len(constant) == values.shape[1]:
            name = dataset.target_names[int(constant[0])]
            raise InputError(
                f"all {len(values):,} {part} examples have the same {name}: {values[0, int(constant[0])]:g}",
                file=dataset.path,
                cure="choose another --split, or another target when preparing",
            )


def _versions() -> dict[str, str]:
    names = ("numpy", "torch", "lightning", "scikit-learn")
    versions = {name: importlib.metadata.version(name) for name in names}
    return {"regulome": regulome.__version__, "python": platform.python_version(), **versions}


def _headline(plan: _Plan) -> str:
    data, info = plan.dataset, plan.info
    unit = "genes" if data.line == "expression" else "examples"
    members = f" × {len(info.members)} members" if len(info.members) > 1 else ""
    counted = f", {info.parameters:,} parameters{members}" if plan.recipe.training.method == "gradient" else members
    return (
        f"{info.device} · dataset {data.path.name}: {len(data):,} {unit} × {len(data.marks)} marks × {data.bins} bins"
        f" · {info.split} · model {info.model}{counted}"
    )


def _begin(out: Path, plan: _Plan, *, resume: bool, overwrite: bool) -> Path:
    """Return the folder to work in, new or taken up again."""
    folder = runs.partial_folder(out)
    if folder.exists() and not resume and not overwrite:
        raise InputError(
            "holds an unfinished run", file=folder, cure="finish it with --resume, or start anew with --overwrite"
        )
    if folder.exists() and resume and (folder / runs.INFO).exists():
        _same(folder, plan)
        return folder
    if resume:
        logger.info("nothing to resume: starting anew")
    if folder.exists():
        shutil.rmtree(folder)
    # The record is written last: a folder with a record has everything else that a resumed run compares.
    folder.mkdir()
    (folder / runs.RECIPE).write_text(to_toml(plan.recipe), "utf-8")
    plan.splits.write_parquet(folder / runs.SPLITS)
    _write(folder / runs.INFO, plan.info.to_json())
    return folder


def _same(folder: Path, plan: _Plan) -> None:
    """Refuse to resume a run of something else."""
    info = runs.read_info(folder)
    before = load_recipe(folder / runs.RECIPE)
    differs = None
    if before != plan.recipe:
        differs = "recipe " + _difference(before, plan.recipe)
    elif info.dataset is None or plan.info.dataset is None or info.dataset.checksum != plan.info.dataset.checksum:
        differs = "dataset"
    elif not pl.read_parquet(folder / runs.SPLITS).equals(plan.splits):
        differs = "split"
    elif info.members != plan.info.members:
        differs = f"ensemble ({len(info.members)} members, now {len(plan.info.members)})"
    elif info.devices != plan.info.devices:
        differs = f"number of devices ({info.devices}, now {plan.info.devices})"
    if differs:
        raise InputError(
            f"was begun with another {differs}", file=folder, cure="give the same, or start anew with --overwrite"
        )


def _difference(before: Recipe, now: Recipe) -> str:
    old, new = (_flat(recipe.model_dump()) for recipe in (before, now))
    key = next(key for key in [*old, *new] if old.get(key) != new.get(key))
    return f"({key} {old.get(key)}, now {new.get(key)})"


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _fit_member(plan: _Plan, folder: Path, member: int) -> None:
    members = len(plan.info.members)
    done = _read_history(folder)
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
        checkpoint=folder / _CHECKPOINT,
        title=title,
    )
    chosen: dict[str, Any] = {}
    if plan.recipe.training.method == "scikit-learn":
        fitted, chosen = fit_baseline(job)
    else:
        fitted = launch(
            fit, job, device=plan.device, devices=plan.info.devices, precision=plan.recipe.training.precision
        )
    _keep(folder, member, members, fitted, chosen, done)


def _keep(folder: Path, member: int, members: int, fitted: Fitted, chosen: dict[str, Any], done: pl.DataFrame) -> None:
    """Store a finished member; its rows of history come last, because they say that it is finished."""
    runs.save_weights(folder / runs.weights_name(member, members), fitted["weights"])
    info = runs.read_info(folder)
    info.hyperparameters = [*info.hyperparameters[:member], chosen]
    info.seconds += sum(float(row["seconds"] or 0) for row in fitted["history"])
    _write(folder / runs.INFO, info.to_json())
    with storage.new_file(folder / runs.HISTORY) as temporary:
        pl.concat([done, pl.DataFrame(fitted["history"], schema=_HISTORY_SCHEMA)]).write_csv(temporary)
    (folder / _CHECKPOINT).unlink(missing_ok=True)


def _read_history(folder: Path) -> pl.DataFrame:
    if not (folder / runs.HISTORY).exists():
        return pl.DataFrame(schema=_HISTORY_SCHEMA)
    return pl.read_csv(folder / runs.HISTORY, schema=_HISTORY_SCHEMA)


def _finish(plan: _Plan, folder: Path) -> None:
    """Predict validation and test, evaluate, and mark the run as complete."""
    info = runs.read_info(folder)
    run = runs.Run(folder, info, plan.recipe)
    rows = np.concatenate([plan.rows("valid"), plan.rows("test")])
    values = predict_dataset(
        run.models(plan.device),
        plan.dataset,
        rows,
        task=info.task,
        orient=plan.recipe.input.orient,
        device=plan.device,
    )
    table = as_table(info, plan.dataset, rows, [str(part) for part in plan.parts[rows]], values)
    table.write_parquet(folder / runs.PREDICTIONS)
    metrics = evaluate_table(table.filter(pl.col("split") == "test"), info.target_names, info.task)
    _write(folder / runs.METRICS, json.dumps(metrics, indent=2) + "\n")
    info.status = "complete"
    _write(folder / runs.INFO, info.to_json())


def _write(path: Path, text: str) -> None:
    with storage.new_file(path) as temporary:
        temporary.write_text(text, "utf-8")


def _tell(run: runs.Run) -> None:
    name, word = ("auroc", "AUROC") if run.info.task == "classification" else ("pearson", "Pearson")
    found = run.metrics()[name]
    if found["value"] is None:
        logger.info("test %s is not defined: it %s", word, found["reason"])
        return
    logger.info(
        "test %s %.4f (95 %% interval %.4f to %.4f) · %.0f s of training · %s",
        *(word, found["value"], found["low"], found["high"], run.info.seconds, run.path),
    )
