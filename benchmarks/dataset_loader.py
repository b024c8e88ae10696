"""Shuffled batches of a dataset of 19,802 genes × 5 marks × 100 bins. Ours: genes per second out of the loader, from
the opened dataset on, minus-strand genes turned. Peer: genes per second that training AttentiveChrome consumes
(forward, backward and Adam step on one batch that stays in memory), so the ratio says how far loading is from
mattering. Beside them, ``torch_dataloader``: the same dataset through torch's DataLoader, row by row as in the
published code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import torch

from benchmarks.measure import interleaved, result, wall_seconds
from regulome import models
from regulome.datasets import Batches, Dataset, open_dataset, write_dataset

GENES, MARKS, BINS, BATCH, STEPS, ROWS = 19_802, 5, 100, 64, 8, 2_000


def run(data_dir: Path) -> dict[str, object]:
    dataset = _make(data_dir / "loader-dataset")
    torch.manual_seed(0)
    network = models.create("attentivechrome", marks=MARKS, bins=BINS)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    example = next(iter(Batches(dataset, batch_size=BATCH, shuffle=True, orient=True)))
    epochs = iter(range(1_000_000))

    def load() -> None:
        batches = Batches(dataset, batch_size=BATCH, shuffle=True, orient=True)
        for _ in range(5):
            batches.set_epoch(next(epochs))
            if sum(len(batch.index) for batch in batches) != GENES:
                raise AssertionError("the loader lost genes")

    def train() -> None:
        for _ in range(STEPS):
            optimiser.zero_grad(set_to_none=True)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(network(example.inputs), example.targets)
            loss.backward()
            optimiser.step()

    rows = torch.utils.data.Subset(_Rows(dataset), range(ROWS))
    loader = torch.utils.data.DataLoader(rows, batch_size=BATCH, shuffle=True)
    train()
    times = interleaved({"load": load, "train": train, "torch": lambda: list(loader)}, clock=wall_seconds)
    return result(
        5 * GENES / times["load"],
        STEPS * BATCH / times["train"],
        unit="genes/s",
        peer_name=f"what attentivechrome consumes in training at batch {BATCH}",
        torch_dataloader=round(ROWS / times["torch"]),
    )


class _Rows(torch.utils.data.Dataset[tuple[torch.Tensor, torch.Tensor]]):
    def __init__(self, dataset: Dataset) -> None:
        self.marks, self.targets = dataset.inputs["marks"], dataset.targets

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tensor(self.marks[row].astype(np.float32)), torch.tensor(self.targets[row])


def _make(path: Path) -> Dataset:
    if path.exists():
        return open_dataset(path)
    rng = np.random.default_rng(0)
    regions = pl.DataFrame(
        {
            "id": [f"gene{i}" for i in range(GENES)],
            "chrom": [f"chr{1 + i * 22 // GENES}" for i in range(GENES)],
            "start": np.arange(GENES) * 10_000,
            "end": np.arange(GENES) * 10_000 + BINS * 100,
            "strand": ["+-"[i % 2] for i in range(GENES)],
        }
    )
    with write_dataset(path, line="expression", task="classification", regions=regions) as writer:
        marks = writer.add_input(
            "marks",
            axes=["example", "mark", "bin"],
            shape=(GENES, MARKS, BINS),
            dtype=np.uint16,
            mark=[f"mark{i}" for i in range(MARKS)],
            bin_size=100,
            unit="reads",
        )
        marks[:] = rng.poisson(2, marks.shape)
        writer.set_targets(rng.integers(0, 2, (GENES, 1)), ["expression"], {"rule": "a coin"})
    return open_dataset(path)
