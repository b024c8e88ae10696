import logging

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from regulome.datasets import choose_view
from regulome.errors import InputError
from regulome.training import predict, predict_dataset, prediction_table, train, write_table

from .conftest import SPLIT, make_dataset


class Sum(nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def forward(self, x):
        return (x[:, :1, :3].sum(2) - x[:, 2:, :3].sum(2)) * self.weight


@pytest.fixture(scope="module")
def run(world, tmp_path_factory):
    settings = {"training.epochs": 1, "model.hyperparameters.hidden": [4]}
    return train("deepchrome", world, tmp_path_factory.mktemp("p") / "run", device="cpu", set=settings, **SPLIT)


def test_probabilities_are_averaged_over_members(world):
    x = np.array(world.inputs["marks"], np.float64)
    logit = x[:, 0, :3].sum(1) - x[:, 2, :3].sum(1)
    expected = (1 / (1 + np.exp(-0.1 * logit)) + 1 / (1 + np.exp(-0.3 * logit))) / 2
    models = [Sum(0.1), Sum(0.3)]
    found = predict_dataset(models, world, task="classification", batch_size=7)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-5)
    some = predict_dataset(models, world, np.array([5, 2, 250]), task="classification")
    np.testing.assert_allclose(some[:, 0], expected[[5, 2, 250]], rtol=1e-5)
    values = predict_dataset(models, world, task="regression")
    np.testing.assert_allclose(values[:, 0], 0.2 * logit, rtol=1e-5)


def test_marks_and_strand(world):
    turned = predict_dataset([Sum(1.0)], world, task="regression", view=choose_view(world, ["C", "B", "A"]))
    np.testing.assert_allclose(turned, -predict_dataset([Sum(1.0)], world, task="regression"), rtol=1e-5)
    x = np.array(world.inputs["marks"])
    minus = (world.regions["strand"] == "-").to_numpy()
    x[minus] = x[minus][:, :, ::-1]
    expected = x[:, 0, :3].sum(1) - x[:, 2, :3].sum(1)
    np.testing.assert_allclose(predict_dataset([Sum(1.0)], world, task="regression", orient=True)[:, 0], expected)


def test_the_models_of_a_caller_are_not_trained_by_it(world):
    dropout = nn.Sequential(Sum(1.0), nn.Dropout(0.5))
    once, twice = (predict_dataset([dropout], world, task="regression") for _ in range(2))
    np.testing.assert_array_equal(once, twice)


@pytest.mark.parametrize("split", ["train", "valid", "test", "all"])
def test_parts(run, world, split):
    table = predict(run, split=split, device="cpu")
    parts = run.splits if split == "all" else run.splits.filter(pl.col("split") == split)
    assert table.select("id", "split").equals(parts)
    assert table.columns[:6] == ["chrom", "start", "end", "strand", "id", "split"]


def test_marks_in_another_order_are_reordered_and_said(run, world, tmp_path, caplog):
    other = make_dataset(tmp_path / "data", marks=("c", "A", "B"))
    view = choose_view(other, ["A", "B", "C"])
    assert view.places == (1, 2, 0)
    expected = predict_dataset(run.models(), other, task="classification", view=view, orient=run.recipe.input.orient)
    with caplog.at_level(logging.INFO, "regulome"):
        table = prediction_table(run, other.path, split="all")
    assert "the marks, in this order: A, B, C" in caplog.text
    np.testing.assert_array_equal(table["expression"].to_numpy(), expected[:, 0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"marks": ("A", "B", "D")}, "has no mark C: it has A, B, D"),
        ({"bins": 10}, "has windows of 1,000 bp, 2,000 bp are asked for"),
        ({"bin_size": 200}, "has bins of 200 bp, of which none of 100 bp can be made"),
    ],
)
def test_other_inputs_are_refused(run, tmp_path, changes, message):
    other = make_dataset(tmp_path / "data", **changes)
    with pytest.raises(InputError, match=message):
        prediction_table(run, other)


def test_another_dataset_keeps_the_parts_of_the_run(run, tmp_path):
    """What trained in one cell type must not be tested in another."""
    other = make_dataset(tmp_path / "data", seed=5)
    table = prediction_table(run, other, split="test")
    expected = run.splits.filter(pl.col("split") == "test")["id"].to_list()
    assert table["id"].to_list() == expected
    assert set(prediction_table(run, other, split="all")["split"]) == {"train", "valid", "test"}


def test_examples_that_the_run_never_saw_are_all_taken(run, tmp_path, caplog):
    other = make_dataset(tmp_path / "data", n=40)
    regions = other.regions.with_columns(id=pl.concat_str(pl.lit("other"), "id"))
    unseen = type(other)(other.path, other.manifest, regions, other.inputs, other.targets)
    with caplog.at_level(logging.INFO, "regulome"):
        table = prediction_table(run, unseen)
    assert table.height == 40
    assert set(table["split"]) == {"new"}
    assert "all 40 are taken" in caplog.text


def test_values_beside_labels_have_no_truth(run, tmp_path):
    other = make_dataset(tmp_path / "data", task="regression")
    assert "expression_true" not in prediction_table(run, other).columns


def test_unknown_parts(run):
    with pytest.raises(InputError, match="unknown split 'tset'"):
        prediction_table(run, split="tset")


@pytest.mark.parametrize("name", ["t.parquet", "t.tsv", "t.csv"])
def test_tables_are_written(run, tmp_path, name):
    table = run.predictions()
    write_table(table, tmp_path / name)
    read = {
        "t.parquet": pl.read_parquet,
        "t.tsv": lambda path: pl.read_csv(path, separator="\t"),
        "t.csv": pl.read_csv,
    }[name]
    assert read(tmp_path / name)["id"].equals(table["id"])
    with pytest.raises(InputError, match="exists already"):
        write_table(table, tmp_path / name)
    write_table(table, tmp_path / name, overwrite=True)
    with pytest.raises(InputError, match=r"choose \.parquet"):
        write_table(table, tmp_path / "t.xlsx")


def test_no_rows_give_an_empty_table(world):
    assert predict_dataset([Sum(1.0)], world, np.array([], np.int64), task="regression").shape == (0, 1)
    assert torch.is_grad_enabled()
