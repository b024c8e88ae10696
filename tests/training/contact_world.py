"""A small dataset of promoters and pCREs, in which expression is made by the pCREs alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from regulome.datasets import Dataset, open_dataset, write_dataset
from regulome.datasets.region_writer import add_regions, number_regions

WINDOW, WIDTHS, MARKS = 800, (200, 100), ["A", "B", "C"]


def make_contacts(path: Path, *, task: str = "classification", n: int = 160, seed: int = 0) -> Dataset:
    """Mark B in the pCREs that touch a gene raises its expression; its promoter says nothing."""
    rng = np.random.default_rng(seed)
    tss = 1000 + 5000 * np.arange(n)
    examples = pl.DataFrame(
        {
            "id": [f"G{i:03d}" for i in range(n)],
            "chrom": [f"chr{i % 4 + 1}" for i in range(n)],
            "start": tss - WINDOW // 2,
            "end": tss + WINDOW // 2,
            "strand": rng.choice(["+", "-"], n).tolist(),
        }
    )
    number = rng.integers(1, 4, n)
    owner, rank = np.repeat(np.arange(n), number), np.concatenate([np.arange(k) for k in number])
    start = tss[owner] + 1000 + 1000 * rank
    contacts = pl.DataFrame(
        {
            "example": owner,
            "chrom": examples["chrom"].to_numpy()[owner],
            "start": start,
            "end": start + rng.integers(150, 500, len(owner)),
            "score": rng.uniform(1.5, 4, len(owner)),
        }
    )
    numbered = number_regions(examples, contacts)
    level = rng.normal(size=n)
    values = (level > 0).astype(np.float32) if task == "classification" else level.astype(np.float32)
    with write_dataset(path, line="expression", task=task, regions=examples) as writer:
        signals = add_regions(writer, numbered, window=WINDOW, max_region=WINDOW, resolutions=WIDTHS, marks=MARKS)
        regions = numbered.regions
        strength = np.zeros(len(regions))
        strength[numbered.contact[:, 1]] = (
            4 * (level > 0)[numbered.contact[:, 0]] + np.exp(level)[numbered.contact[:, 0]]
        )
        for width, signal in signals.items():
            signal[:] = rng.gamma(4, 0.5, signal.shape)
            signal[:, 1] += np.repeat(strength, regions.counts(width))
        writer.set_targets(values[:, None], ["expression"], {"target": "planted"})
    return open_dataset(path)


SPLIT = {"test_chromosomes": ["chr1"], "valid_chromosomes": ["chr2"]}
#: A network that trains in seconds.
TINY = {
    "model.hyperparameters.width": 16,
    "model.hyperparameters.head": 16,
    "model.hyperparameters.embedding": [2, 16],
    "model.hyperparameters.pairwise": [1, 2, 16],
    "model.hyperparameters.regulation": [1, 2, 16, 16],
    "training.batch_size": 16,
    "training.epochs": 8,
    "training.learning_rate": 0.003,
}
