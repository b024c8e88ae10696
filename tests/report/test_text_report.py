"""Pages on runs that predict letters."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.report.page_reader import check_page

from regulome.datasets import Dataset, prepare_language
from regulome.errors import InputError
from regulome.report import report, text_results
from regulome.report.text_results import verdict
from regulome.training import Run, train

# Words of other lines, which have no place on these pages.
FOREIGN = ("TSS", "expression", "AUROC", "positive", "windows carry", "regulome mutate", "logistic")
HOSTILE = "<script>alert(1)</script>"
TINY = (
    "model.hyperparameters.hidden=4",
    "model.hyperparameters.layers=1",
    "training.epochs=2",
    "training.batch_size=8",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("texts")


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Dataset:
    rng = np.random.default_rng(0)
    records = {HOSTILE: 9000, "b": 3000}
    letters = {
        name: "".join(rng.choice(list("ACGT"), count, p=[0.4, 0.1, 0.1, 0.4])) for name, count in records.items()
    }
    (folder / "g.fa").write_text("".join(f">{name}\nNNN{text}\n" for name, text in letters.items()))
    return prepare_language([folder / "g.fa"], folder / "data", length=50, block=200, held_out=0.4, validation=0.1)


@pytest.fixture(scope="module")
def runs(folder: Path, dataset: Dataset) -> list[Run]:
    """A network, and one that calls itself a baseline."""
    first = train("char-rnn", dataset, folder / "rnn <b>", device="cpu", set=TINY)
    second = train("char-rnn", dataset, folder / "other", device="cpu", set=(*TINY, "training.learning_rate=0.03"))
    return [first, second]


def test_runs_side_by_side(runs: list[Run], tmp_path: Path) -> None:
    page = check_page(report(runs, tmp_path / "r.html", device="cpu"))
    for words in (
        "2 models were trained to predict each letter of a genome from the letters before it",
        "The dataset holds 60 blocks of 12,000 letters",
        "On 24 test blocks (4,799 letters)",
        "Bits per base",
        "predicts best",
        "Paired differences",
        "Block by block",
        "Along the genome",
        "The easiest and the hardest blocks",
        "Perplexity by epoch",
        "How far back it looks",
        "Words of four letters",
        "The rhythm of genes",
        "regulome sample",
        "Left out (N and other letters) 6",
        "Hold out whole chromosomes",
    ):
        assert words in page.text, words
    told = page.text.split("How to do it again")[1]
    assert [word for word in FOREIGN if word in told] == []
    # Every test block of every run is in the data.
    predictions = runs[0].predictions().filter(pl.col("split") == "test")
    header, *rows = page.tables["blocks"]
    assert len(rows) == 2 * len(predictions) == 48
    bits = [float(row[header.index("bits")]) for row in rows[:24]]
    assert bits == pytest.approx(predictions["bits"].to_list(), rel=1e-4)
    other = runs[1].predictions().filter(pl.col("split") == "test")["bits"]
    differences = dict(zip(("a", "b"), (predictions["bits"], other), strict=True))
    header, *rows = page.tables["block-differences"]
    found = np.array([float(row[header.index("difference")]) for row in rows])
    # Whichever is better comes first.
    expected = (differences["a"] - differences["b"]).to_numpy()
    assert np.abs(found) == pytest.approx(np.abs(expected), abs=1e-5)
    header, *rows = page.tables["training"]
    perplexity = [float(row[header.index("valid_perplexity")]) for row in rows[:2]]
    assert perplexity == pytest.approx(np.exp(runs[0].history()["valid_loss"]), rel=1e-4)
    assert len(page.tables["words"]) == 1 + 2 * 256
    assert page.tables["context"][-1][2] == "1024"


def test_one_run_without_its_dataset(runs: list[Run], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(runs[0].path, copy)
    record = runs[0].info.dataset
    assert record is not None
    (copy / "run.json").write_text((copy / "run.json").read_text().replace(record.path, "/nowhere/data"))
    page = check_page(report(copy, tmp_path / "r.html", device="cpu"))
    assert "what the model has learned of the text are missing" in page.text
    assert "train markov on the same split" in page.text
    assert "next letter of a genome" in page.text
    assert "Words of four letters" not in page.text


def test_what_does_not_fit_is_said(runs: list[Run], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--truth scores explanations of marks"):
        report(runs[0], tmp_path / "r.html", truth=tmp_path / "truth.json")
    copy = tmp_path / "copy"
    shutil.copytree(runs[0].path, copy)
    table = runs[0].predictions()
    table.filter(pl.col("split") == "valid").write_parquet(copy / "predictions.parquet")
    with pytest.raises(InputError, match="no predictions of test blocks"):
        report(copy, tmp_path / "r.html")


def _material(label: str, perplexity: float, *, counts: bool = False, width: float = 0.01) -> Any:
    values = {"perplexity": perplexity, "bits_per_base": float(np.log2(perplexity))}
    metrics = {name: {"value": v, "low": v - width, "high": v + width} for name, v in values.items()}
    return SimpleNamespace(label=label, counts=counts, metrics=metrics, run=None, value=lambda name: values[name])


@pytest.mark.parametrize(
    ("network", "difference", "said"),
    [
        (3.6, {"difference": -0.1, "low": -0.2, "high": -0.05, "better": "gru"}, "The best network, gru, beats"),
        (3.8, {"difference": 0.1, "low": 0.05, "high": 0.2, "better": "mix"}, "A baseline wins: mix predicts"),
        (3.7, {"difference": 0.0, "low": -0.2, "high": 0.2, "better": None}, "cannot be told apart"),
    ],
)
def test_a_baseline_that_wins_is_named(
    network: float, difference: Mapping[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pl.DataFrame([{"metric": "bits_per_base", **difference}])
    monkeypatch.setattr(text_results, "compare", lambda runs: SimpleNamespace(table=table))
    materials = [
        _material("gru", network),
        _material("rnn", network + 0.1),
        _material("markov", 3.75, counts=True),
        _material("mix", 3.7, counts=True),
    ]
    (words,) = verdict(materials)
    assert said in words
    assert "rnn" not in words
    assert "markov" not in words


def test_guessing_is_called_guessing() -> None:
    assert "no better than guessing" in verdict([_material("a", 4.0)])[1]
    assert "worse than guessing" in verdict([_material("a", 4.2)])[1]
    assert verdict([_material("a", 3.9)]) == [
        "a: perplexity 3.900 [3.890, 3.910], 1.9635 [1.9535, 1.9735] bits per base."
    ]
