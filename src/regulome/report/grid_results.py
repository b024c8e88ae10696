"""The pictures of a grid: marks and cells, the best mark sets, promoter models against distal ones."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

from regulome import storage
from regulome.report.figures.marks_grid import mark_set_figure, model_figure, score_map_figure
from regulome.report.figures.style import save_figure
from regulome.training.grid_record import Grid, open_grid
from regulome.training.metrics import LESS_IS_BETTER

#: The figures of a grid, without ending.
MARKS, SETS, MODELS = "marks", "mark-sets", "models"
# Models that are set against the best one.
_OTHERS = 3


def write_grid_figures(grid: Grid | str | os.PathLike[str], out: str | os.PathLike[str] | None = None) -> list[Path]:
    """Draw what a grid found, and write the numbers beside each figure.

    ``marks``: the score of every mark set in every cell; ``mark-sets``: the best mark sets with intervals over cells
    and folds; ``models``: distal models against the best promoter model in each cell, mark set and fold (without
    distal models, the best model against the others).

    Args:
        grid: The grid, or its folder.
        out: The folder to write to; None takes the grid's.

    Returns:
        The files, ``.svg``, ``.png`` and ``.tsv`` of each figure.

    Raises:
        InputError: It is no finished grid.
    """
    found = open_grid(grid)
    folder = found.path if out is None else Path(out)
    metric, results = found.metric, found.results.filter(pl.col("state") == "complete")
    summary = found.summary.filter(pl.col("metric") == metric)
    each, over = (summary.filter(pl.col("by") == by) for by in ("cell, model, marks", "model, marks"))
    scores = _scores(results, metric)
    drawn = {
        MARKS: (score_map_figure(_ordered(each, found), metric), each),
        SETS: (mark_set_figure(over, results, metric), over.sort("mean", descending=metric not in LESS_IS_BETTER)),
        MODELS: (model_figure(scores, _pairs(found, scores, over), metric), scores),
    }
    files = []
    for name, (figure, table) in drawn.items():
        files += [save_figure(figure, folder / f"{name}{end}") for end in (".svg", ".png")]
        known = table.drop([column.name for column in table if column.null_count() == len(column)])
        with storage.new_file(folder / f"{name}.tsv") as temporary:
            known.write_csv(temporary, separator="\t")
        files.append(folder / f"{name}.tsv")
    return files


def _ordered(summary: pl.DataFrame, found: Grid) -> pl.DataFrame:
    """Sort rows as the grid has its mark sets, few marks first."""
    sizes = {name: len(marks) for name, marks in found.info.request["marks"].items()}
    return summary.sort(pl.col("marks").replace_strict(sizes, return_dtype=pl.Int64), maintain_order=True)


def _scores(results: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Return a row per cell, mark set and fold, and a column per model: means over seeds."""
    return results.pivot(
        "model", index=["cell", "marks", "fold"], values=metric, aggregate_function="mean", maintain_order=True
    )


def _pairs(found: Grid, scores: pl.DataFrame, over: pl.DataFrame) -> list[tuple[str, str]]:
    """Choose which models are set against each other: promoter against distal, else the others against the best."""
    less = found.metric in LESS_IS_BETTER
    mean = pl.col("mean").min() if less else pl.col("mean").max()
    ranked = over.group_by("model", maintain_order=True).agg(mean).sort("mean", descending=not less)["model"].to_list()
    inputs = found.info.request["inputs"]
    distal = [name for name in ranked if inputs[name] == "regions"]
    promoter = [name for name in ranked if inputs[name] != "regions"]
    if distal and promoter:
        pairs = [(promoter[0], name) for name in distal]
    else:
        pairs = [(name, ranked[0]) for name in ranked[1:]]
    both = [(a, b) for a, b in pairs if not scores.filter(pl.col(a).is_not_null(), pl.col(b).is_not_null()).is_empty()]
    return both[:_OTHERS]
