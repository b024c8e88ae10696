"""The predictor of a text: a network that reads on from a state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from regulome.models.preprocess import Predictor
from regulome.models.text_recurrence import State


class TextPredictor(Predictor):
    """A network that predicts the next letter, under the names that a run's weights have.

    Nothing happens to the letters' codes before the network.

    Args:
        network: From codes and state to logits and state.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__(nn.Identity(), network)

    def forward(self, codes: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Predict the letter after each letter.

        Args:
            codes: uint8 or int64 [batch, letter], A C G T = 0 1 2 3; 4 = no letter.
            state: What an earlier call returned for the letters before; None = nothing is known.

        Returns:
            Logits float32 [batch, letter, 4], and the state after the last letter, not detached.
        """
        found: tuple[Tensor, State] = self.network(codes, state)
        return found

    def initial_state(self, batch: int, device: torch.device | str | None = None) -> State:
        """Return the state that None means."""
        start: State = self.network.initial_state(batch, device)  # type: ignore[operator]
        return start
