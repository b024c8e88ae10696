"""AttentiveChrome the published way, written from its description: the peer of the two AttentiveChrome cases.

Each mark's bidirectional LSTM is called by itself, and attention runs example by example in a Python loop.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LoopedAttention(nn.Module):
    """Attention over the steps of each example in turn."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.bin_context_vector = nn.Parameter(torch.empty(size, 1).uniform_(-0.1, 0.1))

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        weights, vectors = [], []
        for example in states:
            weight = torch.softmax(torch.mm(example, self.bin_context_vector), dim=0)
            weights.append(weight)
            vectors.append(torch.mm(weight.t(), example))
        return torch.cat(vectors, dim=0), torch.stack(weights)


class LoopedEncoder(nn.Module):
    """A bidirectional LSTM and its attention."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(inputs, hidden, bidirectional=True)
        self.bin_attention = LoopedAttention(2 * hidden)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map [step, batch, inputs] to vectors [batch, 2·hidden] and weights [batch, step, 1]."""
        states, _ = self.rnn(x)
        vectors, weights = self.bin_attention(states.transpose(0, 1))
        return vectors, weights


class PublishedWay(nn.Module):
    """The whole network; its parameters have the same names as ours."""

    def __init__(self, marks: int) -> None:
        super().__init__()
        self.rnn_hms = nn.ModuleList(LoopedEncoder(1, 32) for _ in range(marks))
        self.hm_level_rnn_1 = LoopedEncoder(64, 16)
        self.fdiff1_1 = nn.Linear(32, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map marks [batch, mark, bin] to logits [batch, 1]."""
        vectors = [encoder(x[:, m].t().unsqueeze(2))[0] for m, encoder in enumerate(self.rnn_hms)]
        gene, _ = self.hm_level_rnn_1(torch.stack(vectors))
        logit: Tensor = self.fdiff1_1(gene)
        return logit
