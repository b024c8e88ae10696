"""Predictions of many outputs: an array on disk, beside the labels of the same rows."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from regulome import storage
from regulome.datasets.dataset import Dataset
from regulome.errors import InputError
from regulome.training.device import choose_device
from regulome.training.lines import line_named
from regulome.training.multilabel import MANY, Multilabel, multilabel
from regulome.training.prediction import as_dataset, has_truth, match_marks, predict_dataset, select_rows
from regulome.training.runs import FEATURES, PREDICTIONS, SCORES, Run, RunInfo

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelledScores:
    """Predictions of a part, and where the truth lies.

    Attributes:
        ids: Id of each example.
        values: Probabilities or values, float32 [examples, outputs].
        truth: Targets of the dataset, [rows, outputs].
        rows: Row of each example in ``truth``.
    """

    ids: pl.Series
    values: Array = field(repr=False)
    truth: Array = field(repr=False)
    rows: Rows = field(repr=False)


def write_scores(
    path: Path,
    run: Run,
    dataset: Dataset,
    rows: Rows,
    device: torch.device,
) -> Array:
    """Predict rows into a new ``.npy`` file, batch by batch, and return it mapped."""
    values = storage.allocate_npy(path, (len(rows), len(run.info.target_names)), np.float32)
    predict_dataset(
        run.models(device),
        dataset,
        rows,
        task=run.info.task,
        view=line_named(run.info.line, run.info.model).match(run.info, dataset),
        orient=run.recipe.input.orient,
        both_strands=run.recipe.input.both_strands,
        device=device,
        out=values,
    )
    values.flush()
    return values


@contextmanager
def labelled_scores(
    run: Run, dataset: Dataset | str | os.PathLike[str] | None, split: str, *, device: str = "auto"
) -> Iterator[LabelledScores]:
    """Give the predictions of a part: those that the run has stored, or new ones in a temporary file.

    Raises:
        InputError: The dataset has other targets or windows, or nothing in this part.
    """
    data = run.dataset() if dataset is None else as_dataset(dataset)
    match_marks(run.info, data)
    if not has_truth(run.info, data):
        raise InputError(
            f"has not the {len(run.info.target_names)} targets of the run to compare with",
            file=data.path,
            cure=f"evaluate on a dataset with targets for {run.info.task}, under the same names",
        )
    same = run.info.dataset is not None and data.checksum == run.info.dataset.checksum
    if same and split in ("valid", "test") and _stored(run):
        table, values = run.scores()
        # The rows of a part lie together, so that this is a view of the map.
        where = np.flatnonzero((table["split"] == split).to_numpy())
        if len(where):
            ids = table["id"][where]
            place = data.regions.select("id").with_row_index("row")
            found = pl.DataFrame({"id": ids}).join(place, on="id", how="left", maintain_order="left")["row"]
            rows = found.to_numpy().astype(np.int64)
            yield LabelledScores(ids, values[where[0] : where[-1] + 1], data.targets, rows)
            return
    rows, _ = select_rows(run, data, split)
    with tempfile.TemporaryDirectory() as folder:
        values = write_scores(Path(folder) / SCORES, run, data, rows, choose_device(device))
        yield LabelledScores(data.regions["id"][rows], values, data.targets, rows)


def _stored(run: Run) -> bool:
    """Whether the run has its predictions: in an array, or of few outputs in the table."""
    few = len(run.info.target_names) < MANY
    return (run.path / SCORES).exists() or (few and (run.path / PREDICTIONS).exists())


def evaluate_scores(run: Run, found: LabelledScores, split: str) -> Multilabel:
    """Compute the metrics of many labels, with the thresholds that the run chose on its validation part."""
    thresholds = None if split == "valid" else tuned_thresholds(run)
    return multilabel(found.values, found.truth, described(run.info), rows=found.rows, thresholds=thresholds)


def tuned_thresholds(run: Run) -> npt.NDArray[np.float32] | None:
    """Return the threshold of each label that the run chose on its validation part; None where it has none."""
    if not (run.path / FEATURES).exists():
        return None
    table = pl.read_csv(run.path / FEATURES, separator="\t", columns=["threshold"], infer_schema_length=None)
    return table["threshold"].cast(pl.Float32).fill_null(np.nan).to_numpy()


def described(info: RunInfo) -> pl.DataFrame:
    """Return what each output of a run is: name, and what else is known of it."""
    if not info.features:
        return pl.DataFrame({"name": info.target_names})
    return pl.DataFrame(info.features).with_columns(pl.Series("name", info.target_names))


def keep_features(folder: Path, info: RunInfo, truth: Array, values: Array, valid: Rows, test: Rows) -> Multilabel:
    """Leave ``features.tsv``: the metrics of each label on the test part, and the threshold that validation chose.

    Args:
        folder: The run folder.
        info: The run.
        truth: Targets of the dataset.
        values: Probabilities of the validation rows, then of the test rows.
        valid: Validation rows of the dataset.
        test: Test rows.

    Returns:
        The metrics on the test part.
    """
    features = described(info)
    chosen = multilabel(values[: len(valid)], truth, features, rows=valid, intervals=False).best
    found = multilabel(values[len(valid) :], truth, features, rows=test, thresholds=chosen)
    with storage.new_file(folder / FEATURES) as temporary:
        found.table().write_csv(temporary, separator="\t")
    return found
