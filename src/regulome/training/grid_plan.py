"""What a grid will do: every training of it, checked before the first one begins."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl

from regulome.datasets.dataset import Dataset, open_dataset
from regulome.datasets.published_folds import published_folds
from regulome.datasets.split_file import Assignment
from regulome.datasets.splits import assign_split, mixed_chromosomes
from regulome.errors import InputError, blame
from regulome.models.registry import inputs_of
from regulome.recipes.load import load_recipe, nearest, with_settings
from regulome.recipes.schema import Recipe
from regulome.records import flat
from regulome.training.grid_file import FoldEntry, GridFile, ModelEntry, read_grid_file
from regulome.training.grid_marks import common_marks, mark_sets
from regulome.training.lines import line_named
from regulome.training.plan import count_parameters

logger = logging.getLogger(__name__)

_PROSE = {"system", "description", "paper", "differences"}


@dataclass(frozen=True)
class GridJob:
    """One training of a grid.

    Attributes:
        cell: Name of the cell.
        marks: Name of the mark set.
        model: Name of the model.
        fold: Name of the fold.
        seed: The seed.
    """

    cell: str
    marks: str
    model: str
    fold: str
    seed: int

    @property
    def key(self) -> str:
        """Its run folder, relative to the grid's: ``CELL/MODEL/MARKS/fold-FOLD-seed-SEED``."""
        parts = (self.cell, self.model, self.marks, f"fold-{self.fold}-seed-{self.seed}")
        return "/".join(_as_name(part) for part in parts)

    def __str__(self) -> str:
        return f"{self.cell} · {self.marks} · {self.model} · fold {self.fold} · seed {self.seed}"


@dataclass(frozen=True)
class GridPlan:
    """A grid whose parts are known to fit each other; make one with :func:`plan_grid`.

    Attributes:
        cells: The dataset of each cell.
        marks: The marks of each mark set.
        folds: How each fold divides a dataset: arguments of :func:`regulome.datasets.assign_split`.
        models: The recipe of each model.
        jobs: Every training, in the order in which they are begun.
        request: Everything that decides the results, for the grid's record.
        options: Options of a batch system.
    """

    cells: Mapping[str, Dataset]
    marks: Mapping[str, list[str]]
    folds: Mapping[str, dict[str, Any]]
    models: Mapping[str, Recipe]
    jobs: list[GridJob]
    request: dict[str, Any] = field(repr=False)
    options: dict[str, Any] = field(default_factory=dict)

    def recipe(self, job: GridJob) -> Recipe:
        """Return the recipe of a training: the model's, with its marks."""
        return seeing(self.models[job.model], self.marks[job.marks], self.cells[job.cell])

    @property
    def table(self) -> pl.DataFrame:
        """A row per training: cell, marks, n_marks, model, fold, seed."""
        rows = [(job.cell, job.marks, len(self.marks[job.marks]), job.model, job.fold, job.seed) for job in self.jobs]
        kinds = (pl.String, pl.String, pl.Int64, pl.String, pl.String, pl.Int64)
        names = ("cell", "marks", "n_marks", "model", "fold", "seed")
        return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")


def seeing(recipe: Recipe, marks: list[str], dataset: Dataset) -> Recipe:
    """Return a recipe that sees some marks of a dataset."""
    return with_settings(recipe, {"input.marks": [] if marks == dataset.marks else marks})


def plan_grid(grid: str | os.PathLike[str] | Mapping[str, Any] | GridPlan) -> GridPlan:
    """Read a grid, open its datasets, and check all that its trainings need.

    Args:
        grid: A TOML file, its content, or a plan, which is returned as it is.

    Raises:
        InputError: Something in it cannot be.
    """
    if isinstance(grid, GridPlan):
        return grid
    content, folder = read_grid_file(grid)
    with blame(None if isinstance(grid, Mapping) else grid):
        return _plan(content, folder)


def _plan(content: GridFile, folder: Path) -> GridPlan:
    cells = {cell: _opened(cell, folder / path) for cell, path in content.datasets().items()}
    _check_cells(cells)
    common = common_marks(cells)
    marks = mark_sets(content.marks, common, cells)
    folds = _folds(content, folder, next(iter(cells.values())))
    if len(set(content.seeds)) < len(content.seeds):
        raise InputError("seeds: one is there twice", cure="name each once")
    entries = content.entries()
    models = {name: _recipe(name, entry, folder) for name, entry in entries.items()}
    sets = {name: _sets_of(name, entry, marks) for name, entry in entries.items()}
    parts = _check_folds(cells, folds, models, allowed=content.mixed_chromosomes)
    for (cell, dataset), (model, recipe) in product(cells.items(), models.items()):
        _check_model(model, recipe, cell, dataset, [marks[name] for name in sets[model]])
    # The first fold of everything comes first: results to look at, and times of all models to reckon with.
    jobs = [
        GridJob(cell, name, model, fold, seed)
        for seed, fold, cell, name, model in product(content.seeds, folds, cells, marks, models)
        if name in sets[model]
    ]
    _check_names(jobs)
    request = {
        "cells": {cell: dataset.checksum for cell, dataset in cells.items()},
        "marks": marks,
        "folds": {
            f"{fold} of {cell}": hashlib.sha256(each.tobytes()).hexdigest() for (cell, fold), each in parts.items()
        },
        "models": {name: recipe.model_dump(mode="json", exclude=_PROSE) for name, recipe in models.items()},
        "inputs": {name: inputs_of(recipe.model.name) for name, recipe in models.items()},
        "trainings": {job.key: True for job in jobs},
    }
    return GridPlan(cells, marks, folds, models, jobs, request, content.cluster)


def _opened(cell: str, path: Path) -> Dataset:
    if not path.exists():
        cure = "make it with `regulome prepare expression … --out`, or mend the path under cells"
        raise InputError(f"the dataset of the cell {cell} is not there", file=path, cure=cure)
    dataset = open_dataset(path)
    if dataset.line != "expression":
        raise InputError(
            f"is a dataset of the line {dataset.line!r}; grids are of the line 'expression'",
            file=path,
            cure="name datasets of marks and expression",
        )
    return dataset


def _check_cells(cells: Mapping[str, Dataset]) -> None:
    (first, one), *others = cells.items()
    for cell, dataset in others:
        if (dataset.task, dataset.target_names) != (one.task, one.target_names):
            raise InputError(
                f"the cell {cell} has {', '.join(dataset.target_names)} ({dataset.task}), {first} has "
                f"{', '.join(one.target_names)} ({one.task})",
                file=dataset.path,
                cure="prepare all cells with the same --target",
            )


def _folds(content: GridFile, folder: Path, dataset: Dataset) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for item in _fold_list(content.folds, dataset):
        name, how = _fold(item, folder)
        if name in found:
            raise InputError(f"folds: {name} is there twice", cure="name each once")
        found[name] = how
    if not found:
        raise InputError("folds: there are none", cure='write folds = 5, or folds = ["fold:1/5"]')
    return found


def _fold_list(folds: int | str | list[str | FoldEntry], dataset: Dataset) -> Sequence[str | FoldEntry]:
    if isinstance(folds, list):
        return folds
    if folds == "published":
        return [f"published:{number}" for number in published_folds(dataset)]
    match = re.fullmatch(r"(\d+)(:.+)?", str(folds))
    if match is None:
        raise InputError(
            f"folds = {folds!r}: expected a number or a list", cure=GridFile.model_fields["folds"].description
        )
    count, way = int(match[1]), match[2] or ""
    if count < 3 - bool(way):
        raise InputError(
            f"folds = {count}: one part trains, one chooses the epoch, one tests",
            cure='take at least 3, or name some of them: folds = ["fold:1/5"]',
        )
    return [f"fold:{number}/{count}{way}" for number in range(1, count + 1)]


def _fold(item: str | FoldEntry, folder: Path) -> tuple[str, dict[str, Any]]:
    if isinstance(item, FoldEntry):
        return "+".join(item.test), {"test_chromosomes": item.test, "valid_chromosomes": item.valid}
    if (folder / item).is_file():
        return (folder / item).stem, {"split": str(folder / item)}
    return item.removeprefix("fold:").removeprefix("published:"), {"split": item}


def _recipe(name: str, entry: ModelEntry, folder: Path) -> Recipe:
    settings = flat(entry.set)
    if "input.marks" in settings:
        raise InputError(f"models.{name}: input.marks is what a grid varies", cure=f"say it as models.{name}.marks")
    if "training.seed" in settings:
        raise InputError(f"models.{name}: training.seed is what a grid varies", cure="say it as seeds")
    path = folder / entry.recipe
    with _of(f"models.{name}"):
        recipe = load_recipe(path if path.is_file() else entry.recipe, settings)
    if recipe.line != "expression":
        raise InputError(
            f"models.{name}: the recipe {recipe.name} takes {recipe.line!r}; grids are of the line 'expression'",
            cure="choose another recipe: `regulome recipes` lists them",
        )
    return recipe


def _sets_of(model: str, entry: ModelEntry, marks: Mapping[str, list[str]]) -> list[str]:
    for name in entry.marks:
        if name not in marks:
            raise InputError(f"models.{model}.marks: there is no mark set {name!r}", cure=nearest(name, marks))
    return entry.marks or list(marks)


def _check_folds(
    cells: Mapping[str, Dataset], folds: Mapping[str, dict[str, Any]], models: Mapping[str, Recipe], *, allowed: bool
) -> dict[tuple[str, str], Assignment]:
    """Divide every cell by every fold, and refuse what cannot be learned, or would be tested on its neighbours."""
    found = {}
    for (cell, dataset), (fold, how) in product(cells.items(), folds.items()):
        parts = assign_split(dataset, **how)
        mixed = [] if allowed else mixed_chromosomes(dataset, parts)
        if mixed:
            raise InputError(
                f"fold {fold} of the cell {cell} has {mixed[0]} in more than one part",
                file=how.get("split") if Path(how.get("split", "")).is_file() else dataset.path,
                cure="give whole chromosomes to each part, or allow it with mixed_chromosomes = true",
            )
        for model, recipe in models.items():
            with blame(dataset.path), _of(f"fold {fold}, {model}"):
                line_named(recipe.line, recipe.model.name).check(recipe, dataset, parts)
        found[cell, fold] = parts
    return found


@contextmanager
def _of(what: str) -> Iterator[None]:
    """Say of what an error is."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{what}: {error.problem}", file=error.file, record=error.record, cure=error.cure) from None


def _check_model(model: str, recipe: Recipe, cell: str, dataset: Dataset, sets: list[list[str]]) -> None:
    """Make the network once for each number of marks, with no memory, so that none fails hours later."""
    for marks in {len(marks): marks for marks in sets}.values():
        with _of(f"models.{model}, cell {cell}"):
            count_parameters(seeing(recipe, marks, dataset), dataset)


def _as_name(part: str) -> str:
    """Turn words into the name of a folder."""
    return re.sub(r"[^\w.+-]", "_", part.replace("/", "-of-")).lstrip(".") or "_"


def _check_names(jobs: list[GridJob]) -> None:
    seen: dict[str, GridJob] = {}
    for job in jobs:
        if max(map(len, job.key.split("/"))) > 200:
            raise InputError(
                f"the mark set {job.marks[:60]}… has too long a name for a folder",
                cure='give it one: marks = [{ active = ["H3K4me3", "H3K27ac"] }]',
            )
        other = seen.setdefault(job.key.casefold(), job)
        if other is not job:
            raise InputError(f"{other} and {job} would have one folder, {job.key}", cure="give them other names")
