from typing import ClassVar

import pytest
import torch
from tests.models.tester import SequenceTester, dna

from regulome import models
from regulome.errors import InputError


class TestClockworkRNN(SequenceTester):
    name = "clockwork-rnn"
    parameters = 128 * (4 + 1) + 36 * 16**2 + 129 * 919
    small: ClassVar[dict[str, object]] = {"hidden": 32, "periods": [1, 2, 4, 8]}
    learns_at = 14
    steps = 300


class TestClockworkRNNOfTwoLayersInBothDirections(SequenceTester):
    name = "clockwork-rnn"
    parameters = 128 * (4 + 1) + 36 * 16**2 + 129 * 919
    small: ClassVar[dict[str, object]] = {
        "hidden": 32,
        "periods": [1, 2, 4, 8],
        "layers": 2,
        "bidirectional": True,
        "dropout": 0.1,
    }
    learns_at = 12
    learning_rate = 0.003
    steps = 300


def test_about_half_the_parameters_of_a_simple_rnn() -> None:
    ours = sum(p.numel() for p in models.create("clockwork-rnn", length=1000, targets=1).layers.parameters())
    assert ours == 9_856
    simple = torch.nn.RNN(4, 128)
    assert 0.5 < ours / (sum(p.numel() for p in simple.parameters()) - 128) < 0.6


def test_last_states_answer() -> None:
    torch.manual_seed(0)
    network = models.create(
        "clockwork-rnn", length=20, targets=3, hidden=8, periods=[1, 3], layers=2, bidirectional=True
    ).eval()
    states = dna(2, 20, seed=1).permute(2, 0, 1)
    for rightwards, leftwards in network.layers:
        states = torch.cat((rightwards(states)[0], leftwards(states.flip(0).flip(0))[0]), dim=2)
    last = torch.cat((states[-1, :, :8], states[0, :, 8:]), dim=1)
    torch.testing.assert_close(network(dna(2, 20, seed=1)), network.answer(last))


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"hidden": 100}, "8 modules can share equally"),
        ({"periods": [1, 4, 2]}, "`periods` to rise"),
        ({"periods": []}, "`periods` to be a list of positive integers"),
        ({"direction": "up"}, "`direction` to be one of slow-to-fast, fast-to-slow"),
        ({"summary": "sum"}, "`summary` to be one of last, mean"),
    ],
)
def test_values_out_of_range(wrong: dict[str, object], match: str) -> None:
    with pytest.raises(InputError, match=match):
        models.create("clockwork-rnn", length=20, targets=1, **wrong)
