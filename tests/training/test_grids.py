"""Grids from the TOML to the tables: every training, its interruption, its failure, its growth."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.training.conftest import SMALL, make_dataset

from regulome.errors import InputError
from regulome.training import grid, open_grid, plan_grid, train

# Trained in a moment, one after the other, in this process.
HERE = {"jobs": 0, "device": "cpu"}
LOGISTIC = {"baseline.costs": [1e-2]}
MODELS = {
    "deepchrome": {"set": {**SMALL, "training.epochs": 1}},
    "logistic": {"recipe": "logistic-regression", "set": LOGISTIC, "marks": ["all"]},
}


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    for seed, cell in enumerate(("x", "y")):
        make_dataset(folder / cell, n=120, bins=12, seed=seed)
    return {cell: str(folder / cell) for cell in ("x", "y")}


@pytest.fixture(scope="module")
def request_(cells):
    return {"cells": cells, "marks": ["A", "all"], "folds": ["fold:1/3", "fold:2/3"], "models": MODELS}


@pytest.fixture(scope="module")
def found(request_, tmp_path_factory):
    return grid(request_, tmp_path_factory.mktemp("grid") / "out", **HERE)


def without_time(table):
    return table.drop("seconds")


def test_every_combination_is_trained_and_told(found, cells):
    table = found.results
    assert len(table) == 2 * 2 * (2 + 1)
    assert table["state"].unique().to_list() == ["complete"]
    assert table.filter(pl.col("model") == "logistic")["marks"].unique().to_list() == ["all"]
    assert table["n_marks"].to_list() == [3 if name == "all" else 1 for name in table["marks"]]
    assert table.columns[:11] == [
        *("cell", "marks", "n_marks", "model", "fold", "seed", "state", "n", "auroc", "auroc_low", "auroc_high")
    ]
    assert table.columns[-3:] == ["seconds", "run", "note"]
    assert_frame_equal(pl.read_csv(found.path / "results.tsv", separator="\t", schema=table.schema), table)
    assert_frame_equal(pl.read_parquet(found.path / "results.parquet"), table)
    assert sorted(path.name for path in found.path.iterdir()) == [
        *("differences.tsv", "grid.json", "logs", "results.parquet", "results.tsv", "runs", "summary.tsv")
    ]
    assert not list(found.path.parent.glob("*.partial"))
    assert not list(found.path.parent.glob(".*"))
    run = found.run("y", "A", "deepchrome", "2/3")
    assert (run.info.marks, run.info.dataset.path) == (["A"], cells["y"])
    assert run.path == found.path / "runs/y/deepchrome/A/fold-2-of-3-seed-0"
    assert "test AUROC" in (found.path / "logs/y--deepchrome--A--fold-2-of-3-seed-0.log").read_text()
    again = open_grid(found.path)
    assert again.info == found.info
    with pytest.raises(InputError, match="has no training x, Z"):
        found.run("x", "Z", "deepchrome", "1/3")


def test_a_row_is_what_training_alone_gives(found, cells, tmp_path):
    settings = {**MODELS["deepchrome"]["set"], "input.marks": ["A"]}
    run = train("deepchrome", cells["x"], tmp_path / "run", split="fold:2/3", set=settings, seed=0, device="cpu")
    row = found.results.row(
        by_predicate=(pl.col("cell") == "x")
        & (pl.col("marks") == "A")
        & (pl.col("model") == "deepchrome")
        & (pl.col("fold") == "2/3"),
        named=True,
    )
    metrics = run.metrics()
    assert row["n"] == metrics["n"]
    for name in ("auroc", "brier"):
        values = [row[f"{name}{end}"] for end in ("", "_low", "_high")]
        assert values == [metrics[name][end] for end in ("value", "low", "high")]


def test_statistics_lie_beside_the_results(found):
    summary = found.summary.filter(pl.col("metric") == "auroc", pl.col("by") == "model, marks")
    assert len(summary) == 3
    assert summary["n"].unique().to_list() == [4]
    differences = found.differences
    assert set(differences["factor"]) == {"model", "marks"}
    assert len(differences.filter(pl.col("metric") == "auroc", pl.col("factor") == "model")) == 2


def test_a_finished_grid_is_kept_and_grows(found, request_, tmp_path, caplog):
    caplog.set_level("INFO")
    out = tmp_path / "out"
    shutil.copytree(found.path, out)
    with pytest.raises(InputError, match="exists already"):
        grid(request_, out, **HERE)
    same = grid(request_, out, resume=True, **HERE)
    assert "is complete with 12 trainings: nothing to resume" in caplog.text
    assert_frame_equal(same.results, found.results)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("weights.safetensors")}
    more = {**request_, "models": {**MODELS, "svm": {"recipe": "linear-svm", "set": LOGISTIC, "marks": ["A"]}}}
    grown = grid(more, out, resume=True, **HERE)
    assert "resumed: 12 of 16 trainings are complete; 4 more than before" in caplog.text
    assert len(grown.results) == 16
    old = grown.results.filter(pl.col("model") != "svm")
    assert_frame_equal(old, found.results, check_row_order=False)
    assert {path: path.stat().st_mtime_ns for path in times} == times
    other = {**more["models"], "deepchrome": {"set": {**SMALL, "training.epochs": 2}}}
    for asked, said in (
        ({**more, "models": other}, r"another recipe of the model deepchrome \(training\.epochs 1, now 2\)"),
        (request_, "the training x/svm/A/fold-1-of-3-seed-0, which is no longer asked for"),
        ({**more, "cells": {**request_["cells"], "x": request_["cells"]["y"]}}, "another dataset of the cell x"),
        (
            {**more, "folds": ["fold:1/3", "fold:2/4"]},
            "the training x/deepchrome/A/fold-2-of-3-seed-0, which is no longer",
        ),
    ):
        with pytest.raises(InputError, match=said):
            grid(asked, out, resume=True, **HERE)


def test_a_training_that_fails_is_noted_and_tried_again(cells, tmp_path, caplog):
    bad = {"recipe": "deepchrome", "set": {**SMALL, "training.learning_rate": 1e30, "training.gradient_clip": 0.0}}
    asked = {
        "cells": {"x": cells["x"]},
        "folds": ["fold:1/3"],
        "models": {"bad": bad, "logistic": {**MODELS["logistic"]}},
    }
    found = grid(asked, tmp_path / "out", **HERE)
    bad_row, good = found.results.rows(named=True)
    assert (bad_row["state"], bad_row["auroc"], bad_row["run"]) == ("failed", None, None)
    assert bad_row["note"].startswith("the loss is not a finite number in epoch 1")
    assert good["state"] == "complete"
    assert "1 of 2 trainings failed" in caplog.text
    before = json.loads((tmp_path / "out" / "grid.json").read_text())["created"]
    again = grid(asked, tmp_path / "out", resume=True, **HERE)
    assert_frame_equal(again.results, found.results)
    assert again.info.created == before
    with pytest.raises(InputError, match="none of the 1 trainings could be done"):
        grid({**asked, "models": {"bad": bad}}, tmp_path / "none", **HERE)


def wait_for(condition, process):
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, "ended too early"
        assert time.monotonic() < end
        time.sleep(0.01)


def children(pid):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]


@pytest.mark.skipif(shutil.which("ps") is None, reason="needs ps")
def test_killed_workers_and_a_killed_parent_change_nothing(cells, tmp_path):
    slow = {"recipe": "deepchrome", "set": {**SMALL, "training.epochs": 25, "training.schedule": "constant"}}
    asked = {"cells": cells, "folds": ["fold:1/3"], "models": {"logistic": MODELS["logistic"], "slow": slow}}
    asked["cells"] = {"x": cells["x"]}
    reference = grid(asked, tmp_path / "reference", **HERE)

    code = (
        "import json, sys; from regulome.training import grid\n"
        "grid(json.loads(sys.argv[1]), sys.argv[2], jobs=1, device='cpu')"
    )
    out, folder = tmp_path / "out", tmp_path / "out.partial"
    run = folder / "runs/x/slow/all/fold-1-of-3-seed-0.partial"
    with subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(asked), str(out)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.DEVNULL,
    ) as parent:
        wait_for((run / "checkpoint.pt").exists, parent)
        (worker,) = children(parent.pid)
        with pytest.raises(InputError, match="another process is at work on it"):
            grid(asked, out, resume=True, **HERE)
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: [pid for pid in children(parent.pid) if pid != worker], parent)
        parent.kill()
    assert json.loads((folder / "grid.json").read_text())["status"] == "training"
    logistic = folder / "runs/x/logistic/all/fold-1-of-3-seed-0/metrics.json"
    written = logistic.stat().st_mtime_ns
    with pytest.raises(InputError, match="holds unfinished work"):
        grid(asked, out, **HERE)

    found = grid(asked, out, resume=True, **HERE)
    assert_frame_equal(without_time(found.results), without_time(reference.results))
    for marks, model in (("all", "logistic"), ("all", "slow")):
        assert (
            found.run("x", marks, model, "1/3")
            .predictions()
            .equals(reference.run("x", marks, model, "1/3").predictions())
        )
    assert (out / "runs/x/logistic/all/fold-1-of-3-seed-0/metrics.json").stat().st_mtime_ns == written
    assert "resumed" in (out / "logs/x--slow--all--fold-1-of-3-seed-0.log").read_text()


def test_a_plan_lists_its_trainings(request_, tmp_path):
    plan = plan_grid({**request_, "seeds": [1, 2], "folds": [{"test": ["chr1"], "valid": ["chr2"]}]})
    assert plan_grid(plan) is plan
    assert len(plan.table) == 2 * 3 * 2
    assert plan.table.columns == ["cell", "marks", "n_marks", "model", "fold", "seed"]
    assert plan.jobs[0].key == "x/deepchrome/A/fold-chr1-seed-1"
    assert plan.recipe(plan.jobs[0]).input.marks == ["A"]
    assert plan.recipe(plan.jobs[1]).input.marks == []


GOOD = """
marks = ["all"]
folds = 3
models = ["deepchrome"]
cells = ["x"]
dataset = "{cell}"
"""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("marks", "mark"), r"unknown key mark \(did you mean marks"),
        (("folds = 3", "folds = 2"), "folds = 2: one part trains, one chooses the epoch, one tests"),
        (("folds = 3", "folds = 9"), "9 folds of 6 chromosomes"),
        (("folds = 3", 'folds = "some"'), "folds = 'some': expected a number or a list"),
        (("folds = 3", 'folds = ["fold:1/3", "fold:1/3"]'), "folds: 1/3 is there twice"),
        (("folds = 3", 'folds = ["published"]'), "has chr1 in more than one part"),
        (("folds = 3", 'folds = "published"'), "has no published folds"),
        (("folds = 3", 'folds = ["mixed.tsv"]'), r"mixed.tsv: fold mixed of the cell x has chr2 in more than one part"),
        (("folds = 3", 'folds = [{ tests = ["chr1"] }]'), "folds"),
        (("folds = 3", "folds = true"), "folds"),
        (
            ('["deepchrome"]', '["deepchrom"]'),
            r"models.deepchrom: no recipe is named 'deepchrom' \(did you mean deepchrome",
        ),
        (('["deepchrome"]', '["deepsea"]'), "takes 'sequence'; grids are of the line 'expression'"),
        (('["deepchrome"]', "[]"), "models: "),
        (('["x"]', '["x", "z"]'), "z: the dataset of the cell z is not there"),
        (('"{cell}"', '"cell"'), "does not say where the dataset of a cell is"),
        (('["all"]', '["H3K4me3"]'), "marks: the cell x has no mark 'H3K4me3'"),
        (('["all"]', "3"), "marks: "),
        (("folds = 3", "seeds = [1, 1]"), "seeds: one is there twice"),
        (("folds = 3", "folds = "), "is not TOML"),
        (('models = ["deepchrome"]\n', ""), r"models: missing \(a grid is, for example"),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else None,
)
def test_a_wrong_toml_is_one_line(change, said, cells, tmp_path):
    ids = pl.read_parquet(f"{cells['x']}/regions.parquet")["id"]
    parts = pl.Series("split", ["train", "valid", "test", "train", "train", "train"] * 20)
    parts[7] = "train"
    pl.DataFrame({"id": ids, "split": parts}).write_csv(tmp_path / "mixed.tsv", separator="\t")
    (tmp_path / "x").symlink_to(cells["x"])
    assert change[0] in GOOD
    file = tmp_path / "grid.toml"
    file.write_text(GOOD.replace(*change))
    with pytest.raises(InputError, match=said) as error:
        grid(file, tmp_path / "out", **HERE)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"set": {"input": {"marks": ["A"]}}}, r"models.m: input.marks is what a grid varies"),
        ({"set": {"training.seed": 3}}, "training.seed is what a grid varies"),
        ({"set": {"training.epoch": 3}}, r"models.m: unknown key training.epoch"),
        ({"marks": ["A"]}, r"models.m.marks: there is no mark set 'A' \(known: all"),
        ({"recipes": "deepchrome"}, r"unknown key recipes of models m \(did you mean recipe"),
        ({"set": {"model.hyperparameters.kernel": 99}}, "models.m, cell x: "),
        ({"set": {"training.epochs": "many"}}, "training.epochs: expected"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_wrong_model_is_one_line(model, said, cells, tmp_path):
    asked = {"cells": {"x": cells["x"]}, "models": {"m": {"recipe": "deepchrome", **model}}}
    with pytest.raises(InputError, match=said):
        grid(asked, tmp_path / "out", **HERE)


def test_cells_must_learn_the_same(cells, values, tmp_path):
    with pytest.raises(
        InputError, match=r"the cell v has expression \(regression\), x has expression \(classification"
    ):
        plan_grid({"cells": {"x": cells["x"], "v": str(values.path)}, "models": ["deepchrome"]})
    with pytest.raises(InputError, match="jobs must be at least 0"):
        grid({}, tmp_path / "out", jobs=-1)
