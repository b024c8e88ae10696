from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from regulome.datasets import Dataset, open_dataset, write_dataset
from regulome.explain import explain
from regulome.training import Run, train

#: Names that would do harm if they were not escaped.
HOSTILE = '<script>alert("x")</script>'
MARKS = ("H3K4me3", HOSTILE, "$a_b$ & <i>c</i>")
READ = {"n_records": 7, "n_skipped": 2, "aliases": {"chr1": "1"}, "missing_chromosomes": ["chrM"]}
SPLIT = {"test_chromosomes": ["chr1"], "valid_chromosomes": ["chr2"]}
SMALL = ("model.hyperparameters.filters=4", "model.hyperparameters.hidden=[8]", "training.epochs=2")


def _dataset(path: Path, task: str) -> Dataset:
    rng = np.random.default_rng(0)
    n, bins = 240, 30
    counts = rng.poisson(3, (n, len(MARKS), bins)).astype(np.float32)
    level = rng.normal(size=n)
    counts[:, 0, 12:18] += rng.poisson(np.exp(1.5 + level)[:, None], (n, 6))
    value = level + rng.normal(0, 0.5, n)
    target = value > np.median(value) if task == "classification" else value
    regions = pl.DataFrame(
        {
            "id": [f"{HOSTILE}{i}" for i in range(n)],
            "chrom": [f"chr{i % 4 + 1}" for i in range(n)],
            "start": np.arange(n) * 10_000,
            "end": np.arange(n) * 10_000 + bins * 100,
            "strand": rng.choice(["+", "-"], n).tolist(),
        }
    )
    with write_dataset(path, line="expression", task=task, regions=regions) as writer:
        array = writer.add_input(
            "marks",
            axes=["example", "mark", "bin"],
            shape=counts.shape,
            dtype="float32",
            mark=list(MARKS),
            bin_size=100,
            unit="reads",
        )
        array[:] = counts
        writer.set_targets(target.astype(np.float32)[:, None], ["expression"], {"rule": f"the rule {HOSTILE}"})
        writer.sources.append(
            {"role": "genes", "path": f"/data/{HOSTILE}.gtf", "bytes": 12, "sha256": "0" * 64, **READ}
        )
    return open_dataset(path)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="session")
def dataset(folder: Path) -> Dataset:
    return _dataset(folder / "data", "classification")


@pytest.fixture(scope="session")
def runs(folder: Path, dataset: Dataset) -> list[Run]:
    """DeepChrome, AttentiveChrome and a baseline."""
    small = ("training.epochs=1", "model.hyperparameters.hidden=4")
    return [
        train("deepchrome", dataset, folder / "a <b>&", device="cpu", set=SMALL, **SPLIT),
        train("attentivechrome", dataset, folder / "attentive", device="cpu", set=small, **SPLIT),
        train("logistic-regression", dataset, folder / "baseline", device="cpu", **SPLIT),
    ]


@pytest.fixture(scope="session")
def class_map(runs: list[Run], folder: Path) -> Path:
    """A class map of few steps: what a report would compute takes a thousand."""
    return explain("class-map", runs[0], out=folder / "class-map", steps=5, restarts=2, device="cpu").path


@pytest.fixture(scope="session")
def regression(folder: Path) -> tuple[Run, Path]:
    data = _dataset(folder / "values", "regression")
    run = train("deepchrome", data, folder / "regression", device="cpu", set=SMALL, **SPLIT)
    return run, explain("class-map", run, out=folder / "map-r", steps=5, restarts=2, device="cpu").path


@pytest.fixture(scope="session")
def truth(folder: Path) -> Path:
    path = folder / "truth.json"
    rules = [{"mark": "H3K4me3", "bins": [12, 17], "direction": "up"}]
    path.write_text(json.dumps({"bin": 100, "window": 3000, "rules": rules, "decoys": [{"mark": HOSTILE}]}))
    return path
