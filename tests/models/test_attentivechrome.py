from typing import ClassVar

import torch
from tests.models.tester import ModelTester
from torch import nn

from regulome import models

FUSED = frozenset({"sigmoid", "sigmoid_", "softmax"})


class TestAttentiveChrome(ModelTester):
    name = "attentivechrome"
    parameters = 55_681
    attention: ClassVar = {"bins": (4, 5, 100), "marks": (4, 5)}
    fused = FUSED


def test_equals_its_description() -> None:
    """The network, written with nn.LSTM and softmax as the paper describes it, in float64."""
    torch.manual_seed(0)
    network = models.create("attentivechrome", marks=3, bins=11, hidden=6).double()
    x = torch.randn(4, 3, 11, dtype=torch.float64)

    def attend(states: torch.Tensor, encoder: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
        weights = torch.softmax(states @ encoder.bin_attention.bin_context_vector, dim=1)
        return (weights * states).sum(dim=1), weights[:, :, 0]

    pairs = [attend(encoder.rnn(x[:, m, :, None])[0], encoder) for m, encoder in enumerate(network.rnn_hms)]
    gene, beta = attend(network.hm_level_rnn_1.rnn(torch.stack([v for v, _ in pairs], 1))[0], network.hm_level_rnn_1)
    torch.testing.assert_close(network(x), network.fdiff1_1(gene))
    maps = network.attention(x)
    torch.testing.assert_close(maps["bins"], torch.stack([weights for _, weights in pairs], 1))
    torch.testing.assert_close(maps["marks"], beta)


def test_starts_within_a_tenth() -> None:
    torch.manual_seed(0)
    network = models.create("attentivechrome", marks=5, bins=100)
    parameters = torch.cat([p.detach().flatten() for p in network.parameters()])
    assert parameters.abs().max() <= 0.1
    assert abs(float(parameters.std()) - 0.2 / 12**0.5) < 0.001


def test_layers_and_dropout_between_them() -> None:
    torch.manual_seed(0)
    network = models.create("attentivechrome", marks=2, bins=9, hidden=4, layers=2).double()
    x = torch.randn(3, 2, 9, dtype=torch.float64)
    assert not torch.equal(network(x), network(x))
    network.eval()
    encoder = network.rnn_hms[0]
    states = encoder.rnn(x[:, 0, :, None])[0]
    expected = torch.softmax(states @ encoder.bin_attention.bin_context_vector, dim=1)[:, :, 0]
    torch.testing.assert_close(network.attention(x)["bins"][:, 0], expected)
