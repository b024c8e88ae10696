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
from typing import NamedTuple

import torch
from torch import Tensor, nn


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


class Bins(NamedTuple):
    """Bins of regions at one resolution, and the slots on which they lie.

    Attributes:
        features: [region, slot, marks]; any finite number where a region has no bin.
        codes: Codes of the slots, [slot, width].
        absent: bool [region, 1, slot]: there is no such bin. None where all regions have all bins.
        slots: Which slots of the window these are, from and to (exclusive).
    """

    features: Tensor
    codes: Tensor
    absent: Tensor | None
    slots: tuple[int, int]


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
        self.softmax = nn.Softmax(dim=2)
        self.ff = nn.Linear(inner, width)
        self.ln = nn.LayerNorm(width)

    def _matrices(self) -> tuple[Tensor, Tensor, Tensor]:
        """W_q [inner, width]; W_k and W_v [head, channel, width]."""
        inner = self.heads * self.channels
        if hasattr(self, "att"):
            query, key, value = self.att.weight.split(inner)
        else:
            query, (key, value) = self.p_att.weight, self.c_att.weight.split(inner)
        return query, *(weight.view(self.heads, self.channels, -1) for weight in (key, value))

    def look(self, x: Tensor, projection: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
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

    def forward(self, x: Tensor, look: tuple[Tensor, Tensor], bins: Bins, projection: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens [region, width] with what they saw, and the weights [region, head, slot].

        Args:
            x: Tokens [region, width].
            look: What :meth:`look` gave for them.
            bins: The regions' bins.
            projection: P [width, marks].
        """
        scores = torch.baddbmm(look[1], look[0], bins.features.transpose(1, 2))
        if bins.absent is not None:
            scores = scores.masked_fill(bins.absent, -math.inf)
        weights: Tensor = self.softmax(scores)
        marks = torch.bmm(weights, bins.features).flatten(0, 1)
        seen = torch.addmm(marks @ projection.T, weights.flatten(0, 1), bins.codes)
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

    def forward(self, x: Tensor, look: tuple[Tensor, Tensor], bins: Bins, projection: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens [region, width] and weights [region, head, slot]."""
        x, weights = self.self_att(x, look, bins, projection)
        return self.ff(x), weights


class Neighbourhood(NamedTuple):
    """Which tokens stand together: B promoters, then P pCREs, in tables of one row for each gene.

    Attributes:
        place: int64 [B + P]: place of a token in the table [B · T], T being 1 + the largest number of pCREs.
        frequency: [B, 1, T, T]: interaction frequencies in each gene's first row.
        absent: bool [B, 1, 1, T]: there is no such token.
        genes: B.
    """

    place: Tensor
    frequency: Tensor
    absent: Tensor
    genes: int

    def table(self, x: Tensor) -> Tensor:
        """Lay tokens [B + P, n] out as [B, T, n], with zeros where there is none."""
        rows = x.new_zeros(self.absent.shape[0] * self.absent.shape[3], x.shape[1])
        return rows.index_copy(0, self.place, x).view(self.genes, -1, x.shape[1])


def neighbourhood(gene: Tensor, frequency: Tensor, genes: int) -> Neighbourhood:
    """Lay out pCREs by gene.

    Args:
        gene: int64 [P], ascending: the gene of each pCRE.
        frequency: [P].
        genes: Number of genes.
    """
    counts = torch.bincount(gene, minlength=genes)
    size = 1 + int(counts.max())
    rank = torch.arange(len(gene), device=gene.device) - (counts.cumsum(0) - counts)[gene]
    place = torch.cat((torch.arange(genes, device=gene.device) * size, gene * size + 1 + rank))
    table = frequency.new_zeros(genes, 1, size, size)
    table[gene, 0, 0, 1 + rank] = frequency
    absent = torch.arange(size, device=gene.device) > counts[:, None]
    return Neighbourhood(place, table, absent[:, None, None], genes)


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
        self.softmax = nn.Softmax(dim=3)
        self.sigmoid = nn.Sigmoid()
        self.ff = nn.Linear(heads * self.channels, width)
        self.ln = nn.LayerNorm(width)

    def forward(self, x: Tensor, near: Neighbourhood) -> tuple[Tensor, Tensor]:
        """Map tokens [B + P, width] to tokens of the same shape; give the weights [B, head, T, T] too."""
        inner = self.heads * self.channels
        values, gate = self.att(x).split((3 * inner, inner), 1)
        table = near.table(values).view(near.genes, -1, 3, self.heads, self.channels)
        q, k, v = table.permute(2, 0, 3, 1, 4)
        scores = torch.matmul(q * self.channels**-0.5, k.transpose(2, 3))
        weights = self._weigh(scores, near.frequency, near.absent)
        seen = torch.matmul(weights, v).transpose(1, 2).flatten(2).flatten(0, 1)
        return self._close(x, seen.index_select(0, near.place), gate), weights

    def promoters(self, x: Tensor, near: Neighbourhood) -> Tensor:
        """Map tokens [B + P, width] to those of the promoters alone, [B, width]; see this file's head."""
        query, key, value, gate = self.att.weight.view(4, self.heads, self.channels, -1)
        own, table = x[: near.genes], near.table(x)
        q = nn.functional.linear(own * self.channels**-0.5, query.flatten(0, 1))
        back = torch.bmm(q.view(near.genes, self.heads, -1).transpose(0, 1), key).transpose(0, 1)
        scores = torch.bmm(back, table.transpose(1, 2))[:, :, None]
        weights = self._weigh(scores, near.frequency[:, :, :1], near.absent)[:, :, 0]
        seen = torch.bmm(torch.bmm(weights, table).transpose(0, 1), value.transpose(1, 2))
        return self._close(own, seen.transpose(0, 1).flatten(1), nn.functional.linear(own, gate.flatten(0, 1)))

    def _weigh(self, scores: Tensor, frequency: Tensor, absent: Tensor) -> Tensor:
        scores = torch.addcmul(scores, self.gamma_f[:, None, None], frequency)
        weights: Tensor = self.softmax(scores.masked_fill(absent, -math.inf))
        return weights

    def _close(self, x: Tensor, seen: Tensor, gate: Tensor) -> Tensor:
        answer: Tensor = self.ln(x + self.ff(seen * self.sigmoid(gate)))
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
