import math

import pytest
import torch
from tests.models.tester import ModelTester
from torch import nn

from regulome import models
from regulome.errors import InputError
from regulome.models.deepchrome import from_position_major


class TestDeepChrome(ModelTester):
    name = "deepchrome"
    parameters = 644_177
    learning_rate = 0.001


class TestDeepChromeLinear(ModelTester):
    name = "deepchrome-linear"
    parameters = 2 * 501


class TestDeepChromeMLP(ModelTester):
    name = "deepchrome-mlp"
    parameters = 501 * 250 + 2 * 251


def test_logit_is_the_published_loss() -> None:
    """Binary cross-entropy with z1 − z0 is the negative log-likelihood of log-softmax, in value and in gradient."""
    torch.manual_seed(0)
    network = models.create("deepchrome-linear", marks=2, bins=3).double()
    x, y = torch.randn(9, 2, 3, dtype=torch.float64), torch.arange(9) % 2
    ours = nn.functional.binary_cross_entropy_with_logits(network(x)[:, 0], y.double())
    ours.backward()
    gradient = network.output.linear.weight.grad.clone()
    network.zero_grad()
    z = network.output.linear(x.flatten(1))
    published = nn.functional.nll_loss(torch.log_softmax(z, dim=1), y)
    published.backward()
    torch.testing.assert_close(ours, published)
    torch.testing.assert_close(gradient, network.output.linear.weight.grad)


def test_starts_as_torch7_does() -> None:
    torch.manual_seed(0)
    network = models.create("deepchrome", marks=5, bins=100)
    for layer, fan_in in ((network.convolution[0], 5 * 10), (network.hidden[0], 900), (network.hidden[2], 625)):
        for parameter in (layer.weight, layer.bias):
            bound = 1 / math.sqrt(fan_in)
            assert parameter.abs().max() <= bound
            assert parameter.abs().max() > 0.9 * bound
            assert abs(float(parameter.detach().std()) * math.sqrt(3) / bound - 1) < 0.2


def test_position_major_import() -> None:
    positions, filters = 4, 3
    features = torch.randn(5, filters, positions)
    torch7 = torch.randn(2, positions * filters)
    expected = features.transpose(1, 2).flatten(1) @ torch7.T
    torch.testing.assert_close(features.flatten(1) @ from_position_major(torch7, filters).T, expected)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"bins": 13}, "13 bins are too few for kernel 10 and pool 5: at least 14 are needed"),
        ({"marks": 0}, "expected `marks` to be an integer of at least 1, but got 0"),
        ({"dropout": 1.0}, r"expected `dropout` to be a number in \[0, 1\), but got 1.0"),
        ({"hidden": []}, r"expected `hidden` to be a list of positive integers, but got \[\]"),
        ({"task": "ranking"}, "expected `task` to be one of classification, regression, but got 'ranking'"),
        ({"filters": True}, "expected `filters` to be an integer of at least 1, but got True"),
    ],
)
def test_wrong_hyperparameters(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        models.create("deepchrome", **{"marks": 5, "bins": 100, **wrong})


def test_defaults_are_not_changed() -> None:
    models.create("deepchrome", marks=1, bins=20, hidden=[3])
    assert {info.name: info for info in models.list_models()}["deepchrome"].defaults["hidden"] == (625, 125)
