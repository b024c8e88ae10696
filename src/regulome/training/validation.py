"""Loss and score on the validation part, by which epochs and settings are chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from regulome.datasets.batches import Batches
from regulome.datasets.dataset import Dataset
from regulome.errors import InputError
from regulome.training import metrics
from regulome.training.loss import Loss

# Examples per batch; no gradients are kept, so it can be larger than in training.
_BATCH = 512


def validate(
    fabric: Any, predictor: nn.Module, loss: Loss, dataset: Dataset, rows: npt.NDArray[np.int64], *, orient: bool
) -> tuple[float, float]:
    """Score a predictor; each process of ``fabric`` takes its share, and all get the same answer.

    The predictor is left in eval mode. The loss is without label smoothing, in full precision.

    Returns:
        Loss, and AUROC or Pearson's correlation (NaN where it is not defined).

    Raises:
        InputError: The outputs are not finite numbers.
    """
    batches = Batches(
        dataset,
        rows,
        batch_size=_BATCH,
        orient=orient,
        device=fabric.device,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
    )
    place = np.full(len(dataset), -1, np.int64)
    place[rows] = np.arange(len(rows))
    outputs = torch.zeros((len(rows), dataset.targets.shape[1]), device=fabric.device)
    predictor.eval()
    with torch.no_grad():
        for batch in batches:
            where = torch.as_tensor(place[batch.index.cpu().numpy()], device=fabric.device)
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
    weight = None if loss.positive_weight is None else loss.positive_weight.cpu()
    value = Loss(dataset.task, weight)(outputs, torch.from_numpy(truth))
    return float(value), validation_score(dataset.task, truth, outputs.numpy())


def validation_score(task: str, truth: npt.NDArray[np.float32], output: npt.NDArray[np.float32]) -> float:
    """Return AUROC (classification) or Pearson's correlation, mean over the targets on which it is defined.

    Args:
        task: "classification" or "regression".
        truth: [examples, targets].
        output: Logits or values, [examples, targets].
    """
    metric = metrics.auroc if task == "classification" else metrics.pearson
    once = np.ones((1, len(truth)))
    columns = zip(truth.T.astype(np.float64), output.T.astype(np.float64), strict=True)
    scores = np.array([metric(y, s, once)[0] for y, s in columns])
    return float(np.nanmean(scores)) if not np.isnan(scores).all() else float("nan")
