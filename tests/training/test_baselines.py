"""What scikit-learn fits and what the run stores give the same numbers."""

import logging

import numpy as np
import pytest
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from regulome.errors import InputError
from regulome.recipes import load_recipe
from regulome.training import train


def matrices(dataset):
    """log1p, standardised per mark over the training part, minus strand turned; train, valid, test."""
    x = np.log1p(np.array(dataset.inputs["marks"], np.float64))
    minus = (dataset.regions["strand"] == "-").to_numpy()
    x[minus] = x[minus][:, :, ::-1]
    chromosome = dataset.regions["chrom"].to_numpy()
    test, valid = chromosome == "chr1", chromosome == "chr2"
    learn = ~test & ~valid
    x = (x - x[learn].mean(axis=(0, 2), keepdims=True)) / x[learn].std(axis=(0, 2), keepdims=True)
    x, y = x.reshape(len(x), -1).astype(np.float32), np.asarray(dataset.targets[:, 0])
    return [(x[rows], y[rows]) for rows in (learn, valid, test)]


def predicted(run, part="test"):
    return run.predictions().filter(split=part)["expression"].to_numpy()


def test_logistic_regression_is_scikit_learns(world, split, tmp_path):
    (x, y), _, (held, _) = matrices(world)
    settings = {"model.hyperparameters.C": 0.02}
    run = train("logistic-regression", world, tmp_path / "run", set=settings, device="cpu", **split)
    scaler = StandardScaler().fit(x)
    theirs = LogisticRegression(C=0.02, max_iter=2000).fit(scaler.transform(x), y)
    np.testing.assert_allclose(predicted(run), theirs.predict_proba(scaler.transform(held))[:, 1], atol=1e-3)
    assert run.info.hyperparameters == [{"C": 0.02}]


def test_ridge_is_scikit_learns(values, split, tmp_path):
    (x, y), _, (held, _) = matrices(values)
    settings = {"baseline.costs": [0.001]}
    run = train("logistic-regression", values, tmp_path / "run", set=settings, device="cpu", **split)
    scaler = StandardScaler().fit(x)
    theirs = Ridge(alpha=500.0).fit(scaler.transform(x), y)
    np.testing.assert_allclose(predicted(run), theirs.predict(scaler.transform(held)), atol=1e-3)
    assert run.metrics()["pearson"]["value"] > 0.6


def test_the_support_vector_machine_has_platts_probabilities(world, split, tmp_path):
    (x, y), (valid, truth), (held, _) = matrices(world)
    settings = {"baseline.costs": [1e-3]}
    run = train("linear-svm", world, tmp_path / "run", set=settings, device="cpu", **split)
    scaler = StandardScaler().fit(x)
    machine = LinearSVC(C=1e-3, dual=False).fit(scaler.transform(x), y)
    margin = machine.decision_function(scaler.transform(held))
    ours = predicted(run)
    assert np.corrcoef(np.log(ours / (1 - ours)), margin)[0, 1] > 0.99999
    platt = CalibratedClassifierCV(FrozenEstimator(machine), method="sigmoid").fit(scaler.transform(valid), truth)
    np.testing.assert_allclose(ours, platt.predict_proba(scaler.transform(held))[:, 1], atol=2e-3)


def test_support_vector_regression(values, split, tmp_path):
    run = train("linear-svm", values, tmp_path / "run", device="cpu", set=["baseline.costs=[0.001]"], **split)
    assert run.metrics()["pearson"]["value"] > 0.6


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_forest_is_scikit_learns(task, world, values, split, tmp_path):
    dataset = world if task == "classification" else values
    (x, y), _, (held, _) = matrices(dataset)
    settings = {"model.hyperparameters.trees": 20, "model.hyperparameters.min_samples_leaf": 4}
    run = train("random-forest", dataset, tmp_path / "run", set=settings, device="cpu", seed=3, **split)
    kind = RandomForestClassifier if task == "classification" else RandomForestRegressor
    share = "sqrt" if task == "classification" else 1.0
    theirs = kind(20, min_samples_leaf=4, max_features=share, random_state=3).fit(x, y)
    expected = theirs.predict_proba(held)[:, 1] if task == "classification" else theirs.predict(held)
    # Inputs that differ in their last bit can fall on the other side of a threshold.
    assert (np.abs(predicted(run) - expected) < 1e-4).mean() > 0.9
    assert np.corrcoef(predicted(run), expected)[0, 1] > 0.99


def test_the_best_setting_on_validation_is_kept(world, split, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "regulome"):
        run = train("logistic-regression", world, tmp_path / "run", device="cpu", **split)
    costs = load_recipe("logistic-regression").baseline.costs
    best = run.history()["valid_auroc"].arg_max()
    assert len(run.history()) == len(costs)
    assert run.info.hyperparameters == [{"C": costs[best]}]
    assert "C 0.001: validation loss" in caplog.text
    assert run.metrics()["auroc"]["value"] > 0.85


def test_a_balanced_weight_moves_the_probabilities_up(world, split, tmp_path):
    plain, heavy = (
        train(
            "logistic-regression",
            world,
            tmp_path / str(weight),
            device="cpu",
            set={"training.positive_weight": weight, "baseline.costs": [0.001]},
            **split,
        )
        for weight in (1.0, 5.0)
    )
    assert predicted(heavy).mean() > predicted(plain).mean() + 0.1


def test_an_input_that_never_varies_does_no_harm(world, split, tmp_path):
    settings = {"input.transform": "none", "input.scale": "none", "baseline.costs": [1e-4]}
    run = train("logistic-regression", world, tmp_path / "run", set=settings, device="cpu", **split)
    assert np.isfinite(predicted(run)).all()


def test_networks_are_not_for_scikit_learn(world, split, tmp_path):
    with pytest.raises(InputError, match="cannot fit lstm"):
        train("lstm", world, tmp_path / "run", set=["training.method=scikit-learn"], device="cpu", **split)
    assert not list(tmp_path.iterdir())


def test_members_of_a_forest_ensemble_differ(world, split, tmp_path):
    settings = {"model.hyperparameters.trees": 5}
    run = train("random-forest", world, tmp_path / "run", set=settings, device="cpu", ensemble=2, **split)
    one, two = run.models()
    x = torch.from_numpy(np.array(world.inputs["marks"][:50], np.float32))
    assert not torch.equal(one(x), two(x))
