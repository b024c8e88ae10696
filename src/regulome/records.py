"""JSON records of folders (datasets, runs, searches, mutageneses): of one format and version, or told in one line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from regulome.errors import InputError

if TYPE_CHECKING:
    from pydantic import BaseModel

    Model = TypeVar("Model", bound=BaseModel)


def read_record(file: Path, *, format: str, schema: int, what: str, again: str) -> dict[str, Any]:
    """Read a record that says its ``format`` and ``schema``.

    Args:
        file: The record; it exists.
        format: The name that it must have under ``format``.
        schema: The version that it must have under ``schema``.
        what: What the folder is, for messages: ``"run"``.
        again: How to get another, for messages: ``"train again"``.

    Raises:
        InputError: It is no JSON, or of another format or version.
    """
    try:
        content = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {error}", file=file, cure=again) from None
    found = content.get("format") if isinstance(content, dict) else None
    if not isinstance(content, dict) or found != format:
        raise InputError(
            f"is not the record of a {what}: its format is {found!r}, expected {format}", file=file, cure=again
        )
    if content.get("schema") != schema:
        raise InputError(
            f"the {what} has schema version {content.get('schema')!r}, this release reads version {schema}",
            file=file,
            cure=f"{again}, or install the release that wrote it",
        )
    return content


def read_folder_record(
    folder: Path, name: str, *, format: str, schema: int, what: str, make: str, again: str
) -> dict[str, Any]:
    """Read the record ``name`` of a folder; the arguments besides are those of :func:`read_record`.

    Args:
        folder: The folder.
        name: Name of the record in it.
        format: See :func:`read_record`.
        schema: See :func:`read_record`.
        what: See :func:`read_record`.
        make: How to make such a folder, for messages: ``"make one with `regulome train`"``.
        again: See :func:`read_record`.

    Raises:
        InputError: There is none, it is no JSON, or of another format or version.
    """
    if not (folder / name).is_file():
        raise InputError(f"is not a {what}: it has no {name}", file=folder, cure=make)
    return read_record(folder / name, format=format, schema=schema, what=what, again=again)


def validated(model: type[Model], content: dict[str, Any], file: Path, *, again: str) -> Model:
    """Turn a record into its model.

    Raises:
        InputError: It contradicts the model; the first contradiction is told.
    """
    from pydantic import ValidationError

    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        problem = f"{where}: {first['msg']}" if where else first["msg"]
        raise InputError(problem, file=file, cure=again) from None


def flat(table: Mapping[str, Any], separator: str = ".", prefix: str = "") -> dict[str, Any]:
    """Give every value of tables in tables under its whole name; an empty table is a value."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        inner = isinstance(value, Mapping) and value
        found |= flat(value, separator, f"{prefix}{key}{separator}") if inner else {f"{prefix}{key}": value}
    return found
