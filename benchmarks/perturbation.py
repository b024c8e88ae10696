"""In-silico perturbation of Chromoformer (5.3 million random weights, 7 marks, 3 resolutions, up to 8 pCREs): one mark
in each of the 17 published chunks of the 40-kb window, left at p = 1.0, 0.9 … 0.0; genes/s, one network.

Peer: the published way, gene by gene: every gene, chunk and p a batch of one through the network with full attention
over all slots (:mod:`benchmarks.perturbation_peer`); a few of its copies are evaluated and count for all. Beside it:
``one_by_one_ratio``, against batches of one through our own network; the same for two networks on promoter windows;
and the largest difference between the predictions. Inputs are in memory on all sides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import perturbation_peer
from benchmarks.measure import interleaved, result, wall_seconds
from regulome import models
from regulome.explain.perturbation import FACTORS
from regulome.explain.perturbation_copies import MarkBlock
from regulome.explain.perturbation_places import make_places, published_places
from regulome.explain.perturbation_regions import RegionBlock, promoters, take
from regulome.models.regions import RegionBatch

RESOLUTIONS, WINDOW, MARKS, MARK = (2000, 500, 100), 40_000, 7, 5
#: Genes of ours; copies of the peers that are evaluated.
GENES, FULL, SINGLE = 4, 6, 20
#: Copies that go through at once, as in `regulome perturb`.
COPIES = 128


def run(data_dir: Path) -> dict[str, object]:
    del data_dir
    torch.manual_seed(0)
    network = models.create("chromoformer", marks=MARKS).eval()
    batch = _genes(GENES)
    places = published_places("distal", WINDOW)
    shares = [torch.from_numpy(places.shares(WINDOW // width, width)) for width in RESOLUTIONS]
    sets = torch.zeros(1, MARKS)
    sets[0, MARK] = 1
    copies = len(places) * len(FACTORS)
    random = np.random.default_rng(0)
    some = random.choice(GENES * copies, max(FULL, SINGLE), replace=False)

    def ours() -> Any:
        return RegionBlock([network], batch, shares, task="classification").grid(sets, FACTORS, COPIES)[1:]

    def one(number: int) -> RegionBatch:
        gene, place, factor = number // copies, number % copies // len(FACTORS), FACTORS[number % len(FACTORS)]
        copy = take(batch, torch.tensor([gene]))
        for rows, share in zip(promoters(copy), shares, strict=True):
            rows[:, :, MARK] *= 1 - share[place] * (1 - factor)
        return copy

    def singly(predict: Callable[[RegionBatch], Any], count: int) -> list[float]:
        return [float(predict(one(number))) for number in some[:count].tolist()]

    def full() -> list[float]:
        return singly(lambda copy: perturbation_peer.predict(network, copy), FULL)

    def single() -> list[float]:
        return singly(lambda copy: torch.sigmoid(network(copy)), SINGLE)

    with torch.inference_mode():
        found = ours().T.reshape(-1)[some]
        error = float(np.abs(found[:FULL] - full()).max())
        error = max(error, float(np.abs(found[:SINGLE] - single()).max()))
        if error > 1e-5:
            raise AssertionError(f"predictions differ by {error}")
        times = interleaved({"ours": ours, "full": full, "single": single}, repeats=3, clock=wall_seconds)
        more = {f"{name}_one_by_one_ratio": _windows(name) for name in ("deepchrome", "attentivechrome")}
    per_copy = {
        "ours": times["ours"] / (GENES * copies),
        "full": times["full"] / FULL,
        "single": times["single"] / SINGLE,
    }
    return result(
        1 / (per_copy["ours"] * copies),
        1 / (per_copy["full"] * copies),
        unit="genes/s",
        peer_name="the published way: gene by gene, chunk by chunk and p by p through full attention",
        copies_of_a_gene=copies,
        one_by_one_ratio=float(f"{per_copy['single'] / per_copy['ours']:.3g}"),
        largest_difference=error,
        threads=torch.get_num_threads(),
        **more,
    )


def _genes(count: int) -> RegionBatch:
    """Genes with 3 to 8 pCREs of 1 to 20 kb, as many as in the published data."""
    random = np.random.default_rng(1)
    near = random.integers(3, 9, count)
    lengths = torch.from_numpy(np.r_[np.full(count, WINDOW), random.integers(1_000, 20_000, near.sum())])
    bins = torch.stack([-(-lengths // width) for width in RESOLUTIONS])
    slots = torch.tensor([WINDOW // width for width in RESOLUTIONS])[:, None]
    features = tuple(torch.rand(int(rows.sum()), MARKS) * 3 for rows in bins)
    gene = torch.from_numpy(np.repeat(np.arange(count), near))
    return RegionBatch(features, (slots - bins + 1) // 2, bins, gene, torch.rand(len(gene)) * 5)


def _windows(name: str) -> float:
    """Ratio for a network on 5 marks × 100 bins: every mark in every half-kilobase chunk, 11 factors."""
    torch.manual_seed(0)
    network = models.create(name, marks=5, bins=100).eval()
    x = torch.rand(4, 5, 100) * 3
    places = make_places("distal", 10_000, 100)
    shares, sets = torch.from_numpy(places.shares(100, 100)), torch.eye(5)
    copies = len(sets) * len(places) * len(FACTORS)
    some = np.random.default_rng(0).choice(len(x) * copies, 60, replace=False).tolist()

    def ours() -> Any:
        return MarkBlock([network], x, shares, task="classification").grid(sets, FACTORS, 512)[1:]

    def single() -> list[float]:
        found = []
        for number in some:
            copy = x[number // copies][None].clone()
            mark, rest = divmod(number % copies, len(places) * len(FACTORS))
            share = shares[rest // len(FACTORS)]
            copy[:, mark] *= 1 - share * (1 - FACTORS[rest % len(FACTORS)])
            found.append(float(torch.sigmoid(network(copy))))
        return found

    error = float(np.abs(ours().T.reshape(-1)[some] - single()).max())
    if error > 1e-5:
        raise AssertionError(f"{name}: predictions differ by {error}")
    times = interleaved({"ours": ours, "single": single}, repeats=3, clock=wall_seconds)
    return float(f"{times['single'] / len(some) / (times['ours'] / (len(x) * copies)):.3g}")
