"""Predict and evaluate with a run or with a file of published weights, whichever is given."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from regulome.catalog.weights import CHROMOFORMER_MARKS, DEEPCHROME_MARKS, Weights, load_weights, open_weights
from regulome.datasets.dataset import Dataset
from regulome.datasets.region_views import choose_regions
from regulome.errors import InputError
from regulome.training import evaluation, prediction
from regulome.training.device import choose_device
from regulome.training.runs import Run, RunInfo

logger = logging.getLogger(__name__)

#: Windows of the published networks of the marks line: bins, and bases per bin.
PUBLISHED_BINS, PUBLISHED_BIN_SIZE = 100, 100


def predict(
    source: Run | str | os.PathLike[str],
    dataset: Dataset | str | os.PathLike[str] | None = None,
    split: str = "test",
    *,
    device: str = "auto",
) -> pl.DataFrame:
    """Predict a part of a dataset with a run, or with published weights.

    Weights say nothing of their marks: five are taken to be those of the published DeepChrome tables, Chromoformer's
    seven those that it was published with, found in the dataset by name; any other number must be the dataset's own, in
    its order. Nor do they say what the outputs of a
    network on sequences are: they must be the dataset's features, in its order. Such a dataset is predicted on the
    strand as it lies.

    Args:
        source: A run, its folder, or a file of weights (see :func:`regulome.catalog.load_weights`).
        dataset: The dataset or its folder; None takes the run's own.
        split: "train", "valid", "test" or "all". With weights: of the dataset's published split; all examples where it
            has none.
        device: "auto", "cpu" or "cuda".

    Returns:
        See :func:`regulome.training.prediction_table`.

    Raises:
        InputError: The file holds no weights that are known here, or the dataset does not fit them.
    """
    if isinstance(source, Run) or not Path(source).is_file():
        return prediction.prediction_table(source, dataset, split, device=device)
    if dataset is None:
        raise InputError("is a file of weights, which has no dataset of its own", file=source, cure="name a DATASET")
    data = prediction.as_dataset(dataset)
    info = _describe(Path(source), data)
    view = prediction.match_marks(info, data)
    rows, parts = _rows(data, split)
    where = choose_device(device)
    if data.line == "sequence":
        logger.info("%s: %s on %s bp, %d features", source, info.model, f"{info.length:,}", len(info.target_names))
        model = open_weights(source, length=info.length, device=where)
    else:
        logger.info("%s: %s with the marks %s", source, info.model, ", ".join(info.marks))
        size: dict[str, Any] = {"window": info.span} if info.resolutions else {"bins": info.bins}
        model = open_weights(source, device=where, **size)
    values = prediction.predict_dataset([model], data, rows, task=info.task, view=view, device=where)
    return prediction.as_table(info, data, rows, parts, values)


def evaluate(
    source: Run | str | os.PathLike[str],
    dataset: Dataset | str | os.PathLike[str] | None = None,
    *,
    split: str = "test",
    device: str = "auto",
) -> dict[str, Any]:
    """Evaluate a run or published weights; see :func:`predict` and :func:`regulome.training.evaluate`."""
    if isinstance(source, Run) or not Path(source).is_file():
        return evaluation.evaluate(source, dataset, split=split, device=device)
    table = predict(source, dataset, split, device=device)
    names = [name.removesuffix("_true") for name in table.columns if name.endswith("_true")]
    line = "expression" if dataset is None else prediction.as_dataset(dataset).line
    task: Any = load_weights(source).hyperparameters.get("task", "classification")
    return evaluation.evaluate_table(table, names or ["expression"], task, line=line)


def _describe(path: Path, dataset: Dataset) -> RunInfo:
    weights = load_weights(path)
    if ("marks" not in weights.hyperparameters) != (dataset.line == "sequence"):
        raise InputError(
            f"{weights.model} takes {'marks' if 'marks' in weights.hyperparameters else 'DNA'}, the dataset is of the "
            f"line {dataset.line!r}",
            file=path,
            cure="name a dataset of the other line",
        )
    if dataset.line == "sequence":
        return _describe_sequence(path, weights, dataset)
    regions = weights.model == "chromoformer"
    published = CHROMOFORMER_MARKS if regions else DEEPCHROME_MARKS
    count = int(weights.hyperparameters["marks"])
    if count == len(published):
        marks = list(published)
    elif count == len(dataset.marks):
        marks = dataset.marks
    else:
        raise InputError(
            f"takes {count} marks, the dataset has {len(dataset.marks)} ({', '.join(dataset.marks)})",
            file=path,
            cure="prepare a dataset with the marks that the weights were trained on, in their order",
        )
    if regions:
        view = choose_regions(dataset, marks, resolutions=weights.hyperparameters["resolutions"])
        finest = min(view.resolutions)
        return RunInfo(
            recipe="published weights",
            model=weights.model,
            task=weights.hyperparameters["task"],
            marks=marks,
            bins=view.window // finest,
            bin_size=finest,
            resolutions=list(view.resolutions),
            span=view.span,
            target_names=dataset.target_names or ["expression"],
            members=[0],
        )
    return RunInfo(
        recipe="published weights",
        model=weights.model,
        task="classification",
        marks=marks,
        bins=PUBLISHED_BINS,
        bin_size=PUBLISHED_BIN_SIZE,
        target_names=dataset.target_names or ["expression"],
        members=[0],
    )


def _describe_sequence(path: Path, weights: Weights, dataset: Dataset) -> RunInfo:
    count = int(weights.hyperparameters["targets"])
    if count != len(dataset.target_names):
        raise InputError(
            f"gives {count} outputs, the dataset has {len(dataset.target_names)} features",
            file=path,
            cure="prepare a dataset with the features that the weights were trained on, in their order",
        )
    return RunInfo(
        recipe="published weights",
        model=weights.model,
        line="sequence",
        task="classification",
        length=dataset.length,
        features=dataset.features.to_dicts(),
        target_names=dataset.target_names,
        members=[0],
    )


def _rows(dataset: Dataset, split: str) -> tuple[np.ndarray[Any, np.dtype[np.int64]], list[str]]:
    if split not in prediction.PARTS:
        raise InputError(f"unknown split {split!r}", cure=f"choose from {', '.join(prediction.PARTS)}")
    parts = dataset.regions["split"].fill_null("new").to_numpy()
    everything = split == "all" or (parts == "new").all()
    rows = np.arange(len(dataset)) if everything else np.flatnonzero(parts == split)
    if len(rows) == 0:
        raise InputError(f"no example of the part {split!r}", file=dataset.path, cure="choose another --split")
    return rows, [str(part) for part in parts[rows]]
