"""Predictions of a run for a dataset, in batches."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import nn

from regulome import storage
from regulome.datasets.batches import Batches
from regulome.datasets.dataset import Dataset, open_dataset
from regulome.errors import InputError
from regulome.progress import progress
from regulome.training.device import choose_device
from regulome.training.runs import Run, RunInfo, open_run

logger = logging.getLogger(__name__)

#: Examples per batch of a prediction.
BATCH_SIZE = 1024
#: The parts that a prediction may be asked for; "all" takes every example.
PARTS = ("train", "valid", "test", "all")


def predict_dataset(
    models: Sequence[nn.Module],
    dataset: Dataset,
    indices: npt.NDArray[np.int64] | None = None,
    *,
    task: str,
    mark_order: Sequence[int] | None = None,
    orient: bool = False,
    batch_size: int = BATCH_SIZE,
    device: str | torch.device = "cpu",
) -> npt.NDArray[np.float32]:
    """Predict examples of a dataset.

    Memory: one batch, and the predictions. The models are put on ``device`` in eval mode.

    Args:
        models: Members of an ensemble, each from raw marks [batch, mark, bin] to logits or values [batch, targets].
        dataset: The dataset.
        indices: Rows to predict; None takes all.
        task: "classification" or "regression".
        mark_order: For each mark that the models take, its position in the dataset; None where they are the same.
        orient: Turn the bins of genes on the minus strand, as in training.
        batch_size: Examples per batch.
        device: Where to compute.

    Returns:
        float32 [examples, targets], in the order of ``indices``: mean probability, or mean value, over the models.
    """
    device = torch.device(device)
    models = [model.to(device).eval() for model in models]
    rows = np.arange(len(dataset)) if indices is None else np.asarray(indices, np.int64)
    batches = Batches(dataset, rows, batch_size=batch_size, orient=orient, device=device)
    order = None if mark_order is None else torch.as_tensor(list(mark_order), device=device)
    parts = []
    with torch.inference_mode(), progress("predicting", len(rows) * len(models), "examples") as advance:
        for batch in batches:
            inputs = batch.inputs if order is None else batch.inputs.index_select(1, order)
            total = torch.zeros((), device=device)
            for model in models:
                output = model(inputs).float()
                total = total + (torch.sigmoid(output) if task == "classification" else output)
                advance(len(inputs))
            parts.append((total / len(models)).cpu().numpy())
    if not parts:
        return np.empty((0, max(1, dataset.targets.shape[1])), np.float32)
    return np.concatenate(parts)


def match_marks(info: RunInfo, dataset: Dataset) -> list[int] | None:
    """Find the marks of a run in a dataset, by name.

    Returns:
        For each mark of the run its position in the dataset; None when they are the same in the same order.

    Raises:
        InputError: A mark is missing, or number or width of the bins differ.
    """
    if dataset.bins != info.bins or dataset.bin_size != info.bin_size:
        raise InputError(
            f"has {dataset.bins} bins of {dataset.bin_size} bp, the run takes {info.bins} of {info.bin_size} bp",
            file=dataset.path,
            cure="prepare it with the same --window and --bin (or --bins)",
        )
    if dataset.marks == info.marks:
        return None
    places = {mark.casefold(): place for place, mark in enumerate(dataset.marks)}
    missing = [mark for mark in info.marks if mark.casefold() not in places]
    if missing:
        raise InputError(
            f"has no mark {', '.join(missing)}: it has {', '.join(dataset.marks)}, the run takes "
            f"{', '.join(info.marks)}",
            file=dataset.path,
            cure="prepare it with the marks of the run, under the same names",
        )
    logger.info("marks taken in the order of the run: %s", ", ".join(info.marks))
    return [places[mark.casefold()] for mark in info.marks]


def select_rows(run: Run, dataset: Dataset, split: str) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Choose the examples of a part, by the ids that the run knows.

    An example of another dataset (another cell type, say) is in the part in which the run had the example of the same
    id, so that nothing that trained is tested. Where the run knows none of the ids, every example is new to it, and
    all are taken.

    Returns:
        Rows of the dataset, and for each the part it is in; ``"new"`` for ids that the run does not know.

    Raises:
        InputError: There is no such part, or nothing is in it.
    """
    if split not in PARTS:
        raise InputError(f"unknown split {split!r}", cure=f"choose from {', '.join(PARTS)}")
    known = run.splits
    parts = (
        dataset.regions.select("id")
        .join(known, on="id", how="left", maintain_order="left")["split"]
        .fill_null("new")
        .to_numpy()
    )
    if split == "all" or (parts == "new").all():
        if split != "all" and len(known):
            logger.info("none of the examples was in the run's dataset: all %d are taken", len(dataset))
        return np.arange(len(dataset)), [str(part) for part in parts]
    rows = np.flatnonzero(parts == split)
    if len(rows) == 0:
        raise InputError(f"no example of the part {split!r}", file=dataset.path, cure="choose another --split")
    return rows, [split] * len(rows)


def prediction_table(
    run: Run | str | os.PathLike[str],
    dataset: Dataset | str | os.PathLike[str] | None = None,
    split: str = "test",
    *,
    device: str = "auto",
    batch_size: int = BATCH_SIZE,
) -> pl.DataFrame:
    """Predict a part of a dataset as a table.

    Args:
        run: The run, or its folder.
        dataset: The dataset or its folder; None takes the run's own.
        split: "train", "valid", "test" or "all"; see :func:`select_rows`.
        device: "auto", "cpu" or "cuda".
        batch_size: Examples per batch.

    Returns:
        One row per example: ``chrom, start, end, strand, id, split``, then for each output ``NAME`` (probability of
        "high", or value) and ``NAME_true`` where the dataset has targets of the same task.

    Raises:
        InputError: The dataset lacks a mark, has other bins, or nothing in this part.
    """
    run = open_run(run)
    data = run.dataset() if dataset is None else as_dataset(dataset)
    order = match_marks(run.info, data)
    rows, parts = select_rows(run, data, split)
    where = choose_device(device)
    values = predict_dataset(
        run.models(where),
        data,
        rows,
        task=run.info.task,
        mark_order=order,
        orient=run.recipe.input.orient,
        batch_size=batch_size,
        device=where,
    )
    return as_table(run.info, data, rows, parts, values)


def as_table(
    info: RunInfo, dataset: Dataset, rows: npt.NDArray[np.int64], parts: Sequence[str], values: npt.NDArray[np.float32]
) -> pl.DataFrame:
    """Put predictions [rows, targets] beside the regions, ids and truth of their rows."""
    table = dataset.regions.select("chrom", "start", "end", "strand", "id")[rows]
    columns = [pl.Series("split", list(parts), pl.String)]
    known = dataset.task == info.task and dataset.targets.shape[1] == values.shape[1]
    for place, name in enumerate(info.target_names):
        columns.append(pl.Series(name, values[:, place]))
        if known:
            columns.append(pl.Series(f"{name}_true", np.asarray(dataset.targets[rows, place], np.float32)))
    return table.with_columns(columns)


#: The same, under the name of the verb.
predict = prediction_table


def as_dataset(dataset: Dataset | str | os.PathLike[str]) -> Dataset:
    """Open a dataset folder; an opened dataset is returned as it is."""
    return dataset if isinstance(dataset, Dataset) else open_dataset(dataset)


def write_table(table: pl.DataFrame, out: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a table; the file appears when it is complete.

    Args:
        table: The table.
        out: ``.parquet``, ``.tsv`` or ``.csv``.
        overwrite: Replace an existing file.

    Raises:
        InputError: Another ending, or the file exists.
    """
    path = Path(out)
    if path.suffix not in (".parquet", ".tsv", ".csv"):
        raise InputError(
            f"a table cannot be written as {path.suffix or 'a file without ending'!r}",
            file=path,
            cure=("choose .parquet, .tsv or .csv"),
        )
    with storage.new_file(path, overwrite=overwrite) as temporary:
        if path.suffix == ".parquet":
            table.write_parquet(temporary)
        else:
            table.write_csv(temporary, separator="\t" if path.suffix == ".tsv" else ",")
