"""Training DanQ on windows of 1,000 bp with 919 features, in batches of 64: windows per CPU second of forward pass,
loss, backward pass and AdamW step, batches from the loader included; in the paper's size (46.9 million parameters) and,
as ``reduced``, in a small one (64 filters, 32 units, hidden layer of 92).

Ours reads a prepared dataset. Peer: the plain way, a window from pyfaidx and numpy one-hot for each example, through
torch's DataLoader without worker processes; same examples, network, optimiser and number of steps. Before anything is
timed, the two ways' batches are compared.

``loader_share``: CPU seconds of our loader and the one-hot step of a window, as a share of those of training on it;
``peer_loader_share``: the peer's; ``loader``: windows per CPU second of ours alone, ``loader_ratio`` to the peer's.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from benchmarks.measure import interleaved, prepared, result
from regulome import models
from regulome.datasets import Dataset, SequenceBatches, open_dataset
from regulome.datasets.sequence_writer import new_sequence_dataset
from regulome.genome import open_genome
from regulome.models.one_hot import OneHot

LENGTH, TARGETS, WINDOWS, BATCH, SIZE = 1000, 919, 8_192, 64, 4_000_000
#: Steps of a chunk; the reduced network's are shorter.
STEPS = {"paper": 2, "reduced": 16}
SIZES: dict[str, dict[str, int]] = {"paper": {}, "reduced": {"filters": 64, "units": 32, "hidden": 92}}
#: Batches that the loaders are timed by.
LOADED = 64


def run(data_dir: Path) -> dict[str, object]:
    fasta = _write_genome(data_dir / "sequence-train.fa")
    dataset, starts = _make(data_dir / "sequence-train-dataset", fasta, data_dir)
    loaders: dict[str, Callable[[], Iterator[tuple[Tensor, Tensor]]]] = {"ours": lambda: _ours(dataset, shuffle=True)}
    name = "pyfaidx + numpy one-hot per window, torch DataLoader, same network"
    try:
        import pyfaidx
    except ImportError:
        name += ": pyfaidx is not installed"
    else:
        sequences = pyfaidx.Fasta(str(fasta), as_raw=True, sequence_always_upper=True)
        rows = _Rows(sequences["chr1"], starts, dataset.targets)
        loaders["peer"] = lambda: _endless(torch.utils.data.DataLoader(rows, batch_size=BATCH, shuffle=True))
        in_order = _endless(torch.utils.data.DataLoader(rows, batch_size=BATCH))
        for ours, peer in islice(zip(_ours(dataset, shuffle=False), in_order, strict=False), 3):
            torch.testing.assert_close(ours, peer, rtol=0, atol=0)
    batches = {way: load() for way, load in loaders.items()}
    alone = interleaved({way: _load(some) for way, some in batches.items()}, repeats=5)
    alone = {way: time / (LOADED * BATCH) for way, time in alone.items()}
    more: dict[str, object] = {"loader": round(1 / alone["ours"])}
    if "peer" in alone:
        more["loader_ratio"] = round(alone["peer"] / alone["ours"], 1)
    rates: dict[str, dict[str, float]] = {}
    for size, settings in SIZES.items():
        torch.manual_seed(0)
        network = models.create("danq", length=LENGTH, targets=TARGETS, **settings).train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
        works = {way: _train(some, network, optimizer, STEPS[size]) for way, some in batches.items()}
        works["ours"]()
        times = interleaved(works, repeats=3 if size == "paper" else 5)
        rates[size] = {way: STEPS[size] * BATCH / time for way, time in times.items()}
        prefix = "" if size == "paper" else "reduced_"
        for way in batches:
            share = "loader_share" if way == "ours" else "peer_loader_share"
            more[prefix + share] = float(f"{alone[way] * rates[size][way]:.2g}")
    more["reduced"] = round(rates["reduced"]["ours"])
    if "peer" in rates["reduced"]:
        more["reduced_ratio"] = round(rates["reduced"]["ours"] / rates["reduced"]["peer"], 2)
    more["threads"] = torch.get_num_threads()
    return result(rates["paper"]["ours"], rates["paper"].get("peer"), unit="windows/CPU s", peer_name=name, **more)


def _train(
    batches: Iterator[tuple[Tensor, Tensor]], network: nn.Module, optimizer: torch.optim.Optimizer, steps: int
) -> Callable[[], None]:
    def chunk() -> None:
        for inputs, targets in islice(batches, steps):
            optimizer.zero_grad(set_to_none=True)
            nn.functional.binary_cross_entropy_with_logits(network(inputs), targets).backward()
            optimizer.step()

    return chunk


def _load(batches: Iterator[tuple[Tensor, Tensor]]) -> Callable[[], None]:
    def chunk() -> None:
        if sum(len(targets) for _, targets in islice(batches, LOADED)) != LOADED * BATCH:
            raise AssertionError("the loader lost windows")

    return chunk


def _ours(dataset: Dataset, *, shuffle: bool) -> Iterator[tuple[Tensor, Tensor]]:
    one_hot = OneHot()
    batches = SequenceBatches(dataset, batch_size=BATCH, shuffle=shuffle)
    for batch in _endless(batches):
        yield one_hot(batch.inputs), batch.targets


def _endless(batches: Iterable[Any]) -> Iterator[Any]:
    while True:
        yield from batches


class _Rows(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """Windows as a script reads them."""

    def __init__(self, chromosome: Any, starts: np.ndarray, targets: np.ndarray) -> None:
        self.chromosome, self.starts, self.targets = chromosome, starts.tolist(), np.array(targets)
        self.letters = np.frombuffer(b"ACGT", dtype=np.uint8)[:, None]

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        text = self.chromosome[self.starts[row] : self.starts[row] + LENGTH]
        one_hot = (np.frombuffer(text.encode(), dtype=np.uint8) == self.letters).astype(np.float32)
        return torch.from_numpy(one_hot), torch.from_numpy(self.targets[row].astype(np.float32))


def _write_genome(fasta: Path) -> Path:
    with prepared(fasta) as path:
        if path:
            letters = np.random.default_rng(0).choice(np.frombuffer(b"ACGT", np.uint8), SIZE).reshape(-1, 80)
            lines = np.column_stack([letters, np.full(len(letters), 10, np.uint8)])
            path.write_bytes(b">chr1\n" + lines.tobytes())
    return fasta


def _make(path: Path, fasta: Path, data_dir: Path) -> tuple[Dataset, np.ndarray]:
    """Make a dataset of windows at random places; one label in fifty is 1, as in DeepSEA's."""
    os.environ.setdefault("REGULOME_CACHE", str((data_dir / "cache").resolve()))
    rng = np.random.default_rng(1)
    starts = rng.integers(0, SIZE - LENGTH, WINDOWS)
    shutil.rmtree(path, ignore_errors=True)
    with new_sequence_dataset(path, length=LENGTH) as writer:
        writer.add_genome_windows(open_genome(fasta), "chr1", starts)
        writer.add_targets((rng.random((WINDOWS, TARGETS)) < 0.02).astype(np.uint8))
        regions = pl.DataFrame({"id": [f"w{i}" for i in range(WINDOWS)], "start": starts, "end": starts + LENGTH})
        regions = regions.with_columns(chrom=pl.lit("chr1"), strand=pl.lit("+"))
        writer.finish(regions=regions, target_names=[f"f{i}" for i in range(TARGETS)])
    return open_dataset(path), starts
