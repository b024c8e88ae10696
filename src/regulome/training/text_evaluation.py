"""Blocks of a text as a table, and perplexity, bits per base and accuracy over them, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import nn

from regulome.datasets.dataset import Dataset
from regulome.errors import InputError
from regulome.training.bootstrap import REPLICATES, estimates, resamples
from regulome.training.metrics import Floats
from regulome.training.text_scores import block_bits, perplexity

Rows = npt.NDArray[np.int64]


def text_columns(
    models: Sequence[nn.Module], dataset: Dataset, rows: Rows, *, device: str | torch.device = "cpu"
) -> list[pl.Series]:
    """Score blocks of a text.

    Args:
        models: Members of an ensemble, whose probabilities are averaged.
        dataset: A dataset of the line "language".
        rows: The blocks.
        device: Where to compute.

    Returns:
        For each block ``letters`` (scored ones: all but the first of a record), ``bits`` (mean over them),
        ``perplexity`` (2 to the power of that) and ``accuracy`` (share of letters that were the most likely ones);
        null where nothing was scored.
    """
    found = block_bits(models, dataset, rows, device=device, description="predicting")
    letters = np.where(found.letters > 0, found.letters, 1)
    bits = found.bits / letters
    columns = {"bits": bits, "perplexity": perplexity(bits), "accuracy": found.hits / letters}
    scored = pl.Series(found.letters > 0)
    series = [pl.Series("letters", found.letters, pl.Int64)]
    for name, values in columns.items():
        series.append(pl.Series(name, values, pl.Float64).zip_with(scored, pl.Series(name, [None], pl.Float64)))
    return series


def replicate_text(table: pl.DataFrame, *, replicates: int = REPLICATES, seed: int = 0) -> dict[str, Floats]:
    """Compute the metrics of a text on its blocks, and on bootstrap resamples of them.

    Sums of bits and of letters are resampled together, so that every letter counts alike however long its block is.

    Args:
        table: One row per block with ``letters``, ``bits`` and ``accuracy``, as :func:`text_columns` makes them.
        replicates: Number of resamples.
        seed: Seed of the resampling.

    Returns:
        ``perplexity``, ``bits_per_base`` and ``accuracy``: float64 [1 + replicates], the first on the blocks
        themselves.

    Raises:
        InputError: No letter was scored.
    """
    letters = table["letters"].to_numpy().astype(np.float64)
    if not letters.sum():
        raise InputError("there are no letters to evaluate", cure="choose another --split")
    rates = table.select(pl.col("bits", "accuracy").fill_null(0)).to_numpy()
    sums = np.column_stack([letters, rates * letters[:, None]])
    parts = [np.ones((1, len(letters))) @ sums]
    if replicates:
        parts += [weights @ sums for weights in resamples(len(letters), replicates, seed)]
    total, bits, hits = np.concatenate(parts).T
    # A resample of nothing but blocks without scored letters says nothing.
    total = np.where(total > 0, total, np.nan)
    return {"perplexity": perplexity(bits / total), "bits_per_base": bits / total, "accuracy": hits / total}


def evaluate_text(table: pl.DataFrame, *, replicates: int = REPLICATES, seed: int = 0) -> dict[str, Any]:
    """Evaluate blocks of a text; see :func:`replicate_text`.

    Returns:
        ``{"n": blocks, "letters": scored letters, METRIC: {"value", "low", "high"}, …}``.
    """
    values = estimates(replicate_text(table, replicates=replicates, seed=seed))
    return {"n": table.height, "letters": int(table["letters"].sum()), **values}
