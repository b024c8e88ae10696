"""The parts of which AttentiveChrome and its siblings are made: what reads the bins, and what weighs them."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ContextAttention(nn.Module):
    """Soft attention with a learned context vector w: a[t] = softmax over t of h[t]·w, and the sum Σ a[t] h[t].

    Singh et al. 2017, equations 2 and 3 of section 3. The parameter has the published name and shape.

    Args:
        size: Length of a state h[t].
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.bin_context_vector = nn.Parameter(torch.empty(size, 1))
        self.softmax = nn.Softmax(dim=1)

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Weigh states [batch, step, size]; return their weighted sum [batch, size] and the weights [batch, step]."""
        weights = self.softmax((states @ self.bin_context_vector).squeeze(2))
        return torch.einsum("bt,bth->bh", weights, states), weights


class RecurrentEncoder(nn.Module):
    """A bidirectional LSTM over steps, summed up by attention or by the last state of both directions.

    Args:
        inputs: Numbers per step.
        hidden: Hidden units per direction.
        layers: Number of layers.
        dropout: Share dropped between layers (nothing with one layer, as in the published network).
        attention: Attention over the steps; else the last states of both directions.
    """

    def __init__(self, inputs: int, hidden: int, *, layers: int = 1, dropout: float = 0.0, attention: bool) -> None:
        super().__init__()
        self.rnn = nn.LSTM(
            inputs, hidden, layers, batch_first=True, bidirectional=True, dropout=dropout if layers > 1 else 0.0
        )
        self.bin_attention = ContextAttention(2 * hidden) if attention else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map [batch, step, inputs] to a vector [batch, 2·hidden] and the weights [batch, step] (None without)."""
        states, (last, _) = self.rnn(x)
        if self.bin_attention is None:
            return torch.cat((last[-2], last[-1]), dim=1), None
        vector, weights = self.bin_attention(states)
        return vector, weights
