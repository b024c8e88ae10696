import numpy as np
import pytest
import scipy.stats

from regulome.errors import InputError
from regulome.training.bootstrap import estimates, interval, replicate, resamples


def test_resamples_are_multinomial_and_repeatable():
    weights = np.concatenate(list(resamples(50, 200, 1)))
    assert weights.shape == (200, 50)
    assert (weights.sum(axis=1) == 50).all()
    assert weights.var() == pytest.approx(1 - 1 / 50, rel=0.05)
    np.testing.assert_array_equal(weights, np.concatenate(list(resamples(50, 200, 1))))


def test_chunks_cover_all_replicates():
    parts = list(resamples(2_000_000, 5, 0))
    assert [len(part) for part in parts] == [2, 2, 1]


def test_intervals_agree_with_scipys_bootstrap():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=300)
    score = truth + rng.normal(size=300)
    ours = estimates(replicate(truth, score, "regression", replicates=2000))["pearson"]
    theirs = scipy.stats.bootstrap(
        (truth, score),
        lambda a, b: scipy.stats.pearsonr(a, b)[0],
        paired=True,
        vectorized=False,
        n_resamples=2000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert ours["value"] == pytest.approx(scipy.stats.pearsonr(truth, score)[0])
    assert ours["low"] == pytest.approx(theirs.low, abs=0.01)
    assert ours["high"] == pytest.approx(theirs.high, abs=0.01)


def test_intervals_hold_the_true_auroc_about_95_times_in_100():
    # Normal scores one deviation apart: the true AUROC is Phi(1/sqrt 2).
    rng = np.random.default_rng(0)
    true = scipy.stats.norm.cdf(np.sqrt(0.5))
    inside = 0
    for seed in range(200):
        truth = np.repeat([0.0, 1.0], 100)
        score = scipy.stats.norm.cdf(rng.normal(size=200) + truth)
        found = estimates(replicate(truth, score, "classification", replicates=200, seed=seed))["auroc"]
        inside += found["low"] <= true <= found["high"]
    assert 0.90 <= inside / 200 <= 0.985


def test_undefined_metrics_are_null_with_a_reason():
    found = estimates(replicate(np.ones(5), np.linspace(0, 1, 5), "classification", replicates=20))
    assert found["auroc"] == {"value": None, "low": None, "high": None, "reason": "needs examples of both classes"}
    assert found["accuracy"]["value"] == pytest.approx(0.6)


def test_resamples_of_one_class_are_left_out():
    found = estimates(replicate([0, 1], [0.2, 0.8], "classification", replicates=100))
    assert found["auroc"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert interval(np.array([np.nan, np.nan])) == (None, None)


def test_no_replicates_give_values_without_intervals():
    assert estimates(replicate([0, 1], [0.2, 0.8], "classification", replicates=0))["auroc"]["low"] is None


def test_bad_predictions_are_refused():
    with pytest.raises(InputError, match="no examples"):
        replicate([], [], "classification")
    with pytest.raises(InputError, match="not finite"):
        replicate([0, 1], [0.5, np.nan], "classification")
    with pytest.raises(ValueError, match="2 true values and 1 predictions"):
        replicate([0, 1], [0.5], "classification")
