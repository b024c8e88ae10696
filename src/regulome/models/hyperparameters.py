"""Checks of what a user may set in a network: each refusal is one line that says what was expected and what came."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

from regulome.errors import InputError

#: Classification gives one logit (of "high"), regression one value.
Task = Literal["classification", "regression"]


def check_count(name: str, value: int, *, minimum: int = 1) -> int:
    """Return ``value`` if it is an integer of at least ``minimum``.

    Raises:
        InputError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise InputError(f"expected `{name}` to be an integer of at least {minimum}, but got {value!r}")
    return value


def check_counts(name: str, values: Sequence[int]) -> tuple[int, ...]:
    """Return ``values`` as a tuple if they are a non-empty sequence of positive integers.

    Raises:
        InputError: They are not.
    """
    if not isinstance(values, list | tuple) or not values:
        raise InputError(f"expected `{name}` to be a list of positive integers, but got {values!r}")
    return tuple(check_count(name, value) for value in values)


def check_number(name: str, value: float, *, low: float, high: float = math.inf) -> float:
    """Return ``value`` as a float if ``low`` ≤ value < ``high``.

    Raises:
        InputError: It is not a number in that range.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value < high:
        raise InputError(f"expected `{name}` to be a number in [{low:g}, {high:g}), but got {value!r}")
    return float(value)


def check_choice(name: str, value: str, choices: Sequence[str]) -> str:
    """Return ``value`` if it is one of ``choices``.

    Raises:
        InputError: It is not.
    """
    if value not in choices:
        raise InputError(f"expected `{name}` to be one of {', '.join(choices)}, but got {value!r}")
    return value


def check_task(task: Task) -> Task:
    """Return ``task`` if it is "classification" or "regression".

    Raises:
        InputError: It is not.
    """
    check_choice("task", task, get_args(Task))
    return task
