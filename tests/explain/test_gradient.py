import numpy as np
import pytest
import torch
from torch import nn

from regulome.errors import InputError
from regulome.explain import Average, gradients, stream_gradients
from regulome.models import create
from regulome.models.preprocess import Predictor, Preprocess


def test_of_a_linear_model_it_is_the_weights() -> None:
    linear = nn.Linear(12, 1)
    model = nn.Sequential(nn.Flatten(), linear)
    x = torch.randn(5, 3, 4)
    found = gradients(model, [x[:2], x[2:]])
    weights = linear.weight.detach().numpy().reshape(1, 3, 4)
    np.testing.assert_allclose(found.gradient, np.broadcast_to(weights, (5, 3, 4)))
    # Completeness on a linear model: gradient × input and the bias add up to the output.
    total = found.gradient_x_input.sum(axis=(1, 2)) + linear.bias.item()
    np.testing.assert_allclose(total, model(x)[:, 0].detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["deepchrome", "deepchrome-mlp", "attentivechrome"])
def test_it_is_the_finite_difference(name: str) -> None:
    torch.manual_seed(0)
    preprocess = Preprocess(2, "log1p", "standard").fit([torch.rand(8, 2, 30) * 9])
    model = Predictor(preprocess, create(name, marks=2, bins=30)).double().eval()
    x = torch.rand(2, 2, 30, dtype=torch.float64) * 9
    found = gradients(model, [x])
    step = 1e-6
    random = np.random.default_rng(0)
    for mark, position in zip(random.integers(0, 2, 6), random.integers(0, 30, 6), strict=True):
        moved = torch.zeros_like(x)
        moved[:, mark, position] = step
        with torch.no_grad():
            slope = (model(x + moved) - model(x - moved))[:, 0] / (2 * step)
        np.testing.assert_allclose(found.gradient[:, mark, position], slope.numpy(), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found.gradient_x_input, found.gradient * x.numpy(), rtol=1e-5, atol=1e-9)


def test_a_row_does_not_depend_on_its_batch() -> None:
    model = create("deepchrome", marks=2, bins=30)
    x = torch.rand(7, 2, 30)
    whole, parts = gradients(model, [x]), list(stream_gradients(model, x.split(3)))
    assert [len(part.gradient) for part in parts] == [3, 3, 1]
    np.testing.assert_allclose(np.concatenate([p.gradient for p in parts]), whole.gradient, rtol=1e-5, atol=1e-7)


def test_of_an_ensemble_it_is_the_mean() -> None:
    members = [create("deepchrome-mlp", marks=2, bins=9) for _ in range(3)]
    x = torch.rand(4, 2, 9)
    mean = np.mean([gradients(member, [x]).gradient for member in members], axis=0)
    np.testing.assert_allclose(gradients(Average(members), [x]).gradient, mean, rtol=1e-5, atol=1e-7)


def test_what_has_no_gradient_says_so() -> None:
    class Step(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x.flatten(1).sum(1, keepdim=True) > 1).float()

    with pytest.raises(InputError, match="Step has no gradient"):
        gradients(Step(), [torch.rand(2, 3, 4)])
    with pytest.raises(InputError, match="expected an output between 0 and 0, but got 1"):
        gradients(nn.Linear(3, 1), [torch.rand(2, 3)], output=1)
    with pytest.raises(InputError, match="no examples"):
        gradients(nn.Linear(3, 1), [])
