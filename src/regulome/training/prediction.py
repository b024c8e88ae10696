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
from regulome.datasets.dataset import Dataset, open_dataset
from regulome.datasets.region_views import RegionView, tell_regions
from regulome.datasets.views import View, tell_view
from regulome.errors import InputError
from regulome.progress import progress
from regulome.recipes.schema import InputSection
from regulome.training.device import choose_device
from regulome.training.lines import line_named, line_seeing
from regulome.training.runs import Run, RunInfo, open_run
from regulome.training.strands import predict_batch
from regulome.training.text_evaluation import text_columns

logger = logging.getLogger(__name__)

#: The parts that a prediction may be asked for; "all" takes every example.
PARTS = ("train", "valid", "test", "all")


def predict_dataset(
    models: Sequence[nn.Module],
    dataset: Dataset,
    indices: npt.NDArray[np.int64] | None = None,
    *,
    task: str,
    view: View | RegionView | None = None,
    orient: bool = False,
    both_strands: bool = False,
    batch_size: int | None = None,
    device: str | torch.device = "cpu",
    out: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """Predict examples of a dataset.

    Memory: one batch, and the predictions. The models are put on ``device`` in eval mode.

    Args:
        models: Members of an ensemble, each from raw marks [batch, mark, bin], regions, or codes of letters [batch,
            base], to logits or values [batch, targets].
        dataset: The dataset.
        indices: Rows to predict; None takes all.
        task: "classification" or "regression".
        view: The part of the marks, or of the regions, that the models take; None takes all marks of promoters.
        orient: Turn the bins of genes on the minus strand, as in training.
        both_strands: Average the probabilities or values of both strands of each sequence.
        batch_size: Examples per batch; None takes 1,024 genes (256 with distal regions) or 128 windows.
        device: Where to compute.
        out: Where to write, for example a memory map; float32 [examples, targets].

    Returns:
        float32 [examples, targets], in the order of ``indices``: mean probability, or mean value, over the models (and
        strands). ``out`` where it was given.
    """
    device = torch.device(device)
    models = [model.to(device).eval() for model in models]
    rows = np.arange(len(dataset)) if indices is None else np.asarray(indices, np.int64)
    line = line_seeing(dataset.line, view)
    inputs = InputSection(orient=orient, **({} if view is None else view.settings()))
    batches = line.batches(dataset, rows, inputs, batch_size=batch_size or line.batch_size, device=device)
    done = 0
    with torch.inference_mode(), progress("predicting", len(rows) * len(models), "examples") as advance:
        for batch in batches:
            total = torch.zeros((), device=device)
            for model in models:
                total = total + predict_batch(model, batch.inputs, task, both_strands=both_strands)
                advance(len(batch.targets))
            found = (total / len(models)).cpu().numpy()
            if out is None:
                out = np.empty((len(rows), found.shape[1]), np.float32)
            out[done : done + len(found)] = found
            done += len(found)
    return np.empty((0, max(1, dataset.targets.shape[1])), np.float32) if out is None else out


def match_marks(info: RunInfo, dataset: Dataset) -> View | RegionView | None:
    """Find, and say, what a run sees in a dataset: its marks by name, its window and bins.

    Returns:
        The part of the dataset's marks or regions; None in other lines.

    Raises:
        InputError: A mark is missing, the windows are too narrow or the bins too wide, or windows of sequence have
            another length.
    """
    if dataset.line != info.line:
        raise InputError(
            f"is a dataset of the line {dataset.line!r}, the run takes {info.line!r}",
            file=dataset.path,
            cure="name a dataset of the run's line",
        )
    view = line_named(info.line, info.model).match(info, dataset)
    if isinstance(view, RegionView):
        tell_regions(view)
    elif view is not None:
        tell_view(view, dataset)
    return view


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
    batch_size: int | None = None,
) -> pl.DataFrame:
    """Predict a part of a dataset as a table.

    Args:
        run: The run, or its folder.
        dataset: The dataset or its folder; None takes the run's own.
        split: "train", "valid", "test" or "all"; see :func:`select_rows`.
        device: "auto", "cpu" or "cuda".
        batch_size: Examples per batch; see :func:`predict_dataset`.

    Returns:
        One row per example: ``chrom, start, end, strand, id, split``, then for each output ``NAME`` (probability of
        "high", or value) and ``NAME_true`` where the dataset has targets of the same task. Blocks of texts have
        ``letters`` (scored), ``bits`` per letter, ``perplexity`` and ``accuracy``.

    Raises:
        InputError: The dataset lacks a mark, has other bins, or nothing in this part.
    """
    run = open_run(run)
    data = run.dataset() if dataset is None else as_dataset(dataset)
    match_marks(run.info, data)
    rows, parts = select_rows(run, data, split)
    where = choose_device(device)
    return tabulate(run, data, rows, parts, batch_size=batch_size, device=where)


def tabulate(
    run: Run,
    dataset: Dataset,
    rows: npt.NDArray[np.int64],
    parts: Sequence[str],
    *,
    batch_size: int | None = None,
    device: torch.device,
) -> pl.DataFrame:
    """Predict some rows as a table; the run's few outputs, or how well it foresees the letters of blocks.

    Args:
        run: The run.
        dataset: A dataset that it takes.
        rows: The rows.
        parts: For each the part it is in.
        batch_size: See :func:`predict_dataset`.
        device: Where to compute.

    Returns:
        What :func:`prediction_table` does.
    """
    models = run.models(device)
    if run.info.task == "next-letter":
        columns = text_columns(models, dataset, rows, device=device)
        return as_rows(dataset, rows, parts).with_columns(columns)
    values = predict_dataset(
        models,
        dataset,
        rows,
        task=run.info.task,
        view=line_named(run.info.line, run.info.model).match(run.info, dataset),
        orient=run.recipe.input.orient,
        both_strands=run.recipe.input.both_strands,
        batch_size=batch_size,
        device=device,
    )
    return as_table(run.info, dataset, rows, parts, values)


def as_table(
    info: RunInfo, dataset: Dataset, rows: npt.NDArray[np.int64], parts: Sequence[str], values: npt.NDArray[np.float32]
) -> pl.DataFrame:
    """Put predictions [rows, targets] beside the regions, ids and truth of their rows."""
    table = as_rows(dataset, rows, parts)
    columns = []
    known = has_truth(info, dataset)
    if not known and info.line == "sequence" and dataset.task == info.task and dataset.target_names:
        logger.info(f"{dataset.path.name}: its features are not those of the run: predictions without truth")
    for place, name in enumerate(info.target_names):
        columns.append(pl.Series(name, values[:, place]))
        if known:
            columns.append(pl.Series(f"{name}_true", np.asarray(dataset.targets[rows, place], np.float32)))
    return table.with_columns(columns)


def as_rows(dataset: Dataset, rows: npt.NDArray[np.int64], parts: Sequence[str]) -> pl.DataFrame:
    """Put the parts of some rows beside their regions and ids."""
    table = dataset.regions.select("chrom", "start", "end", "strand", "id")[rows]
    return table.with_columns(pl.Series("split", list(parts), pl.String))


def has_truth(info: RunInfo, dataset: Dataset) -> bool:
    """Say whether a dataset has the targets that a run predicts; features of sequences go by their names."""
    if dataset.task != info.task or len(dataset.target_names) != len(info.target_names):
        return False
    return info.line != "sequence" or dataset.target_names == info.target_names


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
