"""Bits per letter of texts: how surprising each letter is to models that read the letters before it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor, nn

from regulome.datasets.dataset import Dataset
from regulome.datasets.language_text import Text
from regulome.errors import InputError
from regulome.genome.letters import UNKNOWN
from regulome.models.modes import evaluating
from regulome.progress import progress
from regulome.training.scorer import on_device

Places = npt.NDArray[np.int64]
State = tuple[Tensor, ...] | None
#: Gives stretches of equal length: from the places int64 [n] at which they begin and the length, uint8 [n, length].
Reader = Callable[[Places, int], npt.NDArray[np.uint8]]

#: Letters that are read before the first one that is scored, as far as there are as many.
CONTEXT = 1000
#: Texts that are read side by side.
STREAMS = 256
#: Letters of each text that are read at a time.
STEP = 100


class ScoredLetters(NamedTuple):
    """A piece of each of several stretches.

    Attributes:
        rows: int64 [n], the stretches.
        places: int64 [n], where in the text the piece's first letter is.
        bits: float32 [n, letters], −log2 of the probability of each letter; NaN where it is not to be scored.
        hits: bool [n, letters], whether the letter was the most likely one.
    """

    rows: Places
    places: Places
    bits: npt.NDArray[np.float32]
    hits: npt.NDArray[np.bool_]


class BlockScores(NamedTuple):
    """Of each stretch: letters that were scored, their bits together, and how many were the most likely letter."""

    letters: Places
    bits: npt.NDArray[np.float64]
    hits: Places


def text_bits(
    models: Sequence[nn.Module],
    read: Reader,
    firsts: Places,
    starts: Places,
    ends: Places,
    *,
    device: str | torch.device = "cpu",
    streams: int = STREAMS,
    step: int = STEP,
) -> Iterator[ScoredLetters]:
    """Score stretches of a text, each read from its own beginning.

    The stretches are sorted by length and read ``streams`` at a time, ``step`` letters of each in turn; one that has
    ended leaves the batch. Letters of code 4 are read but not scored.

    Memory and device: one batch of pieces. A model that is elsewhere is copied to the device; the models are left as
    they were found.

    Args:
        models: Members of an ensemble, whose probabilities are averaged: each from codes uint8 [b, l] and its state
            (None at the beginning) to logits [b, l, 4] of the letters after them, and its state. Every tensor of a
            state has the stretches in dimension 0.
        read: Gives the letters.
        firsts: int64 [n], the letter at which reading begins.
        starts: int64 [n], the first letter to score; the very letter at which reading begins is never scored.
        ends: int64 [n], one past the last letter.
        device: Where to compute.
        streams: Stretches at a time.
        step: Letters at a time.

    Yields:
        Pieces, in no order of the stretches, but each stretch's own pieces ascend.

    Raises:
        InputError: A model's answer is not finite.
    """
    if not models:
        raise InputError("there is no model to score a text with")
    device = torch.device(device)
    members = [on_device(model, device) for model in models]
    starts = np.maximum(starts, firsts + 1)
    order = np.argsort(firsts - ends, kind="stable")
    order = order[(ends > starts)[order]]
    # A generator that is left early must not hold the caller's autograd mode: it is entered piece by piece.
    for begin in range(0, len(order), streams):
        rows = order[begin : begin + streams]
        states: list[State] = [None] * len(members)
        # The letter before the one that is predicted is the one that is read.
        places, left = firsts[rows], ends[rows] - firsts[rows] - 1
        while len(rows):
            length = int(min(step, left[0]))
            codes = torch.from_numpy(np.ascontiguousarray(read(places, length + 1))).to(device)
            with evaluating(members), torch.inference_mode():
                log_p, states = _predict(members, codes[:, :-1], states)
                truth = codes[:, 1:].long()
                own = log_p.gather(2, truth.clamp(max=3)[..., None])[..., 0]
                hits = (log_p.argmax(2) == truth).cpu().numpy()
                bits = (own / -math.log(2)).cpu().numpy()
                known = (truth < UNKNOWN).cpu().numpy()
            places = places + 1
            at = places[:, None] + np.arange(length)
            scored = known & (at >= starts[rows][:, None]) & (at < ends[rows][:, None])
            if not np.isfinite(bits[scored]).all():
                raise InputError(
                    "the model's answer is not a finite number", cure="train again; its weights are damaged"
                )
            bits[~scored] = np.nan
            yield ScoredLetters(rows, places, bits, hits & scored)
            places, left = places + length - 1, left - length
            going = int(np.count_nonzero(left > 0))
            rows, places, left = rows[:going], places[:going], left[:going]
            states = [None if state is None else tuple(part[:going] for part in state) for state in states]


def total_bits(
    models: Sequence[nn.Module],
    read: Reader,
    firsts: Places,
    starts: Places,
    ends: Places,
    *,
    device: str | torch.device = "cpu",
    description: str = "scoring",
    streams: int = STREAMS,
) -> BlockScores:
    """Add up the bits of each stretch; see :func:`text_bits`.

    Args:
        models: See :func:`text_bits`, as for the other arguments.
        read: Gives the letters.
        firsts: int64 [n], the letter at which reading begins.
        starts: int64 [n], the first letter to score.
        ends: int64 [n], one past the last letter.
        device: Where to compute.
        description: What is said about the progress.
        streams: Stretches at a time.

    Returns:
        Letters, bits and hits of each stretch, in the order of the arguments.
    """
    letters, hits = np.zeros(len(starts), np.int64), np.zeros(len(starts), np.int64)
    bits = np.zeros(len(starts), np.float64)
    with progress(description, float((ends - firsts).sum()), "letters") as advance:
        for piece in text_bits(models, read, firsts, starts, ends, device=device, streams=streams):
            scored = ~np.isnan(piece.bits)
            letters[piece.rows] += scored.sum(1)
            bits[piece.rows] += np.nansum(piece.bits, axis=1, dtype=np.float64)
            hits[piece.rows] += piece.hits.sum(1)
            advance(piece.bits.size)
    return BlockScores(letters, bits, hits)


def perplexity(bits: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Turn bits per letter into perplexity, 2 to the power of them: the letters among which the model is in doubt."""
    return np.exp2(np.asarray(bits, np.float64))


def _predict(members: Sequence[nn.Module], codes: Tensor, states: Sequence[State]) -> tuple[Tensor, list[State]]:
    """Return the logarithm of the mean probability [b, l, 4], and each member's state."""
    found, after = [], []
    for member, state in zip(members, states, strict=True):
        logits, state = member(codes, state)
        found.append(torch.log_softmax(logits.float(), dim=2))
        after.append(state)
    if len(found) == 1:
        return found[0], after
    return torch.logsumexp(torch.stack(found), dim=0) - math.log(len(found)), after


def block_bits(
    models: Sequence[nn.Module],
    dataset: Dataset,
    rows: Places,
    *,
    device: str | torch.device = "cpu",
    context: int = CONTEXT,
    description: str = "scoring",
) -> BlockScores:
    """Score blocks of a dataset's text.

    Before each block the letters before it are read, whatever part they are in, but no further than its record
    reaches. The first letter of a record is not scored.

    Memory and device: see :func:`text_bits`.

    Args:
        models: See :func:`text_bits`.
        dataset: A dataset of the line "language".
        rows: Its blocks to score.
        device: Where to compute.
        context: Letters that are read before a block.
        description: What is said about the progress.

    Returns:
        Letters, bits and hits of each block, in the order of ``rows``.

    Raises:
        InputError: A model's answer is not finite.
    """
    text = Text(dataset)
    rows = np.asarray(rows, np.int64)
    starts, ends = text.blocks[rows].T
    firsts = np.maximum(starts - context, record_starts(dataset, text.blocks)[rows])

    return total_bits(models, text.windows, firsts, starts, ends, device=device, description=description)


def record_starts(dataset: Dataset, blocks: Places) -> Places:
    """Return where in the text the record of each block begins, int64 [blocks]."""
    table = dataset.regions.select("chrom").with_columns(first=pl.Series(blocks[:, 0]))
    found: Places = table.select(pl.col("first").min().over("chrom")).to_series().to_numpy().astype(np.int64)
    return found
