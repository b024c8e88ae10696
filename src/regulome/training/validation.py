"""Loss and scores on the validation part, by which epochs and settings are chosen."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from regulome.datasets.dataset import Dataset
from regulome.errors import InputError
from regulome.recipes.schema import Recipe
from regulome.training import metrics
from regulome.training.device import exact_device
from regulome.training.lines import line_named
from regulome.training.loss import Loss
from regulome.training.multilabel import rank_features
from regulome.training.strands import predict_batch
from regulome.training.text_scores import block_bits

logger = logging.getLogger(__name__)

#: Scores that an epoch may have, and what people call them; the first of a task is the one that is told.
SCORES = {"auroc": "AUROC", "auprc": "AUPRC", "pearson": "Pearson", "perplexity": "perplexity"}
# Those that history.csv has columns of: perplexity is exp of the loss.
_COLUMNS = ("auroc", "auprc", "pearson")
# A loss whose exponential is still a number.
_LARGEST = 700.0

#: Outputs (examples × targets) that are validated at most: 128 MB. Above that, every so manyth example is taken.
VALID_OUTPUTS = 1 << 25


@dataclass(frozen=True)
class Validation:
    """What is found on the validation part.

    Attributes:
        loss: Mean loss.
        scores: ``auroc`` and ``auprc``, or ``pearson``: mean over the targets on which it is defined; None where it is
            defined on none. Of texts ``perplexity``.
    """

    loss: float
    scores: dict[str, float | None]

    def row(self) -> dict[str, float | None]:
        """Return the scores as columns of ``history.csv``; None for those of the other task."""
        return {f"valid_{name}": self.scores.get(name) for name in _COLUMNS}

    def value(self, select: str) -> float:
        """Return how good this is by the recipe's ``training.select``; more is better."""
        if select == "valid_loss":
            return -self.loss
        # Values have one score, Pearson's correlation, which is not defined while a network answers a constant.
        name = select.removeprefix("valid_") if "auroc" in self.scores else "pearson"
        score = self.scores[name]
        return -1.0 if score is None else score


def validate(
    fabric: Any, predictor: nn.Module, loss: Loss, dataset: Dataset, rows: npt.NDArray[np.int64], recipe: Recipe
) -> Validation:
    """Score a predictor; each process of ``fabric`` takes its share, and all get the same answer.

    The predictor is left in eval mode. The loss is without label smoothing, in full precision; where predictions
    average both strands, so does the validation.

    Raises:
        InputError: The outputs are not finite numbers.
    """
    if loss.task == "next-letter":
        return _validate_text(fabric, predictor, dataset, rows)
    targets = dataset.targets.shape[1]
    rows = thinned(rows, targets)
    line = line_named(recipe.line, recipe.model.name)
    batches = line.batches(
        dataset,
        rows,
        recipe.input,
        batch_size=line.batch_size,
        device=fabric.device,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
    )
    place = np.full(len(dataset), -1, np.int64)
    place[rows] = np.arange(len(rows))
    outputs = torch.zeros((len(rows), targets), device=fabric.device)
    both = recipe.input.both_strands
    predictor.eval()
    with torch.no_grad():
        for batch in batches:
            where = torch.as_tensor(place[batch.index.cpu().numpy()], device=fabric.device)
            if both:
                outputs[where] = predict_batch(predictor, batch.inputs, dataset.task, both_strands=True)
            else:
                outputs[where] = predictor(batch.inputs).float()
    if fabric.world_size > 1:
        # Every example is 0 in all processes but one.
        outputs = fabric.all_reduce(outputs, reduce_op="sum")
    outputs = outputs.cpu()
    if not bool(torch.isfinite(outputs).all()):
        raise InputError(
            "the outputs are not finite numbers",
            cure="lower training.learning_rate or set training.gradient_clip",
        )
    truth = np.array(dataset.targets[rows], np.float32)
    # Means over strands are probabilities already: they are scored as they are, and have logits for the loss.
    labels = dataset.task == "classification"
    predicted = torch.sigmoid(outputs) if labels and not both else outputs
    logits = torch.logit(outputs, eps=1e-7) if labels and both else outputs
    weight = None if loss.positive_weight is None else loss.positive_weight.cpu()
    value = Loss(dataset.task, weight)(logits, torch.from_numpy(truth))
    return Validation(float(value), _scores(dataset.task, truth, predicted))


def _validate_text(fabric: Any, predictor: nn.Module, dataset: Dataset, rows: npt.NDArray[np.int64]) -> Validation:
    """Read blocks of a text, as they are read wherever a text is scored."""
    predictor.eval()
    share = rows[fabric.global_rank :: fabric.world_size]
    found = block_bits([predictor], dataset, share, device=fabric.device, description="validating")
    sums = torch.tensor(
        [found.bits.sum(), found.letters.sum()], dtype=torch.float64, device=exact_device(fabric.device)
    )
    if fabric.world_size > 1:
        sums = fabric.all_reduce(sums, reduce_op="sum")
    value = math.log(2) * float(sums[0]) / float(sums[1]) if sums[1] else math.nan
    return Validation(value, {"perplexity": math.exp(min(value, _LARGEST))})


def thinned(rows: npt.NDArray[np.int64], targets: int) -> npt.NDArray[np.int64]:
    """Take every so manyth row where all of them would have too many outputs."""
    most = max(1, VALID_OUTPUTS // max(1, targets))
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def validation_scores(task: str, truth: npt.NDArray[np.float32], output: torch.Tensor) -> dict[str, float | None]:
    """Return AUROC and average precision (classification) or Pearson's correlation, as :class:`Validation` has them.

    Args:
        task: "classification" or "regression".
        truth: [examples, targets].
        output: Logits or values, [examples, targets].
    """
    return _scores(task, truth, torch.sigmoid(output) if task == "classification" else output)


def _scores(task: str, truth: npt.NDArray[np.float32], predicted: torch.Tensor) -> dict[str, float | None]:
    """The same of probabilities or values."""
    if task == "classification":
        auroc, auprc = rank_features(predicted.numpy(), truth)
        return {"auroc": _mean(auroc), "auprc": _mean(auprc)}
    once = np.ones((1, len(truth)))
    columns = zip(truth.T.astype(np.float64), predicted.numpy().T.astype(np.float64), strict=True)
    return {"pearson": _mean(np.array([metrics.pearson(y, s, once)[0] for y, s in columns]))}


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    defined = values[~np.isnan(values)]
    mean = float(defined.mean()) if len(defined) else math.nan
    return mean if math.isfinite(mean) else None
