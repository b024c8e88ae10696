import base64
import csv
import io
import shutil
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from regulome.datasets import Dataset
from regulome.errors import InputError
from regulome.report import report
from regulome.training import Run, open_run, train

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Reads a page strictly: every element closed in order, every reference remembered."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def _check(path: Path) -> Page:
    """What holds for every page."""
    assert path.stat().st_size < 5_000_000
    page = Page(path.read_text(encoding="utf-8"))
    assert {name for name, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object", "i", "b"})
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for attributes in (attributes for _, attributes in page.tags):
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            target = attributes.get(name)
            assert target is None or target.startswith(("#", "data:")), target
            assert target is None or not target.startswith("#") or target[1:] in identifiers
    style = "".join(page.texts[: page.texts.index("Skip to the content")])
    assert "url(" not in style
    assert "@import" not in style
    images = page.all("img")
    assert images
    for image in images:
        assert len(image["alt"] or "") > 30
        svg = base64.b64decode((image["src"] or "").removeprefix("data:image/svg+xml;base64,")).decode()
        root = ElementTree.fromstring(svg)
        assert root.tag.endswith("svg")
        assert not [e for e in root.iter() if e.tag.endswith("}script")]
        for element in root.iter():
            for name, value in element.attrib.items():
                assert not name.endswith("href") or value.startswith(("#", "data:"))
    links = [link for link in page.all("a") if link.get("download")]
    assert len(links) == len(images)
    for link in links:
        table = base64.b64decode((link["href"] or "").removeprefix("data:text/csv;base64,")).decode()
        rows = list(csv.reader(io.StringIO(table)))
        assert len(rows) > 1
        assert len({len(row) for row in rows}) == 1
        assert len(link["download"] or "") > 4
    return page


def test_several_runs(runs: list[Run], class_map: Path, truth: Path, tmp_path: Path) -> None:
    path = report(runs, tmp_path / "r.html", truth=truth, explanations=[class_map], device="cpu", limit=40)
    page = _check(path)
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
    page = _check(path)
    assert "Only one run is shown" in page.text
    assert "Paired differences" not in page.text
    assert "planted" not in page.text


def test_a_forest_has_scores_but_no_maps(dataset: Dataset, tmp_path: Path) -> None:
    settings = ("model.hyperparameters.trees=5",)
    run = train("random-forest", dataset, tmp_path / "forest", device="cpu", set=settings, test_chromosomes=["chr1"])
    page = _check(report(run, tmp_path / "r.html", device="cpu", limit=20))
    assert "No maps of what this model looks at" in page.text
    assert "has no gradient" in page.text


def test_regression(regression: tuple[Run, Path], tmp_path: Path) -> None:
    run, class_map = regression
    page = _check(report([run], tmp_path / "r.html", explanations=[class_map], device="cpu", limit=20))
    assert "Prediction against measurement" in page.text
    assert "Spearman" in page.text
    assert "ROC" not in page.text


def test_a_lost_dataset_is_said(runs: list[Run], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(runs[2].path, copy)
    info = (copy / "run.json").read_text().replace(str(open_run(copy).info.dataset.path), "/nowhere/data")  # type: ignore[union-attr]
    (copy / "run.json").write_text(info)
    page = _check(report(copy, tmp_path / "r.html", device="cpu", limit=20))
    assert "The dataset cannot be opened" in page.text
    assert "/nowhere/data" in page.text
    # The dataset where it is now mends it.
    again = _check(report(copy, tmp_path / "s.html", dataset=runs[2].dataset().path, device="cpu", limit=20))
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
    page = _check(
        report([tmp_path / "x" / "same", tmp_path / "y" / "same"], tmp_path / "r.html", device="cpu", limit=20)
    )
    assert "x/same" in page.text
    assert "y/same" in page.text
