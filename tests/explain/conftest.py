from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from regulome.datasets import Dataset, open_dataset, write_dataset
from regulome.training import Run, train

MARKS = ("up", "decoy", "down")
BINS, BIN = 20, 100


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Mark "up" raises expression at 300 … 800 bp downstream, mark "down" lowers it within 300 bp of the TSS."""
    rng = np.random.default_rng(0)
    n = 360
    counts = rng.poisson(3, (n, 3, BINS)).astype(np.float32)
    level = rng.normal(size=(n, 2))
    counts[:, 0, 13:18] += rng.poisson(np.exp(1.4 + 0.8 * level[:, :1]), (n, 5))
    counts[:, 2, 7:13] += rng.poisson(np.exp(1.4 + 0.8 * level[:, 1:]), (n, 6))
    value = level[:, 0] - level[:, 1] + rng.normal(0, 0.3, n)
    strand = rng.choice(["+", "-"], n)
    counts[strand == "-"] = counts[strand == "-"][:, :, ::-1]
    regions = pl.DataFrame(
        {
            "id": [f"G{i:03d}" for i in range(n)],
            "chrom": [f"chr{i % 6 + 1}" for i in range(n)],
            "start": np.arange(n) * 10_000 + 5_000,
            "end": np.arange(n) * 10_000 + 5_000 + BINS * BIN,
            "strand": strand.tolist(),
            "symbol": [f"S{i}" for i in range(n)],
        }
    )
    path = tmp_path_factory.mktemp("explain") / "data"
    with write_dataset(path, line="expression", task="classification", regions=regions) as writer:
        array = writer.add_input(
            "marks", axes=["example", "mark", "bin"], shape=counts.shape, dtype="uint16", mark=list(MARKS), bin_size=BIN
        )
        array[:] = counts
        writer.set_targets((value > np.median(value)).astype(np.float32)[:, None], ["expression"], {"rule": "median"})
    return open_dataset(path)


@pytest.fixture(scope="session")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("truth") / "truth.json"
    rules = [
        {"mark": "up", "bins": [13, 17], "direction": "up"},
        {"mark": "down", "bins": [7, 12], "direction": "down"},
    ]
    path.write_text(json.dumps({"bin": BIN, "window": BINS * BIN, "rules": rules, "decoys": [{"mark": "decoy"}]}))
    return path


def _train(name: str, dataset: Dataset, folder: Path, *settings: str, ensemble: int = 1) -> Run:
    return train(
        name,
        dataset,
        folder / name,
        test_chromosomes=["chr1"],
        valid_chromosomes=["chr2"],
        device="cpu",
        ensemble=ensemble,
        set=settings,
    )


@pytest.fixture(scope="session")
def linear(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return _train("logistic-regression", dataset, tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def attentive(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    settings = ("training.epochs=1", "model.hyperparameters.hidden=4")
    return _train("attentivechrome", dataset, tmp_path_factory.mktemp("runs"), *settings, ensemble=2)


@pytest.fixture(scope="session")
def convolutional(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Attends to all marks together, at positions of a convolution without padding."""
    return _train("cnn-attention", dataset, tmp_path_factory.mktemp("runs"), "training.epochs=1")
