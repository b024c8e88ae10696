"""Means and paired differences of grids: against closed forms and SciPy."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from regulome.training.grid_statistics import holm, mean_interval, paired_differences, summarize

SETS = {"A": ["A"], "B": ["B"], "A+B": ["A", "B"]}
# Score of (model, mark set) in the first block; blocks and seeds are added to it.
BASE = {("m", "A"): 0.5, ("m", "B"): 0.6, ("m", "A+B"): 0.8, ("n", "A"): 0.4, ("n", "B"): 0.6, ("n", "A+B"): 0.9}
BLOCKS = {("x", "1"): 0.0, ("x", "2"): 0.01, ("y", "1"): -0.02, ("y", "2"): 0.05}


def table(base=BASE, noise=None):
    rng = np.random.default_rng(noise)
    rows = [
        (cell, fold, model, marks, seed, value + block + (0.001 if seed else -0.001) + (rng.normal() if noise else 0.0))
        for (model, marks), value in base.items()
        for (cell, fold), block in BLOCKS.items()
        for seed in (0, 1)
    ]
    return pl.DataFrame(rows, schema=["cell", "fold", "model", "marks", "seed", "auroc"], orient="row")


def one(found, **where):
    rows = found.filter(*(pl.col(key) == value for key, value in where.items()))
    assert len(rows) == 1, where
    return rows.row(0, named=True)


def test_means_are_over_blocks():
    found = summarize(table(), ["auroc"], SETS)
    row = one(found, by="model, marks", model="m", marks="A+B")
    blocks = 0.8 + np.array(list(BLOCKS.values()))
    low, high = stats.t.interval(0.95, 3, blocks.mean(), stats.sem(blocks))
    assert row["n"] == 4
    np.testing.assert_allclose([row["mean"], row["low"], row["high"]], [blocks.mean(), low, high], rtol=1e-12)
    cell = one(found, by="cell, model, marks", cell="y", model="n", marks="B")
    assert cell["n"] == 2
    assert cell["mean"] == pytest.approx(0.6 + 0.015)
    assert one(found, by="model", model="m")["mean"] == pytest.approx((0.5 + 0.6 + 0.8) / 3 + 0.01)
    assert one(found, by="marks", marks="A")["mean"] == pytest.approx(0.45 + 0.01)
    assert one(found, by="model, mark", model="n", mark="B")["mean"] == pytest.approx(0.75 + 0.01)


def test_what_a_model_lacks_is_left_out_of_all():
    base = {key: value for key, value in BASE.items() if key != ("n", "A")}
    found = summarize(table(base), ["auroc"], SETS)
    assert one(found, by="model", model="m")["mean"] == pytest.approx(0.7 + 0.01)
    assert one(found, by="model", model="n")["mean"] == pytest.approx(0.75 + 0.01)
    assert one(found, by="marks", marks="A")["mean"] == pytest.approx(0.5 + 0.01)
    assert one(found, by="marks", marks="B")["mean"] == pytest.approx(0.6 + 0.01)
    assert found.filter(pl.col("model") == "n", pl.col("marks") == "A").is_empty()


def test_differences_are_paired():
    data = table(noise=1)
    found = paired_differences(data, ["auroc"], SETS)
    means = data.group_by("cell", "fold", "model", "marks", maintain_order=True).agg(pl.col("auroc").mean())

    def blocks(**where):
        rows = means.filter(*(pl.col(key) == value for key, value in where.items()))
        return rows.group_by("cell", "fold", maintain_order=True).agg(pl.col("auroc").mean())["auroc"].to_numpy()

    for where, x, y in (
        ({"factor": "model", "within": "B", "a": "m"}, blocks(model="m", marks="B"), blocks(model="n", marks="B")),
        ({"factor": "model", "within": "", "a": "m"}, blocks(model="m"), blocks(model="n")),
        ({"factor": "marks", "within": "n", "a": "A", "b": "A+B"}, *(blocks(model="n", marks=s) for s in ("A", "A+B"))),
        ({"factor": "marks", "within": "", "a": "A", "b": "B"}, blocks(marks="A"), blocks(marks="B")),
        ({"factor": "mark", "within": "m", "a": "A"}, *(blocks(model="m", marks=s) for s in ("A+B", "B"))),
        ({"factor": "mark", "within": "", "a": "B"}, blocks(marks="A+B"), blocks(marks="A")),
    ):
        row, test = one(found, **where), stats.ttest_rel(x, y)
        interval = test.confidence_interval()
        expected = [x.mean() - y.mean(), interval.low, interval.high, test.pvalue, x.mean(), y.mean()]
        values = [row[name] for name in ("difference", "low", "high", "p", "value_a", "value_b")]
        np.testing.assert_allclose(values, expected, rtol=1e-9)


def test_the_better_one_is_named_and_equal_blocks_have_no_test():
    found = paired_differences(table(), ["auroc"], SETS)
    row = one(found, factor="model", within="A")
    assert (row["difference"], row["better"], row["p"]) == (pytest.approx(0.1), "m", None)
    worse = paired_differences(table().rename({"auroc": "brier"}), ["brier"], SETS)
    assert one(worse, factor="model", within="A")["better"] == "n"
    single = table({("m", "A"): 0.5}).filter(pl.col("fold") == "1", pl.col("cell") == "x")
    assert paired_differences(single, ["auroc"], SETS).is_empty()
    row = summarize(single, ["auroc"], SETS).row(0, named=True)
    assert (row["n"], row["low"]) == (1, None)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30))
def test_an_interval_is_that_of_student(values):
    found = mean_interval([*values, float("nan")])
    assert found["n"] == len(values)
    error = stats.sem(values)
    if error > 1e-9 * max(map(abs, values)):
        low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), error)
        scale = max(map(abs, values))
        np.testing.assert_allclose([found["low"], found["high"]], [low, high], rtol=1e-8, atol=1e-9 * scale)
        assert found["p"] == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=1e-6, abs=1e-12)


def test_holm():
    # 4 · 0.01, 3 · 0.02, 2 · 0.03, then at least as large as the one before.
    assert holm([0.04, None, 0.01, 0.03, 0.02]) == pytest.approx([0.06, None, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
