"""Also against plain loops over torch's cells, and the Clockwork layers' definition, with the same weights."""

from typing import Any, ClassVar

import pytest
import torch
from tests.models.language_tester import LanguageTester, close, text
from tests.models.test_clockwork_layer import by_definition
from torch import Tensor, nn

from regulome import models
from regulome.errors import InputError

ANSWER = 4 * 129


class TestCharRNN(LanguageTester):
    name = "char-rnn"
    parameters = 4 * 32 + 128 * (32 + 128 + 2) + 128 * (128 + 128 + 2) + ANSWER


class TestCharLSTM(LanguageTester):
    name = "char-lstm"
    parameters = 4 * 32 + 512 * (32 + 128 + 2) + 512 * (128 + 128 + 2) + ANSWER


class TestCharGRU(LanguageTester):
    name = "char-gru"
    parameters = 4 * 32 + 384 * (32 + 128 + 2) + 384 * (128 + 128 + 2) + ANSWER


class TestCharClockwork(LanguageTester):
    name = "char-clockwork"
    # Ten of the sixteen blocks of 32 × 32 recurrent weights.
    parameters = 4 * 32 + 128 * (32 + 1) + 128 * (128 + 1) + 2 * 10 * 32**2 + ANSWER
    small: ClassVar[dict[str, Any]] = {"hidden": 16, "embedding": 5, "periods": [1, 2, 4, 8]}


@pytest.mark.parametrize(("mapping", "inputs", "learned"), [("embedding", 7, 28), ("one-hot", 4, 0), ("integer", 1, 0)])
def test_parameters_of_each_mapping(mapping: str, inputs: int, learned: int) -> None:
    network = models.create("char-gru", hidden=10, layers=3, mapping=mapping, embedding=7)
    expected = learned + 30 * (inputs + 10 + 2) + 2 * 30 * (10 + 10 + 2) + 4 * 11
    assert sum(p.numel() for p in network.parameters()) == expected


def table(network: nn.Module, mapping: str) -> Tensor:
    if mapping == "integer":
        return torch.tensor([[0.0], [1.0], [2.0], [3.0], [-1.0]])
    rows = torch.eye(4) if mapping == "one-hot" else network.letters.weight
    return torch.cat((rows, torch.zeros(1, rows.shape[1])))


@pytest.mark.parametrize("mapping", ["embedding", "one-hot", "integer"])
@pytest.mark.parametrize(
    ("name", "cell"), [("char-rnn", nn.RNNCell), ("char-lstm", nn.LSTMCell), ("char-gru", nn.GRUCell)]
)
def test_equals_a_loop_over_cells(name: str, cell: type[nn.RNNCellBase], mapping: str) -> None:
    torch.manual_seed(0)
    network = models.create(name, layers=3, hidden=12, mapping=mapping, embedding=6)
    codes = text(4, 25)
    codes[:2, :3] = 4
    wanted = list(network.parameters())
    ours, state = network(codes)
    x, last = table(network, mapping)[codes.long()], []
    for layer in range(3):
        loop = cell(x.shape[2], 12)
        weights = {kind: getattr(network.recurrent, f"{kind}_l{layer}") for kind, _ in loop.named_parameters()}
        h = c = torch.zeros(4, 12)
        outputs = []
        for t in range(25):
            before = (h, c) if name == "char-lstm" else h
            after = torch.func.functional_call(loop, weights, (x[:, t], before))
            h, c = after if name == "char-lstm" else (after, c)
            outputs.append(h)
        x = torch.stack(outputs, dim=1)
        last.append((h, c)[: len(state)])
    theirs = x @ network.answer.weight.T + network.answer.bias
    close(ours, theirs)
    for part, expected in zip(state, zip(*last, strict=True), strict=True):
        close(part, torch.stack(expected, dim=1))
    weigh = torch.linspace(-1, 1, ours.numel()).reshape(ours.shape)
    gradients = [torch.autograd.grad((logits * weigh).sum(), wanted) for logits in (ours, theirs)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_clockwork_equals_its_definition() -> None:
    torch.manual_seed(0)
    network = models.create("char-clockwork", layers=2, hidden=12, periods=[1, 3, 4], mapping="one-hot")
    codes = text(3, 40)
    x = torch.eye(4)[codes.long()].transpose(0, 1)
    for layer in network.recurrent:
        x = by_definition(layer, x, torch.zeros(3, 12))
    ours, state = network(codes)
    close(ours, (x @ network.answer.weight.T + network.answer.bias).transpose(0, 1))
    assert state[1].tolist() == [40 % 12] * 3


def test_periods_of_the_clockwork() -> None:
    with pytest.raises(InputError, match="4 modules can share equally"):
        models.create("char-clockwork", hidden=30)
    with pytest.raises(InputError, match="`periods` to rise"):
        models.create("char-clockwork", periods=[2, 1])
