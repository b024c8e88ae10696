"""Chromoformer the published way, as the paper describes it: every slot of every window attends to every other slot,
eight pCREs for each gene, padding computed and masked. Weights are those of ours, whose names are the same."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from regulome.models.chromoformer import Chromoformer

PCRES = 8
_MASKED = -1e9


class Layout(NamedTuple):
    """A batch of B genes, padded. Masks are true where a pair is left out.

    Attributes:
        promoters: Resolution → features [B, slots, marks] and mask [B, 1, slots, slots].
        pcres: Resolution → features [B, 8, slots, marks] and mask [B, 8, 1, slots, slots].
        near: Mask of the pairs of regions, [B, 1, 9, 9].
        frequency: How often they touch, [B, 9, 9].
    """

    promoters: dict[int, tuple[Tensor, Tensor]]
    pcres: dict[int, tuple[Tensor, Tensor]]
    near: Tensor
    frequency: Tensor


def logits(network: Chromoformer, layout: Layout) -> Tensor:
    """Return both logits of every gene, [B, 2]."""
    parts = []
    for resolution in network.resolutions:
        codes = network.get_buffer(f"codes_{resolution}")
        middle = len(codes) // 2
        features, mask = layout.promoters[resolution]
        embed = network.embed[str(resolution)]
        x = embed.lin_proj(features) + codes
        for layer in embed.layers:
            q, k, v = layer.self_att.att(x).chunk(3, -1)
            x = _close(layer, x, _attend(q, k, v, layer.self_att.heads, mask))
        promoter = x[:, middle]
        features, mask = layout.pcres[resolution]
        pairwise = network.pairwise_interaction[str(resolution)]
        regions = pairwise.lin_proj_pcre(features) + codes
        p = pairwise.lin_proj_p(x)[:, None].expand_as(regions)
        for layer in pairwise.layers:
            k, v = layer.self_att.c_att(regions).chunk(2, -1)
            p = _close(layer, p, _attend(layer.self_att.p_att(p), k, v, layer.self_att.heads, mask))
        x = torch.cat((promoter[:, None], p[:, :, middle]), 1)
        for layer in network.regulation[str(resolution)].layers:
            own = layer.self_att
            q, k, v, gate = own.att(x).chunk(4, -1)
            bonus = own.gamma_f[:, None, None] * layout.frequency[:, None]
            x = _close(layer, x, _attend(q, k, v, own.heads, layout.near, bonus) * torch.sigmoid(gate))
        parts.append(x[:, 0] + promoter)
    answer: Tensor = network.fc_head(torch.cat(parts, 1))
    return answer


def _attend(q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor, bonus: Tensor | float = 0.0) -> Tensor:
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(-2, -3) for x in (q, k, v))
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + bonus
    weights = torch.softmax(scores.masked_fill(mask, _MASKED), -1)
    return (weights @ v).transpose(-2, -3).flatten(-2)


def _close(layer: nn.Module, x: Tensor, seen: Tensor) -> Tensor:
    own, ff = layer.self_att, layer.ff
    x = F.layer_norm(x + own.ff(seen), x.shape[-1:], own.ln.weight, own.ln.bias)
    return F.layer_norm(x + ff.l2(torch.relu(ff.l1(x))), x.shape[-1:], ff.ln.weight, ff.ln.bias)
