"""GRU: two GRU layers that read a window from left to right; the last state answers for all targets."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from regulome.models.hyperparameters import check_count, check_number
from regulome.models.registry import Paper, register

PAPER = Paper(
    "Cho K, van Merriënboer B, Gulcehre C, Bahdanau D, Bougares F, Schwenk H, Bengio Y",
    "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation",
    "Proceedings of EMNLP 2014:1724-1734",
    2014,
    "10.3115/v1/D14-1179",
)


@register("gru", title="GRU", paper=PAPER, line="sequence", inputs="sequence")
class GRU(nn.Module):
    """A plain recurrent baseline: GRU 128, GRU 128, the last state, one Linear; 150,528 parameters and 129 per target.

    The cell is that of Cho et al. 2014, in torch's form with two biases per gate.

    Args:
        length: Bases of a window; the parameters do not depend on it.
        targets: Number of targets.
        hidden: Hidden units of a layer.
        layers: Number of layers.
        dropout: Share dropped between the layers and of the last state.

    Raises:
        InputError: A value is out of range.
    """

    #: What an unknown letter is in all four channels.
    unknown: ClassVar[float] = 0.0

    def __init__(self, length: int, targets: int, *, hidden: int = 128, layers: int = 2, dropout: float = 0.0) -> None:
        super().__init__()
        check_count("length", length)
        check_count("targets", targets)
        check_count("hidden", hidden)
        check_count("layers", layers)
        check_number("dropout", dropout, low=0, high=1)
        self.gru = nn.GRU(4, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.dropout = nn.Dropout(dropout)
        self.answer = nn.Linear(hidden, targets)

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot float32 [batch, 4, base] to logits or values [batch, targets]."""
        _, last = self.gru(x.transpose(1, 2))
        return torch.as_tensor(self.answer(self.dropout(last[-1])))
