"""Chromoformer's two attentions as operations with derivatives: compiled on a CPU, plain torch elsewhere.

Numbers do not depend on the number of threads. There are no second derivatives.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from regulome.models.recurrent import share_out


class Bins(NamedTuple):
    """Bins of regions at one resolution, and the slots on which any of them lies.

    Attributes:
        rows: Features [row, marks], region after region.
        begin: int64 [region], row of a region's first bin.
        slot: int64 [region], slot of a region's first bin, counted from the first of ``codes``.
        count: int64 [region], number of a region's bins.
        codes: Codes of the slots, [slot, width].
        low: Which slot of the window the first of ``codes`` is.
    """

    rows: Tensor
    begin: Tensor
    slot: Tensor
    count: Tensor  # type: ignore[assignment]
    codes: Tensor
    low: int


class Neighbourhood(NamedTuple):
    """Which tokens stand together: B promoters, then P pCREs.

    Attributes:
        begin: int64 [B + 1]: a gene's pCREs are those from its number to the next one's.
        frequency: [P], interaction frequencies.
        place: int64 [B + P]: place of a token in a table [B · T] of one row for each gene; T is 1 + the largest
            number of pCREs, and the promoter comes first.
        size: T.
    """

    begin: Tensor
    frequency: Tensor
    place: Tensor
    size: int

    def table(self, x: Tensor) -> Tensor:
        """Lay tokens [B + P, n] out as [B, T, n], with zeros where there is none."""
        genes = len(self.begin) - 1
        rows = x.new_zeros(genes * self.size, x.shape[1])
        return rows.index_copy(0, self.place, x).view(genes, self.size, x.shape[1])

    def absent(self) -> Tensor:
        """Where a table has no token, bool [B, T]."""
        return torch.arange(self.size, device=self.begin.device) > self.begin.diff()[:, None]

    def frequencies(self) -> Tensor:
        """Interaction frequencies as a table [B, T]; 0 for the promoter itself and where there is no token."""
        genes = len(self.begin) - 1
        cells = self.frequency.new_zeros(genes * self.size)
        return cells.index_copy(0, self.place[genes:], self.frequency).view(genes, self.size)


def look(unit: Tensor, slots: Tensor, bins: Bins) -> tuple[Tensor, Tensor]:
    """Weigh the bins of each region: softmax over its bins of unit · features + slots.

    Args:
        unit: What a unit of each mark adds to the score, [region, head, marks].
        slots: What each slot adds, [region, head, slot].
        bins: The regions' bins.

    Returns:
        Weights [region, head, slot], 0 where a region has no bin, and weighted means of the features,
        [region, head, marks].
    """
    if unit.device.type == "cpu":
        weights, marks = _Look.apply(unit, slots, *bins[:4])  # type: ignore[no-untyped-call]
        return weights, marks
    return look_plainly(unit, slots, bins)


def look_plainly(unit: Tensor, slots: Tensor, bins: Bins) -> tuple[Tensor, Tensor]:
    """Do what :func:`look` does in torch's own operations."""
    slot = torch.arange(slots.shape[2], device=slots.device) - bins.slot[:, None]
    features = bins.rows[(bins.begin[:, None] + slot).clamp_(0, len(bins.rows) - 1)]
    absent = (slot < 0) | (slot >= bins.count[:, None])
    scores = torch.baddbmm(slots, unit, features.transpose(1, 2))
    weights = torch.softmax(scores.masked_fill(absent[:, None], -math.inf), 2)
    return weights, torch.bmm(weights, features)


def attend(values: Tensor, gamma: Tensor, near: Neighbourhood) -> tuple[Tensor, Tensor]:
    """Let the tokens of each gene see each other: softmax of q·k / √channel + gamma · frequency, times sigmoid(gate).

    Args:
        values: Query, key, value and gate [token, 4, head, channel]; promoters before pCREs.
        gamma: Weight of the interaction frequency, [head]; it counts in the promoter's scores.
        near: Which tokens are whose.

    Returns:
        Gated sums [token, head, channel] and weights [gene, head, T, T], 0 where there is no token.
    """
    if values.device.type == "cpu":
        out, weights = _Attend.apply(values, gamma, near.frequency, near.begin, near.size)  # type: ignore[no-untyped-call]
        return out, weights
    return attend_plainly(values, gamma, near)


def attend_plainly(values: Tensor, gamma: Tensor, near: Neighbourhood) -> tuple[Tensor, Tensor]:
    """Do what :func:`attend` does in torch's own operations."""
    genes = len(near.begin) - 1
    table = near.table(values[:, :3].flatten(1)).view(genes, near.size, 3, *values.shape[2:])
    q, k, v = table.permute(2, 0, 3, 1, 4)
    scores = q * values.shape[3] ** -0.5 @ k.transpose(2, 3)
    scores = torch.cat(
        (scores[:, :, :1] + gamma[:, None, None] * near.frequencies()[:, None, None], scores[:, :, 1:]), 2
    )
    absent = near.absent()
    weights = torch.softmax(scores.masked_fill(absent[:, None, None], -math.inf), 3)
    seen = (weights @ v).transpose(1, 2).flatten(0, 1).index_select(0, near.place)
    return seen * torch.sigmoid(values[:, 3]), weights * ~absent[:, None, :, None]


# Regions, and genes, in a task: enough for a call to be cheap beside its work.
_REGIONS, _GENES = 16, 4


def _run(kernel: str, size: int, examples: int, *tensors: Tensor) -> None:
    """Run a kernel's tasks, ``size`` examples each."""
    # Compilers are slow to import, and only this needs them.
    from regulome.models import chromoformer_bin_kernel, chromoformer_region_kernel

    arrays = [tensor.detach().numpy() for tensor in tensors]
    work: Callable[..., None] = getattr(
        chromoformer_bin_kernel if "look" in kernel else chromoformer_region_kernel, kernel
    )
    share_out(lambda task: work(task, size, *arrays), -(-examples // size), 20 * examples)


class _Look(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(
        ctx: Any, unit: Tensor, slots: Tensor, rows: Tensor, begin: Tensor, slot: Tensor, count: Tensor
    ) -> tuple[Tensor, Tensor]:
        unit, rows = unit.contiguous(), rows.contiguous()
        weights, marks = slots.clone(memory_format=torch.contiguous_format), torch.empty_like(unit)
        _run("look", _REGIONS, len(unit), rows, begin, slot, count, unit, weights, marks)
        ctx.save_for_backward(rows, begin, slot, count, unit, weights)
        return weights, marks

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        rows, begin, slot, count, unit, weights = ctx.saved_tensors
        dscores, dmarks = grads[0].clone(memory_format=torch.contiguous_format), grads[1].contiguous()
        dunit = torch.empty_like(unit)
        drows = torch.zeros_like(rows) if ctx.needs_input_grad[2] else rows.new_empty(0, rows.shape[1])
        _run(
            "look_back",
            *(_REGIONS, len(unit)),
            *(rows, begin, slot, count, unit, weights, dmarks, dscores, dunit, drows),
        )
        return dunit, dscores, drows if ctx.needs_input_grad[2] else None, None, None, None


class _Attend(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(
        ctx: Any, values: Tensor, gamma: Tensor, frequency: Tensor, begin: Tensor, size: int
    ) -> tuple[Tensor, Tensor]:
        values, gamma, genes = values.contiguous(), gamma.contiguous(), len(begin) - 1
        weights = values.new_zeros(genes, values.shape[2], size, size)
        out = values.new_empty(len(values), *values.shape[2:])
        _run("attend", _GENES, genes, values, begin, frequency, gamma, weights, out[:, None])
        ctx.save_for_backward(values, begin, frequency, gamma, weights, out)
        ctx.set_materialize_grads(False)
        return out, weights

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        values, begin, frequency, gamma, weights, out = ctx.saved_tensors
        genes = len(begin) - 1
        dvalues, dfrequency = torch.empty_like(values), torch.zeros_like(frequency)
        dgamma = gamma.new_zeros(-(-genes // _GENES), len(gamma))
        of_out = values.new_zeros(len(values), *values.shape[2:]) if grads[0] is None else grads[0].contiguous()
        of_weights = weights.new_empty(0, *weights.shape[1:]) if grads[1] is None else grads[1].contiguous()
        _run(
            "attend_back",
            *(_GENES, genes, values, begin, frequency, gamma, weights, out[:, None], of_weights, of_out[:, None]),
            *(dvalues, dfrequency, dgamma),
        )
        return dvalues, dgamma.sum(0), dfrequency, None, None
