"""Pages on runs that read DNA."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score
from tests.report.page_reader import check_page
from tests.report.sequence_runs import made_up_run
from tests.training.sequence_world import make_sequences

from regulome.datasets import Dataset, open_dataset
from regulome.datasets.sequence_writer import new_sequence_dataset
from regulome.errors import InputError
from regulome.report import report
from regulome.report.outputs import count_positives, gather_outputs
from regulome.training import Run, compare, evaluate

# Words of the line of expression, which have no place on these pages.
FOREIGN = ("gene ", "genes", "TSS", "expression", "highly expressed", "called high", "share of high")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sequence")


@pytest.fixture(scope="module")
def many(folder: Path) -> Dataset:
    return make_sequences(folder / "many", n=900, targets=45)


@pytest.fixture(scope="module")
def runs(folder: Path, many: Dataset) -> list[Run]:
    return [
        made_up_run(folder / f"run {skill} <b>", many, skill=skill, seed=place, recipe=recipe)
        for place, (skill, recipe) in enumerate([(3.0, "deepsea"), (1.0, "kmer-logistic-regression"), (2.0, "danq")])
    ]


def _in_the_words_of_the_line(text: str) -> None:
    assert [word for word in FOREIGN if word in text] == []


def test_many_features_side_by_side(runs: list[Run], many: Dataset, tmp_path: Path) -> None:
    page = check_page(report(runs, tmp_path / "r.html"))
    for words in (
        "3 models were trained to predict 45 chromatin features (15 TF, 15 DNase and 15 histone) from windows of 40 bp",
        "Results on the test windows",
        "By group of features",
        "Every feature",
        "AUPRC against prevalence",
        "Calibration over all features",
        "Paired differences",
        "Feature by feature",
        "On how many features each run is better",
        "Positives per feature",
        "What the models look at",
        "regulome mutate",
        "regulome variants",
        "Perplexity",
    ):
        assert words in page.text, words
    _in_the_words_of_the_line(page.text.split("How to do it again")[1])
    # Every feature of every run is in the data, with the numbers of scikit-learn.
    header, *rows = page.tables["features"]
    assert len(rows) == 3 * 45
    test = np.flatnonzero((many.regions["chrom"] == "chr1").to_numpy())
    table, scores = runs[0].scores()
    scores = scores[(table["split"] == "test").to_numpy()]
    for place, row in enumerate(rows[:45]):
        told = dict(zip(header, row, strict=True))
        truth = np.asarray(many.targets[test, place])
        assert told["name"] == many.target_names[place]
        assert int(told["positives"]) == truth.sum()
        if truth.any():
            assert float(told["auroc"]) == pytest.approx(roc_auc_score(truth, scores[:, place]), rel=1e-3)
            assert float(told["auprc"]) == pytest.approx(average_precision_score(truth, scores[:, place]), rel=1e-3)
    assert len(page.tables["feature-by-feature"]) == 1 + 45
    counts = page.tables["positives"]
    assert [int(row[-1]) for row in counts[1:]] == many.targets[test].sum(axis=0).tolist()
    # All pairs of a test window and a feature are in the calibration.
    pairs = [row for row in page.tables["calibration"][1:] if row[0] == page.tables["calibration"][1][0]]
    place = page.tables["calibration"][0].index("pairs")
    assert sum(int(row[place]) for row in pairs) == len(test) * 45


def test_pooled_calibration_comes_from_the_labels(runs: list[Run], many: Dataset) -> None:
    found = gather_outputs(runs[0], many)
    assert found.pooled is not None
    table, scores = runs[0].scores()
    score = scores[(table["split"] == "test").to_numpy()].ravel()
    truth = np.asarray(many.targets[(many.regions["chrom"] == "chr1").to_numpy()]).ravel()
    for row in found.pooled.iter_rows(named=True):
        inside = (score >= row["from"]) & ((score < row["to"]) | (row["to"] == 1.0))
        assert row["genes"] == pytest.approx(inside.sum(), abs=1)
        assert row["observed"] == pytest.approx(truth[inside].mean(), abs=0.02)
    assert count_positives(runs[0], many)["train"].sum() + count_positives(runs[0], many)["test"].sum() > 0


def test_one_run_of_many_features_without_its_dataset(runs: list[Run], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(runs[0].path, copy)
    text = (copy / "run.json").read_text()
    info = runs[0].info.dataset
    assert info is not None
    (copy / "run.json").write_text(text.replace(info.path, "/nowhere/data"))
    page = check_page(report(copy, tmp_path / "r.html"))
    assert "The dataset cannot be opened" in page.text
    assert "Calibration is not shown" in page.text
    assert "Only one run is shown" in page.text
    assert "train kmer-logistic-regression" in page.text


def test_few_features(folder: Path, tmp_path: Path) -> None:
    data = make_sequences(folder / "few", n=500, targets=4)
    pair = [made_up_run(folder / f"few{skill}", data, skill=skill) for skill in (3.0, 1.0)]
    page = check_page(report(pair, tmp_path / "r.html"))
    assert "4 chromatin features" in page.text
    assert "Feature by feature" in page.text
    found = compare(pair)
    assert found.metrics["few3.0"]["auroc"]["value"] == pytest.approx(evaluate(pair[0])["auroc"]["value"])
    assert len(found.wins()) > 0


def test_one_output_in_the_words_of_binding(folder: Path, tmp_path: Path) -> None:
    source = make_sequences(folder / "source", n=400, targets=1)
    with new_sequence_dataset(folder / "bound", length=source.length, task="classification") as writer:
        writer.add_codes(np.random.default_rng(0).integers(0, 4, (400, source.length)).astype(np.uint8))
        writer.add_targets(np.asarray(source.targets, np.uint8))
        writer.finish(regions=source.regions, target_names=["bound"])
    data = open_dataset(folder / "bound")
    pair = [made_up_run(folder / f"one{skill}", data, skill=skill, recipe="demo-cnn") for skill in (3.0, 1.0)]
    page = check_page(report(pair, tmp_path / "r.html"))
    for words in (
        "tell bound sequences of 40 bp of DNA from unbound ones",
        "ROC and precision-recall curves",
        "Calibration",
        "unbound",
        "Perplexity",
        "Paired differences",
        "Chromosomes (sequences)",
    ):
        assert words in page.text, words
    _in_the_words_of_the_line(page.text.split("How to do it again")[1])
    alone = check_page(report(pair[0], tmp_path / "s.html"))
    assert "binding from DNA" in alone.text


@pytest.mark.parametrize("targets", [1, 3])
def test_values(targets: int, folder: Path, tmp_path: Path) -> None:
    data = make_sequences(folder / f"values{targets}", n=400, targets=targets, task="regression")
    page = check_page(report(made_up_run(folder / f"r{targets}", data, skill=2.0), tmp_path / "r.html"))
    assert "Pearson" in page.text
    assert ("Prediction against measurement" in page.text) == (targets == 1)
    assert ("Every feature" in page.text) == (targets == 3)
    assert "AUROC" not in page.text.split("How to do it again")[1]


def test_runs_that_do_not_fit_together(runs: list[Run], folder: Path, tmp_path: Path) -> None:
    one = made_up_run(folder / "single", make_sequences(folder / "single-data", n=300, targets=1), skill=1.0)
    with pytest.raises(InputError, match="do not fit on one page"):
        report([runs[0], one], tmp_path / "r.html")
    truth = tmp_path / "truth.json"
    truth.write_text("{}")
    with pytest.raises(InputError, match="--truth"):
        report(one, tmp_path / "r.html", truth=truth)
    assert not (tmp_path / "r.html").exists()
