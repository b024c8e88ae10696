from typing import ClassVar

import pytest
import torch
from tests.models.tester import SequenceTester, dna
from torch import nn

from regulome import models
from regulome.errors import InputError

SMALL = {"filters": [16, 16, 24], "hidden": 16}


class TestDeepSEA(SequenceTester):
    name = "deepsea"
    parameters = 52_843_119
    small: ClassVar = SMALL
    least = 163
    learns_with: ClassVar = {"filters": [32, 32, 32], "kernels": [8, 4, 3], "pool": 3, "dropout": [0.0, 0.0, 0.3]}


def test_equals_its_description() -> None:
    """The published network, in functions of torch and two dimensions as Torch7 has it, in float64."""
    torch.manual_seed(0)
    network = models.create("deepsea", length=200, targets=3, **SMALL).double().eval()
    p = list(network.parameters())
    x = dna(4, 200, seed=2).double()[:, :, None]
    for layer in range(3):
        x = nn.functional.conv2d(x, p[2 * layer][:, :, None], p[2 * layer + 1])
        x = torch.where(x > 0, x, 1e-6)
        x = nn.functional.max_pool2d(x, (1, 4)) if layer < 2 else x
    hidden = x.reshape(4, -1) @ p[6].T + p[7]
    hidden = torch.where(hidden > 0, hidden, 1e-6)
    torch.testing.assert_close(network(dna(4, 200, seed=2).double()), hidden @ p[8].T + p[9])


def test_the_other_hidden_width() -> None:
    with torch.device("meta"):
        network = models.create("deepsea", length=1000, targets=919, hidden=919)
    convolutions = 10_560 + 1_229_280 + 3_687_360
    assert sum(p.numel() for p in network.parameters()) == convolutions + 50_881 * 919 + 920 * 919


@pytest.mark.parametrize(
    ("hyperparameters", "message"),
    [
        ({"kernels": [8, 8]}, r"expected `kernels` to have as many numbers as `filters` \(3\), but got \[8, 8\]"),
        ({"dropout": [0.2, 0.5]}, r"expected `dropout` to be a list of 3 numbers, but got \[0.2, 0.5\]"),
        ({"dropout": [0.2, 0.2, 1]}, r"expected `dropout` to be a number in \[0, 1\), but got 1"),
        ({"length": 100}, "windows of 100 bases are too short for kernels of 8 and 8 and 8 .* at least 163 are needed"),
        ({"targets": 0}, "expected `targets` to be an integer of at least 1, but got 0"),
    ],
)
def test_values_that_cannot_be(hyperparameters: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        models.create("deepsea", **{"length": 1000, "targets": 2, **hyperparameters})
