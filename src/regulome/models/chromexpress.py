"""ChromExpress's promoter network: three padded convolutions over binned marks and a perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.models.hyperparameters import Task, check_count, check_counts, check_number, check_task
from regulome.models.registry import Paper, register

PAPER = Paper(
    "Murphy AE, Askarova A, Lenhard B, Skene NG, Marzi SJ",
    "Predicting gene expression from histone marks using chromatin deep learning models depends on histone mark "
    "function, regulatory distance and cellular states",
    "Nucleic Acids Research 53(4):gkae1212",
    2025,
    "10.1093/nar/gkae1212",
)


@register("chromexpress", title="ChromExpress", paper=PAPER, sizes={"marks": 1, "bins": 60})
class ChromExpress(nn.Module):
    """Three convolutions, each with max-pooling, and two hidden layers (Murphy et al. 2025, final promoter network).

    For each of ``filters``: Conv1d, as many positions out as in · ReLU · MaxPool1d · Dropout; then flatten · Dropout,
    for each of ``hidden`` Linear · ReLU, and one output: 2,619,126 parameters at one mark × 60 bins. An even kernel is
    padded with one more zero on the right, and a last incomplete pool is left out, as in Keras. Weights start
    Glorot-uniform, biases at 0.

    The flattened features are ordered (filter, position); Keras' are (position, filter).

    Args:
        marks: Number of histone marks (or other tracks).
        bins: Number of bins of a window.
        task: "classification" or "regression".
        filters: Number of filters of each convolution.
        kernels: Width of the filters of each, in positions.
        pools: Width and stride of the max-pooling after each.
        dropout: Share of the activations that training drops after each pooling.
        flat_dropout: Share of the flattened features that training drops.
        hidden: Widths of the hidden layers.

    Raises:
        InputError: A value is out of range, the lists differ in length, or pooling leaves nothing of ``bins``.
    """

    def __init__(
        self,
        marks: int,
        bins: int,
        *,
        task: Task = "classification",
        filters: Sequence[int] = (175, 350, 700),
        kernels: Sequence[int] = (8, 4, 4),
        pools: Sequence[int] = (4, 2, 2),
        dropout: float = 0.1,
        flat_dropout: float = 0.4,
        hidden: Sequence[int] = (625, 125),
    ) -> None:
        super().__init__()
        check_task(task)
        filters, kernels = check_counts("filters", filters), check_counts("kernels", kernels)
        pools = check_counts("pools", pools)
        if not len(filters) == len(kernels) == len(pools):
            raise InputError(
                f"expected as many `kernels` and `pools` as `filters`, but got {len(kernels)} and {len(pools)} for "
                f"{len(filters)}"
            )
        check_number("dropout", dropout, low=0, high=1)
        layers: list[nn.Module] = []
        for (channels, count), kernel, pool in zip(
            pairwise((check_count("marks", marks), *filters)), kernels, pools, strict=True
        ):
            layers += [
                *(nn.ConstantPad1d(((kernel - 1) // 2, kernel // 2), 0.0), nn.Conv1d(channels, count, kernel)),
                *(nn.ReLU(), nn.MaxPool1d(pool), nn.Dropout(dropout)),
            ]
        self.convolution = nn.Sequential(*layers, nn.Flatten())
        self.dropout = nn.Dropout(check_number("flat_dropout", flat_dropout, low=0, high=1))
        widths = (filters[-1] * _positions(bins, pools), *check_counts("hidden", hidden))
        dense: list[nn.Module] = []
        for width, following in pairwise(widths):
            dense += [nn.Linear(width, following), nn.ReLU()]
        self.hidden = nn.Sequential(*dense)
        self.output = nn.Linear(widths[-1], 1)
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # all of them have one

    def forward(self, x: Tensor) -> Tensor:
        """Map marks float32 [batch, mark, bin] to the logit of "high", or the value, [batch, 1]."""
        return torch.as_tensor(self.output(self.hidden(self.dropout(self.convolution(x)))))


def _positions(bins: int, pools: Sequence[int]) -> int:
    """Return how many positions pooling leaves.

    Raises:
        InputError: None is left.
    """
    left, least = check_count("bins", bins), 1
    for pool in pools:
        left, least = left // pool, least * pool
    if not left:
        raise InputError(
            f"{bins} bins are too few for pools of {', '.join(map(str, pools))}: at least {least} are needed",
            cure="take narrower bins (input.bin), a wider window (input.window) or smaller pools "
            "(model.hyperparameters.pools)",
        )
    return left
