"""Baselines of texts: what they are is counted, in one or two passes over the training text."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from regulome.datasets.language_text import Text
from regulome.errors import InputError
from regulome.models.markov import Markov, text_loss
from regulome.models.markov_counts import count_contexts
from regulome.models.markov_mixing import add_constant, learn_weights, mix_orders
from regulome.models.preprocess import Predictor
from regulome.training.build import build_predictor
from regulome.training.fit import Epoch, FitJob, Fitted, Rows
from regulome.training.text_scores import block_bits

logger = logging.getLogger(__name__)

Places = npt.NDArray[np.int64]
# Contexts that an order may have for each letter of the training text: more of them are only seen once or never.
_CONTEXTS = 8


def fit_counting(job: FitJob) -> tuple[Fitted, dict[str, Any]]:
    """Fit a baseline that counts, and choose what the recipe leaves open on the validation blocks.

    Returns:
        The fitted member, and the hyperparameters that were chosen.

    Raises:
        InputError: The network is none that counts, or there is no order to try.
    """
    name = job.recipe.model.name
    if name not in _FITS:
        raise InputError(
            f"training.method = counting cannot fit {name}",
            cure=f"it fits {', '.join(_FITS)}; networks want training.method = gradient",
        )
    return _FITS[name](job)


def stretches_of(text: Text, rows: Rows) -> Places:
    """Join blocks that follow each other: int64 [n, 2], ascending."""
    blocks = text.blocks[np.sort(rows)]
    if not len(blocks):
        return np.empty((0, 2), np.int64)
    new = np.flatnonzero(blocks[1:, 0] != blocks[:-1, 1]) + 1
    return np.stack([blocks[np.r_[0, new], 0], blocks[np.r_[new - 1, len(blocks) - 1], 1]], axis=1)


def _orders(job: FitJob, letters: int) -> list[int]:
    given = job.recipe.model.hyperparameters.get("order")
    if isinstance(given, int):
        return [given]
    orders = sorted(set(job.recipe.baseline.orders))
    possible = [order for order in orders if 4**order <= _CONTEXTS * letters]
    if not possible:
        raise InputError(
            f"{letters:,} letters are too few for a Markov model of order {orders[0]}",
            cure="give lower baseline.orders",
        )
    if len(possible) < len(orders):
        logger.info("%sorders above %d are left out: %s letters are too few", job.title, possible[-1], f"{letters:,}")
    return possible


def _fit_markov(job: FitJob) -> tuple[Fitted, dict[str, Any]]:
    """Count once for all orders; keep the order with the lowest loss on the validation blocks."""
    begin = time.monotonic()
    text = Text(job.dataset)
    train, valid = stretches_of(text, job.train), stretches_of(text, job.valid)
    orders = _orders(job, int((train[:, 1] - train[:, 0]).sum()))
    # The smallest network says what is to be done; the chosen one is made when its order is known.
    settings: Any = build_predictor(job.recipe, job.dataset, fit_on=job.train[:1], hyperparameters={"order": 0}).network
    both = settings.strands == "both" or text.strands == "both"
    tables = []
    history: list[Epoch] = []
    losses: dict[int, float] = {}
    for order, table in enumerate(_tables(settings, text, train, orders[-1], both)):
        tables.append(table)
        if order not in orders:
            continue
        loss = [_mean(text, part, table) for part in (train, valid)]
        losses[order] = loss[1]
        logger.info("%sorder %d: validation perplexity %.4f", job.title, order, math.exp(loss[1]))
        now = time.monotonic()
        row: Epoch = {"member": job.member, "epoch": len(history) + 1, "step": len(history) + 1}
        row |= {"train_loss": loss[0], "valid_loss": loss[1], "learning_rate": None, "seconds": round(now - begin, 3)}
        history.append(row)
        begin = now
    best = min(losses, key=losses.__getitem__)
    chosen = {"order": best}
    if len(losses) > 1:
        logger.info("%sorder %d is kept: the lowest loss on the validation blocks", job.title, best)
    predictor = build_predictor(job.recipe, job.dataset, fit_on=job.train[:1], hyperparameters=chosen)
    network: Any = predictor.network
    network.pour(tables[: best + 1])
    return _fitted(predictor, history), chosen


def _tables(settings: Markov, text: Text, train: Places, order: int, both: bool) -> Iterable[npt.NDArray[np.float32]]:
    if settings.smoothing == "additive":
        return add_constant(count_contexts(text.letters, train, order, both_strands=both), settings.constant)
    weights = learn_weights(text.letters, train, order, both_strands=both)
    return mix_orders(count_contexts(text.letters, train, order, both_strands=both), weights)


def _mean(text: Text, stretches: Places, table: npt.NDArray[np.float32]) -> float:
    # The letters before a stretch may be looked back at: they were read by then.
    found: tuple[float, int] = text_loss(text.letters, np.zeros(len(stretches), np.int64), stretches, table)
    return found[0] / max(1, found[1])


def _fit_mixing(job: FitJob) -> tuple[Fitted, dict[str, Any]]:
    """Read the training text once; the history's training loss is of letters that were not counted yet."""
    begin = time.monotonic()
    text = Text(job.dataset)
    predictor = build_predictor(job.recipe, job.dataset, fit_on=job.train[:1])
    network: Any = predictor.network
    both = network.strands == "both" or text.strands == "both"
    loss = network.learn(text.letters, stretches_of(text, job.train), both_strands=both)
    found = block_bits([predictor], job.dataset, job.valid)
    valid = float(found.bits.sum()) / max(1, int(found.letters.sum())) * math.log(2)
    logger.info("%svalidation perplexity %.4f", job.title, math.exp(valid))
    row: Epoch = {"member": job.member, "epoch": 1, "step": 1, "train_loss": loss, "valid_loss": valid}
    row |= {"learning_rate": None, "seconds": round(time.monotonic() - begin, 3)}
    return _fitted(predictor, [row]), {}


def _fitted(predictor: Predictor, history: list[Epoch]) -> Fitted:
    weights = {name: value.detach().to(torch.device("cpu")) for name, value in predictor.state_dict().items()}
    return {"weights": weights, "history": history}


_FITS = {"markov": _fit_markov, "context-mixing": _fit_mixing}
