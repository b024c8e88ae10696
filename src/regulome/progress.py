"""Progress of long work: a bar with an estimate on a terminal, sparse lines elsewhere, nothing for short work."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger("regulome")

#: Work shorter than this many seconds shows nothing.
QUIET_SECONDS = 2.0
#: Where there is no terminal, a line at most this often (seconds).
LINE_SECONDS = 30.0


@contextmanager
def progress(description: str, total: float | None, unit: str = "") -> Iterator[Callable[[float], None]]:
    """Show how far some work has come.

    Args:
        description: What is being done, for example ``"counting H3K4me3"``.
        total: How much there is to do in ``unit``; None when it is not known.
        unit: The unit of ``total``, for example ``"genes"``.

    Yields:
        A function to call with the amount that has been done since the last call.
    """
    show = _terminal if sys.stderr.isatty() else _lines
    with show(description, total, unit) as advance:
        yield advance


@contextmanager
def _terminal(description: str, total: float | None, unit: str) -> Iterator[Callable[[float], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(description, total=total)
    begin, visible = time.monotonic(), False

    def advance(amount: float) -> None:
        nonlocal visible
        bar.advance(task, amount)
        if not visible and time.monotonic() - begin > QUIET_SECONDS:
            visible = True
            bar.start()

    try:
        yield advance
    finally:
        if visible:
            bar.stop()


@contextmanager
def _lines(description: str, total: float | None, unit: str) -> Iterator[Callable[[float], None]]:
    begin = last = time.monotonic()
    done = 0.0

    def advance(amount: float) -> None:
        nonlocal done, last
        done += amount
        now = time.monotonic()
        if now - last < LINE_SECONDS:
            return
        last = now
        line = f"{description}: {done:,.0f}"
        if total:
            left = (now - begin) / max(done, 1e-9) * max(total - done, 0.0)
            line += f" of {total:,.0f} {unit}".rstrip() + f", about {left:,.0f} s left"
        logger.info(line)

    yield advance
