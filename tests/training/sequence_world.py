"""Small datasets of sequences with a planted motif for each feature."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from regulome.datasets import Dataset, open_dataset
from regulome.datasets.sequence_writer import new_sequence_dataset

COMPLEMENT = np.array([3, 2, 1, 0], np.uint8)


def make_sequences(
    path: Path, *, n: int = 600, length: int = 40, targets: int = 1, seed: int = 0, task: str = "classification"
) -> Dataset:
    """A fifth of the windows have the motif of feature j, on either strand; the features' groups take turns."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, length), np.uint8)
    motifs = rng.integers(0, 4, (targets, 7), np.uint8)
    labels = np.zeros((n, targets), np.uint8)
    for place in range(n):
        feature = int(rng.integers(0, max(5, targets)))
        if feature < targets or targets == 1:
            feature = min(feature, targets - 1)
            if targets == 1 and rng.random() < 0.5:
                continue
            motif = motifs[feature] if rng.random() < 0.5 else COMPLEMENT[motifs[feature][::-1]]
            begin = int(rng.integers(2, length - 9))
            codes[place, begin : begin + 7] = motif
            labels[place, feature] = 1
    codes[::50, :3] = 4
    start = np.arange(n) * 1000
    regions = pl.DataFrame(
        {
            "id": [f"w{i}" for i in range(n)],
            "chrom": [f"chr{i % 6 + 1}" for i in range(n)],
            "start": start,
            "end": start + length,
            "strand": ["+"] * n,
        }
    )
    names = [f"cell{j}|TF{j}|None" for j in range(targets)]
    groups = ("TF", "DNase", "histone")
    features = [
        {"name": name, "cell": f"cell{j}", "assay": f"TF{j}", "treatment": "None", "group": groups[j % 3]}
        for j, name in enumerate(names)
    ]
    with new_sequence_dataset(path, length=length, task=task) as writer:
        writer.add_codes(codes)
        writer.add_targets(labels if task == "classification" else labels.astype(np.float32) + rng.random(labels.shape))
        writer.finish(regions=regions, target_names=names, features=features)
    return open_dataset(path)
