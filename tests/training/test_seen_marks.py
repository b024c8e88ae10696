"""Runs that see a part of their dataset, and find it again in others."""

import json

import numpy as np
import polars as pl
import pytest

from regulome.datasets import open_dataset, write_dataset
from regulome.errors import InputError
from regulome.explain import explain
from regulome.training import evaluate, open_run, prediction_table, train

from .conftest import SMALL, SPLIT, make_dataset

SEEN = {"input.marks": ["C", "A"], "input.window": 1200, "input.bin": 200}


def cut(dataset, path):
    """What the run sees, as a dataset of its own."""
    x = np.array(dataset.inputs["marks"])[:, [2, 0], 4:16].reshape(len(dataset), 2, 6, 2).sum(3)
    regions = dataset.regions.drop("split").with_columns(pl.col("start") + 400, pl.col("end") - 400)
    with write_dataset(path, line="expression", task=dataset.task, regions=regions) as writer:
        array = writer.add_input(
            "marks",
            axes=["example", "mark", "bin"],
            shape=x.shape,
            dtype="float32",
            mark=["C", "A"],
            bin_size=200,
            unit="reads",
        )
        array[:] = x
        writer.set_targets(np.array(dataset.targets), dataset.target_names, {})
    return open_dataset(path)


@pytest.fixture(scope="module")
def run(world, tmp_path_factory):
    small = {**SMALL, "model.hyperparameters.kernel": 2, "model.hyperparameters.pool": 1}
    return train("deepchrome", world, tmp_path_factory.mktemp("run") / "run", **SPLIT, device="cpu", set=small | SEEN)


def test_the_run_equals_one_on_the_cut_dataset(world, run, tmp_path):
    other = cut(world, tmp_path / "cut")
    small = {**SMALL, "model.hyperparameters.kernel": 2, "model.hyperparameters.pool": 1}
    same = train("deepchrome", other, tmp_path / "same", **SPLIT, device="cpu", set=small)
    assert (run.info.marks, run.info.bins, run.info.bin_size) == (["C", "A"], 6, 200)
    np.testing.assert_allclose(run.predictions()["expression"], same.predictions()["expression"], atol=1e-6)
    # And each run reads the other's dataset.
    np.testing.assert_allclose(
        prediction_table(run, other, split="all")["expression"],
        prediction_table(same, world, split="all")["expression"],
        atol=1e-6,
    )
    assert evaluate(run, other)["auroc"] == pytest.approx(evaluate(same)["auroc"], rel=1e-4)


def test_a_dataset_with_more(run, world, tmp_path):
    """Other marks beside, another order, a wider window."""
    wide = tmp_path / "wide"
    x = np.array(world.inputs["marks"])
    rng = np.random.default_rng(0)
    more = rng.poisson(9, (len(world), 4, 28)).astype(np.float32)
    more[:, [3, 1], 4:24] = x[:, [0, 2]]
    regions = world.regions.drop("split").with_columns(pl.col("start") - 400, pl.col("end") + 400)
    with write_dataset(wide, line="expression", task=world.task, regions=regions) as writer:
        axes = ["example", "mark", "bin"]
        names = ["X", "c", "Y", "a"]
        array = writer.add_input(
            "marks", axes=axes, shape=more.shape, dtype="float32", mark=names, bin_size=100, unit="reads"
        )
        array[:] = more
        writer.set_targets(np.array(world.targets), world.target_names, {})
    found = prediction_table(run, open_dataset(wide))["expression"]
    np.testing.assert_allclose(found, prediction_table(run)["expression"], atol=1e-6)


def test_the_recipe_is_stored_and_maps_are_of_what_is_seen(run, tmp_path):
    stored = open_run(run.path)
    assert (stored.recipe.input.marks, stored.recipe.input.window, stored.recipe.input.bin) == (["C", "A"], 1200, 200)
    found = explain("gradient", stored, out=tmp_path / "maps", device="cpu", limit=20)
    assert found.marks == ["C", "A"]
    assert found.edges.tolist() == [-600, -400, -200, 0, 200, 400, 600]
    assert json.loads((tmp_path / "maps" / "explanation.json").read_text())["arrays"]["gradient"]["shape"][1:] == [2, 6]


def test_baselines_see_the_same(values, tmp_path):
    found = train("logistic-regression", values, tmp_path / "run", **SPLIT, device="cpu", set=SEEN)
    assert evaluate(found)["pearson"]["value"] > 0.5


def test_refused_before_any_work(world, tmp_path):
    for setting, message in (
        ({"input.marks": "A,Z"}, "has no mark Z: it has A, B, C"),
        ({"input.window": 4000}, "has windows of 2,000 bp, 4,000 bp are asked for"),
        ({"input.bin": 150}, "has bins of 100 bp, of which none of 150 bp can be made"),
    ):
        with pytest.raises(InputError, match=message):
            train("deepchrome", world, tmp_path / "run", **SPLIT, device="cpu", set=setting)
    assert not list(tmp_path.iterdir())
    # Sequences have none.
    with pytest.raises(InputError, match=r"input\.marks belongs to the line 'expression'"):
        train("deepsea", make_dataset(tmp_path / "data"), tmp_path / "run", set={"input.marks": ["A"]})
