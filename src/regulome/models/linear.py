"""Logistic regression and the linear support vector machine, as networks that are fitted elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.models.hyperparameters import Task, check_count, check_number, check_task
from regulome.models.registry import Paper, register


class LinearBaseline(nn.Module):
    """One Linear over every bin of every mark, each standardised by itself.

    The solver that fits it (scikit-learn's) is not part of the network: :meth:`pour` takes what the solver found.

    Args:
        marks: Number of histone marks.
        bins: Number of bins of a window.
        task: "classification" or "regression".
        C: Inverse strength of the L2 penalty, for whoever fits it, with scikit-learn's meaning.

    Attributes:
        mean: Buffer float32 [marks, bins], subtracted from the inputs.
        std: Buffer float32 [marks, bins], divides them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, marks: int, bins: int, *, task: Task = "classification", C: float = 1.0) -> None:
        super().__init__()
        check_count("marks", marks)
        check_count("bins", bins)
        self.task = check_task(task)
        self.C = check_number("C", C, low=1e-12)
        self.register_buffer("mean", torch.zeros(marks, bins))
        self.register_buffer("std", torch.ones(marks, bins))
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(marks * bins, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map marks float32 [batch, mark, bin] to the logit of "high", or the value, [batch, 1]."""
        return torch.as_tensor(self.linear(self.flatten((x - self.mean) / self.std)))

    @torch.no_grad()
    def pour(
        self,
        coefficients: Tensor,
        intercept: float,
        *,
        mean: Tensor | None = None,
        std: Tensor | None = None,
        slope: float = 1.0,
        offset: float = 0.0,
    ) -> None:
        """Take over a fitted model.

        Args:
            coefficients: Weights of the flattened inputs (mark, then bin), any shape with marks · bins numbers.
            intercept: Its intercept.
            mean: Means of the inputs that the solver standardised with, marks · bins numbers; 0 without.
            std: Their standard deviations; 1 without.
            slope: With ``offset``, makes the logit slope · decision + offset, for a decision function that is no
                log-odds: Platt's calibration of a support vector machine.
            offset: See ``slope``.

        Raises:
            InputError: An array has another number of entries.
        """
        given = {"coefficients": coefficients, "mean": mean, "std": std}
        for name, array in given.items():
            if array is not None and torch.as_tensor(array).numel() != self.mean.numel():
                raise InputError(f"expected {self.mean.numel()} {name}, but got {torch.as_tensor(array).numel()}")
        self.linear.weight.copy_(torch.as_tensor(coefficients).reshape(1, -1) * slope)
        self.linear.bias.fill_(float(intercept) * slope + offset)
        if mean is not None:
            self.mean.copy_(torch.as_tensor(mean).reshape(self.mean.shape))
        if std is not None:
            self.std.copy_(torch.as_tensor(std).reshape(self.std.shape))


@register(
    "logistic-regression",
    title="Logistic regression (ridge regression for values)",
    paper=Paper(
        "Cox DR",
        "The regression analysis of binary sequences",
        "Journal of the Royal Statistical Society B 20(2):215-232",
        1958,
    ),
)
class LogisticRegression(LinearBaseline):
    """Logistic regression over every bin of every mark: the baseline that a network has to beat."""


@register(
    "linear-svm",
    title="Linear support vector machine",
    paper=Paper("Cortes C, Vapnik V", "Support-vector networks", "Machine Learning 20:273-297", 1995),
)
class LinearSVM(LinearBaseline):
    """A linear support vector machine over every bin of every mark (regression: support vector regression)."""
