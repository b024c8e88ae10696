"""What a training will do: everything checked before the work begins."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

import regulome
from regulome.datasets.dataset import Dataset
from regulome.datasets.splits import assign_split, describe_split
from regulome.errors import InputError
from regulome.recipes.load import load_recipe
from regulome.recipes.schema import Recipe
from regulome.training import runs
from regulome.training.build import new_predictor
from regulome.training.device import choose_device, describe_device
from regulome.training.lines import line_named
from regulome.training.prediction import as_dataset

logger = logging.getLogger(__name__)

# What these methods fit has no parameters that a gradient would move.
_UNCOUNTED = ("scikit-learn", "counting")


@dataclass(frozen=True)
class Plan:
    """A checked request."""

    recipe: Recipe
    dataset: Dataset
    parts: npt.NDArray[np.str_]
    device: torch.device
    info: runs.RunInfo

    def rows(self, part: str) -> npt.NDArray[np.int64]:
        """Rows of a part."""
        return np.flatnonzero(self.parts == part)

    @property
    def splits(self) -> pl.DataFrame:
        """Columns id and split."""
        return pl.DataFrame({"id": self.dataset.regions["id"], "split": self.parts.tolist()})

    def with_recipe(self, recipe: Recipe) -> Plan:
        """Return the plan to train another recipe, of the same line, with one member.

        Raises:
            InputError: The network cannot be made with these hyperparameters.
        """
        update = {
            "recipe": recipe.name,
            "model": recipe.model.name,
            "members": [recipe.training.seed],
            "parameters": count_parameters(recipe, self.dataset),
            **line_named(recipe.line, recipe.model.name).record(self.dataset, recipe.input),
        }
        return replace(self, recipe=recipe, info=self.info.model_copy(update=update, deep=True))


def count_parameters(recipe: Recipe, dataset: Dataset) -> int:
    """Count the parameters of a recipe's network for a dataset.

    Raises:
        InputError: It cannot be made.
    """
    # On the meta device nothing is allocated and no random number is drawn.
    with torch.device("meta"):
        sizes = line_named(recipe.line, recipe.model.name).sizes(dataset, recipe.input)
        model = new_predictor(recipe, task=dataset.task, hyperparameters=None, **sizes)
    return sum(parameter.numel() for parameter in model.parameters())


def make_plan(
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
) -> Plan:
    """Check a request to train; the arguments are those of :func:`regulome.training.train`.

    Raises:
        InputError: Something in it cannot be.
    """
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
    if devices > 1 and chosen.training.method != "gradient":
        raise InputError(f"{chosen.name} is fitted on one device", cure="leave --devices away")
    line = line_named(chosen.line, chosen.model.name)
    task = line.task(data)
    parts = assign_split(*(data, split), test_chromosomes=test_chromosomes, valid_chromosomes=valid_chromosomes, seed=0)
    line.check(chosen, data, parts)
    parameters = count_parameters(chosen, data)
    first = chosen.training.seed
    info = runs.RunInfo(
        recipe=chosen.name,
        model=chosen.model.name,
        line=data.line,
        task=task,
        target_names=data.target_names,
        **line.record(data, chosen.input),
        dataset=runs.DatasetRecord(path=str(data.path), checksum=data.checksum),
        split=describe_split(data, parts),
        members=list(range(first, first + ensemble)),
        parameters=parameters,
        device=describe_device(where, devices),
        devices=devices,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=_versions(),
    )
    return Plan(chosen, data, parts, where, info)


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


def _versions() -> dict[str, str]:
    names = ("numpy", "torch", "lightning", "scikit-learn")
    versions = {name: importlib.metadata.version(name) for name in names}
    return {"regulome": regulome.__version__, "python": platform.python_version(), **versions}


def headline(plan: Plan) -> str:
    """Say in one line what computes, on what, and how much of it."""
    data, info = plan.dataset, plan.info
    line = line_named(info.line, info.model)
    members = f" × {len(info.members)} members" if len(info.members) > 1 else ""
    counted = f", {info.parameters:,} parameters{members}" if plan.recipe.training.method not in _UNCOUNTED else members
    return (
        f"{info.device} · dataset {data.path.name}: {line.examples(info, data)}"
        f" · {info.split} · model {info.model}{counted}"
    )
