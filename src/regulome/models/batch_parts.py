"""Parts of a network's work computed side by side on a CPU: forwards and backwards, each part on one thread.

Networks of many small operations gain little from torch's own threads, which share out one operation at a time. The
parts are the same on any number of threads and their gradients are added in order, so that numbers are the same too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from regulome.models.recurrent import side_by_side


class Part(NamedTuple):
    """A part of the work.

    Attributes:
        work: Computes a tensor from the parameters of ``modules``, without drawing random numbers.
        modules: The modules that it uses.
    """

    work: Callable[[], Tensor]
    modules: Sequence[nn.Module]


def in_parts(parts: Sequence[Part]) -> list[Tensor]:
    """Compute parts side by side.

    First derivatives flow to the parameters of each part's modules, and to nothing else.

    Returns:
        What each part computed.
    """
    wanted = [[p for module in part.modules for p in module.parameters() if p.requires_grad] for part in parts]
    if torch.is_grad_enabled() and any(wanted):
        unique = {id(parameter): parameter for some in wanted for parameter in some}
        answers: tuple[Tensor, ...] = _Parts.apply(parts, wanted, *unique.values())  # type: ignore[no-untyped-call]
        return list(answers)
    return _compute(parts, gradients=False)


def _compute(parts: Sequence[Part], *, gradients: bool) -> list[Tensor]:
    answers: list[Any] = [None] * len(parts)
    inference = torch.is_inference_mode_enabled()

    def work(task: int) -> None:
        # Both modes belong to a thread.
        with torch.inference_mode(inference), torch.set_grad_enabled(gradients):
            answers[task] = parts[task].work()

    side_by_side(work, len(parts))
    return answers


class _Parts(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, parts: Sequence[Part], wanted: Sequence[Sequence[Tensor]], *parameters: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.answers, ctx.wanted, ctx.parameters = _compute(parts, gradients=True), wanted, parameters
        ctx.set_materialize_grads(False)
        return tuple(answer.detach() for answer in ctx.answers)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        answers, wanted = ctx.answers, ctx.wanted
        found: list[Sequence[Tensor | None]] = [()] * len(answers)
        ctx.answers = None

        def work(task: int) -> None:
            if grads[task] is not None and wanted[task]:
                found[task] = torch.autograd.grad(answers[task], wanted[task], grads[task], allow_unused=True)
            answers[task] = None

        side_by_side(work, len(answers))
        total: dict[int, Tensor] = {}
        for some, values in zip(wanted, found, strict=True):
            for parameter, value in zip(some, values, strict=False):
                if value is not None:
                    before = total.get(id(parameter))
                    total[id(parameter)] = value if before is None else before + value
        return None, None, *(total.get(id(parameter)) for parameter in ctx.parameters)
