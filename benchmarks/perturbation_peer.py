"""A batch of regions for Chromoformer with full attention: padded to eight pCREs and to all slots of the window."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.full_chromoformer import PCRES, Layout, logits
from regulome.models.chromoformer import Chromoformer
from regulome.models.regions import RegionBatch


def predict(network: Chromoformer, batch: RegionBatch) -> Tensor:
    """Return the probability of "high" of every gene of a batch, [B]."""
    promoters, pcres = {}, {}
    for number, resolution in enumerate(network.resolutions):
        slots = len(network.get_buffer(f"codes_{resolution}"))
        promoters[resolution], pcres[resolution] = _dense(batch, number, slots)
    return torch.softmax(logits(network, Layout(promoters, pcres, *_regions(batch))), 1)[:, 1]


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


def _dense(batch: RegionBatch, number: int, slots: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
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
        (features[:genes], mask[:genes, None]),
        (features[genes:].view(genes, PCRES, slots, marks), mask[genes:].view(genes, PCRES, 1, slots, slots)),
    )
