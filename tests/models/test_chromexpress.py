"""ChromExpress against plain numpy, and against what Keras documents of its layers."""

import math
import re
from typing import ClassVar

import numpy as np
import pytest
import torch
from tests.models.tester import ModelTester

from regulome import models
from regulome.errors import InputError


class TestChromExpress(ModelTester):
    name = "chromexpress"
    parameters = 2_619_126
    sizes: ClassVar = {"marks": 1, "bins": 60}
    other_sizes: ClassVar = [{"marks": 1, "bins": 16}, {"marks": 3, "bins": 37}, {"marks": 7, "bins": 400}]
    small: ClassVar = {"filters": [8, 8, 16], "hidden": [16, 8]}
    learning_rate = 0.003


def numpy_network(network: torch.nn.Module, x: np.ndarray, kernels: list[int], pools: list[int]) -> np.ndarray:
    """The network as loops over positions, padded as Keras says: (k − 1) // 2 on the left, the rest on the right."""
    state = {name: value.detach().double().numpy() for name, value in network.state_dict().items()}
    convolutions = [name for name in state if name.startswith("convolution") and name.endswith("weight")]
    for name, kernel, pool in zip(convolutions, kernels, pools, strict=True):
        weight, bias = state[name], state[name.replace("weight", "bias")]
        total = kernel - 1
        padded = np.pad(x, ((0, 0), (0, 0), (total // 2, total - total // 2)))
        positions = [np.einsum("bck,fck->bf", padded[:, :, i : i + kernel], weight) for i in range(x.shape[2])]
        out = np.maximum(np.stack(positions, axis=2) + bias[:, None], 0)
        kept = out.shape[2] // pool
        x = np.stack([out[:, :, i * pool : (i + 1) * pool].max(axis=2) for i in range(kept)], axis=2)
    x = x.reshape(len(x), -1)
    dense = [name for name in state if name.startswith("hidden") and name.endswith("weight")]
    for name in dense:
        x = np.maximum(x @ state[name].T + state[name.replace("weight", "bias")], 0)
    return x @ state["output.weight"].T + state["output.bias"]


@pytest.mark.parametrize(
    ("kernels", "pools", "bins"), [([8, 4, 4], [4, 2, 2], 60), ([5, 2, 1], [3, 2, 1], 23), ([4, 6], [1, 2], 9)]
)
def test_equals_plain_numpy(kernels: list[int], pools: list[int], bins: int) -> None:
    torch.manual_seed(1)
    filters = [6, 5, 4][: len(kernels)]
    settings = {"filters": filters, "kernels": kernels, "pools": pools, "hidden": [7, 3]}
    network = models.create("chromexpress", marks=2, bins=bins, **settings).double().eval()
    for parameter in network.parameters():
        # Biases start at 0, where a wrong one would not show.
        parameter.data = torch.randn_like(parameter) / 3
    x = torch.randn(4, 2, bins, dtype=torch.float64)
    np.testing.assert_allclose(
        network(x).detach().numpy(), numpy_network(network, x.numpy(), kernels, pools), rtol=1e-9, atol=1e-12
    )


def test_starts_as_keras_does() -> None:
    torch.manual_seed(0)
    network = models.create("chromexpress", marks=1, bins=60)
    layers = [m for m in network.modules() if isinstance(m, torch.nn.Conv1d | torch.nn.Linear)]
    fans = [(8, 8 * 175), (4 * 175, 4 * 350), (4 * 350, 4 * 700), (2100, 625), (625, 125), (125, 1)]
    for layer, (fan_in, fan_out) in zip(layers, fans, strict=True):
        bound = math.sqrt(6 / (fan_in + fan_out))
        assert bound * 0.9 < layer.weight.abs().max() <= bound
        assert abs(float(layer.weight.detach().std()) * math.sqrt(3) / bound - 1) < 0.15
        assert not layer.bias.any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"bins": 12}, "12 bins are too few for pools of 4, 2, 2: at least 16 are needed (take narrower bins"),
        ({"kernels": [8, 4]}, "expected as many `kernels` and `pools` as `filters`, but got 2 and 3 for 3"),
        ({"dropout": 1.0}, "expected `dropout` to be a number in [0, 1), but got 1.0"),
        ({"hidden": []}, "expected `hidden` to be a list of positive integers, but got []"),
    ],
)
def test_wrong_hyperparameters(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        models.create("chromexpress", **{"marks": 1, "bins": 60, **wrong})


def test_wide_bins_with_smaller_pools() -> None:
    for bins, pools in ((12, [2, 2, 2]), (3, [1, 1, 2])):
        network = models.create("chromexpress", marks=1, bins=bins, pools=pools, filters=[3, 3, 3])
        assert network(torch.zeros(2, 1, bins)).shape == (2, 1)
