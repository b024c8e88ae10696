"""Perturbed copies of genes with distal regions: in the promoter's window, or in the pCREs that touch it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.explain.perturbation_copies import Block, Jobs
from regulome.models.regions import RegionBatch
from regulome.training.strands import predict_batch


class RegionBlock(Block):
    """Genes whose promoters' windows are perturbed; their pCREs stay as they are.

    Args:
        models: Members, from a batch of regions to logits or values.
        batch: The genes.
        shares: For each resolution the share of each bin of the window in each place, [places, bins].
        task: "classification" or "regression".
        target: For each resolution features [genes or 1, bins, marks] of promoters that the signal is moved toward;
            None: 0.

    Raises:
        InputError: Promoters do not all have the bins of the window.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        batch: RegionBatch,
        shares: Sequence[Tensor],
        *,
        task: str,
        target: Sequence[Tensor] | None = None,
    ) -> None:
        super().__init__(models, task)
        self.batch, self.shares = batch, shares
        self.promoters = promoters(batch)
        wanted = [share.shape[1] for share in shares]
        if [rows.shape[1] for rows in self.promoters] != wanted:
            raise InputError(f"expected promoters of {wanted} bins, got {[rows.shape[1] for rows in self.promoters]}")
        self.target = target or [rows.new_zeros(1, *rows.shape[1:]) for rows in self.promoters]
        finest = max(range(len(shares)), key=lambda number: shares[number].shape[1])
        weights = shares[finest] / shares[finest].sum(1, keepdim=True).clamp(min=1e-9)
        self.signal = torch.einsum("gtm,kt->gmk", self.promoters[finest], weights)
        self.moved = torch.zeros_like(self.signal, dtype=torch.bool)
        for rows, aim, share in zip(self.promoters, self.target, shares, strict=True):
            self.moved |= torch.einsum("gtm,kt->gmk", (rows - aim).abs(), share) > 0
        self.present = torch.ones(len(batch), len(shares[0]), dtype=torch.bool, device=batch.first.device)

    def original(self) -> Tensor:
        """Predict the genes as they are."""
        return self._predict(self.batch)

    def perturbed(self, jobs: Jobs) -> Tensor:
        """Predict perturbed copies."""
        copies = take(self.batch, jobs.gene)
        for rows, aim, share in zip(promoters(copies), self.target, self.shares, strict=True):
            change = (share[jobs.place] * (1 - jobs.left)[:, None])[:, :, None] * jobs.marks[:, None]
            rows += change * ((aim if len(aim) == 1 else aim[jobs.gene]) - rows)
        return self._predict(copies)

    def _predict(self, batch: RegionBatch) -> Tensor:
        return self._mean([predict_batch(model, batch, self.task) for model in self.models])  # type: ignore[arg-type]


class DistalBlock(RegionBlock):
    """Genes whose pCREs are perturbed; their promoters stay as they are.

    The first place of a gene is all of its pCREs together, the others are its pCREs, by rank.

    Args:
        models: Members, from a batch of regions to logits or values.
        batch: The genes.
        task: "classification" or "regression".
        action: "remove" scales the signal of pCREs toward 0; "cut" takes them off the gene, as if they did not touch
            it: ``jobs.marks`` and ``jobs.left`` are not looked at.
    """

    def __init__(
        self, models: Sequence[nn.Module], batch: RegionBatch, *, task: str, action: Literal["remove", "cut"]
    ) -> None:
        Block.__init__(self, models, task)
        self.batch, self.action = batch, action
        counts = torch.bincount(batch.gene, minlength=len(batch))
        places = int(counts.max()) + 1 if len(batch) else 1
        rank = torch.arange(places, device=counts.device)
        self.present = (rank <= counts[:, None]) & (counts[:, None] > 0)
        genes, finest = len(batch), int(batch.bins.sum(1).argmax())
        means = _means(batch.features[finest], batch.bins[finest])[genes:]
        signal = means.new_zeros(len(batch), places, means.shape[1])
        own = torch.arange(len(batch.gene), device=rank.device) - (counts.cumsum(0) - counts)[batch.gene]
        signal[batch.gene, 1 + own] = means
        signal[:, 0] = signal.sum(1) / counts.clamp(min=1)[:, None]
        self.signal = signal.transpose(1, 2)
        some = torch.zeros_like(signal)
        for rows, bins in zip(batch.features, batch.bins, strict=True):
            some[batch.gene, 1 + own] += _means(rows.abs(), bins)[genes:]
        some[:, 0] = some.sum(1)
        self.moved = (some > 0).transpose(1, 2) if action == "remove" else self.present[:, None].expand_as(self.signal)

    def perturbed(self, jobs: Jobs) -> Tensor:
        """Predict perturbed copies."""
        copies = take(self.batch, jobs.gene)
        begin = torch.bincount(copies.gene, minlength=len(copies)).cumsum(0)
        rank = (
            1
            + torch.arange(len(copies.gene), device=begin.device)
            - (begin - begin.diff(prepend=begin[:1] * 0))[copies.gene]
        )
        place = jobs.place[copies.gene]
        hit = (place == 0) | (place == rank)
        if self.action == "cut":
            return self._predict(_without(copies, hit))
        change = hit[:, None] * (1 - jobs.left)[copies.gene][:, None] * jobs.marks[copies.gene]
        for rows, bins in zip(copies.features, copies.bins, strict=True):
            split = int(bins[: len(copies)].sum())
            rows[split:] *= 1 - change.repeat_interleave(bins[len(copies) :], 0)
        return self._predict(copies)


def promoters(batch: RegionBatch) -> list[Tensor]:
    """Return the promoters' features as views [genes, bins, marks], for each resolution.

    Raises:
        InputError: They do not all have the same number of bins.
    """
    genes = len(batch)
    found = []
    for rows, bins in zip(batch.features, batch.bins, strict=True):
        count = int(bins[0])
        if bool((bins[:genes] != count).any()):
            raise InputError("promoters have different numbers of bins", cure="perturb genes of one window at a time")
        found.append(rows[: genes * count].view(genes, count, rows.shape[1]))
    return found


def take(batch: RegionBatch, genes: Tensor) -> RegionBatch:
    """Copy some genes of a batch with all their regions, any of them several times.

    Args:
        batch: The batch.
        genes: int64 [n], which genes, in the order in which they are wanted.
    """
    counts = torch.bincount(batch.gene, minlength=len(batch))
    near = counts[genes]
    pcre = _runs((counts.cumsum(0) - counts)[genes], near)
    regions = torch.cat((genes, len(batch) + pcre))
    bins = batch.bins[:, regions]
    features = tuple(
        rows.index_select(0, _runs((count.cumsum(0) - count)[regions], some))
        for rows, count, some in zip(batch.features, batch.bins, bins, strict=True)
    )
    gene = torch.arange(len(genes), device=genes.device).repeat_interleave(near)
    return RegionBatch(features, batch.first[:, regions], bins, gene, batch.frequency[pcre])


def _without(batch: RegionBatch, gone: Tensor) -> RegionBatch:
    """Take some pCREs, bool [P], out of a batch."""
    kept = torch.cat((torch.ones(len(batch), dtype=torch.bool, device=gone.device), ~gone))
    features = tuple(rows[kept.repeat_interleave(bins)] for rows, bins in zip(batch.features, batch.bins, strict=True))
    first, bins = batch.first[:, kept], batch.bins[:, kept]
    return RegionBatch(features, first, bins, batch.gene[~gone], batch.frequency[~gone])


def _runs(first: Tensor, counts: Tensor) -> Tensor:
    """Return first[0], first[0] + 1, … (counts[0] of them), then those of first[1], and so on."""
    ends = counts.cumsum(0)
    total = int(ends[-1]) if len(ends) else 0
    return (first - (ends - counts)).repeat_interleave(counts) + torch.arange(total, device=first.device)


def _means(rows: Tensor, bins: Tensor) -> Tensor:
    """Return the mean row of each region, [region, marks]."""
    region = torch.arange(len(bins), device=bins.device).repeat_interleave(bins)
    return rows.new_zeros(len(bins), rows.shape[1]).index_add_(0, region, rows) / bins[:, None]
