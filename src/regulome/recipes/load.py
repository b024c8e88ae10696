"""Recipes by name or file, with overrides, and back to TOML."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticUndefined

from regulome.errors import InputError
from regulome.recipes.schema import INPUT_KEYS, BaselineSection, Recipe


@dataclass(frozen=True)
class FieldDoc:
    """One key of a recipe as the command line shows it."""

    key: str
    default: str
    description: str


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with regulome, sorted."""
    folder = resources.files("regulome.recipes")
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def list_recipes() -> list[Recipe]:
    """Return the recipes that come with regulome, sorted by name."""
    return [load_recipe(name) for name in recipe_names()]


def load_recipe(recipe: str | Path, overrides: Mapping[str, object] | Iterable[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        recipe: The name of a recipe that comes with regulome, or a TOML file.
        overrides: Settings that replace the recipe's: ``{"training.epochs": 5}`` or ``["training.epochs=5"]``.
            The values of the second form are read as TOML, and as text where they are not TOML.

    Raises:
        InputError: There is no such recipe, or it has an unknown key or a value of the wrong type.
    """
    text, file = _text(recipe)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"is not TOML: {error}", file=file) from error
    _validate(table, file)
    pairs = overrides.items() if isinstance(overrides, Mapping) else [_parse(setting) for setting in overrides]
    for key, value in pairs:
        _set(table, key, value)
    return _validate(table, None if pairs else file)


def with_settings(recipe: Recipe, settings: Mapping[str, object]) -> Recipe:
    """Return a recipe with some keys replaced, ``{"training.epochs": 5}``.

    Raises:
        InputError: There is no such key, or a value of the wrong type.
    """
    table = recipe.model_dump()
    for key, value in settings.items():
        _set(table, key, value)
    return _validate(table, None)


def to_toml(recipe: Recipe) -> str:
    """Write a recipe as TOML that ``load_recipe`` reads back to an equal recipe, defaults included.

    Left out is what its line of work does not have, and settings of baselines where it is none.
    """
    table = recipe.model_dump()
    for line, keys in INPUT_KEYS.items():
        for key in keys if line != recipe.line else ():
            del table["input"][key]
    if recipe.training.method == "gradient" and recipe.baseline == BaselineSection():
        del table["baseline"]
    lines: list[str] = []
    _write_table(table, "", lines)
    return "\n".join(lines).strip() + "\n"


def field_docs() -> list[FieldDoc]:
    """Return every key that a recipe may have, with default and description."""
    return list(_docs(Recipe, ""))


def _docs(section: type[BaseModel], prefix: str) -> Iterable[FieldDoc]:
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _docs(field.annotation, f"{prefix}{name}.")
            continue
        default = field.get_default(call_default_factory=True, validated_data={})
        shown = "" if default is PydanticUndefined or default == "" else _value(default)
        yield FieldDoc(f"{prefix}{name}", shown, field.description or "")


def _text(recipe: str | Path) -> tuple[str, Path | None]:
    names = recipe_names()
    if isinstance(recipe, str) and recipe in names:
        return resources.files("regulome.recipes").joinpath(f"{recipe}.toml").read_text("utf-8"), None
    path = Path(recipe)
    if path.is_file():
        try:
            return path.read_text("utf-8"), path
        except UnicodeDecodeError as error:
            raise InputError("is not a text file, expected a recipe in TOML", file=path) from error
    if path.suffix == ".toml":
        raise InputError("no such file", file=path, cure="check the path")
    raise InputError(f"no recipe is named {str(recipe)!r}", cure=nearest(str(recipe), names))


def nearest(word: str, known: Iterable[str]) -> str:
    """Say which known words a wrong one may stand for; all of them where none is near."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    return f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(known)}"


def _parse(setting: str) -> tuple[str, Any]:
    key, equals, text = setting.partition("=")
    if not equals or not key.strip():
        raise InputError(f"setting {setting!r} is not of the form key=value", cure="for example training.epochs=5")
    text = text.strip()
    try:
        return key.strip(), tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), text


def _set(table: dict[str, Any], key: str, value: object) -> None:
    *path, last = key.split(".")
    for part in path:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise InputError(f"setting {key}: {part} is not a section", cure=nearest(key, _keys(Recipe)))
    table[last] = value


def _keys(section: type[BaseModel]) -> list[str]:
    return [doc.key for doc in _docs(section, "")]


def _validate(table: dict[str, Any], file: Path | None) -> Recipe:
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        first, *others = error.errors()
        more = f"; {len(others)} more like it" if others else ""
        location = first["loc"]
        if first["type"] == "extra_forbidden":
            key = ".".join(map(str, location))
            raise InputError(f"unknown key {key}{more}", file=file, cure=nearest(key, _keys(Recipe))) from error
        if not location:
            raise InputError(first["msg"].removeprefix("Value error, "), file=file, cure="leave it away") from error
        key = _known_part(location)
        came = "" if first["type"] == "missing" else f", got {_value(_lookup(table, key))}"
        expected = {entry["msg"] for entry in error.errors() if _known_part(entry["loc"]) == key}
        said = " or ".join(sorted(text.removeprefix("Input should be ") for text in expected))
        doc = next((doc.description for doc in field_docs() if doc.key == key), None)
        problem = f"{key}: missing" if first["type"] == "missing" else f"{key}: expected {said}{came}"
        raise InputError(problem, file=file, cure=doc) from error


def _known_part(location: tuple[int | str, ...]) -> str:
    """Drop what pydantic appends to a location: the branch of a union, the position in a list."""
    known = set(_keys(Recipe)) | {"model", "input", "training", "baseline"}
    parts = [str(part) for part in location]
    for end in range(len(parts), 0, -1):
        if ".".join(parts[:end]) in known:
            return ".".join(parts[:end])
    return ".".join(parts)


def _lookup(table: dict[str, Any], key: str) -> object:
    value: Any = table
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _write_table(table: Mapping[str, Any], prefix: str, lines: list[str]) -> None:
    sections = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    if prefix:
        lines += ["", f"[{prefix}]"]
    lines += [f"{_key(key)} = {_value(value)}" for key, value in table.items() if key not in sections]
    for key, value in sections.items():
        _write_table(value, f"{prefix}.{_key(key)}" if prefix else _key(key), lines)


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else _value(key)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, float):
        # TOML wants a digit on both sides of a decimal point; repr gives 1e-05, which it also reads.
        return repr(value)
    if isinstance(value, str):
        # JSON's escapes are a subset of TOML's, except for the delete character, which TOML wants escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)
