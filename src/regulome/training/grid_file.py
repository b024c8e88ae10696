"""What the TOML of a grid may say."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from regulome import storage
from regulome.errors import InputError
from regulome.recipes.load import nearest
from regulome.recipes.schema import Section

#: Mark sets that have a name of their own.
WORDS = ("each", "pairs", "all")
_EXAMPLE = '[cells] GM12878 = "datasets/GM12878", marks = ["each", "all"], folds = 3, [models.deepchrome]'


class ModelEntry(Section):
    """A model of a grid: a recipe, and what differs from it."""

    recipe: str = Field(default="", description="name of a recipe, or a TOML file; the model's name when not given")
    set: dict[str, Any] = Field(default_factory=dict, description="settings that replace the recipe's")
    marks: list[str] = Field(default=[], description="mark sets that it is trained on; all of them when not given")


class FoldEntry(Section):
    """A fold by chromosomes."""

    test: list[str] = Field(min_length=1, description="chromosomes to test on")
    valid: list[str] = Field(default=[], description="chromosomes that choose the epoch; chosen by size when not given")


class GridFile(Section):
    """A grid as its TOML has it."""

    cells: dict[str, str] | list[str] = Field(
        min_length=1, description="dataset folder of each cell, or names that are put into `dataset`"
    )
    dataset: str = Field(default="", description='dataset folder where `cells` is a list, "datasets/{cell}"')
    marks: list[str | list[str] | dict[str, list[str]]] = Field(
        default=["all"],
        min_length=1,
        description='mark sets: "each", "pairs", "all", a list of names, or a name with a list',
    )
    folds: int | str | list[str | FoldEntry] = Field(
        default=5,
        description='number of folds by chromosome ("4:half": fold:1/4:half …), "published", or a list: "fold:1/5", a '
        "table of id and split, chromosomes",
    )
    models: dict[str, ModelEntry] | list[str] = Field(min_length=1, description="models by name, or a list of recipes")
    seeds: list[int] = Field(default=[0], min_length=1, description="seeds that each model is trained with")
    mixed_chromosomes: bool = Field(
        default=False, description="allow folds that have a chromosome in more than one part"
    )
    cluster: dict[str, Any] = Field(
        default_factory=dict, description="options of a batch system: cores, memory, walltime, queue"
    )

    def datasets(self) -> dict[str, str]:
        """Return the dataset folder of each cell."""
        if isinstance(self.cells, dict):
            return self.cells
        if "{cell}" not in self.dataset:
            raise InputError(
                f"dataset = {self.dataset!r} does not say where the dataset of a cell is",
                cure='write dataset = "datasets/{cell}", or [cells] with a folder for each',
            )
        return {cell: self.dataset.replace("{cell}", cell) for cell in self.cells}

    def entries(self) -> dict[str, ModelEntry]:
        """Return each model by its name."""
        models = {name: ModelEntry() for name in self.models} if isinstance(self.models, list) else self.models
        return {name: entry.model_copy(update={"recipe": entry.recipe or name}) for name, entry in models.items()}


def read_grid_file(grid: str | os.PathLike[str] | Mapping[str, Any]) -> tuple[GridFile, Path]:
    """Read the TOML of a grid, or take its content.

    Returns:
        The grid, and the folder from which its paths are meant: the TOML's, or the current one.

    Raises:
        InputError: It is no TOML, has an unknown key, or a value of the wrong type.
    """
    if isinstance(grid, Mapping):
        return _validated(dict(grid), None), Path.cwd()
    file = storage.existing_file(grid)
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"is not TOML: {error}", file=file) from None
    return _validated(content, file), file.absolute().parent


def _validated(content: dict[str, Any], file: Path | None) -> GridFile:
    try:
        return GridFile.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise _told(first, content, file) from None


def _told(first: Any, content: dict[str, Any], file: Path | None) -> InputError:
    """Say the first contradiction in one line."""
    place = [str(part) for part in first["loc"]]
    key, section = place[0], GridFile.model_fields
    if first["type"] == "extra_forbidden":
        known = list(
            section if len(place) == 1 else ModelEntry.model_fields if key == "models" else FoldEntry.model_fields
        )
        where = "" if len(place) == 1 else f" of {key} {place[-2]}"
        return InputError(f"unknown key {place[-1]}{where}", file=file, cure=nearest(place[-1], known))
    if first["type"] == "missing":
        return InputError(f"{place[-1]}: missing", file=file, cure=f"a grid is, for example: {_EXAMPLE}")
    entry = section[key]
    if key == "models" and place[-1] in ModelEntry.model_fields:
        key, entry = f"models.{place[1]}.{place[-1]}", ModelEntry.model_fields[place[-1]]
    value = content.get(place[0])
    came = f", got {value!r}" if not isinstance(value, Mapping) else ""
    return InputError(f"{key}: {first['msg'].removeprefix('Input ').lower()}{came}", file=file, cure=entry.description)
