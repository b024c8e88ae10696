from typing import ClassVar

import pytest
import torch
from tests.models.test_deep_motif_dashboard import read
from tests.models.tester import SequenceTester, dna
from torch import nn

from regulome import models
from regulome.errors import InputError

SMALL = {"filters": 12, "units": 8, "hidden": 16}


class TestDanQ(SequenceTester):
    name = "danq"
    parameters = 46_926_479
    small: ClassVar = SMALL
    least = 38
    learns_with: ClassVar = {"filters": 24, "kernel": 10, "pool": 6, "dropout": [0.0, 0.2]}


class TestDanQJaspar(SequenceTester):
    name = "danq-jaspar"
    parameters = 67_892_175
    small: ClassVar = SMALL
    least = 44
    learns_with: ClassVar = {"filters": 24, "kernel": 10, "pool": 6, "dropout": [0.0, 0.2]}


@pytest.mark.parametrize("units", [5, 130])
def test_equals_its_description(units: int) -> None:
    """By its equations in float64; the wider LSTM is torch's own, the narrower the compiled one."""
    torch.manual_seed(0)
    network = models.create("danq", length=90, targets=3, filters=6, units=units, hidden=7).double().eval()
    x = dna(4, 90, seed=2).double()
    convolution = network.convolutions[0]
    y = nn.functional.conv1d(x, convolution.weight, convolution.bias).clamp(min=0)
    y = nn.functional.max_pool1d(y, 13).transpose(1, 2)
    p = dict(network.lstm.named_parameters())
    forwards, backwards = (
        read(z, p[f"weight_ih_l0{d}"], p[f"weight_hh_l0{d}"], p[f"bias_hh_l0{d}"])
        for z, d in ((y, ""), (y.flip(1), "_reverse"))
    )
    flat = torch.cat((forwards, backwards.flip(1)), dim=2).reshape(4, -1)
    first, last = network.head[2], network.head[4]
    expected = (flat @ first.weight.T + first.bias).clamp(min=0) @ last.weight.T + last.bias
    torch.testing.assert_close(network(x), expected)


class TestStartFrom:
    def network(self, **hyperparameters: int) -> nn.Module:
        torch.manual_seed(0)
        return models.create("danq-jaspar", length=100, targets=1, **{**SMALL, **hyperparameters})

    def test_first_filters_are_motifs(self) -> None:
        network, untouched = self.network(), self.network()
        motifs = [torch.rand(w, 4).softmax(dim=1) for w in (7, 24, 25, 30)]
        torch.manual_seed(1)
        assert network.start_from(motifs) == 4
        weight = network.convolutions[0].weight
        starts = []
        for filter_, motif in zip(weight, motifs, strict=False):
            windows = filter_.unfold(1, len(motif), 1).permute(1, 2, 0)
            (start,) = torch.flatten(((windows - motif + 0.25).abs() < 1e-6).all(dim=2).all(dim=1).nonzero()).tolist()
            starts.append(start)
        assert 3 <= starts[0] <= 20
        assert starts[1] == 3
        assert starts[3] == 0
        assert torch.equal(weight[4:], untouched.convolutions[0].weight[4:])
        bias = network.convolutions[0].bias
        assert ((bias[:4] <= 0) & (bias[:4] >= -1)).all()
        assert (bias[4:] == 0).all()

    def test_wide_motif_is_cut(self) -> None:
        network = self.network(kernel=6)
        motif = torch.full((20, 4), 0.25)
        motif[8:14] = torch.eye(4)[[0, 1, 2, 3, 0, 1]]
        network.start_from([motif])
        torch.testing.assert_close(network.convolutions[0].weight[0], motif[8:14].T - 0.25)

    def test_too_many(self) -> None:
        with pytest.raises(InputError, match="13 motifs are too many for 12 filters"):
            self.network().start_from([torch.eye(4)] * 13)

    def test_file_is_not_needed_to_make_it(self) -> None:
        assert self.network(motifs="/nowhere/motifs.meme").motifs == "/nowhere/motifs.meme"
