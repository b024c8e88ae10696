from typing import ClassVar

import torch
from tests.models.tester import SequenceTester, dna

from regulome import models


class TestGRU(SequenceTester):
    name = "gru"
    parameters = 384 * (4 + 128 + 2) + 384 * (128 + 128 + 2) + 129 * 919
    small: ClassVar[dict[str, object]] = {"hidden": 24}
    learns_at = 16
    steps = 100


def test_last_state_answers() -> None:
    torch.manual_seed(0)
    network = models.create("gru", length=20, targets=3, hidden=4).eval()
    x = dna(2, 20, seed=1)
    states, _ = network.gru(x.transpose(1, 2))
    torch.testing.assert_close(network(x), network.answer(states[:, -1]))
