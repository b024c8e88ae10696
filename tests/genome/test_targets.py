import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.preprocessing import minmax_scale

from regulome.errors import InputError
from regulome.genome.targets import make_target

VALUES = np.array([0.0, 0.0, 1.0, 2.0, 8.0, 100.0, 3.0])


def test_median_is_high_at_and_above():
    target = make_target(VALUES, "median")
    np.testing.assert_array_equal(target.values, [0, 0, 0, 1, 1, 1, 1])
    assert target.task == "classification"
    assert target.values.dtype == np.float32
    assert target.record["threshold"] == 2.0
    assert (target.record["n_high"], target.record["n_low"]) == (4, 3)


def test_threshold_comes_from_the_whole_table():
    target = make_target(VALUES, "median", reference=np.arange(100.0))
    np.testing.assert_array_equal(target.values, VALUES >= 49.5)


@pytest.mark.parametrize("q", [0.25, 0.5, 0.9])
def test_quantiles(q):
    x = np.random.default_rng(1).gamma(1.0, 5.0, 1001)
    target = make_target(x, f"quantile:{q}")
    assert target.values.mean() == pytest.approx(1 - q, abs=2e-3)
    np.testing.assert_array_equal(target.values, x >= np.percentile(x, 100 * q))


def test_numbers_agree_with_other_packages():
    np.testing.assert_allclose(make_target(VALUES, "zscore").values, stats.zscore(VALUES), rtol=1e-6)
    np.testing.assert_allclose(make_target(VALUES, "minmax").values, minmax_scale(VALUES), rtol=1e-6)
    np.testing.assert_allclose(make_target(VALUES, "log2").values, np.log2(VALUES + 1), rtol=1e-6)
    np.testing.assert_array_equal(make_target(VALUES, "raw").values, VALUES.astype(np.float32))
    assert make_target(VALUES, "zscore").task == "regression"


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 1e6, width=32), min_size=2, max_size=50))
def test_every_label_obeys_its_threshold(values):
    x = np.array(values)
    if x.min() == x.max() or x.min() >= np.median(x):
        with pytest.raises(InputError, match="all labels are equal"):
            make_target(x, "median")
        return
    target = make_target(x, "median")
    np.testing.assert_array_equal(target.values == 1, x >= target.record["threshold"])
    assert target.record["n_high"] >= len(x) / 2


@pytest.mark.parametrize(
    ("values", "target", "problem"),
    [
        ([0, 0, 0, 1], "median", r"all 4 genes are at or above the sample's median \(0\), so all labels are equal"),
        ([1, 1], "zscore", "all 2 values of the sample are equal"),
        ([1, 1], "minmax", "all 2 values of the sample are equal"),
        ([1, np.nan], "raw", "not finite"),
        ([], "raw", "no expression values"),
        ([1, 2], "quantile:2", "'2' in target 'quantile:2' is not between 0 and 1"),
        ([1, 2], "quantile:x", "'x' in target"),
        ([1, 2], "mean", "no target 'mean'.*one of median, quantile:Q"),
    ],
)
def test_impossible_targets(values, target, problem):
    with pytest.raises(InputError, match=problem):
        make_target(values, target)
