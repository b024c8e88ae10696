"""Chromoformer's three transformers, each reduced to what its answer depends on. Nothing is approximated.

*Over bins* (embedding and pairwise interaction) only the token in the window's middle is used in the end, and keys and
values do not depend on other queries: one query for a region is enough. A key is linear in what makes the token,
K = W_k (P f + c) with the features f of the bin and the code c of its slot. So

    q·K = (Pᵀ W_kᵀ q)·f + (W_kᵀ q)·c        and        Σ a V = W_v (P Σ a f + Σ a c):

the query is projected back, once, onto features and codes, and W_v is applied to the weighted sums. Time and memory are
linear in bins, with a handful of numbers for each.

*Over regions* (regulation) only the promoter's token is used in the end. Padding regions have a weight of exactly zero,
so there are none; the last layer has one query.

Modules and parameters have the names and the shapes of the published checkpoints, less those that take no part.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from regulome.models.chromoformer_fused import Bins, Neighbourhood, attend, look


def slot_codes(slots: int, width: int) -> Tensor:
    """Return the codes float32 [slots, width] of places: sin(s·r_i) in channel 2i, cos(s·r_i) in 2i + 1.

    The rates are r_i = 10000^(−2i / width) (Vaswani et al. 2017, section 3.5).
    """
    rates = torch.exp(torch.arange(0, width, 2, dtype=torch.float64) * (-math.log(10_000) / width))
    angles = torch.arange(slots, dtype=torch.float64)[:, None] * rates
    return torch.stack((angles.sin(), angles.cos()), 2).flatten(1)[:, :width].float()


class FeedForward(nn.Module):
    """LN(x + W_2 relu(W_1 x + b_1) + b_2).

    Args:
        width: Length of a token.
        hidden: Length in between.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.l1 = nn.Linear(width, hidden)
        self.relu = nn.ReLU()
        self.l2 = nn.Linear(hidden, width)
        self.ln = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens [token, width] to tokens of the same shape."""
        answer: Tensor = self.ln(x + self.l2(self.relu(self.l1(x))))
        return answer


class BinAttention(nn.Module):
    """What one query for a region sees of its bins, without keys or values of single bins.

    Args:
        width: Length of a token.
        heads: Number of heads; each has width // heads channels.
        joint: Queries, keys and values have one matrix ``att`` (self-attention); else queries have ``p_att``, keys and
            values ``c_att``.
    """

    def __init__(self, width: int, heads: int, *, joint: bool) -> None:
        super().__init__()
        self.heads, self.channels = heads, width // heads
        inner = heads * self.channels
        if joint:
            self.att = nn.Linear(width, 3 * inner, bias=False)
        else:
            self.p_att = nn.Linear(width, inner, bias=False)
            self.c_att = nn.Linear(width, 2 * inner, bias=False)
        self.ff = nn.Linear(inner, width)
        self.ln = nn.LayerNorm(width)

    def _matrices(self) -> tuple[Tensor, Tensor, Tensor]:
        """W_q [inner, width]; W_k and W_v [head, channel, width]."""
        if hasattr(self, "att"):
            query, key, value = self.att.weight.chunk(3)
        else:
            query, (key, value) = self.p_att.weight, self.c_att.weight.chunk(2)
        shape = self.heads, self.channels, -1
        return query, key.view(shape), value.view(shape)

    def scores(self, x: Tensor, projection: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Project the queries of tokens back onto what makes a key.

        Args:
            x: Tokens [token, width].
            projection: P [width, marks].
            codes: [slot, width].

        Returns:
            What a unit of each mark adds to the score, [token, head, marks], and what each slot adds,
            [token, head, slot].
        """
        query, key, _ = self._matrices()
        q = nn.functional.linear(x * self.channels**-0.5, query).view(len(x), self.heads, self.channels)
        back = torch.bmm(q.transpose(0, 1), key).transpose(0, 1).reshape(len(x) * self.heads, -1)
        shape = (len(x), self.heads, -1)
        return (back @ projection).view(shape), (back @ codes.T).view(shape)

    def forward(
        self, x: Tensor, scores: tuple[Tensor, Tensor], bins: Bins, projection: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return tokens [region, width] with what they saw, and the weights [region, head, slot].

        Args:
            x: Tokens [region, width].
            scores: What :meth:`scores` gave for them.
            bins: The regions' bins.
            projection: P [width, marks].
        """
        weights, marks = look(*scores, bins)
        seen = torch.addmm(marks.flatten(0, 1) @ projection.T, weights.flatten(0, 1), bins.codes)
        _, _, value = self._matrices()
        seen = torch.bmm(seen.view(len(x), self.heads, -1).transpose(0, 1), value.transpose(1, 2))
        answer: Tensor = self.ln(x + self.ff(seen.transpose(0, 1).flatten(1)))
        return answer, weights


class BinLayer(nn.Module):
    """A layer of a transformer over bins, for one query in each region; see :class:`BinAttention`."""

    def __init__(self, width: int, heads: int, hidden: int, *, joint: bool) -> None:
        super().__init__()
        self.self_att = BinAttention(width, heads, joint=joint)
        self.ff = FeedForward(width, hidden)

    def forward(
        self, x: Tensor, scores: tuple[Tensor, Tensor], bins: Bins, projection: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return tokens [region, width] and weights [region, head, slot]."""
        x, weights = self.self_att(x, scores, bins, projection)
        return self.ff(x), weights


def neighbourhood(gene: Tensor, frequency: Tensor, genes: int) -> Neighbourhood:
    """Lay out pCREs by gene.

    Args:
        gene: int64 [P], ascending: the gene of each pCRE.
        frequency: [P].
        genes: Number of genes.
    """
    counts = torch.bincount(gene, minlength=genes)
    size = 1 + int(counts.max())
    begin = nn.functional.pad(counts.cumsum(0), (1, 0))
    rank = torch.arange(len(gene), device=gene.device) - begin[gene]
    place = torch.cat((torch.arange(genes, device=gene.device) * size, gene * size + 1 + rank))
    return Neighbourhood(begin, frequency, place, size)


class RegulationAttention(nn.Module):
    """Gated self-attention among a promoter and its pCREs, with gamma · interaction frequency added to the scores.

    Args:
        width: Length of a token.
        heads: Number of heads.
        inner: Channels of all heads together.
    """

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads, self.channels = heads, inner // heads
        self.gamma_f = nn.Parameter(torch.ones(heads))
        self.att = nn.Linear(width, 4 * heads * self.channels, bias=False)
        self.softmax = nn.Softmax(dim=2)
        self.sigmoid = nn.Sigmoid()
        self.ff = nn.Linear(heads * self.channels, width)
        self.ln = nn.LayerNorm(width)

    def forward(self, x: Tensor, near: Neighbourhood) -> tuple[Tensor, Tensor]:
        """Map tokens [B + P, width] to tokens of the same shape; give the weights [B, head, T, T] too."""
        seen, weights = attend(self.att(x).view(len(x), 4, self.heads, self.channels), self.gamma_f, near)
        answer: Tensor = self.ln(x + self.ff(seen.flatten(1)))
        return answer, weights

    def promoters(self, x: Tensor, near: Neighbourhood) -> Tensor:
        """Map tokens [B + P, width] to those of the promoters alone, [B, width]; see this file's head."""
        query, key, value, gate = self.att.weight.view(4, self.heads, self.channels, -1)
        genes = len(near.begin) - 1
        own, table = x[:genes], near.table(x)
        q = nn.functional.linear(own * self.channels**-0.5, query.flatten(0, 1)).view(genes, self.heads, -1)
        back = torch.bmm(q.transpose(0, 1), key).transpose(0, 1)
        scores = torch.bmm(back, table.transpose(1, 2)) + self.gamma_f[:, None] * near.frequencies()[:, None]
        weights = self.softmax(scores.masked_fill(near.absent()[:, None], -math.inf))
        seen = torch.bmm(torch.bmm(weights, table).transpose(0, 1), value.transpose(1, 2)).transpose(0, 1).flatten(1)
        answer: Tensor = self.ln(own + self.ff(seen * self.sigmoid(nn.functional.linear(own, gate.flatten(0, 1)))))
        return answer


class RegulationLayer(nn.Module):
    """A layer of the transformer over regions; see :class:`RegulationAttention`."""

    def __init__(self, width: int, heads: int, inner: int, hidden: int) -> None:
        super().__init__()
        self.self_att = RegulationAttention(width, heads, inner)
        self.ff = FeedForward(width, hidden)

    def forward(self, x: Tensor, near: Neighbourhood) -> tuple[Tensor, Tensor]:
        """Return all tokens [B + P, width] and the weights [B, head, T, T]."""
        x, weights = self.self_att(x, near)
        return self.ff(x), weights

    def promoters(self, x: Tensor, near: Neighbourhood) -> Tensor:
        """Return the promoters' tokens alone, [B, width]."""
        answer: Tensor = self.ff(self.self_att.promoters(x, near))
        return answer
