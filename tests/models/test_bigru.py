from typing import ClassVar

import pytest
import torch
from tests.models.tester import SequenceTester, dna

from regulome import models


class TestBiGRU(SequenceTester):
    name = "bigru"
    parameters = 397_832 + 257 * 919
    small: ClassVar[dict[str, object]] = {"hidden": 16}
    learns_at = 16
    steps = 100


def test_parameters_per_target() -> None:
    counts = {
        targets: sum(p.numel() for p in models.create("bigru", length=100, targets=targets).parameters())
        for targets in (1, 2, 919)
    }
    assert counts == {targets: 397_832 + 257 * targets for targets in counts}


@pytest.mark.parametrize(("centre", "first", "last"), [(10, 45, 55), (11, 44, 55), (100, 0, 100), (500, 0, 100)])
def test_reads_the_centre_only(centre: int, first: int, last: int) -> None:
    torch.manual_seed(0)
    network = models.create("bigru", length=100, targets=1, hidden=4, centre=centre).eval()
    x = dna(2, 100, seed=1).requires_grad_()
    network(x).sum().backward()
    assert x.grad is not None
    read = x.grad.abs().sum(dim=(0, 1)).nonzero()[:, 0]
    assert (int(read[0]), int(read[-1]) + 1) == (first, last)


def test_last_states_of_both_directions_answer() -> None:
    torch.manual_seed(0)
    network = models.create("bigru", length=20, targets=3, hidden=4, embedding=0, layers=1).eval()
    x = dna(2, 20, seed=1)
    states, _ = network.gru(x.transpose(1, 2))
    last = torch.cat((states[:, -1, :4], states[:, 0, 4:]), dim=1)
    torch.testing.assert_close(network(x), network.answer(last))


def test_one_hot_letters_need_no_embedding() -> None:
    network = models.create("bigru", length=20, targets=3, embedding=0)
    assert network.gru.input_size == 4
    assert not any(name.startswith("embedding") for name, _ in network.named_parameters())
