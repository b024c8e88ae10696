import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.models.tester import ModelTester

from regulome import models
from regulome.errors import InputError


class TestLogisticRegression(ModelTester):
    name = "logistic-regression"
    parameters = 501


class TestLinearSVM(ModelTester):
    name = "linear-svm"
    parameters = 501


def test_poured_logistic_regression_equals_scikit_learn() -> None:
    random = np.random.default_rng(0)
    x = random.poisson(3, (200, 2, 5)).astype(np.float32)
    y = x[:, 0, 2] + random.normal(size=200) > 3
    scaler, solver = StandardScaler(), LogisticRegression()
    pipeline = make_pipeline(scaler, solver).fit(x.reshape(200, 10), y)
    network = models.create("logistic-regression", marks=2, bins=5)
    network.pour(solver.coef_, solver.intercept_[0], mean=scaler.mean_, std=scaler.scale_)
    ours = torch.sigmoid(network(torch.from_numpy(x)))[:, 0].detach().numpy()
    np.testing.assert_allclose(ours, pipeline.predict_proba(x.reshape(200, 10))[:, 1], atol=1e-5)


def test_calibration_is_folded_in() -> None:
    network = models.create("linear-svm", marks=1, bins=2)
    network.pour(np.array([[1.0, 2.0]]), 0.5, slope=3.0, offset=-1.0)
    x = torch.tensor([[[1.0, 1.0]], [[0.0, 2.0]]])
    torch.testing.assert_close(network(x), torch.tensor([[3 * 3.5 - 1], [3 * 4.5 - 1]]))


def test_wrong_number_of_coefficients() -> None:
    with pytest.raises(InputError, match="expected 10 coefficients, but got 3"):
        models.create("linear-svm", marks=2, bins=5).pour(np.zeros(3), 0.0)
