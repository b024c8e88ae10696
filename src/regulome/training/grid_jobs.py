"""One training of a grid, wherever it is done."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regulome.errors import RegulomeError
from regulome.recipes.schema import Recipe
from regulome.training.trainer import train


@dataclass(frozen=True)
class JobRequest:
    """All that a process needs to know of a training.

    Attributes:
        recipe: The recipe, with its marks.
        dataset: Folder of the dataset.
        out: The run folder.
        how: How the dataset is divided: arguments of :func:`regulome.datasets.assign_split`.
        seed: The seed.
        device: The device.
        log: File for what the training says.
    """

    recipe: Recipe
    dataset: Path
    out: Path
    how: dict[str, Any]
    seed: int
    device: str
    log: Path


def do_job(request: JobRequest) -> float:
    """Train, from where an earlier attempt was cut off; return the seconds that it took.

    Raises:
        InputError: See :func:`regulome.training.train`.
    """
    begin = time.monotonic()
    with _written_down(request.log):
        train(
            request.recipe,
            request.dataset,
            request.out,
            **request.how,
            seed=request.seed,
            device=request.device,
            resume=True,
        )
    return time.monotonic() - begin


@contextmanager
def _written_down(log: Path) -> Iterator[None]:
    """Let what regulome says go to a file, with the place of an error; there would be too many voices elsewhere."""
    log.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(log, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("regulome")
    before = logger.handlers[:], logger.propagate, logger.level
    logger.handlers[:], logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
    try:
        yield
    except Exception as error:
        words = str(error) if isinstance(error, RegulomeError) else traceback.format_exc()
        logger.error("%s", words)
        raise
    finally:
        logger.handlers[:], logger.propagate = before[:2]
        logger.setLevel(before[2])
        handler.close()
