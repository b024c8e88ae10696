"""`regulome prepare contacts`, from the published layout, and what it refuses."""

import pytest
from tests.datasets.published_world import GENES, MARKS, WIDTHS, WINDOW, write_depths, write_table

from regulome.datasets import open_dataset


@pytest.fixture
def options(tmp_path):
    folder = write_depths(tmp_path / "npy")
    table = write_table(tmp_path / "genes.csv", GENES)
    widths = ",".join(map(str, WIDTHS))
    words = ["--genes", table, "--published", folder, "--marks", ",".join(MARKS), "--window", WINDOW]
    return [*words, "--resolutions", widths, "--max-region", WINDOW, "--out", tmp_path / "d"]


def test_the_published_layout_becomes_a_dataset(regulome, options, tmp_path):
    answer = regulome("prepare", "contacts", *options, "--top", 1, "--target", "log2")
    assert (answer.code, answer.out.strip()) == (0, str(tmp_path / "d"))
    dataset = open_dataset(tmp_path / "d")
    assert dataset.task == "regression"
    assert dataset.manifest.inputs["contact"].shape == [4, 2]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--resolutions", "100,x"], "--resolutions 100,x: 'x' is no width"),
        (["--marks", "A,B"], "expected 2 marks"),
        (["--contacts", "c.tsv"], "--contacts goes without --published"),
        (["--sample", "E999"], "has no cell 'E999'"),
        (["--max-region", "100"], "is 130 bases long, at most 100 are allowed"),
    ],
)
def test_wrong_options_are_one_line(regulome, options, tmp_path, more, said):
    answer = regulome("prepare", "contacts", *options, *more)
    assert answer.code == 2
    assert said in answer.last_line
    assert "Traceback" not in answer.err
    assert not (tmp_path / "d").exists()
