"""How far back a model of a text looks: perplexity by the number of letters before the one that it predicts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import nn

from regulome.datasets.dataset import Dataset
from regulome.datasets.language_text import Text
from regulome.explain.text_places import even_places, text_spans
from regulome.training.text_scores import text_bits

# Stretches begin at least so far apart: what lies close together tells nothing new.
_APART = 16


def context_curve(
    models: Sequence[nn.Module],
    dataset: Dataset,
    rows: npt.ArrayLike,
    *,
    longest: int = 1024,
    stretches: int = 300,
    device: str | torch.device = "cpu",
) -> pl.DataFrame:
    """Measure how well letters are predicted from 1, 2, 3–4, 5–8 … letters before them.

    Stretches of ``longest`` + 1 letters are read from nothing, so that the n-th letter after the first is predicted
    from the n letters before it. Runs on one dataset are measured on the same stretches.

    Memory and device: ``stretches`` texts at a time; the models work on ``device`` and are left as they were.

    Args:
        models: Members of an ensemble, see :func:`regulome.training.text_scores.text_bits`.
        dataset: A dataset of the line ``"language"``.
        rows: The blocks in which stretches lie.
        longest: Most letters before; less where no stretch of text is as long.
        stretches: Number of stretches, at most.
        device: Where to compute.

    Returns:
        A row per range of letters before: ``from``, ``to`` (both included), ``letters`` (scored), ``bits`` (mean per
        letter), ``perplexity``, ``low`` and ``high`` (its 95 % interval, from the spread between stretches; null where
        there is one).
    """
    text, spans = Text(dataset), text_spans(dataset, rows)
    longest = int(min(longest, (spans[:, 1] - spans[:, 0]).max(initial=0) - 1))
    room = int(np.maximum(spans[:, 1] - spans[:, 0] - longest, 0).sum())
    firsts = even_places(spans, longest + 1, max(1, min(stretches, room // _APART)))
    bits = np.zeros((len(firsts), longest), np.float64)
    for piece in text_bits(
        models, text.windows, firsts, firsts, firsts + longest + 1, device=device, streams=stretches
    ):
        at = (piece.places - firsts[piece.rows])[:, None] + np.arange(piece.bits.shape[1])
        bits[piece.rows[:, None], at - 1] = piece.bits
    return _by_range(bits)


def _by_range(bits: npt.NDArray[np.float64]) -> pl.DataFrame:
    """Average bits [stretches, letters before − 1] over ranges that double."""
    count, longest = bits.shape
    ends = [2**power for power in range(longest.bit_length()) if 2**power <= longest]
    starts = [1, *(end + 1 for end in ends[:-1])]
    means = np.stack([bits[:, a - 1 : b].mean(axis=1) for a, b in zip(starts, ends, strict=True)], axis=1)
    mean = means.mean(axis=0)
    half = 1.959964 * means.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else np.full(len(ends), np.nan)
    table = pl.DataFrame({"from": starts, "to": ends, "bits": mean})
    return table.with_columns(
        pl.Series("letters", count * (np.array(ends) - np.array(starts) + 1)),
        pl.Series("perplexity", np.exp2(mean)),
        pl.Series("low", np.exp2(mean - half), nan_to_null=True),
        pl.Series("high", np.exp2(mean + half), nan_to_null=True),
    ).select("from", "to", "letters", "bits", "perplexity", "low", "high")
