"""Clockwork RNN: a window read letter by letter by hidden units that tick at different speeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from regulome.models.clockwork_layer import ClockworkLayer
from regulome.models.hyperparameters import check_choice, check_count, check_number
from regulome.models.registry import Paper, register

PAPER = Paper(
    "Koutník J, Greff K, Gomez F, Schmidhuber J",
    "A Clockwork RNN",
    "Proceedings of Machine Learning Research 32(2):1863-1871 (ICML)",
    2014,
)


@register("clockwork-rnn", title="Clockwork RNN", paper=PAPER, line="sequence", inputs="sequence")
class ClockworkRNN(nn.Module):
    """Clockwork layers over the letters, their last states (or the mean of all), one Linear for all targets.

    By default one layer of 128 units in 8 modules: 9,856 parameters where a simple RNN has 17,024, and 129 per target.

    Args:
        length: Bases of a window; the parameters do not depend on it.
        targets: Number of targets.
        hidden: Hidden units of a layer, per reading direction; a multiple of the number of periods.
        periods: Period of each module of units, rising; see :class:`~regulome.models.clockwork_layer.ClockworkLayer`.
        direction: "slow-to-fast" or "fast-to-slow": which way the recurrent weights go.
        layers: Number of layers.
        bidirectional: Read the window from both ends.
        summary: "last": the states after the last letter that was read; "mean": their mean over all letters.
        dropout: Share of the summary that is dropped.

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
        hidden: int = 128,
        periods: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128),
        direction: str = "slow-to-fast",
        layers: int = 1,
        bidirectional: bool = False,
        summary: str = "last",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_count("length", length)
        check_count("targets", targets)
        check_count("layers", layers)
        self.summary = check_choice("summary", summary, ("last", "mean"))
        readers = 2 if bidirectional else 1
        self.layers = nn.ModuleList(
            nn.ModuleList(
                ClockworkLayer(
                    readers * hidden if layer else 4,
                    hidden,
                    periods=periods,
                    direction=direction,
                    reverse=bool(reader),
                )
                for reader in range(readers)
            )
            for layer in range(layers)
        )
        self.dropout = nn.Dropout(check_number("dropout", dropout, low=0, high=1))
        self.answer = nn.Linear(readers * hidden, targets)

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot float32 [batch, 4, base] to logits or values [batch, targets]."""
        states, last = x.permute(2, 0, 1), x
        for readers in self.layers:
            read = [reader(states) for reader in readers]  # type: ignore[attr-defined]
            states = torch.cat([part for part, _ in read], dim=2)
            last = torch.cat([part[0] for _, part in read], dim=1)
        summary = last if self.summary == "last" else states.mean(dim=0)
        return torch.as_tensor(self.answer(self.dropout(summary)))
