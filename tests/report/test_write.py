import shutil
from pathlib import Path

import pytest
from tests.report.page_reader import check_page

from regulome.datasets import Dataset
from regulome.errors import InputError
from regulome.report import report
from regulome.training import Run, open_run, train


def test_several_runs(runs: list[Run], class_map: Path, truth: Path, tmp_path: Path) -> None:
    path = report(runs, tmp_path / "r.html", truth=truth, explanations=[class_map], device="cpu", limit=40)
    page = check_page(path)
    for words in (
        "3 runs side by side",
        "ROC and precision-recall curves",
        "Calibration",
        "Paired differences",
        "Attention to bins (alpha)",
        "Attention to marks (beta)",
        "Class maps",
        "Gradient",
        "Was the planted truth found?",
        "Recipe of attentive",
        "No chromosome is in two parts.",
        runs[0].info.dataset.checksum if runs[0].info.dataset else "",
        "0" * 64,
        "7 records; 2 invalid left out; 1 chromosome matched by alias (1 = chr1); nothing on chrM",
    ):
        assert words in page.text, words
    # Hostile names are there, as text.
    assert '<script>alert("x")</script>' in page.text
    assert "a <b>&" in page.text
    metrics = runs[0].metrics()["auroc"]
    assert f"{metrics['value']:.3f}" in page.text


def test_one_run(runs: list[Run], class_map: Path, tmp_path: Path) -> None:
    path = report(runs[0].path, tmp_path / "r.html", explanations=[class_map], device="cpu", limit=20)
    page = check_page(path)
    assert "Only one run is shown" in page.text
    assert "Paired differences" not in page.text
    assert "planted" not in page.text


def test_a_forest_has_scores_but_no_maps(dataset: Dataset, tmp_path: Path) -> None:
    settings = ("model.hyperparameters.trees=5",)
    run = train("random-forest", dataset, tmp_path / "forest", device="cpu", set=settings, test_chromosomes=["chr1"])
    page = check_page(report(run, tmp_path / "r.html", device="cpu", limit=20))
    assert "No maps of what this model looks at" in page.text
    assert "has no gradient" in page.text


def test_regression(regression: tuple[Run, Path], tmp_path: Path) -> None:
    run, class_map = regression
    page = check_page(report([run], tmp_path / "r.html", explanations=[class_map], device="cpu", limit=20))
    assert "Prediction against measurement" in page.text
    assert "Spearman" in page.text
    assert "ROC" not in page.text


def test_a_lost_dataset_is_said(runs: list[Run], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(runs[2].path, copy)
    info = (copy / "run.json").read_text().replace(str(open_run(copy).info.dataset.path), "/nowhere/data")  # type: ignore[union-attr]
    (copy / "run.json").write_text(info)
    page = check_page(report(copy, tmp_path / "r.html", device="cpu", limit=20))
    assert "The dataset cannot be opened" in page.text
    assert "/nowhere/data" in page.text
    # The dataset where it is now mends it.
    again = check_page(report(copy, tmp_path / "s.html", dataset=runs[2].dataset().path, device="cpu", limit=20))
    assert "cannot be opened" not in again.text
    assert "Mean signal around the TSS" in again.text


def test_errors_leave_nothing(runs: list[Run], regression: tuple[Run, Path], tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    with pytest.raises(InputError, match="no run to report on"):
        report([], out)
    with pytest.raises(InputError, match="no such run"):
        report(tmp_path / "none", out)
    with pytest.raises(InputError, match="do not fit on one page"):
        report([runs[0], regression[0]], out)
    copy = tmp_path / "copy"
    shutil.copytree(runs[2].path, copy)
    (copy / "predictions.parquet").unlink()
    with pytest.raises(InputError, match="no such file"):
        report(copy, out)
    assert not out.exists()
    out.write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        report(runs, out)
    assert out.read_text() == "mine"


def test_runs_of_one_name_are_told_apart(runs: list[Run], tmp_path: Path) -> None:
    for parent in ("x", "y"):
        shutil.copytree(runs[2].path, tmp_path / parent / "same")
    page = check_page(
        report([tmp_path / "x" / "same", tmp_path / "y" / "same"], tmp_path / "r.html", device="cpu", limit=20)
    )
    assert "x/same" in page.text
    assert "y/same" in page.text
