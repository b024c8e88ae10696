"""DeepBind's published models: text files of named numbers become the weights of the network ``deepbind``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from regulome.errors import InputError
from regulome.storage import existing_file

# What the first line of such a file begins with.
_MAGIC = "# deepbind"
_CURE = "take the file as published, or download it again"
_SETTINGS = ("reverse_complement", "num_detectors", "detector_len", "has_avg_pooling", "num_hidden")
_ARRAYS = ("detectors", "thresholds", "weights1", "biases1", "weights2", "biases2")


def is_deepbind_text(path: Path) -> bool:
    """Tell whether a file begins as DeepBind's text files do."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)).lower() == _MAGIC.encode()


def read_deepbind_text(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a model of DeepBind's published collection, such as ``D00736.002.txt``.

    The file's lines are ``name = value`` or ``name = number,number,…``. Detectors lie there as [position, letter,
    detector]; thresholds are added; with average pooling, the weights of a detector's maximum and mean alternate.

    Args:
        path: The file.

    Returns:
        The hyperparameters of the network ``deepbind`` that the file tells, and its state dict.

    Raises:
        InputError: The file is missing or cut short, or numbers are missing, left over or not finite.
    """
    path = existing_file(path)
    lines = _lines(path)
    set_to = {name: _setting(lines, name, path) for name in _SETTINGS}
    number, length, hidden = set_to["num_detectors"], set_to["detector_len"], set_to["num_hidden"]
    for name in ("num_detectors", "detector_len"):
        if set_to[name] < 1:
            raise InputError(f"{name} is {set_to[name]}", file=path, cure=_CURE)
    kinds = 2 if set_to["has_avg_pooling"] else 1
    features = number * kinds
    sizes = {
        "detectors": length * 4 * number,
        "thresholds": number,
        "weights1": features * max(hidden, 1),
        "biases1": max(hidden, 1),
        "weights2": hidden,
        "biases2": 1 if hidden else 0,
    }
    arrays = {name: _numbers(lines, name, sizes[name], path) for name in _ARRAYS}
    # [detector, kind of pooling, unit]; here all maxima come before all means.
    first = arrays["weights1"].reshape(number, kinds, -1).permute(2, 1, 0).reshape(-1, features).contiguous()
    state = {
        "detectors.weight": arrays["detectors"].reshape(length, 4, number).permute(2, 1, 0).contiguous(),
        "detectors.thresholds": arrays["thresholds"],
    }
    layer = "hidden" if hidden else "answer"
    state |= {f"{layer}.weight": first, f"{layer}.bias": arrays["biases1"]}
    if hidden:
        state |= {"answer.weight": arrays["weights2"][None], "answer.bias": arrays["biases2"]}
    hyperparameters = {
        "targets": 1,
        "detectors": number,
        "detector_length": length,
        "pooling": "max-and-mean" if kinds == 2 else "max",
        "hidden": hidden,
        "both_strands": bool(set_to["reverse_complement"]),
    }
    return hyperparameters, state


def _lines(path: Path) -> dict[str, tuple[int, str]]:
    """Return the number and the text after "=" of each named line."""
    try:
        text = path.read_text("ascii")
    except UnicodeDecodeError as error:
        raise InputError("is no text file of a DeepBind model", file=path, cure=_CURE) from error
    if not text.lower().startswith(_MAGIC):
        raise InputError(f"is no DeepBind model: it does not begin with {_MAGIC!r}", file=path, cure=_CURE)
    found: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        name = name.strip()
        if not equals or name not in (*_SETTINGS, *_ARRAYS):
            raise InputError(f"expected a line `name = value`, but it begins {line[:20]!r}", file=path, record=number)
        if name in found:
            raise InputError(f"gives {name} a second time", file=path, record=number, cure=_CURE)
        found[name] = (number, value.strip())
    return found


def _value(lines: Mapping[str, tuple[int, str]], name: str, path: Path) -> tuple[int, str]:
    if name not in lines:
        raise InputError(f"has no line `{name} = …`: it may be cut short", file=path, cure=_CURE)
    return lines[name]


def _setting(lines: Mapping[str, tuple[int, str]], name: str, path: Path) -> int:
    number, text = _value(lines, name, path)
    # Numbers of the files have at most 4 digits; more would ask for memory that no model has.
    if not text.isdigit() or len(text) > 4:
        raise InputError(f"expected {name} to be a whole number, but got {text[:20]!r}", file=path, record=number)
    return int(text)


def _numbers(lines: Mapping[str, tuple[int, str]], name: str, expected: int, path: Path) -> Tensor:
    number, text = _value(lines, name, path)
    parts = text.split(",") if text else []
    if len(parts) != expected:
        raise InputError(
            f"expected {expected} numbers of {name}, but got {len(parts)}", file=path, record=number, cure=_CURE
        )
    try:
        values = [float(part) for part in parts]
    except ValueError as error:
        raise InputError(f"{name} has a value that is no number: {error}", file=path, record=number) from error
    if not all(map(math.isfinite, values)):
        raise InputError(f"{name} has a value that is not finite", file=path, record=number, cure=_CURE)
    return torch.tensor(values, dtype=torch.float32)
