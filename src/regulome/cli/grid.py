"""`regulome grid`: cells × mark sets × folds × models × seeds → a table, statistics and figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regulome.cli.options import Device, Out, Overwrite

if TYPE_CHECKING:
    from regulome.training import Grid

PANEL = "From datasets to answers"
# Rows of a table on the screen; the files have all of them.
_SHOWN = 20


def command(
    plan: Annotated[Path, typer.Argument(metavar="GRID.toml", help="Cells, mark sets, folds, models and seeds.")],
    out: Out,
    jobs: Annotated[
        int | None,
        typer.Option(help="Trainings at the same time; default: the number of cores. 0: one by one in this process."),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(help="A Dask scheduler, tcp://HOST:8786, or slurm, sge, pbs or lsf for workers there."),
    ] = None,
    device: Device = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted grid, or one that has grown or has failures.")
    ] = False,
    overwrite: Overwrite = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print the trainings and their number, and end.")
    ] = False,
) -> None:
    """Train a model for every cell, mark set and fold, and compare marks, cells and models.

    The folder has a row per training in results.tsv, means and paired differences with intervals in summary.tsv and
    differences.tsv, drawn in marks, mark-sets and models (.svg, .png).
    """
    from regulome.training import grid, plan_grid

    if dry_run:
        from regulome.cli.tables import show

        table = plan_grid(plan).table
        show(table.columns, table.rows(), right=["n_marks", "seed"])
        print(f"{len(table):,} trainings")
        return
    from regulome.report import write_grid_figures

    found = grid(plan, out, jobs=jobs, cluster=cluster, device=device, resume=resume, overwrite=overwrite)
    write_grid_figures(found)
    _show(found)


def _show(found: Grid) -> None:
    """Print the best combinations, and what differs between models and marks."""
    import polars as pl

    from regulome.cli.tables import interval, show
    from regulome.training.metrics import LESS_IS_BETTER

    metric = found.metric
    best = found.summary.filter(pl.col("metric") == metric, pl.col("by") == "model, marks")
    best = best.sort("mean", descending=metric not in LESS_IS_BETTER).head(_SHOWN)
    rows = [[row["model"], row["marks"], row["n"], interval({**row, "value": row["mean"]})] for row in best.to_dicts()]
    show(["model", "marks", "folds", f"test {metric}"], rows, right=["folds"])
    known = pl.col("within").fill_null("") == ""
    differ = found.differences.filter(pl.col("metric") == metric, known, pl.col("factor") != "marks").head(_SHOWN)
    if differ.is_empty():
        return
    rows = [
        [row["factor"], row["a"], row["b"], row["n"], interval({**row, "value": row["difference"]}, 4), row["better"]]
        for row in differ.to_dicts()
    ]
    show(["of", "a", "b", "folds", f"{metric}, a - b", "better"], rows, right=["folds"])


command.__name__ = "grid"
