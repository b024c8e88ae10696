"""Timing of ours and a peer in turn, and the one form of a case's result.

A case is a module with ``run(data_dir: Path) -> dict`` that returns :func:`result`. What it measures stands in its
docstring. Inputs that take time to make are kept in ``data_dir``.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Clock = Callable[[], float]


def cpu_seconds() -> float:
    """User and system CPU seconds of this process and of its children that have ended."""
    # The clock of os.times() ticks a hundred times a second: good enough for children only.
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


def wall_seconds() -> float:
    """Seconds of wall-clock time."""
    return time.perf_counter()


def seconds(work: Callable[[], object], clock: Clock = cpu_seconds) -> float:
    """Seconds that one call of ``work`` takes on ``clock``."""
    begin = clock()
    work()
    return clock() - begin


def rounds(
    works: dict[str, Callable[[], object]], repeats: int = 5, clock: Clock = cpu_seconds
) -> dict[str, list[float]]:
    """Seconds of each of ``works`` in each round; they take turns, so that a busy machine slows all of them alike."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            times[name].append(seconds(work, clock))
    return times


def interleaved(
    works: dict[str, Callable[[], object]], repeats: int = 5, clock: Clock = cpu_seconds
) -> dict[str, float]:
    """Median seconds of each of ``works`` over :func:`rounds`."""
    return {name: statistics.median(values) for name, values in rounds(works, repeats, clock).items()}


def result(
    ours: float, peer: float | None, *, unit: str, peer_name: str, smaller_is_better: bool = False, **more: object
) -> dict[str, object]:
    """The fields of a case's line; a ``ratio`` above 1 says that ours is better, ``peer`` None that it is missing."""
    ratio = None if peer is None else (peer / ours if smaller_is_better else ours / peer)
    return {
        "ours": _short(ours),
        "peer": None if peer is None else _short(peer),
        "ratio": None if ratio is None else _short(ratio),
        "unit": unit,
        "peer_name": peer_name,
        **more,
    }


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def tool_version(command: str) -> str | None:
    """The first line of ``COMMAND --version``, or None where it is not installed."""
    try:
        answer = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.splitlines()[0].strip()


@contextmanager
def prepared(path: Path) -> Iterator[Path | None]:
    """Give a temporary name to write ``path`` under, or None when it is there already."""
    if path.exists():
        yield None
        return
    temporary = path.with_name("partial-" + path.name)
    yield temporary
    temporary.rename(path)
