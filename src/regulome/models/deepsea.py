"""DeepSEA: three convolutions over DNA, from a window to all chromatin features at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from regulome.models.hyperparameters import check_count, check_counts
from regulome.models.registry import Paper, register
from regulome.models.windows import check_series, check_shares, count_positions

PAPER = Paper(
    "Zhou J, Troyanskaya OG",
    "Predicting effects of noncoding variants with deep learning-based sequence model",
    "Nature Methods 12(10):931-934",
    2015,
    "10.1038/nmeth.3547",
)

#: What the published network gives where a rectifier is shut: x where x > 0, else this.
THRESHOLD = 1e-6


@register(
    "deepsea", title="DeepSEA", paper=PAPER, line="sequence", inputs="sequence", sizes={"length": 1000, "targets": 919}
)
class DeepSEA(nn.Module):
    """Convolutions that widen, max-pooling between them, and one hidden layer (Zhou & Troyanskaya 2015, table S3).

    Per convolution: Conv1d without padding · rectifier · MaxPool1d (not after the last) · Dropout; then flatten ·
    Linear → hidden · rectifier · Linear → targets. 52,843,119 parameters at 1,000 bases and 919 targets. The rectifiers
    are Torch7's ``Threshold(0, 1e-6)``. Weights start uniform in ±1/√fan-in, as Torch7's do.

    The flattened features are ordered (filter, position), as Torch7's are.

    Args:
        length: Bases of a window.
        targets: Number of chromatin features.
        filters: Filters of each convolution.
        kernels: Width of each convolution's filters, in bases or positions.
        pool: Width and stride of the max-pooling.
        hidden: Width of the hidden layer; in another version that circulates it is 919.
        dropout: Share that training drops after each convolution.

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
        filters: Sequence[int] = (320, 480, 960),
        kernels: Sequence[int] = (8, 8, 8),
        pool: int = 4,
        hidden: int = 925,
        dropout: Sequence[float] = (0.2, 0.2, 0.5),
    ) -> None:
        super().__init__()
        channels = (4, *check_counts("filters", filters))
        kernels = check_series("kernels", kernels, like=filters, of="filters")
        shares = check_shares("dropout", dropout, len(kernels))
        pools = [check_count("pool", pool)] * (len(kernels) - 1) + [1]
        positions = count_positions(length, list(zip(kernels, pools, strict=True)))
        layers: list[nn.Module] = []
        for (before, after), kernel, width, share in zip(pairwise(channels), kernels, pools, shares, strict=True):
            layers += [nn.Conv1d(before, after, kernel), nn.Threshold(0, THRESHOLD)]
            layers += [nn.MaxPool1d(width)] if width > 1 else []
            layers += [nn.Dropout(share)]
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels[-1] * positions, check_count("hidden", hidden)),
            nn.Threshold(0, THRESHOLD),
            nn.Linear(hidden, check_count("targets", targets)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot letters float32 [batch, 4, length] to logits [batch, targets]."""
        return torch.as_tensor(self.head(self.convolutions(x)))
