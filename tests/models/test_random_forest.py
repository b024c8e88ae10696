from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from tests.models.tester import ModelTester
from torch import Tensor, nn

from regulome import models
from regulome.errors import InputError


def pour(network: nn.Module, forest: Any) -> None:
    trees = [estimator.tree_ for estimator in forest.estimators_]
    network.pour(
        [tree.children_left for tree in trees],
        [tree.children_right for tree in trees],
        [tree.feature for tree in trees],
        [tree.threshold for tree in trees],
        [tree.value[:, 0, -1] for tree in trees],
    )


class TestRandomForest(ModelTester):
    name = "random-forest"
    parameters = 0
    differentiable = False

    def fit(self, network: nn.Module, x: Tensor, y: Tensor) -> None:
        pour(network, RandomForestClassifier(50, random_state=0).fit(x.flatten(1).numpy(), y[:, 0].numpy()))

    def create(self, **hyperparameters: Any) -> nn.Module:
        """A forest of three stumps instead of the empty one, so that there is something to compare."""
        network = super().create(**hyperparameters)
        stumps = [[np.array(values)] * 3 for values in ([1, -1, -1], [2, -1, -1], [3, -2, -2])]
        network.pour(*stumps, [np.array([t, -2, -2]) for t in (0.5, 1.5, 2.5)], [np.array([0.5, 0.2, 0.7])] * 3)
        return network


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_poured_forest_equals_scikit_learn(task: str) -> None:
    random = np.random.default_rng(0)
    # Values with few digits meet thresholds exactly, where rounding to float32 decides.
    x = (random.poisson(3, (300, 20)) / 10).astype(np.float32)
    y = x[:, 3] + random.normal(size=300) / 10
    network = models.create("random-forest", marks=2, bins=10, task=task)
    if task == "classification":
        forest = RandomForestClassifier(20, random_state=0).fit(x, y > 0.3)
        expected = forest.predict_proba(x)[:, 1]
    else:
        forest = RandomForestRegressor(20, random_state=0).fit(x, y)
        expected = forest.predict(x)
    pour(network, forest)
    ours = network(torch.from_numpy(x).reshape(-1, 2, 10))[:, 0]
    np.testing.assert_allclose((ours.sigmoid() if task == "classification" else ours).numpy(), expected, atol=1e-6)
    # A fresh forest takes the size of what it loads.
    other = models.create("random-forest", marks=2, bins=10, task=task)
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(torch.from_numpy(x).reshape(-1, 2, 10))[:, 0], ours)


def test_tree_over_other_features_is_refused() -> None:
    network = models.create("random-forest", marks=1, bins=2)
    stump = [[np.array(values)] for values in ([1, -1, -1], [2, -1, -1], [5, -2, -2], [0.5, -2, -2], [0.5, 0, 1])]
    with pytest.raises(InputError, match="expected trees over 2 features, but one tests feature 5"):
        network.pour(*stump)
