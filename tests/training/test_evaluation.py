import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from regulome.errors import InputError
from regulome.training import evaluate, train
from regulome.training.evaluation import evaluate_table

from .conftest import SPLIT, make_dataset


@pytest.fixture(scope="module")
def run(world, tmp_path_factory):
    out = tmp_path_factory.mktemp("e") / "run"
    return train("logistic-regression", world, out, device="cpu", set=["baseline.costs=[0.001]"], **SPLIT)


def test_the_stored_metrics_are_those_of_evaluate(run):
    found = evaluate(run)
    assert found == run.metrics()
    assert list(found) == ["n", "auroc", "auprc", "accuracy", "f1", "mcc", "brier", "ece"]
    table = run.predictions().filter(pl.col("split") == "test")
    assert found["n"] == 50
    assert found["auroc"]["value"] == pytest.approx(roc_auc_score(table["expression_true"], table["expression"]))


@pytest.mark.parametrize("split", ["train", "valid", "test", "all"])
def test_parts_and_paths(run, world, split):
    found = evaluate(run.path, split=split, replicates=10)
    assert found["n"] == {"train": 200, "valid": 50, "test": 50, "all": 300}[split]
    again = evaluate(run, world.path, split=split, replicates=10, device="cpu")
    assert again["brier"] == pytest.approx(found["brier"], rel=1e-6)
    assert again["auroc"] == pytest.approx(found["auroc"], rel=1e-9)


def test_another_dataset(run, tmp_path):
    found = evaluate(run, make_dataset(tmp_path / "data", seed=9))
    assert found["n"] == 50
    assert found["auroc"]["value"] > 0.8


def test_values(values, tmp_path, split):
    run = train("logistic-regression", values, tmp_path / "run", device="cpu", **split)
    assert list(evaluate(run)) == ["n", "r2", "pearson", "spearman", "mse"]
    assert "pearson" in run.metrics()


def test_no_truth_is_told(run, tmp_path):
    other = make_dataset(tmp_path / "data", task="regression")
    with pytest.raises(InputError, match="no true values of expression"):
        evaluate(run, other)


def test_several_outputs_are_averaged_where_they_are_defined():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (60, 3))
    truth[:, 2] = 1
    score = rng.random((60, 3))
    columns = {name: score[:, i] for i, name in enumerate("abc")}
    columns |= {f"{name}_true": truth[:, i] for i, name in enumerate("abc")}
    found = evaluate_table(pl.DataFrame(columns), ["a", "b", "c"], "classification", replicates=50)
    areas = [roc_auc_score(truth[:, i], score[:, i]) for i in range(2)]
    assert found["auroc"]["value"] == pytest.approx(np.mean(areas))
    assert found["outputs"]["a"]["auroc"]["value"] == pytest.approx(areas[0])
    assert found["outputs"]["c"]["auroc"]["value"] is None
    width = found["auroc"]["high"] - found["auroc"]["low"]
    assert 0 < width < found["outputs"]["a"]["auroc"]["high"] - found["outputs"]["a"]["auroc"]["low"]
