import json
import shutil

import numpy as np
import polars as pl
import pytest

from regulome.errors import InputError
from regulome.training import compare, open_run, train

from .conftest import SPLIT


@pytest.fixture(scope="module")
def run(world, tmp_path_factory):
    out = tmp_path_factory.mktemp("c") / "good"
    return train("logistic-regression", world, out, device="cpu", set=["baseline.costs=[0.001]"], **SPLIT)


def altered(run, path, change):
    """A copy of a run with other predictions."""
    shutil.copytree(run.path, path)
    change(run.predictions()).write_parquet(path / "predictions.parquet")
    return open_run(path)


@pytest.fixture
def noisy(run, tmp_path):
    noise = np.random.default_rng(0).random(100)
    return altered(run, tmp_path / "noisy", lambda t: t.with_columns(expression=0.1 * pl.col("expression") + noise))


def test_differences_have_paired_intervals(run, noisy):
    found = compare([run, noisy.path])
    assert found.n == 50
    assert set(found.table["metric"]) == {"auroc", "auprc", "accuracy", "f1", "mcc", "brier", "ece"}
    area = found.table.row(by_predicate=pl.col("metric") == "auroc", named=True)
    assert (area["a"], area["b"]) == ("good", "noisy")
    assert area["value_a"] == found.metrics["good"]["auroc"]["value"] == run.metrics()["auroc"]["value"]
    assert area["difference"] == pytest.approx(area["value_a"] - area["value_b"])
    assert 0 < area["low"] < area["difference"] < area["high"]
    assert area["better"] == "good"
    assert area["p"] <= 0.05
    brier = found.table.row(by_predicate=pl.col("metric") == "brier", named=True)
    assert brier["difference"] < 0
    assert brier["better"] == "good"


def test_pairing_makes_the_interval_narrower(run, tmp_path):
    """The same predictions plus a little noise: the difference is known far better than either value."""
    noise = np.random.default_rng(0).normal(0, 0.01, 100)
    near = altered(run, tmp_path / "near", lambda t: t.with_columns(pl.col("expression") + noise))
    area = compare([run, near]).table.row(by_predicate=pl.col("metric") == "auroc", named=True)
    single = run.metrics()["auroc"]
    assert area["high"] - area["low"] < 0.5 * (single["high"] - single["low"])


def test_a_run_does_not_differ_from_itself(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "good")
    found = compare([run, tmp_path / "good"])
    assert (found.table["difference"] == 0).all()
    assert found.table["better"].null_count() == found.table.height
    assert (found.table["p"] == 1).all()
    assert set(found.metrics) == {str(run.path), str(tmp_path / "good")}


def test_three_runs_make_three_pairs_and_json(run, noisy, tmp_path):
    other = altered(run, tmp_path / "other", lambda t: t)
    found = compare([run, noisy, other])
    pairs = found.table.filter(pl.col("metric") == "mcc").select("a", "b").rows()
    assert pairs == [("good", "noisy"), ("good", "other"), ("noisy", "other")]
    content = json.loads(json.dumps(found.to_json()))
    assert set(content) == {"n", "dropped", "runs", "pairs"}
    assert content["runs"]["noisy"]["n"] == 50


def test_only_common_examples_count_and_the_rest_is_said(run, tmp_path, caplog):
    fewer = altered(run, tmp_path / "fewer", lambda t: t.reverse().filter(pl.col("id") > "G0100"))
    with caplog.at_level("INFO", "regulome"):
        found = compare([run, fewer])
    assert found.n == 50 - found.dropped["good"]
    assert found.dropped["fewer"] == 0
    assert found.dropped["good"] > 0
    assert (found.table["difference"] == 0).all()
    assert f"good: {found.dropped['good']} of its examples are not in every run" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.with_columns(pl.concat_str(pl.lit("x"), "id").alias("id")), "no example .* in common"),
        (
            lambda t: t.with_columns(expression_true=1 - pl.col("expression_true")),
            "50 examples have another",
        ),
    ],
)
def test_what_cannot_be_compared(run, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        compare([run, altered(run, tmp_path / "other", change)])


def test_other_targets_are_refused(run, values, split, tmp_path):
    other = train("logistic-regression", values, tmp_path / "values", device="cpu", **split)
    with pytest.raises(InputError, match=r"predicts expression \(regression\), good predicts"):
        compare([run, other])
    with pytest.raises(InputError, match="at least two runs"):
        compare([run])
