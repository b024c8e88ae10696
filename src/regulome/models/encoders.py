"""The parts of which AttentiveChrome and its siblings are made: what reads the bins, and what weighs them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from regulome.models.recurrent import attend_many, lstm_many, stack_weights


class ContextAttention(nn.Module):
    """Soft attention with learned context vectors w: a[t] = softmax over t of h[t]·w, and the sum Σ a[t] h[t].

    Singh et al. 2017, section 3. The parameter has the published name.

    Args:
        size: Length of a state h[t].
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.bin_context_vector = nn.Parameter(torch.empty(size, 1))
        self.softmax = nn.Softmax(dim=1)
        nn.init.uniform_(self.bin_context_vector, -0.1, 0.1)

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
        vectors, weights = encode_many([self], x[:, None])
        return vectors[:, 0], None if weights is None else weights[:, 0]


def encode_many(modules: Iterable[nn.Module], x: Tensor) -> tuple[Tensor, Tensor | None]:
    """Run encoders of one size side by side, each on its own inputs.

    On a CPU all their LSTMs are one recurrence (:mod:`regulome.models.recurrent`), which is several times faster than
    calling them one by one; elsewhere each runs by itself, on a GPU through cuDNN.

    Args:
        modules: The :class:`RecurrentEncoder` of each, all of the same size.
        x: Inputs [batch, encoder, step, inputs].

    Returns:
        Vectors [batch, encoder, 2·hidden] and attention weights [batch, encoder, step] (None without attention).
    """
    encoders = [module for module in modules if isinstance(module, RecurrentEncoder)]
    if x.device.type != "cpu":
        return _one_by_one(encoders, x)
    lstms = [encoder.rnn for encoder in encoders]
    for layer in range(lstms[0].num_layers - 1):
        states = lstm_many(x, stack_weights(lstms, layer), lstms[0].hidden_size)
        x = states.reshape(-1, 2, *states.shape[1:]).permute(3, 0, 2, 1, 4).flatten(3)
        x = nn.functional.dropout(x, lstms[0].dropout, lstms[0].training)
    weights = stack_weights(lstms, lstms[0].num_layers - 1)
    attentions = [encoder.bin_attention for encoder in encoders]
    contexts = [attention.bin_context_vector.squeeze(1) for attention in attentions if attention is not None]
    if contexts:
        return attend_many(x, weights, torch.stack(contexts))
    states = lstm_many(x, weights, lstms[0].hidden_size)
    # Each direction's last: the one that reads backwards ends at the first step.
    return torch.cat((states[0::2, -1], states[1::2, 0]), dim=2).transpose(0, 1), None


def _one_by_one(encoders: Sequence[RecurrentEncoder], x: Tensor) -> tuple[Tensor, Tensor | None]:
    vectors, weights = [], []
    for e, encoder in enumerate(encoders):
        states, (last, _) = encoder.rnn(x[:, e])
        if encoder.bin_attention is None:
            vectors.append(torch.cat((last[-2], last[-1]), dim=1))
        else:
            vector, weight = encoder.bin_attention(states)
            vectors.append(vector)
            weights.append(weight)
    return torch.stack(vectors, dim=1), torch.stack(weights, dim=1) if weights else None
