"""Baselines of texts know the last letters and nothing else: that is their state."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

#: The code of a letter that is not known.
_NONE = 4


class TextHistory(nn.Module, ABC):
    """What baselines that look a few letters back have in common with networks that carry a state.

    Args:
        reach: Letters that are looked back.
    """

    def __init__(self, reach: int) -> None:
        super().__init__()
        self.reach = reach

    def forward(self, codes: Tensor, state: tuple[Tensor, ...] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Predict the letter after each letter.

        Args:
            codes: uint8 or int64 [batch, letter], A C G T = 0 1 2 3; 4 = no letter: those before it count no more.
            state: What an earlier call returned for the letters before; None = nothing is known.

        Returns:
            Logarithms of the probabilities float32 [batch, letter, 4]; and the last letters, uint8 [batch, reach].
        """
        (before,) = self.initial_state(len(codes), codes.device) if state is None else state
        seen = torch.cat([before, codes.to(torch.uint8)], dim=1)
        return self.predict(seen), (seen[:, seen.shape[1] - self.reach :].clone(),)

    @abstractmethod
    def predict(self, seen: Tensor) -> Tensor:
        """Give log-probabilities [batch, letter, 4] from uint8 [batch, reach + letter]: the state, then the letters."""

    def initial_state(self, batch: int, device: torch.device | str | None = None) -> tuple[Tensor, ...]:
        """Return the state that None means: no letter is known."""
        return (torch.full((batch, self.reach), _NONE, dtype=torch.uint8, device=device),)
