"""AttentiveChrome the published way, written from its description: the peer of the two AttentiveChrome cases.

Each mark's bidirectional LSTM is called by itself, and attention runs example by example in a Python loop. Both sides
train the same network from the same weights on the same genes with batches in memory: loss, backward pass, gradient
norm clipped to 1, optimiser. Ours has the optimiser and the threads that our trainer makes of our recipe, the peer
plain Adam and torch's own threads. They
take turns in chunks of well below a second, and the ratio is the median of the rounds' ratios, so that other work on
the machine meets both sides.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.measure import result, rounds, wall_seconds
from regulome import models
from regulome.models.recurrent import threads_for
from regulome.recipes import load_recipe
from regulome.training.optimizer import make_optimizer

MARKS, BINS, PEER_BATCH = 5, 100, 16
#: Genes of a chunk.
GENES, PEER_GENES = 512, 128


class LoopedAttention(nn.Module):
    """Attention whose scores are computed for one example after the other and appended to those before."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.bin_context_vector = nn.Parameter(torch.empty(size, 1).uniform_(-0.1, 0.1))

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        scores = torch.mm(states[0], self.bin_context_vector)[None]
        for example in range(1, len(states)):
            score = torch.mm(states[example], self.bin_context_vector)
            scores = torch.cat((scores, score[None]), dim=0)
        weights = torch.softmax(scores, dim=1)
        return torch.bmm(weights.transpose(1, 2), states).squeeze(1), weights


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


def compare(batch: int, *, repeats: int = 21) -> dict[str, object]:
    """Genes per second of training: ours at ``batch``, the peer always at its own batch of 16."""
    torch.manual_seed(0)
    ours = models.create("attentivechrome", marks=MARKS, bins=BINS)
    peer = PublishedWay(MARKS)
    peer.load_state_dict(ours.state_dict())
    x = torch.log1p(torch.poisson(torch.full((GENES, MARKS, BINS), 2.0)))
    y = torch.randint(2, (GENES, 1)).float()
    with torch.no_grad():
        torch.testing.assert_close(ours(x[:32]), peer(x[:32]), atol=1e-6, rtol=0)
    fused = make_optimizer(load_recipe("attentivechrome").training, ours)
    plain = torch.optim.Adam(peer.parameters(), lr=2e-4)
    works = {
        "ours": _training(ours, fused, x, y, batch),
        "peer": _training(peer, plain, x[:PEER_GENES], y[:PEER_GENES], PEER_BATCH),
    }
    for work in works.values():
        work()
    times = rounds(works, repeats=repeats, clock=wall_seconds)
    ratios = [(GENES / mine) / (PEER_GENES / theirs) for mine, theirs in zip(times["ours"], times["peer"], strict=True)]
    rate = GENES / statistics.median(times["ours"])
    return result(
        rate,
        rate / statistics.median(ratios),
        unit="genes/s",
        peer_name=f"per-mark LSTM calls and per-sample attention, batch {PEER_BATCH}",
        batch=batch,
        threads=torch.get_num_threads(),
    )


def _training(
    network: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, batch: int
) -> Callable[[], None]:
    def chunk() -> None:
        with threads_for(network):
            for inputs, targets in zip(x.split(batch), y.split(batch), strict=True):
                optimizer.zero_grad()
                nn.functional.binary_cross_entropy_with_logits(network(inputs), targets).backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()

    return chunk
