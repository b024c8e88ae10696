"""How many positions a window of DNA has left after convolutions and pooling, or that it is too short for them."""

from __future__ import annotations

from collections.abc import Sequence

from regulome.errors import InputError
from regulome.models.hyperparameters import check_count, check_counts, check_number


def count_positions(length: int, stages: Sequence[tuple[int, int]]) -> int:
    """Follow a window through unpadded convolutions, each with max-pooling behind it.

    Args:
        length: Bases of the window.
        stages: Width of each convolution's kernels and of the pooling after it (1 where there is none).

    Returns:
        Positions that are left: floor((positions − kernel + 1) / pool) after each stage.

    Raises:
        InputError: None is left; it names the least length.

    Example:
        >>> count_positions(1000, [(8, 4), (8, 4), (8, 1)])
        53
    """
    positions = check_count("length", length)
    for kernel, pool in stages:
        positions = max(positions - kernel + 1, 0) // pool
    if positions < 1:
        least = least_length(1, stages)
        raise InputError(
            f"windows of {length} bases are too short for kernels of {' and '.join(str(k) for k, _ in stages)} "
            f"and their pooling: at least {least} are needed",
            cure="prepare longer windows, or set smaller kernels",
        )
    return positions


def least_length(positions: int, stages: Sequence[tuple[int, int]]) -> int:
    """Return the shortest window that leaves so many positions; ``stages`` as in :func:`count_positions`."""
    for kernel, pool in reversed(stages):
        positions = positions * pool + kernel - 1
    return positions


def check_series(name: str, values: Sequence[int], *, like: Sequence[int], of: str) -> tuple[int, ...]:
    """Return ``values`` as a tuple if they are positive integers, as many as ``like`` (which is called ``of``).

    Raises:
        InputError: They are not.
    """
    checked = check_counts(name, values)
    if len(checked) != len(like):
        raise InputError(f"expected `{name}` to have as many numbers as `{of}` ({len(like)}), but got {values!r}")
    return checked


def check_shares(name: str, values: Sequence[float], count: int) -> tuple[float, ...]:
    """Return ``values`` as a tuple if they are ``count`` shares of what training drops, each in [0, 1).

    Raises:
        InputError: They are not.
    """
    if not isinstance(values, list | tuple) or len(values) != count:
        raise InputError(f"expected `{name}` to be a list of {count} numbers, but got {values!r}")
    return tuple(check_number(name, value, low=0, high=1) for value in values)
