"""`regulome demo`: the whole line on a small simulated world."""

from __future__ import annotations

import json
import logging
import shutil
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from regulome.cli.options import Overwrite

PANEL = "What there is"

#: What is trained, plainest first.
RECIPES = ("logistic-regression", "deepchrome", "attentivechrome")
TEST_CHROMOSOMES = ("chr1", "chr8")
VALID_CHROMOSOMES = ("chr7",)

logger = logging.getLogger(__name__)


def command(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the world, the runs and the report.")] = Path(
        "demo"
    ),
    seed: Annotated[int, typer.Option(help="Seed of the world and of the trainings.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Simulate a world, prepare, train three models, evaluate, explain, and write one report."""
    from regulome.cli.tables import interval, show
    from regulome.storage import check_target

    check_target(out, overwrite=overwrite)
    # Only what an earlier demo left is replaced: the folder is the user's.
    for name in ("world", "dataset", "runs", "explanations"):
        shutil.rmtree(out / name, ignore_errors=True)
    out.mkdir(exist_ok=True)
    rows = _line(out, seed)
    show(
        ["model", "test AUROC [95 %]", "planted marks found", "planted bins found", "training"],
        [(name, interval(auroc), marks, bins, f"{seconds:.0f} s") for name, auroc, marks, bins, seconds in rows],
        right=["training"],
    )
    print(f"report: {out / 'report.html'}")


command.__name__ = "demo"
