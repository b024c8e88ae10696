from typing import ClassVar

import torch
from tests.models.tester import SequenceTester, dna
from torch import Tensor, nn

from regulome import models
from regulome.models.deep_motif_dashboard import PairedOutputs


class TestDemoCNN(SequenceTester):
    name = "demo-cnn"
    parameters = 136_322
    sizes: ClassVar = {"length": 101, "targets": 1}
    small: ClassVar = {"filters": [16, 16, 16]}
    least = 28
    learning_rate = 0.005
    learns_with: ClassVar = {"filters": [32, 32, 32], "dropout": 0.1}


class TestDemoRNN(SequenceTester):
    name = "demo-rnn"
    parameters = 9_858
    sizes: ClassVar = {"length": 101, "targets": 1}
    learns_at = 16
    learning_rate = 0.02
    steps = 300
    learns_with: ClassVar = {"dropout": 0.0}


class TestDemoCNNRNN(SequenceTester):
    name = "demo-cnn-rnn"
    parameters = 46_338
    sizes: ClassVar = {"length": 101, "targets": 1}
    small: ClassVar = {"filters": 32, "hidden": 16}
    steps = 100
    learns_with: ClassVar = {"dropout": 0.1}


def read(x: Tensor, inputs: Tensor, recurrent: Tensor, bias: Tensor) -> Tensor:
    """An LSTM by its equations; states [batch, step, hidden]."""
    h = c = x.new_zeros(len(x), recurrent.shape[1])
    states = []
    for t in range(x.shape[1]):
        i, f, g, o = (x[:, t] @ inputs.T + h @ recurrent.T + bias).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        states.append(h)
    return torch.stack(states, dim=1)


def test_equals_its_description() -> None:
    torch.manual_seed(0)
    network = models.create("demo-cnn-rnn", length=20, targets=2, filters=6, hidden=5).double().eval()
    x = dna(3, 20, seed=2).double()
    found = nn.functional.conv1d(x, *network.convolutions[0].parameters(), padding=4).clamp(min=0).transpose(1, 2)
    p = dict(network.lstm.named_parameters())
    forwards, backwards = (
        read(y, p[f"weight_ih_l0{d}"], p[f"weight_hh_l0{d}"], p[f"bias_ih_l0{d}"] + p[f"bias_hh_l0{d}"])
        for y, d in ((found, ""), (found.flip(1), "_reverse"))
    )
    torch.testing.assert_close(network.states(x), torch.cat((forwards, backwards.flip(1)), dim=2))
    z = torch.cat((forwards.mean(1), backwards.mean(1)), dim=1) @ network.output.linear.weight.T
    z += network.output.linear.bias
    torch.testing.assert_close(network(x), torch.stack((z[:, 1] - z[:, 0], z[:, 3] - z[:, 2]), dim=1))


def test_cnn_equals_its_description() -> None:
    torch.manual_seed(0)
    network = models.create("demo-cnn", length=40, targets=1, filters=[6, 5, 4]).double().eval()
    p = list(network.parameters())
    y = dna(3, 40, seed=2).double()
    for layer in range(3):
        y = nn.functional.conv1d(y, p[2 * layer], p[2 * layer + 1]).clamp(min=0)
        y = nn.functional.max_pool1d(y, 2) if layer < 2 else y
    z = y.amax(dim=2) @ p[6].T + p[7]
    torch.testing.assert_close(network(dna(3, 40, seed=2).double()), z[:, 1:] - z[:, :1])


def test_logit_is_the_published_log_probability() -> None:
    torch.manual_seed(0)
    output, x, y = PairedOutputs(5, 1), torch.randn(7, 5), torch.tensor([0, 1, 1, 0, 1, 0, 0])
    published = nn.functional.nll_loss(torch.log_softmax(output.linear(x), dim=1), y)
    ours = nn.functional.binary_cross_entropy_with_logits(output(x)[:, 0], y.float())
    torch.testing.assert_close(ours, published)


def test_starts_as_published() -> None:
    torch.manual_seed(0)
    lstm = models.create("demo-cnn-rnn", length=101, targets=1).lstm
    assert abs(float(lstm.weight_ih_l0.detach().std()) - 160**-0.5) < 0.003
    bias = lstm.bias_ih_l0 + lstm.bias_hh_l0
    assert bias.tolist() == [0.0] * 32 + [1.0] * 32 + [0.0] * 64
