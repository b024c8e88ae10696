import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.special import expit
from torch import nn

from regulome.errors import InputError
from regulome.explain import class_maps
from regulome.models import create


def _linear(weights: np.ndarray, bias: float) -> nn.Module:
    model = nn.Sequential(nn.Flatten(), nn.Linear(weights.size, 1))
    with torch.no_grad():
        model[1].weight.copy_(torch.as_tensor(weights.reshape(1, -1)))
        model[1].bias.fill_(bias)
    return model


def _optimum(weights: np.ndarray, bias: float, penalty: float, sign: int) -> np.ndarray:
    """Minimum of softplus(−sign·(w·X + b)) + λ‖X‖²: X = c·sign·w with 2λc = σ(−(c‖w‖² + sign·b))."""
    norm = float((weights**2).sum())
    c = brentq(lambda c: 2 * penalty * c - expit(-(c * norm + sign * bias)), 0, 1 / (2 * penalty) + 1)
    return c * sign * weights


@pytest.mark.parametrize("bias", [0.0, 0.7])
def test_it_reaches_the_closed_form_of_logistic_regression(bias: float) -> None:
    weights = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    found = class_maps(_linear(weights, bias), (2, 5), learning_rate=0.003, steps=3000, restarts=3)
    for label, sign in ((0, -1), (1, 1)):
        truth = _optimum(weights, bias, 0.009, sign)
        np.testing.assert_allclose(found.optimum[label], truth, atol=0.02)
        shown = np.clip(truth, 0, 1) / np.clip(truth, 0, 1).max()
        np.testing.assert_allclose(found.maps[label], shown, atol=0.03)
    assert (found.agreement > 0.999).all()


def test_the_published_settings_point_the_same_way() -> None:
    weights = np.random.default_rng(1).normal(size=(5, 20)).astype(np.float32)
    found = class_maps(_linear(weights, 0.0), (5, 20))
    for label, sign in ((0, -1), (1, 1)):
        assert np.corrcoef(found.optimum[label].ravel(), sign * weights.ravel())[0, 1] > 0.9
        assert found.maps[label].min() == 0
        assert found.maps[label].max() == 1


def test_regression_goes_up_for_high_and_down_for_low() -> None:
    weights = np.random.default_rng(2).normal(size=(2, 5)).astype(np.float32)
    found = class_maps(_linear(weights, 3.0), (2, 5), task="regression", penalty=0.5, learning_rate=0.003, steps=2000)
    np.testing.assert_allclose(found.optimum[1], weights, atol=0.02)
    np.testing.assert_allclose(found.optimum[0], -weights, atol=0.02)


def test_restarts_are_independent_and_repeatable() -> None:
    torch.manual_seed(0)
    model = create("deepchrome", marks=2, bins=30)
    one = class_maps(model, (2, 30), steps=20, restarts=3, seed=5)
    two = class_maps(model, (2, 30), steps=20, restarts=3, seed=5)
    np.testing.assert_array_equal(one.maps, two.maps)
    assert one.losses.shape == (2, 3)
    # A restart does not feel its neighbours: the same starts, optimised alone, end in the same place.
    start = torch.rand((6, 2, 30), generator=torch.Generator().manual_seed(5))
    x = start[3:4].clone().requires_grad_()
    optimizer = torch.optim.RMSprop([x], lr=0.1, alpha=0.99)
    model.eval()
    for _ in range(20):
        optimizer.zero_grad()
        (nn.functional.softplus(-model(x)[0, 0]) + 0.009 * x.square().sum()).backward()
        optimizer.step()
    final = nn.functional.softplus(-model(x)[0, 0]) + 0.009 * x.square().sum()
    assert one.losses[1, 0] == pytest.approx(final.item(), rel=1e-3)


def test_a_class_that_likes_nothing_has_an_empty_map() -> None:
    found = class_maps(_linear(np.full((1, 4), -1.0, np.float32), 0.0), (1, 4), learning_rate=0.01)
    assert not found.maps[1].any()
    assert found.maps[0].max() == 1


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"restarts": 0}, {"penalty": -1.0}, {"learning_rate": 0.0}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="expected"):
        class_maps(nn.Linear(3, 1), (3,), **wrong)


def test_what_has_no_gradient_says_so() -> None:
    class Step(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x.flatten(1).sum(1, keepdim=True) > 1).float()

    with pytest.raises(InputError, match="Step has no gradient"):
        class_maps(Step(), (2, 3))
