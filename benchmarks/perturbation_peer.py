"""Chromoformer the published way, as the paper describes it: every slot of every window attends to every other slot,
eight pCREs for each gene, padding computed and masked. Weights are those of ours, whose names are the same."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from regulome.models.chromoformer import Chromoformer
from regulome.models.regions import RegionBatch

PCRES = 8
_MASKED = -1e9


def predict(network: Chromoformer, batch: RegionBatch) -> Tensor:
    """Return the probability of "high" of every gene of a batch, [B]."""
    parts = []
    near, frequency = _regions(batch)
    for number, resolution in enumerate(network.resolutions):
        codes = network.get_buffer(f"codes_{resolution}")
        middle = len(codes) // 2
        promoters, mask, distal, distal_mask = _dense(batch, number, len(codes))
        embed = network.embed[str(resolution)]
        x = embed.lin_proj(promoters) + codes
        for layer in embed.layers:
            q, k, v = layer.self_att.att(x).chunk(3, -1)
            x = _close(layer, x, _attend(q, k, v, layer.self_att.heads, mask))
        promoter = x[:, middle]
        pairwise = network.pairwise_interaction[str(resolution)]
        regions = pairwise.lin_proj_pcre(distal) + codes
        p = pairwise.lin_proj_p(x)[:, None].expand_as(regions)
        for layer in pairwise.layers:
            k, v = layer.self_att.c_att(regions).chunk(2, -1)
            p = _close(layer, p, _attend(layer.self_att.p_att(p), k, v, layer.self_att.heads, distal_mask))
        x = torch.cat((promoter[:, None], p[:, :, middle]), 1)
        for layer in network.regulation[str(resolution)].layers:
            own = layer.self_att
            q, k, v, gate = own.att(x).chunk(4, -1)
            bonus = own.gamma_f[:, None, None] * frequency[:, None]
            x = _close(layer, x, _attend(q, k, v, own.heads, near, bonus) * torch.sigmoid(gate))
        parts.append(x[:, 0] + promoter)
    return torch.softmax(network.fc_head(torch.cat(parts, 1)), 1)[:, 1]


def _regions(batch: RegionBatch) -> tuple[Tensor, Tensor]:
    """Which pairs of regions are left out, [B, 1, 9, 9], and how often they touch, [B, 9, 9]."""
    genes = len(batch)
    rank = _rank(batch)
    real = torch.arange(1 + PCRES) <= torch.bincount(batch.gene, minlength=genes)[:, None]
    frequency = torch.zeros(genes, 1 + PCRES, 1 + PCRES)
    frequency[batch.gene, 0, 1 + rank] = batch.frequency
    return ~(real[:, :, None] & real[:, None])[:, None], frequency


def _rank(batch: RegionBatch) -> Tensor:
    counts = torch.bincount(batch.gene, minlength=len(batch))
    return torch.arange(len(batch.gene)) - (counts.cumsum(0) - counts)[batch.gene]


def _dense(batch: RegionBatch, number: int, slots: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features of all slots of promoters [B, slots, marks] and of pCREs [B, 8, slots, marks], each with its mask."""
    genes, marks = len(batch), batch.features[0].shape[1]
    first, bins = batch.first[number], batch.bins[number]
    place = torch.cat((torch.arange(genes), genes + batch.gene * PCRES + _rank(batch)))
    rows = place.repeat_interleave(bins) * slots
    begin = (bins.cumsum(0) - bins).repeat_interleave(bins)
    rows += first.repeat_interleave(bins) + torch.arange(len(rows)) - begin
    features = torch.zeros(genes * (1 + PCRES) * slots, marks)
    features[rows] = batch.features[number]
    absent = torch.ones(genes * (1 + PCRES) * slots, dtype=torch.bool)
    absent[rows] = False
    features, absent = features.view(-1, slots, marks), absent.view(-1, slots)
    mask = absent[:, None, :].expand(-1, slots, slots)
    return (
        features[:genes],
        mask[:genes, None],
        features[genes:].view(genes, PCRES, slots, marks),
        mask[genes:].view(genes, PCRES, 1, slots, slots),
    )


def _attend(q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor, bonus: Tensor | float = 0.0) -> Tensor:
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(-2, -3) for x in (q, k, v))
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + bonus
    weights = torch.softmax(scores.masked_fill(mask, _MASKED), -1)
    return (weights @ v).transpose(-2, -3).flatten(-2)


def _close(layer: nn.Module, x: Tensor, seen: Tensor) -> Tensor:
    own, ff = layer.self_att, layer.ff
    x = F.layer_norm(x + own.ff(seen), x.shape[-1:], own.ln.weight, own.ln.bias)
    return F.layer_norm(x + ff.l2(torch.relu(ff.l1(x))), x.shape[-1:], ff.ln.weight, ff.ln.bias)
