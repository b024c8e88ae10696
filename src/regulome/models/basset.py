"""Basset: convolutions with batch normalisation over DNA, for accessibility in many cell types."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from regulome.models.hyperparameters import check_count, check_counts, check_number
from regulome.models.registry import Paper, register
from regulome.models.windows import check_series, count_positions

PAPER = Paper(
    "Kelley DR, Snoek J, Rinn JL",
    "Basset: learning the regulatory code of the accessible genome with deep convolutional neural networks",
    "Genome Research 26(7):990-999",
    2016,
    "10.1101/gr.200535.115",
)


@register(
    "basset", title="Basset", paper=PAPER, line="sequence", inputs="sequence", sizes={"length": 600, "targets": 164}
)
class Basset(nn.Module):
    """Three convolutions and two hidden layers, each with batch normalisation (Kelley et al. 2016).

    Per convolution: Conv1d without padding · BatchNorm1d · ReLU · MaxPool1d; then flatten, for each width of ``hidden``
    Linear · BatchNorm1d · ReLU · Dropout, and Linear → targets. 4,135,064 parameters at 600 bases and 164 targets. The
    weights have no norm imposed on them.

    The flattened features are ordered (filter, position), as Torch7's are.

    Args:
        length: Bases of a window.
        targets: Number of cell types.
        filters: Filters of each convolution.
        kernels: Width of each convolution's filters, in bases or positions.
        pools: Width and stride of the max-pooling after each convolution.
        hidden: Widths of the hidden layers.
        dropout: Share that training drops after each hidden layer.

    Raises:
        InputError: A value is out of range, or the window is too short.
    """

    #: What an unknown letter is in all four channels.
    unknown: ClassVar[float] = 0.0

    def __init__(
        self,
        length: int,
        targets: int,
        *,
        filters: Sequence[int] = (300, 200, 200),
        kernels: Sequence[int] = (19, 11, 7),
        pools: Sequence[int] = (3, 4, 4),
        hidden: Sequence[int] = (1000, 1000),
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        channels = (4, *check_counts("filters", filters))
        kernels = check_series("kernels", kernels, like=filters, of="filters")
        pools = check_series("pools", pools, like=filters, of="filters")
        check_number("dropout", dropout, low=0, high=1)
        positions = count_positions(length, list(zip(kernels, pools, strict=True)))
        layers: list[nn.Module] = []
        for (before, after), kernel, pool in zip(pairwise(channels), kernels, pools, strict=True):
            layers += [nn.Conv1d(before, after, kernel), nn.BatchNorm1d(after), nn.ReLU(), nn.MaxPool1d(pool)]
        self.convolutions = nn.Sequential(*layers)
        widths = (channels[-1] * positions, *check_counts("hidden", hidden))
        head: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise(widths):
            head += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU(), nn.Dropout(dropout)]
        self.head = nn.Sequential(*head, nn.Linear(widths[-1], check_count("targets", targets)))

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot letters float32 [batch, 4, length] to logits [batch, targets]."""
        return torch.as_tensor(self.head(self.convolutions(x)))
