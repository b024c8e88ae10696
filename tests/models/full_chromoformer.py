"""Chromoformer written out: every slot attends to every slot, padding is there and masked (Lee et al. 2022)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from regulome.models.chromoformer import Chromoformer
from regulome.models.regions import RegionBatch

MASKED = -1e9


def dense(batch: RegionBatch, resolutions: tuple[int, ...], slots: dict[int, int], most: int) -> dict[str, Any]:
    """Lay a batch out as the published data set class does, with ``most`` regions for each gene."""
    genes, marks = len(batch), batch.features[0].shape[1]
    answer: dict[str, dict[int, Tensor]] = {
        name: {} for name in ("promoter_feats", "promoter_pad_masks", "pcre_feats", "pcre_pad_masks")
    }
    rank = torch.tensor([int((batch.gene[:k] == g).sum()) for k, g in enumerate(batch.gene)], dtype=torch.int64)
    for number, resolution in enumerate(resolutions):
        n = slots[resolution]
        features = batch.features[number].new_zeros(genes + genes * most, n, marks)
        present = torch.zeros(genes + genes * most, n, dtype=torch.bool)
        begin = 0
        for region, (first, count) in enumerate(zip(batch.first[number], batch.bins[number], strict=True)):
            where = region if region < genes else genes + int(batch.gene[region - genes]) * most
            where += 0 if region < genes else int(rank[region - genes])
            run = slice(int(first), int(first + count))
            features = features.clone()
            features[where, run] = batch.features[number][begin : begin + int(count)]
            present[where, run] = True
            begin += int(count)
        # The published masks leave a region's columns out of all rows.
        masks = ~present[:, None, None].expand(-1, 1, n, n)
        answer["promoter_feats"][resolution] = features[:genes, None]
        answer["promoter_pad_masks"][resolution] = masks[:genes, None]
        answer["pcre_feats"][resolution] = features[genes:].view(genes, most, n, marks)
        answer["pcre_pad_masks"][resolution] = masks[genes:].view(genes, most, 1, n, n)
    real = torch.ones(genes, 1 + most, dtype=torch.bool)
    real[:, 1:] = torch.arange(most) < torch.bincount(batch.gene, minlength=genes)[:, None]
    frequency = batch.frequency.new_zeros(genes, 1 + most, 1 + most)
    frequency[batch.gene, 0, 1 + rank] = batch.frequency
    return {
        **answer,
        "interaction_mask": ~(real[:, :, None] & real[:, None])[:, None],
        "interaction_freq": frequency,
    }


def heads(x: Tensor, number: int) -> Tensor:
    return x.view(*x.shape[:-1], number, -1).transpose(-2, -3)


def close(layer: nn.Module, x: Tensor, seen: Tensor) -> Tensor:
    own, ff = layer.self_att, layer.ff
    x = F.layer_norm(x + F.linear(seen, own.ff.weight, own.ff.bias), x.shape[-1:], own.ln.weight, own.ln.bias)
    hidden = F.linear(torch.relu(F.linear(x, ff.l1.weight, ff.l1.bias)), ff.l2.weight, ff.l2.bias)
    return F.layer_norm(x + hidden, x.shape[-1:], ff.ln.weight, ff.ln.bias)


def mix(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, bonus: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
    scores = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + bonus).masked_fill(mask, MASKED)
    weights = torch.softmax(scores, -1)
    return (weights @ v).transpose(-2, -3).flatten(-2), weights


def full(network: Chromoformer, layout: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """Give what the head gives, and all weights, of the dense layout that :func:`dense` makes."""
    parts, maps = [], {}
    frequency, near = layout["interaction_freq"], layout["interaction_mask"]
    for resolution in network.resolutions:
        name = str(resolution)
        codes = network.get_buffer(f"codes_{name}")
        middle = len(codes) // 2
        embed, pairwise = network.embed[name], network.pairwise_interaction[name]
        feats, mask = layout["promoter_feats"][resolution][:, 0], layout["promoter_pad_masks"][resolution][:, 0]
        x = embed.lin_proj(feats) + codes
        (layer,) = embed.layers
        q, k, v = (heads(part, layer.self_att.heads) for part in layer.self_att.att(x).chunk(3, -1))
        seen, weights = mix(q, k, v, mask)
        maps[f"embedding.{name}"] = weights[:, :, middle]
        x = close(layer, x, seen)
        promoter = x[:, middle]

        feats, mask = layout["pcre_feats"][resolution], layout["pcre_pad_masks"][resolution]
        regions = pairwise.lin_proj_pcre(feats) + codes
        p = pairwise.lin_proj_p(x)[:, None].expand_as(regions)
        seen_by = []
        for layer in pairwise.layers:
            q = heads(layer.self_att.p_att(p), layer.self_att.heads)
            k, v = (heads(part, layer.self_att.heads) for part in layer.self_att.c_att(regions).chunk(2, -1))
            seen, weights = mix(q, k, v, mask)
            seen_by.append(weights[:, :, :, middle])
            p = close(layer, p, seen)
        maps[f"pairwise.{name}"] = torch.stack(seen_by, 2)

        x = torch.cat((promoter[:, None], p[:, :, middle]), 1)
        among = []
        for layer in network.regulation[name].layers:
            own = layer.self_att
            q, k, v, gate = own.att(x).chunk(4, -1)
            bonus = own.gamma_f[:, None, None] * frequency[:, None]
            seen, weights = mix(*(heads(part, own.heads) for part in (q, k, v)), near, bonus)
            among.append(weights)
            x = close(layer, x, seen * torch.sigmoid(gate))
        maps[f"regulation.{name}"] = torch.stack(among, 1)
        parts.append(x[:, 0] + promoter)
    return network.fc_head(torch.cat(parts, 1)), maps
