"""`regulome grid` from the TOML to what is printed."""

import polars as pl
import pytest

TOML = """
marks = ["all"]
folds = ["fold:1/4", "fold:2/4"]

[cells]
tiny = "{dataset}"

[models.logistic-regression]
set.baseline.costs = [1e-2]

[models.svm]
recipe = "linear-svm"
set.baseline.costs = [1e-2]
"""


@pytest.fixture
def plan(dataset, tmp_path):
    file = tmp_path / "grid.toml"
    file.write_text(TOML.replace("{dataset}", str(dataset)))
    return file


def test_a_dry_run_prints_the_trainings(regulome, plan, tmp_path):
    answer = regulome("grid", plan, "--out", tmp_path / "out", "--dry-run")
    assert answer.code == 0, answer.err
    lines = [line for line in answer.out.splitlines() if line.strip()]
    assert lines[0].split() == ["cell", "marks", "n_marks", "model", "fold", "seed"]
    assert sum("svm" in line for line in lines) == 2
    assert lines[-1] == "4 trainings"
    assert not (tmp_path / "out").exists()


def test_a_grid_leaves_tables_and_figures(regulome, plan, tmp_path):
    out = tmp_path / "out"
    words = ["grid", plan, "--out", out, "--jobs", 0, "--device", "cpu"]
    answer = regulome(*words)
    assert answer.code == 0, answer.err
    assert "4 trainings (1 cell, 1 mark set, 2 models, 2 folds), here" in answer.err
    assert "4 of 4: tiny · all · svm · fold 2/4 · seed 0: test auroc" in answer.err
    assert "best: " in answer.last_line
    assert len(pl.read_csv(out / "results.tsv", separator="\t")) == 4
    for name in ("marks", "mark-sets", "models"):
        for end in ("svg", "png", "tsv"):
            assert (out / f"{name}.{end}").stat().st_size
    assert "logistic-regression" in answer.out
    assert "auroc, a - b" in answer.out
    again = regulome(*words, "--resume")
    assert again.code == 0
    assert "is complete with 4 trainings" in again.err
    assert regulome(*words).last_line.endswith("exists already (choose another --out, or give --overwrite)")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("folds", "fold"), "unknown key fold (did you mean folds?)"),
        (("linear-svm", "linear-svn"), "models.svm: no recipe is named 'linear-svn' (did you mean linear-svm"),
    ],
)
def test_a_wrong_grid_is_one_line(change, said, regulome, plan, tmp_path):
    plan.write_text(plan.read_text().replace(*change))
    answer = regulome("grid", plan, "--out", tmp_path / "out")
    assert answer.code == 2
    assert answer.last_line.startswith(f"regulome: {plan}: {said}")
    assert len(answer.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_an_unknown_cluster_is_one_line(regulome, plan, tmp_path):
    answer = regulome("grid", plan, "--out", tmp_path / "out", "--cluster", "slrum")
    assert answer.last_line.startswith("regulome: unknown cluster 'slrum'")
