"""Baselines that count, trained as runs on a small text."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from regulome.datasets import Dataset, prepare_language
from regulome.datasets.language_text import Text
from regulome.errors import InputError
from regulome.training import train
from regulome.training.text_baselines import stretches_of


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Every letter depends on the two before it."""
    random = np.random.default_rng(0)
    table = random.dirichlet([0.5] * 4, 16).cumsum(axis=1)
    codes = [0, 1]
    for draw in random.random(29_998):
        codes.append(min(3, int((draw > table[4 * codes[-2] + codes[-1]]).sum())))
    folder = tmp_path_factory.mktemp("text")
    (folder / "a.fa").write_text(">a\n" + "".join("ACGT"[code] for code in codes) + "\n")
    return prepare_language([folder / "a.fa"], folder / "data", validation=0.1)


def test_the_best_order_is_kept(dataset: Dataset, tmp_path: Path) -> None:
    run = train("markov", dataset, tmp_path / "run", device="cpu", set={"model.hyperparameters.strands": "forward"})
    history = run.history()
    # 4^9 contexts are too many for 24,000 letters.
    assert len(history) == 9
    (chosen,) = run.info.hyperparameters
    assert chosen == {"order": int(np.argmin(history["valid_loss"].to_numpy()))}
    assert 2 <= chosen["order"] <= 5
    assert run.metrics()["perplexity"]["value"] == pytest.approx(math.exp(min(history["valid_loss"])), rel=0.03)
    assert (run.path / "weights.safetensors").stat().st_size < 100_000


def test_simple_smoothing_equals_counts_by_hand(dataset: Dataset, tmp_path: Path) -> None:
    settings = {"order": 2, "smoothing": "additive", "strands": "forward"}
    chosen = {f"model.hyperparameters.{name}": value for name, value in settings.items()}
    run = train("markov", dataset, tmp_path / "run", device="cpu", set=chosen)
    text = Text(dataset)
    codes = text.codes(0, text.total).astype(int)
    counts = np.ones((16, 4))
    for i in range(2, 24_000):
        counts[4 * codes[i - 2] + codes[i - 1], codes[i]] += 1
    p = counts / counts.sum(axis=1, keepdims=True)
    held = np.arange(27_000, 30_000)
    expected = np.exp(-np.log(p[4 * codes[held - 2] + codes[held - 1], codes[held]]).mean())
    assert run.metrics()["perplexity"]["value"] == pytest.approx(expected, rel=1e-5)
    assert json.loads((run.path / "run.json").read_text())["parameters"] == 0


def test_context_mixing_is_a_run(dataset: Dataset, tmp_path: Path) -> None:
    orders = {"model.hyperparameters.orders": [1, 2, 3, 4, 12], "model.hyperparameters.strands": "forward"}
    run = train("context-mixing", dataset, tmp_path / "run", device="cpu", set=orders)
    settings = {"model.hyperparameters.order": 2, "model.hyperparameters.strands": "forward"}
    markov = train("markov", dataset, tmp_path / "markov", device="cpu", set=settings)
    assert run.metrics()["perplexity"]["value"] == pytest.approx(markov.metrics()["perplexity"]["value"], rel=0.06)
    codes = torch.from_numpy(Text(dataset).codes(0, 500))[None]
    (model,) = run.models("cpu")
    assert torch.isfinite(model(codes)[0]).all()


def test_blocks_that_follow_each_other_are_joined(dataset: Dataset) -> None:
    text = Text(dataset)
    blocks = text.blocks
    rows = np.array([3, 0, 1, 4])
    expected = [[blocks[0, 0], blocks[1, 1]], [blocks[3, 0], blocks[4, 1]]]
    assert stretches_of(text, rows).tolist() == np.array(expected).tolist()
    assert stretches_of(text, rows[:0]).shape == (0, 2)


def test_networks_are_not_counted(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="counting cannot fit char-gru"):
        train("char-gru", dataset, tmp_path / "run", device="cpu", set={"training.method": "counting"})
