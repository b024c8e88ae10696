from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.training.sequence_world import make_sequences

from regulome.datasets import Dataset, open_dataset, write_dataset


def make_dataset(
    path: Path,
    *,
    n: int = 300,
    marks: tuple[str, ...] = ("A", "B", "C"),
    bins: int = 20,
    task: str = "classification",
    seed: int = 0,
    chromosomes: int = 6,
    bin_size: int = 100,
) -> Dataset:
    """A small dataset in which mark A near the centre raises expression, and mark C lowers it."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(4, (n, len(marks), bins)).astype(np.float32)
    level = rng.normal(size=(n, 2))
    centre = slice(bins // 2 - 3, bins // 2 + 3)
    counts[:, 0, centre] += rng.poisson(np.exp(1.5 + level[:, :1]), (n, 6))
    counts[:, -1, centre] += rng.poisson(np.exp(1.5 + level[:, 1:]), (n, 6))
    value = level[:, 0] - level[:, 1] + rng.normal(0, 0.5, n)
    target = (value > np.median(value)).astype(np.float32) if task == "classification" else value.astype(np.float32)
    start = np.arange(n) * 10_000
    regions = pl.DataFrame(
        {
            "id": [f"G{i:04d}" for i in range(n)],
            "chrom": [f"chr{i % chromosomes + 1}" for i in range(n)],
            "start": start,
            "end": start + bins * bin_size,
            "strand": rng.choice(["+", "-"], n).tolist(),
        }
    )
    with write_dataset(path, line="expression", task=task, regions=regions) as writer:
        array = writer.add_input(
            "marks",
            axes=["example", "mark", "bin"],
            shape=counts.shape,
            dtype="float32",
            mark=list(marks),
            bin_size=bin_size,
            unit="reads",
        )
        array[:] = counts
        writer.set_targets(target[:, None], ["expression"], {"target": "planted"})
    return open_dataset(path)


#: The split that the tests take: 4 of 6 chromosomes train.
SPLIT = {"test_chromosomes": ["chr1"], "valid_chromosomes": ["chr2"]}
#: A network that trains in a moment, and is not the same twice without its seed.
SMALL = {
    "model.hyperparameters.filters": 6,
    "model.hyperparameters.hidden": [8],
    "model.hyperparameters.kernel": 5,
    "training.batch_size": 16,
    "training.epochs": 3,
}


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("world") / "data")


@pytest.fixture(scope="session")
def values(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("values") / "data", task="regression")


@pytest.fixture
def split() -> dict[str, list[str]]:
    return SPLIT


@pytest.fixture
def small() -> dict[str, object]:
    return dict(SMALL)


@pytest.fixture(scope="session")
def sequences(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """One feature."""
    return make_sequences(tmp_path_factory.mktemp("sequences") / "data", n=1200)


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Forty features in three groups."""
    return make_sequences(tmp_path_factory.mktemp("many") / "data", n=1200, targets=40)
