import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from regulome.training import metrics


def world(seed, n=200, ties=True):
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.4).astype(float)
    score = np.clip(0.3 * truth + 0.7 * rng.random(n), 0, 1)
    if ties:
        score = np.round(score, 1)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=5).astype(float)
    return truth, score, np.concatenate([np.ones((1, n)), weights])


ORACLE = {
    "auroc": lambda y, s, w: sk.roc_auc_score(y, s, sample_weight=w),
    "auprc": lambda y, s, w: sk.average_precision_score(y, s, sample_weight=w),
    "accuracy": lambda y, s, w: sk.accuracy_score(y, s >= 0.5, sample_weight=w),
    "f1": lambda y, s, w: sk.f1_score(y, s >= 0.5, sample_weight=w),
    "mcc": lambda y, s, w: sk.matthews_corrcoef(y, s >= 0.5, sample_weight=w),
    "brier": lambda y, s, w: sk.brier_score_loss(y, s, sample_weight=w),
    "r2": lambda y, s, w: sk.r2_score(y, s, sample_weight=w),
    "mse": lambda y, s, w: sk.mean_squared_error(y, s, sample_weight=w),
    "pearson": lambda y, s, w: scipy.stats.pearsonr(np.repeat(y, w.astype(int)), np.repeat(s, w.astype(int)))[0],
    "spearman": lambda y, s, w: scipy.stats.spearmanr(np.repeat(y, w.astype(int)), np.repeat(s, w.astype(int)))[0],
}


@pytest.mark.parametrize("name", sorted(ORACLE))
@pytest.mark.parametrize("ties", [True, False])
def test_weighted_metrics_equal_scikit_learn_and_scipy(name, ties):
    truth, score, weights = world(1, ties=ties)
    if name in metrics.METRICS["regression"]:
        truth = np.round(score + np.random.default_rng(2).normal(0, 0.3, len(truth)), 1)
    expected = [ORACLE[name](truth, score, w) for w in weights]
    np.testing.assert_allclose(getattr(metrics, name)(truth, score, weights), expected, rtol=1e-10)


def test_ece_is_the_mean_gap_over_equal_bins():
    truth, score, weights = world(3, ties=False)
    for w, ours in zip(weights, metrics.ece(truth, score, weights), strict=True):
        expected = 0.0
        for b in range(metrics.CALIBRATION_BINS):
            inside = (score >= b / metrics.CALIBRATION_BINS) & (score < (b + 1) / metrics.CALIBRATION_BINS)
            if w[inside].sum():
                gap = np.average(truth[inside], weights=w[inside]) - np.average(score[inside], weights=w[inside])
                expected += abs(gap) * w[inside].sum() / w.sum()
        assert ours == pytest.approx(expected, rel=1e-10)


def test_a_perfectly_calibrated_score_of_one_is_in_the_last_bin():
    assert metrics.ece(np.ones(3), np.ones(3), np.ones((1, 3)))[0] == 0


@given(st.integers(0, 2**32 - 1), st.integers(2, 40))
@settings(max_examples=50, deadline=None)
def test_an_integer_weight_is_the_same_as_repeating_the_example(seed, n):
    rng = np.random.default_rng(seed)
    truth, score = rng.integers(0, 2, n).astype(float), rng.integers(0, 5, n) / 4
    weights = rng.integers(0, 3, n)
    if weights.sum() == 0:
        weights[0] = 1
    once = np.ones((1, weights.sum()))
    for task in ("classification", "regression"):
        for name, metric in metrics.METRICS[task].items():
            whole = metric(np.repeat(truth, weights), np.repeat(score, weights), once)
            weighted = metric(truth, score, weights[None].astype(float))
            np.testing.assert_allclose(weighted, whole, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("name", ["auroc", "mcc"])
def test_one_class_is_not_defined_rather_than_wrong(name):
    assert np.isnan(getattr(metrics, name)(np.ones(4), np.array([0.1, 0.6, 0.2, 0.9]), np.ones((1, 4)))[0])


@pytest.mark.parametrize("name", ["r2", "pearson", "spearman"])
@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6 + 0.1])
def test_a_constant_truth_is_not_defined(name, constant):
    truth = np.full(7, constant)
    assert np.isnan(getattr(metrics, name)(truth, np.arange(7.0), np.ones((1, 7)))[0])
