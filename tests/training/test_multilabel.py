import math

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as sklearn

from regulome.errors import InputError
from regulome.training import multilabel as multilabel_module
from regulome.training.bootstrap import resamples
from regulome.training.multilabel import multilabel, rank_features
from regulome.training.ranking import NAMES

AT = {name: place for place, name in enumerate(NAMES)}
GROUPS = ["TF"] * 5 + ["DNase"] * 4 + [""] * 3


@pytest.fixture(scope="module")
def scored():
    """Probabilities of 12 features with many ties, one without positives, one without negatives."""
    rng = np.random.default_rng(0)
    n = 900
    shared = rng.normal(size=(n, 1))
    logit = rng.normal(size=(n, 12)) + shared - 1.5
    truth = (rng.random((n, 12)) < 1 / (1 + np.exp(-logit))).astype(np.uint8)
    score = (1 / (1 + np.exp(-(logit + rng.normal(size=(n, 12)))))).astype(np.float32).round(2).clip(0.01, 0.99)
    truth[:, 2], truth[:, 7] = 0, 1
    return score, truth, pl.DataFrame({"name": [f"f{i}" for i in range(12)], "group": GROUPS})


THRESHOLDS = np.linspace(0.2, 0.5, 12).astype(np.float32)


def test_every_feature_has_scikit_learns_values(scored):
    score, truth, features = scored
    found = multilabel(score, truth, features, thresholds=THRESHOLDS)
    for j in range(12):
        y, s = truth[:, j], score[:, j].astype(np.float64)
        called = score[:, j] >= 0.5
        expected = {
            "accuracy": sklearn.accuracy_score(y, called),
            "cross_entropy": sklearn.log_loss(y, s, labels=[0, 1]),
        }
        if 0 < y.sum() < len(y):
            expected |= {
                "auroc": sklearn.roc_auc_score(y, s),
                "auprc": sklearn.average_precision_score(y, s),
                "f1": sklearn.f1_score(y, called),
                "f1_tuned": sklearn.f1_score(y, score[:, j] >= THRESHOLDS[j]),
                "mcc": sklearn.matthews_corrcoef(y, called),
            }
        for name in NAMES:
            value = found.values[j, AT[name]]
            assert np.isnan(value) if name not in expected else value == pytest.approx(expected[name], abs=1e-7), name
    assert found.positives.tolist() == truth.sum(axis=0).tolist()
    assert found.scorable.sum() == 10


def test_the_chosen_threshold_has_the_highest_f1(scored):
    score, truth, features = scored
    best = multilabel(score, truth, features, intervals=False).best
    for j in (0, 5, 11):
        scores = {t: sklearn.f1_score(truth[:, j], score[:, j] >= t) for t in np.unique(score[:, j])}
        assert scores[best[j]] == pytest.approx(max(scores.values()))
    assert np.isnan(best[[2, 7]]).all()


def test_standard_errors_are_those_of_the_bootstrap(scored):
    score, truth, features = scored
    some = [0, 1, 2, 5, 8]
    score, truth, features = score[:, some], truth[:, some], features[some]
    found = multilabel(score, truth, features, thresholds=THRESHOLDS[some])
    drawn = []
    for weights in resamples(len(score), 400, seed=1):
        for weight in weights:
            rows = np.repeat(np.arange(len(score)), weight.astype(int))
            drawn.append(multilabel(score[rows], truth[rows], features, thresholds=THRESHOLDS[some], intervals=False))
    # 400 draws give a standard error to 3.5 %, and the two ways differ in the second order.
    single = np.stack([one.values for one in drawn]).std(axis=0)
    defined = ~np.isnan(found.values)
    np.testing.assert_allclose(found.errors[defined], single[defined], rtol=0.2)
    assert np.median(found.errors[defined] / single[defined]) == pytest.approx(1, abs=0.07)
    for metric in range(len(NAMES)):
        for group in (None, "TF"):
            _, slope = found.mean(metric, group)
            spread = np.std([one.mean(metric, group)[0] for one in drawn])
            assert np.sqrt((slope**2).sum()) == pytest.approx(spread, rel=0.15), NAMES[metric]


def test_derivatives_sum_to_nothing(scored):
    """A metric does not change when every example counts twice."""
    found = multilabel(*scored, thresholds=THRESHOLDS)
    np.testing.assert_allclose(found.influence.astype(np.float64).sum(axis=1), 0, atol=1e-5)


def test_the_auroc_has_delongs_variance(scored):
    score, truth, features = scored
    found = multilabel(score, truth, features)
    y, s = truth[:, 0] > 0, score[:, 0].astype(np.float64)
    above = (s[y][:, None] > s[~y][None]) + 0.5 * (s[y][:, None] == s[~y][None])
    variance = above.mean(axis=1).var() / y.sum() + above.mean(axis=0).var() / (~y).sum()
    assert found.errors[0, AT["auroc"]] == pytest.approx(math.sqrt(variance), rel=1e-6)


def test_summary_and_table(scored):
    score, truth, features = scored
    found = multilabel(score, truth, features, thresholds=THRESHOLDS)
    summary = found.summary()
    assert (summary["n"], summary["features"], summary["scorable"]) == (900, 12, 10)
    assert {group: (row["features"], row["scorable"]) for group, row in summary["groups"].items()} == {
        "TF": (5, 4),
        "DNase": (4, 3),
    }
    auroc = found.values[:, AT["auroc"]]
    assert summary["auroc"]["value"] == pytest.approx(np.nanmean(auroc))
    assert summary["auroc"]["median"] == pytest.approx(np.nanmedian(auroc))
    assert summary["groups"]["TF"]["auprc"]["value"] == pytest.approx(np.nanmean(found.values[:5, AT["auprc"]]))
    assert summary["auroc"]["low"] < summary["auroc"]["value"] < summary["auroc"]["high"]
    entropy = -np.where(truth > 0, np.log(score.astype(np.float64)), np.log1p(-score.astype(np.float64)))
    assert summary["perplexity"]["value"] == pytest.approx(math.exp(entropy.mean()), rel=1e-6)
    assert 1 < summary["perplexity"]["low"] < summary["perplexity"]["value"] < summary["perplexity"]["high"]
    table = found.table()
    assert table.columns[:9] == [
        "name",
        "cell",
        "assay",
        "treatment",
        "group",
        "n",
        "positives",
        "prevalence",
        "scorable",
    ]
    assert table["auroc"].null_count() == 2
    assert table["threshold"].to_list() == THRESHOLDS.tolist()
    assert (table["auroc_low"] <= table["auroc"]).all()


def test_blocks_threads_and_rows_change_nothing(scored, monkeypatch):
    score, truth, features = scored
    whole = multilabel(score, truth, features, thresholds=THRESHOLDS)
    monkeypatch.setattr(multilabel_module, "_BLOCK", 5 * len(score))
    monkeypatch.setattr(multilabel_module, "_lanes", lambda features: 3)
    order = np.random.default_rng(1).permutation(len(score))
    blocks = multilabel(score, truth[order], features, rows=np.argsort(order), thresholds=THRESHOLDS)
    np.testing.assert_array_equal(blocks.values, whole.values)
    np.testing.assert_array_equal(blocks.errors, whole.errors)
    np.testing.assert_allclose(blocks.influence, whole.influence, atol=1e-7)
    picked = multilabel(score, truth, features, rows=order, chosen=order, thresholds=THRESHOLDS)
    np.testing.assert_allclose(picked.values, whole.values)
    auroc, auprc = rank_features(score, truth)
    np.testing.assert_array_equal(auroc, whole.values[:, AT["auroc"]])
    np.testing.assert_array_equal(auprc[[0, 11]], whole.values[[0, 11], AT["auprc"]])
    assert (np.isnan(auprc[2]), auprc[7]) == (True, 1.0)


def test_a_perfect_model_and_one_that_calls_nothing():
    truth = np.array([[0, 0], [1, 0], [0, 1], [1, 0]], np.uint8)
    score = np.array([[0, 0], [1, 0], [0, 0], [1, 0]], np.float32)
    found = multilabel(score, truth, ["a", "b"])
    first, second = found.table().rows(named=True)
    assert (first["auroc"], first["auroc_low"], first["auroc_high"], first["cross_entropy"]) == (1.0, 1.0, 1.0, 0.0)
    assert (first["mcc"], first["f1"]) == (1.0, 1.0)
    assert (second["auroc"], second["auprc"], second["f1"], second["mcc"]) == (0.5, 0.25, 0.0, 0.0)
    assert second["cross_entropy"] == pytest.approx(24 * math.log(2) / 4)
    assert found.summary()["groups"] == {}


def test_what_are_no_probabilities_is_told():
    truth = np.zeros((2, 2), np.uint8)
    for value in (np.nan, 1.5, -0.5):
        with pytest.raises(InputError, match="not probabilities"):
            multilabel(np.array([[0, value], [0, 0]], np.float32), truth, ["a", "b"])
    with pytest.raises(InputError, match="no examples"):
        multilabel(np.zeros((0, 2), np.float32), truth, ["a", "b"])
