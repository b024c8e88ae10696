"""The losses of all tasks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from regulome.datasets.dataset import Dataset
from regulome.genome.letters import UNKNOWN
from regulome.recipes.schema import TrainingSection
from regulome.training.targets import summarize_targets


class Loss:
    """Binary cross-entropy with logits, squared error, or cross-entropy of the next letter in nats.

    Args:
        task: "classification", "regression" or "next-letter".
        positive_weight: Weight of positive labels, [targets]; None = 1.
        smoothing: Share of each label that is spread evenly over both classes.
    """

    def __init__(self, task: str, positive_weight: Tensor | None = None, smoothing: float = 0.0) -> None:
        self.task, self.positive_weight, self.smoothing = task, positive_weight, smoothing

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss over examples and targets, both [batch, targets].

        Of letters the output is [batch, letter, 4], the target their codes [batch, letter]; unknown ones (4) are left
        out.
        """
        if self.task == "next-letter":
            logits, codes = output.flatten(0, 1).float(), target.flatten().long()
            return F.cross_entropy(logits, codes, ignore_index=UNKNOWN, label_smoothing=self.smoothing)
        if self.task == "regression":
            return F.mse_loss(output, target)
        if self.smoothing:
            target = target * (1 - self.smoothing) + self.smoothing / 2
        return F.binary_cross_entropy_with_logits(output, target, pos_weight=self.positive_weight)


def make_loss(
    training: TrainingSection, dataset: Dataset, rows: npt.NDArray[np.int64], device: torch.device | str
) -> Loss:
    """Make the loss of a recipe; "balanced" weights are counted on the training rows."""
    if dataset.task == "unlabelled":
        return Loss("next-letter", smoothing=training.label_smoothing)
    if dataset.task == "regression":
        return Loss(dataset.task)
    weight = None
    if training.positive_weight == "balanced":
        share = summarize_targets(dataset, rows).mean.clip(1e-6, 1 - 1e-6)
        balanced = ((1 - share) / share).clip(max=training.positive_weight_limit)
        weight = torch.as_tensor(balanced, dtype=torch.float32, device=device)
    elif training.positive_weight != 1.0:
        weight = torch.full((dataset.targets.shape[1],), float(training.positive_weight), device=device)
    return Loss(dataset.task, weight, training.label_smoothing)
