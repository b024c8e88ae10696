"""The folder of a grid: what it leaves, and how it is read.

``grid.json`` says what was trained, and how each training ended; ``runs`` has the run of each, under
``CELL/MODEL/MARKS/fold-FOLD-seed-SEED``, and ``logs`` what each said; ``results.tsv`` and ``results.parquet`` have a
row per training; ``summary.tsv`` and ``differences.tsv`` means and paired differences with intervals. While the grid
goes on its folder is called ``NAME.partial``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from regulome import storage
from regulome.errors import InputError
from regulome.records import flat, read_folder_record, validated
from regulome.training import runs
from regulome.training.metrics import METRICS
from regulome.training.partial import write_text

FORMAT: Final = "regulome-grid"
SCHEMA: Final = 1
INFO, RUNS, LOGS = "grid.json", "runs", "logs"
RESULTS, SUMMARY, DIFFERENCES = "results", "summary.tsv", "differences.tsv"
_KEYS = {
    "cell": pl.String,
    "marks": pl.String,
    "n_marks": pl.Int64,
    "model": pl.String,
    "fold": pl.String,
    "seed": pl.Int64,
    "state": pl.String,
    "n": pl.Int64,
}
_REST = {"seconds": pl.Float64, "run": pl.String, "note": pl.String}


class Training(BaseModel):
    """One training of a grid, and how it ended.

    Attributes:
        cell: Name of the cell.
        marks: Name of the mark set.
        n_marks: Number of its marks.
        model: Name of the model.
        fold: Name of the fold.
        seed: The seed.
        key: Its folder, below ``runs``.
        state: ``"waiting"``, ``"complete"``, or ``"failed"``.
        note: Why it failed.
        seconds: Time spent training.
        metrics: Metrics of the test part, as its run has them.
    """

    cell: str
    marks: str
    n_marks: int
    model: str
    fold: str
    seed: int
    key: str
    state: Literal["waiting", "complete", "failed"] = "waiting"
    note: str = ""
    seconds: float | None = None
    metrics: dict[str, Any] = Field(default_factory=dict)

    def look(self, folder: Path) -> bool:
        """Take the results of the run, if it is there; say whether it is."""
        run = folder / RUNS / self.key
        if not (run / runs.METRICS).is_file():
            return False
        self.metrics = json.loads((run / runs.METRICS).read_text("utf-8"))
        self.seconds, self.state, self.note = runs.read_info(run).seconds, "complete", ""
        return True


class GridInfo(BaseModel):
    """The content of ``grid.json``.

    Attributes:
        format: Always ``"regulome-grid"``.
        schema_version: Version of the folder's layout, ``schema`` in the file.
        status: ``"training"`` until every training has ended, then ``"complete"``.
        task: What is learned.
        request: Everything that decides the results; a grid is resumed only with the same, or with more.
        trainings: Every training, in the order in which they are begun.
        created: When the grid began (ISO 8601, UTC).
    """

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    format: Literal["regulome-grid"] = FORMAT
    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    status: Literal["training", "complete"] = "training"
    task: str
    request: dict[str, Any]
    trainings: list[Training]
    created: str = ""

    def save(self, folder: Path) -> None:
        """Write ``grid.json`` and the table of results."""
        text = json.dumps(self.model_dump(mode="json", by_alias=True), indent=1, ensure_ascii=False)
        write_text(folder / INFO, text + "\n")
        table = self.table()
        with storage.new_file(folder / f"{RESULTS}.tsv") as temporary:
            table.write_csv(temporary, separator="\t")
        with storage.new_file(folder / f"{RESULTS}.parquet") as temporary:
            table.write_parquet(temporary)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics, the one that is told first in front."""
        names = METRICS[self.task]
        return tuple(sorted(names, key=lambda name: name not in ("auroc", "pearson")))

    def table(self) -> pl.DataFrame:
        """Return a row per training: what it is, each metric with its interval, seconds, run and note."""
        numbers = [f"{name}{end}" for name in self.metrics for end in ("", "_low", "_high")]
        rows = [_row(training, self.metrics) for training in self.trainings]
        return pl.DataFrame(rows, schema={**_KEYS, **dict.fromkeys(numbers, pl.Float64), **_REST}, orient="row")


def _row(training: Training, metrics: Sequence[str]) -> tuple[Any, ...]:
    found = [training.metrics.get(name, {}) for name in metrics]
    numbers = [each.get(end) for each in found for end in ("value", "low", "high")]
    begin = training.model_dump(include=set(_KEYS))
    seconds = None if training.seconds is None else round(training.seconds, 3)
    run = f"{RUNS}/{training.key}" if training.state == "complete" else None
    return (
        *(begin.get(name) for name in _KEYS if name != "n"),
        training.metrics.get("n"),
        *numbers,
        *(seconds, run, training.note or None),
    )


@dataclass(frozen=True)
class Grid:
    """A finished grid; :func:`regulome.training.grid` gives one, :func:`open_grid` opens one.

    Attributes:
        path: The folder.
        info: The content of ``grid.json``.
    """

    path: Path
    info: GridInfo = field(repr=False)

    @property
    def results(self) -> pl.DataFrame:
        """A row per training: what it is, state, n, each metric with its interval, seconds, run, note."""
        return self.info.table()

    @property
    def metric(self) -> str:
        """The metric that figures show: "auroc", or "pearson"."""
        return self.info.metrics[0]

    @property
    def summary(self) -> pl.DataFrame:
        """Means over cells and folds with intervals; see :func:`regulome.training.grid_statistics.summarize`."""
        return pl.read_csv(storage.existing_file(self.path / SUMMARY), separator="\t")

    @property
    def differences(self) -> pl.DataFrame:
        """Paired differences; see :func:`regulome.training.grid_statistics.paired_differences`."""
        return pl.read_csv(storage.existing_file(self.path / DIFFERENCES), separator="\t")

    def run(self, cell: str, marks: str, model: str, fold: str, seed: int | None = None) -> runs.Run:
        """Open the run of a training.

        Raises:
            InputError: There is no such training, or it failed.
        """
        for each in self.info.trainings:
            same = (each.cell, each.marks, each.model, each.fold) == (cell, marks, model, fold)
            if same and seed in (None, each.seed):
                return runs.open_run(self.path / RUNS / each.key)
        raise InputError(
            f"has no training {cell}, {marks}, {model}, fold {fold}", file=self.path, cure="see results.tsv"
        )


def open_grid(path: str | os.PathLike[str] | Grid) -> Grid:
    """Open the folder of a finished grid; an opened one is returned as it is.

    Raises:
        InputError: It is none, or of another schema version.
    """
    if isinstance(path, Grid):
        return path
    folder = runs.finished_folder(path, what="grid", verb="grid")
    return Grid(folder, read_info(folder))


def read_info(folder: Path) -> GridInfo:
    """Read and check ``grid.json``.

    Raises:
        InputError: It is missing, damaged, or of another format or schema version.
    """
    make, again = "make one with `regulome grid`", "train the grid again"
    content = read_folder_record(folder, INFO, format=FORMAT, schema=SCHEMA, what="grid", make=make, again=again)
    return validated(GridInfo, content, folder / INFO, again=again)


def check_grows(folder: Path, before: GridInfo, request: Mapping[str, Any]) -> None:
    """Refuse to resume another grid: all that was asked for before has to be asked for now, and may grow.

    Raises:
        InputError: A dataset, a split, a recipe or a mark set differs, or a training is no longer there.
    """
    old, new = flat(before.request, " "), flat(json.loads(json.dumps(request)), " ")
    # What is gone comes first: it is the reason for much else that differs.
    keys = sorted(old, key=lambda key: not key.startswith("trainings "))
    differs = next((key for key in keys if key not in new or new[key] != old[key]), None)
    if differs is None:
        return
    kind, _, name = differs.partition(" ")
    if kind == "trainings":
        said = f"was begun with the training {name}, which is no longer asked for"
    elif kind == "cells":
        said = f"was begun with another dataset of the cell {name}"
    elif kind == "folds":
        said = f"was begun with another split: fold {name}"
    elif kind == "marks":
        said = f"was begun with other marks in the set {name}"
    else:
        model, _, setting = name.partition(" ")
        values = f"{setting.replace(' ', '.')} {old[differs]}, now {new.get(differs)}".strip()
        said = f"was begun with another recipe of the model {model} ({values})"
    raise InputError(said, file=folder, cure="give the same, or start anew with --overwrite")
