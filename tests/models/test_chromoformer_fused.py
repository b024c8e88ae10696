"""The compiled attentions against torch's own operations."""

from __future__ import annotations

import pytest
import torch

from regulome.models.chromoformer_attention import neighbourhood
from regulome.models.chromoformer_fused import Bins, attend, attend_plainly, look, look_plainly


@pytest.mark.parametrize("heads", [1, 3])
def test_bins(heads: int) -> None:
    torch.manual_seed(heads)
    count = torch.tensor([4, 1, 9, 3] * 6)
    slot = (9 - count) // 2
    bins = Bins(torch.rand(int(count.sum()), 5).double(), count.cumsum(0) - count, slot, count, torch.rand(9, 2), 0)
    unit, slots = torch.randn(24, heads, 5).double(), torch.randn(24, heads, 9).double()
    leaves = [unit, slots, bins.rows]
    for leaf in leaves:
        leaf.requires_grad_()
    factors = torch.randn(24, heads, 9).double(), torch.randn(24, heads, 5).double()
    found = []
    for function in (look, look_plainly):
        answer = function(unit, slots, bins)
        loss = sum((part * factor).sum() for part, factor in zip(answer, factors, strict=True))
        found.append([*answer, *torch.autograd.grad(loss, leaves)])
    torch.testing.assert_close(*found)
    torch.testing.assert_close(found[0][0].sum(2), torch.ones(24, heads).double())


@pytest.mark.parametrize("pcres", [(0,), (0, 0, 0), (7, 8, 9, 1, 0), (16, 2, 15), (33, 5)])
@pytest.mark.parametrize("channels", [4, 16, 20])
def test_regions(pcres: tuple[int, ...], channels: int) -> None:
    torch.manual_seed(channels)
    gene = torch.arange(len(pcres)).repeat_interleave(torch.tensor(pcres))
    frequency = torch.rand(len(gene)).double().requires_grad_()
    near = neighbourhood(gene, frequency, len(pcres))
    values = torch.randn(len(near.place), 4, 2, channels).double().requires_grad_()
    gamma = torch.randn(2).double().requires_grad_()
    factors = torch.randn(len(values), 2, channels).double(), torch.randn(len(pcres), 2, near.size, near.size).double()
    found = []
    for function in (attend, attend_plainly):
        answer = function(values, gamma, near)
        loss = sum((part * factor).sum() for part, factor in zip(answer, factors, strict=True))
        gradients = torch.autograd.grad(loss, [values, gamma, frequency])
        alone = torch.autograd.grad(function(values, gamma, near)[0].sum(), values)
        found.append([*answer, *gradients, *alone])
    torch.testing.assert_close(*found)


def test_large_scores_do_not_overflow() -> None:
    near = neighbourhood(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]), 1)
    values = torch.full((3, 4, 1, 4), 60.0)
    values[1:, 1] = -60
    out, weights = attend(values, torch.ones(1), near)
    assert out.isfinite().all()
    torch.testing.assert_close(weights[0, 0, 0], torch.tensor([1.0, 0.0, 0.0]))


def test_threads_change_nothing() -> None:
    torch.manual_seed(0)
    near = neighbourhood(torch.arange(60).repeat_interleave(3), torch.rand(180), 60)
    values, gamma = torch.randn(240, 4, 2, 16).requires_grad_(), torch.randn(2).requires_grad_()
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            answer = attend(values, gamma, near)
            found.append([*answer, *torch.autograd.grad(answer[0].sum(), [values, gamma])])
    finally:
        torch.set_num_threads(before)
    for one, two in zip(*found, strict=True):
        assert torch.equal(one, two)
