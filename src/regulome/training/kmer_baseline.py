"""The k-mer baseline: words are counted, and each feature gets a logistic regression on all counts."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from regulome.datasets.ordered_batches import fits
from regulome.datasets.sequence_batches import SequenceBatches
from regulome.errors import InputError
from regulome.genome.kmers import count_kmers
from regulome.models.kmer import KmerLogisticRegression
from regulome.training.build import build_predictor
from regulome.training.fit import Epoch, FitJob, Fitted, Rows
from regulome.training.logistic import Fit, LogisticRegressions
from regulome.training.loss import Loss, make_loss
from regulome.training.validation import SCORES, Validation, thinned, validation_scores

logger = logging.getLogger(__name__)

# Windows whose counts are float32 at a time.
_BLOCK = 4096


class _Counts:
    """Standardised k-mer counts of windows, with their labels, block after block.

    Counts are held as two bytes each where they take at most a quarter of the free memory, otherwise counted anew in
    each pass.
    """

    def __init__(self, job: FitJob, rows: Rows, network: KmerLogisticRegression, *, both: bool) -> None:
        self.both = both
        self.network, self.length = network, job.dataset.length
        self.batches = SequenceBatches(
            job.dataset, rows, batch_size=_BLOCK, reverse_complement="both" if both else "none"
        )
        size = 2 * len(rows) * (2 if both else 1) * network.counts.number
        self.hold = self.length < 2**16 and fits(size, torch.device("cpu"))
        self.held: list[npt.NDArray[np.uint16]] = []

    def raw(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Give counts as they are."""
        held, counted = self.held, []
        counts = self.network.counts
        for number, batch in enumerate(self.batches):
            if held:
                yield torch.from_numpy(held[number].astype(np.float32)), batch.targets
                continue
            block = count_kmers(batch.inputs.numpy(), counts.k_max, counts.k_min).toarray()
            if self.hold:
                counted.append(block.astype(np.uint16))
            yield torch.from_numpy(block.astype(np.float32, copy=False)), batch.targets
        self.held = held or counted

    def __call__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in self.raw():
            yield x.sub_(self.network.mean).div_(self.network.std), y


def fit_kmer(job: FitJob) -> tuple[Fitted, dict[str, Any]]:
    """Fit k-mer logistic regression with each strength of the recipe, and keep the best on the validation rows.

    Memory: two bytes per k-mer and window (270 MB for 100,000 windows and k-mers of up to 5 letters), or hardly any
    where that is more than a quarter of what is free; the counts are then made anew in each pass.

    Returns:
        The fitted member, and the hyperparameters that were chosen.

    Raises:
        InputError: The network is another one, the dataset has values instead of labels, or no strength is given.
    """
    recipe, dataset = job.recipe, job.dataset
    predictor = build_predictor(recipe, dataset, fit_on=job.train)
    network = predictor.network
    if not isinstance(network, KmerLogisticRegression):
        raise InputError(
            f"training.method = full-batch cannot fit {recipe.model.name}",
            cure="it fits kmer-logistic-regression; networks want training.method = gradient",
        )
    if dataset.task != "classification":
        raise InputError(f"{recipe.model.name} takes labels, not values", file=dataset.path)
    train = _Counts(job, job.train, network, both=recipe.input.reverse_complement == "both")
    _standardise(network, train)
    held = thinned(job.valid, dataset.targets.shape[1])
    valid = _Counts(job, held, network, both=recipe.input.both_strands)
    loss = Loss(dataset.task, make_loss(recipe.training, dataset, job.train, "cpu").positive_weight)
    solver = LogisticRegressions(train, loss.positive_weight)
    best: tuple[float, Fit, float] | None = None
    history: list[Epoch] = []
    fitted: Fit | None = None
    # From the strongest penalty to the weakest: each answer is a good place to begin for the next.
    for number, cost in enumerate([network.C] if network.C else sorted(recipe.baseline.costs), 1):
        begin = time.monotonic()
        fitted = solver.fit(cost, fitted)
        _pour(network, fitted)
        found, train_loss = _score(network, valid, loss), _mean_loss(network, train, loss)
        row: Epoch = {"member": job.member, "epoch": number, "step": number}
        row |= {"train_loss": train_loss, "valid_loss": found.loss, **found.row()}
        history.append(row | {"learning_rate": None, "seconds": round(time.monotonic() - begin, 3)})
        name, score = next(iter(found.scores.items()))
        logger.info(
            "%sC %g: %d passes, validation loss %.4f, %s %s",
            *(job.title, cost, fitted.passes, found.loss),
            *(SCORES[name], "not defined" if score is None else f"{score:.4f}"),
        )
        value = found.value("valid_loss" if score is None else recipe.training.select)
        if best is None or value > best[0]:
            best = (value, fitted, cost)
    if best is None:
        raise InputError("the recipe names no setting to try", cure="give baseline.costs")
    _pour(network, best[1])
    weights = {name: value.clone() for name, value in predictor.state_dict().items()}
    return {"weights": weights, "history": history}, {"C": best[2]}


@torch.no_grad()
def _standardise(network: KmerLogisticRegression, counts: _Counts) -> None:
    """Find mean and deviation of each count; one that never varies stays as it is."""
    n = 0
    total, squares = (torch.zeros(network.counts.number, dtype=torch.float64) for _ in range(2))
    for x, _ in counts.raw():
        n += len(x)
        total += x.sum(dim=0, dtype=torch.float64)
        squares += x.square().sum(dim=0, dtype=torch.float64)
    mean = total / n
    std = (squares / n - mean.square()).clamp(min=0).sqrt()
    network.mean.copy_(mean)
    network.std.copy_(torch.where(std > 1e-6, std, 1.0))


def _pour(network: KmerLogisticRegression, fitted: Fit) -> None:
    network.pour(fitted.coefficients, fitted.intercepts, mean=network.mean, std=network.std)


@torch.no_grad()
def _mean_loss(network: KmerLogisticRegression, counts: _Counts, loss: Loss) -> float:
    n, total = 0, 0.0
    for x, y in counts():
        n += len(x)
        total += float(loss(network.linear(x), y)) * len(x)
    return total / n


@torch.no_grad()
def _score(network: KmerLogisticRegression, counts: _Counts, loss: Loss) -> Validation:
    parts = [(network.linear(x), y) for x, y in counts()]
    output, truth = (torch.cat(part) for part in zip(*parts, strict=True))
    if counts.both:
        # Each window's strands stand one after the other.
        output = torch.logit(torch.sigmoid(output).reshape(-1, 2, output.shape[1]).mean(dim=1), eps=1e-7)
        truth = truth[::2]
    value = float(loss(output, truth))
    return Validation(value, validation_scores("classification", truth.numpy(), output))
