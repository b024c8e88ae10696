from collections.abc import Sequence
from typing import ClassVar

import pytest
import torch
from tests.models.tester import SequenceTester, dna
from torch import Tensor

from regulome import models
from regulome.errors import InputError


class TestDeepBind(SequenceTester):
    name = "deepbind"
    parameters = 16 * 4 * 24 + 16 + 16 + 1
    sizes: ClassVar[dict[str, int]] = {"length": 101, "targets": 1}
    other_sizes: ClassVar[list[dict[str, int]]] = [{"length": 40, "targets": 3}, {"length": 7, "targets": 1}]


class TestDeepBindWithHiddenLayerAndMean(SequenceTester):
    name = "deepbind"
    parameters = 16 * 4 * 24 + 16 + 16 + 1
    sizes: ClassVar[dict[str, int]] = {"length": 101, "targets": 1}
    other_sizes: ClassVar[list[dict[str, int]]] = [{"length": 40, "targets": 3}]
    small: ClassVar[dict[str, object]] = {"pooling": "max-and-mean", "hidden": 32, "dropout": 0.5}


def by_definition(network: torch.nn.Module, x: Tensor) -> Tensor:
    """Each strand by itself: every place at which a detector touches the sequence, one after the other."""
    answers = []
    for strand in (x, x.flip(1, 2)):
        rows: Sequence[Tensor] = []
        weight, thresholds = network.detectors.weight, network.detectors.thresholds
        reach = weight.shape[2] - 1
        beyond = torch.full((len(x), 4, reach), 0.25)
        padded = torch.cat((beyond, strand, beyond), dim=2)
        places = range(x.shape[2] + reach)
        rows = [torch.einsum("bcm,kcm->bk", padded[:, :, p : p + reach + 1], weight) + thresholds for p in places]
        scores = torch.stack(rows).clamp(min=0)
        features = scores.amax(dim=0)
        if network.mean is not None:
            features = torch.cat((features, scores.mean(dim=0)), dim=1)
        if network.hidden is not None:
            features = network.hidden(features).clamp(min=0)
        answers.append(network.answer(features))
    return torch.maximum(*answers)


@pytest.mark.parametrize("pooling", ["max", "max-and-mean"])
@pytest.mark.parametrize("hidden", [0, 8])
def test_equals_its_definition(pooling: str, hidden: int) -> None:
    torch.manual_seed(0)
    network = models.create(
        "deepbind", length=30, targets=2, detectors=5, detector_length=7, pooling=pooling, hidden=hidden
    ).eval()
    torch.nn.init.normal_(network.detectors.thresholds, std=0.3)
    x = dna(6, 30, seed=2)
    torch.testing.assert_close(network(x), by_definition(network, x))


def test_strands_answer_alike() -> None:
    network = models.create("deepbind", length=50, targets=3).eval()
    x = dna(4, 50, seed=3)
    torch.testing.assert_close(network(x.flip(1, 2)), network(x))
    single = models.create("deepbind", length=50, targets=3, both_strands=False).eval()
    single.load_state_dict(network.state_dict())
    torch.testing.assert_close(torch.maximum(single(x), single(x.flip(1, 2))), network(x))


def test_first_weights_have_the_given_deviation() -> None:
    torch.manual_seed(0)
    network = models.create("deepbind", length=9, targets=500, detectors=64, detector_std=0.02, weight_std=0.3)
    assert network.detectors.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert network.answer.weight.std().item() == pytest.approx(0.3, rel=0.05)
    assert not network.answer.bias.any()


def test_other_length_is_refused() -> None:
    with pytest.raises(InputError, match="windows of 30 bases, but got 31"):
        models.create("deepbind", length=30, targets=1)(dna(1, 31, seed=0))
    with pytest.raises(InputError, match="`pooling` to be one of max, max-and-mean"):
        models.create("deepbind", length=30, targets=1, pooling="mean")
