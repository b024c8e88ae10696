from typing import ClassVar

import torch
from tests.models.tester import SequenceTester, dna
from torch import nn

from regulome import models

SMALL = {"filters": [16, 16, 16], "hidden": [16, 16]}


class TestBasset(SequenceTester):
    name = "basset"
    parameters = 4_135_064
    sizes: ClassVar = {"length": 600, "targets": 164}
    small: ClassVar = SMALL
    least = 168
    learns_with: ClassVar = {
        "filters": [32, 32],
        "kernels": [9, 5],
        "pools": [4, 4],
        "hidden": [16],
        "dropout": 0.2,
    }
    steps = 200


def test_equals_its_description() -> None:
    """Convolutions written as products of matrices, batch normalisation by its formula, in float64."""
    torch.manual_seed(0)
    network = models.create("basset", length=200, targets=3, **SMALL).double()
    network.train()
    network(dna(64, 200, seed=3).double())
    network.eval()
    modules = [m for m in network.modules() if isinstance(m, nn.Conv1d | nn.BatchNorm1d | nn.Linear)]
    x = dna(4, 200, seed=2).double()

    def normalised(x: torch.Tensor, norm: nn.Module) -> torch.Tensor:
        shape = (1, -1) + (1,) * (x.ndim - 2)
        mean, variance = norm.running_mean.view(shape), norm.running_var.view(shape)
        x = (x - mean) / (variance + 1e-5).sqrt() * norm.weight.view(shape) + norm.bias.view(shape)
        return x.clamp(min=0)

    for convolution, norm, pool in zip(modules[0:6:2], modules[1:6:2], (3, 4, 4), strict=True):
        windows = x.unfold(2, convolution.kernel_size[0], 1)
        x = torch.einsum("bctk,fck->bft", windows, convolution.weight) + convolution.bias[:, None]
        x = normalised(x, norm).unfold(2, pool, pool).amax(dim=3)
    x = x.reshape(4, -1)
    for linear, norm in zip(modules[6:10:2], modules[7:10:2], strict=True):
        x = normalised(x @ linear.weight.T + linear.bias, norm)
    torch.testing.assert_close(network(dna(4, 200, seed=2).double()), x @ modules[10].weight.T + modules[10].bias)
    assert len(modules) == 11


def test_published_sizes() -> None:
    with torch.device("meta"):
        network = models.create("basset", length=600, targets=164)
    assert network.head[1].in_features == 2000
