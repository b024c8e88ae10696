"""BiGRU: two bidirectional GRU layers over the centre of a window, and a Linear for all targets at once."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from regulome.models.hyperparameters import check_count, check_number
from regulome.models.registry import Paper, register

PAPER = Paper(
    "Zhang J, Kamath GM",
    "Learning the Language of the Genome using RNNs",
    "Stanford University, CS224d project report",
    2016,
)


@register("bigru", title="BiGRU", paper=PAPER, line="sequence", inputs="sequence")
class BiGRU(nn.Module):
    """Letters as learned vectors of two numbers, read in both directions by two GRU layers (Zhang and Kamath 2016).

    What all targets share has 397,832 parameters; each target adds 257.

    Args:
        length: Bases of a window; the parameters do not depend on it.
        targets: Number of targets.
        centre: Bases in the window's middle that are read; all of a window that has fewer.
        embedding: Numbers per letter; 0 reads the one-hot letters themselves. An unknown letter is all zeros.
        hidden: Hidden units per direction.
        layers: Number of layers.
        dropout: Share dropped between the layers and of the last states.

    Raises:
        InputError: A value is out of range.
    """

    #: What an unknown letter is in all four channels.
    unknown: ClassVar[float] = 0.0

    def __init__(
        self,
        length: int,
        targets: int,
        *,
        centre: int = 100,
        embedding: int = 2,
        hidden: int = 128,
        layers: int = 2,
        dropout: float = 0.05,
    ) -> None:
        super().__init__()
        check_count("length", length)
        check_count("targets", targets)
        self.centre = check_count("centre", centre)
        check_count("embedding", embedding, minimum=0)
        check_count("hidden", hidden)
        check_count("layers", layers)
        check_number("dropout", dropout, low=0, high=1)
        # A Linear without bias on one-hot letters looks their vectors up, and lets gradients reach the letters.
        self.embedding = nn.Linear(4, embedding, bias=False) if embedding else nn.Identity()
        self.gru = nn.GRU(
            embedding or 4,
            hidden,
            layers,
            batch_first=True,
            bidirectional=True,
            dropout=dropout if layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(dropout)
        self.answer = nn.Linear(2 * hidden, targets)
        if isinstance(self.embedding, nn.Linear):
            nn.init.normal_(self.embedding.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot float32 [batch, 4, base] to logits or values [batch, targets]."""
        read = min(self.centre, x.shape[2])
        first = (x.shape[2] - read) // 2
        _, last = self.gru(self.embedding(x[:, :, first : first + read].transpose(1, 2)))
        return torch.as_tensor(self.answer(self.dropout(torch.cat((last[-2], last[-1]), dim=1))))
