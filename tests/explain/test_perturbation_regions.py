"""Perturbed copies of Chromoformer's genes, against genes that are perturbed and predicted one at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.explain.perturbation_places import make_places
from regulome.explain.perturbation_regions import DistalBlock, RegionBlock, take
from regulome.models.chromoformer import Chromoformer
from regulome.models.regions import RegionBatch

RESOLUTIONS, WINDOW, MARKS = (400, 100), 2000, 3
COUNTS = (2, 0, 3, 1)
SETS = torch.tensor([[1.0, 0, 0], [0, 1, 1]])
FACTORS = (0.5, 0.0)


@pytest.fixture(scope="module")
def network() -> Chromoformer:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "resolutions": RESOLUTIONS, "window": WINDOW, "width": 8, "head": 6, "embedding": (2, 10),
        "pairwise": (2, 2, 12), "regulation": (2, 4, 16, 10),
    }  # fmt: skip
    network = Chromoformer(MARKS, **sizes)
    for parameter in network.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, 0.5, 0.3)
    return network.eval()


@pytest.fixture(scope="module")
def batch() -> RegionBatch:
    torch.manual_seed(1)
    lengths = torch.tensor([WINDOW] * len(COUNTS) + torch.randint(150, WINDOW, (sum(COUNTS),)).tolist())
    bins = torch.stack([-(-lengths // size) for size in RESOLUTIONS])
    slots = torch.tensor([WINDOW // size for size in RESOLUTIONS])[:, None]
    features = tuple(torch.rand(int(count.sum()), MARKS) for count in bins)
    # Nothing of the first mark in the first gene's first bins: copies that need no network.
    features[0][:2, 0] = 0
    features[1][:8, 0] = 0
    gene = torch.arange(len(COUNTS)).repeat_interleave(torch.tensor(COUNTS))
    return RegionBatch(features, (slots - bins + 1) // 2, bins, gene, torch.rand(len(gene)))


def _one(batch: RegionBatch, wanted: int) -> RegionBatch:
    """Cut one gene out by loops."""
    regions = [wanted, *(len(batch) + k for k, gene in enumerate(batch.gene.tolist()) if gene == wanted)]
    features = []
    for rows, bins in zip(batch.features, batch.bins.tolist(), strict=True):
        parts = torch.split(rows, bins)
        features.append(torch.cat([parts[region] for region in regions]).clone())
    near = batch.gene == wanted
    return RegionBatch(
        tuple(features), batch.first[:, regions], batch.bins[:, regions], batch.gene[near] * 0, batch.frequency[near]
    )


def _predict(network: nn.Module, batch: RegionBatch) -> float:
    with torch.inference_mode():
        return float(torch.sigmoid(network(batch)))


def _grid(block: RegionBlock) -> np.ndarray[Any, Any]:
    with torch.inference_mode():
        found = block.grid(SETS, FACTORS, 7)
    return found[1:].T.reshape(len(COUNTS), len(SETS), -1, len(FACTORS)), found[0]


def test_genes_are_taken_in_any_order(batch: RegionBatch, network: Chromoformer) -> None:
    order = [2, 1, 1, 0, 3, 2]
    copies = take(batch, torch.tensor(order))
    for number, gene in enumerate(order):
        one, truth = _one(copies, number), _one(batch, gene)
        for seen, wanted in zip((*one.features, one.first, one.bins, one.frequency),
                                (*truth.features, truth.first, truth.bins, truth.frequency), strict=True):  # fmt: skip
            assert torch.equal(seen, wanted)


@pytest.mark.parametrize("swap", [False, True])
def test_windows_of_promoters(network: Chromoformer, batch: RegionBatch, swap: bool) -> None:
    places = make_places("distal", WINDOW, 100, chunk=400, promoter=600)
    shares = [torch.from_numpy(places.shares(WINDOW // size, size)) for size in RESOLUTIONS]
    aims = [torch.rand(1, WINDOW // size, MARKS) for size in RESOLUTIONS] if swap else None
    block = RegionBlock([network], batch, shares, task="classification", target=aims)
    found, original = _grid(block)
    for gene in range(len(COUNTS)):
        assert original[gene] == pytest.approx(_predict(network, _one(batch, gene)), abs=1e-6)
        for row, marks in enumerate(SETS.bool()):
            for place in range(len(places)):
                for step, factor in enumerate(FACTORS):
                    one = _one(batch, gene)
                    for number, share in enumerate(shares):
                        own = one.features[number][: share.shape[1]]
                        aim = aims[number][0] if aims else torch.zeros_like(own)
                        moved = own + share[place][:, None] * (1 - factor) * (aim - own)
                        own[:, marks] = moved[:, marks]
                    assert found[gene, row, place, step] == pytest.approx(_predict(network, one), abs=1e-6)
    if not swap:
        assert not bool(block.moved[0, 0, 0])
        assert bool(block.moved[1:, 0].all())
    assert len(take(batch, torch.tensor([0])).gene) == COUNTS[0]


@pytest.mark.parametrize("action", ["remove", "cut"])
def test_pcres_one_by_one_and_together(network: Chromoformer, batch: RegionBatch, action: Any) -> None:
    block = DistalBlock([network], batch, task="classification", action=action)
    found, original = _grid(block)
    assert block.present.sum(1).tolist() == [3, 0, 4, 2]
    for gene, count in enumerate(COUNTS):
        # What a gene does not have changes nothing.
        np.testing.assert_array_equal(found[gene][:, count + 1 :], original[gene])
        for place in range(count + 1 if count else 0):
            hit = list(range(count)) if place == 0 else [place - 1]
            for row, marks in enumerate(SETS):
                for step, factor in enumerate(FACTORS):
                    one = _one(batch, gene)
                    if action == "cut":
                        one = _cut(one, hit)
                    else:
                        for rows, bins in zip(one.features, one.bins[0:].tolist(), strict=True):
                            parts = torch.split(rows, bins)
                            for k in hit:
                                parts[1 + k].mul_(1 - marks * (1 - factor))
                    assert found[gene, row, place, step] == pytest.approx(_predict(network, one), abs=1e-6)
    if action == "remove":
        parts: tuple[Tensor, ...] = torch.split(batch.features[1], batch.bins[1].tolist())
        np.testing.assert_allclose(block.signal[2, :, 1], parts[4 + 2].mean(0), rtol=1e-5)


def _cut(one: RegionBatch, hit: list[int]) -> RegionBatch:
    kept = [0, *(1 + k for k in range(len(one.gene)) if k not in hit)]
    features = tuple(
        torch.cat([torch.split(rows, bins)[k] for k in kept])
        for rows, bins in zip(one.features, one.bins.tolist(), strict=True)
    )
    near = [k - 1 for k in kept[1:]]
    return RegionBatch(features, one.first[:, kept], one.bins[:, kept], one.gene[near], one.frequency[near])


def test_promoters_of_different_windows_are_refused(network: Chromoformer, batch: RegionBatch) -> None:
    shares = [torch.ones(1, WINDOW // size) for size in RESOLUTIONS]
    bins = batch.bins.clone()
    bins[:, 0], bins[:, 1] = bins[:, 0] - 1, bins[:, 1] + 1
    with pytest.raises(InputError, match="different numbers of bins"):
        RegionBlock([network], replace(batch, bins=bins), shares, task="classification")
    with pytest.raises(InputError, match="expected promoters of"):
        RegionBlock([network], batch, [share[:, 1:] for share in shares], task="classification")
