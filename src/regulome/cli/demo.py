"""`regulome demo`: the whole line on a small simulated world."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from regulome.cli.options import Overwrite

PANEL = "What there is"

#: What is trained: recipe and overrides that make a small world quick.
RECIPES: dict[str, list[str]] = {
    "logistic-regression": [],
    "deepchrome": [],
    "attentivechrome": [],
}

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
    from regulome.storage import new_folder

    with new_folder(out, overwrite=overwrite) as folder:
        rows = _line(folder, seed)
    show(
        ["model", "test AUROC [95 %]", "planted marks found", "planted bins found", "seconds"],
        [[name, interval(row["auroc"]), row["marks"], row["bins"], f"{row['seconds']:.0f}"] for name, row in rows],
        right=["seconds"],
    )
    print(f"report: {out / 'report.html'}")
