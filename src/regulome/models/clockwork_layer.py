"""The Clockwork layer: a simple RNN whose units tick at different speeds, in place of ``nn.RNN``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.models.hyperparameters import check_choice, check_count, check_counts
from regulome.models.recurrent import share_out

#: Which way the recurrent weights go.
DIRECTIONS = ("slow-to-fast", "fast-to-slow")

# Examples that are computed together: their states fit into the fastest cache.
_BLOCK = 32


class ClockworkLayer(nn.Module):
    """Hidden units in modules of equal size; module i is computed at the steps that its period T_i divides.

        h_i(t) = tanh(W_i x(t) + b_i + Σ_j V_ij h_j(t − 1))   where T_i divides t;   h_i(t) = h_i(t − 1)   elsewhere

    The sum goes over the module itself and all slower ones (Koutník et al. 2014). So V is a block-triangular matrix,
    of which only the blocks that are not zero are parameters: with g modules (g + 1) / 2g of a simple RNN's.

    A pass costs as much as the modules that are computed: with the periods 1, 2, 4, … two on average. On a CPU it is
    compiled (:mod:`regulome.models.clockwork_kernel`) and uses torch's number of threads, on which its numbers do not
    depend; there are no second derivatives. On a GPU each module is a simple RNN of cuDNN on its own steps.

    Args:
        input_size: Numbers per step.
        hidden_size: Hidden units of all modules together; a multiple of their number.
        periods: Period of each module, from the fastest to the slowest.
        direction: "slow-to-fast", as published, or "fast-to-slow": each module reads itself and all faster ones.
        reverse: Read the steps from the last to the first; ``output`` stays in the order of the inputs.
        batch_first: Inputs and output are [batch, step, …] instead of [step, batch, …].
        bias: Have the biases b.

    Attributes:
        weight_ih: W [hidden, inputs], module by module.
        weight_hh: V_i of each module [width, width · modules that it reads], those in the order of ``periods``.
        bias: b [hidden], or None. All parameters start uniform in ±1/√hidden, as in ``nn.RNN``.

    Raises:
        InputError: A value is out of range.

    Example:
        >>> layer = ClockworkLayer(4, 32, periods=(1, 2, 4, 8))
        >>> output, state = layer(torch.zeros(100, 5, 4))
        >>> output.shape, state.shape
        (torch.Size([100, 5, 32]), torch.Size([1, 5, 32]))
        >>> output, state = layer(torch.zeros(100, 5, 4), state, offset=100)
    """

    #: Most of its work is in the recurrence; see :func:`regulome.models.recurrent.threads_for`.
    own_threads = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        periods: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128),
        direction: str = "slow-to-fast",
        reverse: bool = False,
        batch_first: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.input_size = check_count("input_size", input_size)
        self.hidden_size = check_count("hidden_size", hidden_size)
        self.periods = check_counts("periods", periods)
        if any(slower <= faster for faster, slower in zip(self.periods, self.periods[1:], strict=False)):
            raise InputError(f"expected `periods` to rise, but got {list(self.periods)}")
        modules = len(self.periods)
        if hidden_size % modules:
            raise InputError(f"expected a hidden size that {modules} modules can share equally, but got {hidden_size}")
        self.direction = check_choice("direction", direction, DIRECTIONS)
        self.reverse, self.batch_first = reverse, batch_first
        self.width = hidden_size // modules
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))
        self.weight_hh = nn.ParameterList(torch.empty(self.width, end - begin) for begin, end in self._reads())
        self.bias = nn.Parameter(torch.empty(hidden_size)) if bias else None
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / math.sqrt(hidden_size), 1 / math.sqrt(hidden_size))

    def forward(self, x: Tensor, hx: Tensor | None = None, *, offset: int = 0) -> tuple[Tensor, Tensor]:
        """Run over all steps.

        Args:
            x: Inputs [step, batch, input_size] ([batch, step, …] where ``batch_first``), or of one example
                [step, input_size].
            hx: States before the first step [1, batch, hidden_size] ([1, hidden_size] for one example); 0 without.
            offset: Number of the first step. Where a long sequence is cut into pieces (truncated back-propagation),
                the number of steps before this piece, so that the clock goes on.

        Returns:
            The states after each step, [step, batch, hidden_size] in the order of the inputs, and after the last step
            that was read, [1, batch, hidden_size].

        Raises:
            InputError: The inputs or states have another shape, or there are no steps.
        """
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            raise InputError(f"expected inputs [step, batch, {self.input_size}], but got {list(x.shape)}")
        single = x.ndim == 2
        steps = x[:, None] if single else x.transpose(0, 1) if self.batch_first else x
        if len(steps) == 0:
            raise InputError("expected at least one step")
        shape = (1, steps.shape[1], self.hidden_size)
        if hx is None:
            hx = steps.new_zeros(shape)
        elif hx.shape != (shape[::2] if single else shape):
            raise InputError(f"expected states {list(shape[::2] if single else shape)}, but got {list(hx.shape)}")
        start = hx.reshape(shape[1:])
        check_count("offset", offset, minimum=0)
        compiled = x.device.type == "cpu" and self.weight_ih.dtype in (torch.float32, torch.float64)
        run = self._compiled if compiled else self._by_modules
        output = run(steps.flip(0) if self.reverse else steps, start, offset)
        last = output[-1:]
        output = output.flip(0) if self.reverse else output
        if single:
            return output[:, 0], last[:, 0]
        return output.transpose(0, 1) if self.batch_first else output, last

    def recurrent_weights(self) -> Tensor:
        """Return the recurrent weights with their zeros, V [to, from]; gradients flow to what is not zero."""
        return torch.cat(
            [
                nn.functional.pad(weight, (begin, self.hidden_size - end))
                for weight, (begin, end) in zip(self.weight_hh, self._reads(), strict=True)
            ]
        )

    def extra_repr(self) -> str:
        """Show the setting in ``print(module)``."""
        return f"{self.input_size}, {self.hidden_size}, periods={list(self.periods)}, direction={self.direction}"

    def _reads(self) -> list[tuple[int, int]]:
        """Which hidden units each module reads: from, to."""
        starts = range(0, self.hidden_size, self.width)
        if self.direction == "slow-to-fast":
            return [(start, self.hidden_size) for start in starts]
        return [(0, start + self.width) for start in starts]

    def _units(self, module: int) -> slice:
        return slice(module * self.width, (module + 1) * self.width)

    def _compiled(self, x: Tensor, start: Tensor, offset: int) -> Tensor:
        drives = [
            nn.functional.linear(
                x[-offset % period :: period],
                self.weight_ih[self._units(i)],
                None if self.bias is None else self.bias[self._units(i)],
            )
            for i, period in enumerate(self.periods)
        ]
        setting = (self.periods, offset, self.direction == "fast-to-slow", len(x))
        states: Tensor = _States.apply(torch.cat(drives), self.recurrent_weights(), start, setting)  # type: ignore[no-untyped-call]
        return states

    def _by_modules(self, x: Tensor, start: Tensor, offset: int) -> Tensor:
        """Run each module as a simple RNN on its own steps, after those that it reads."""
        modules = range(len(self.periods))
        steps = torch.arange(len(x), device=x.device)
        # States of a module: before its first step, and after each of its own.
        states: dict[int, Tensor] = {}

        def held(module: int, after: Tensor) -> Tensor:
            wait = -offset % self.periods[module]
            return states[module][(after - wait).div(self.periods[module], rounding_mode="floor") + 1]

        for i in modules if self.direction == "fast-to-slow" else reversed(modules):
            own, others = self._units(i), sorted(states)
            states[i] = start[None, :, own]
            ticks = steps[-offset % self.periods[i] :: self.periods[i]]
            if len(ticks) == 0:
                continue
            weight = self.weight_hh[i]
            among = own.start - self._reads()[i][0]
            itself = weight[:, among : among + self.width]
            rest = torch.cat((weight[:, :among], weight[:, among + self.width :]), dim=1)
            inputs = torch.cat([x[ticks], *(held(j, ticks - 1) for j in others)], dim=2)
            nothing = weight.new_zeros(self.width)
            parameters = [
                torch.cat((self.weight_ih[own], rest), dim=1),
                itself,
                nothing if self.bias is None else self.bias[own],
                nothing,
            ]
            parameters = [parameter.contiguous() for parameter in parameters]
            with warnings.catch_warnings():
                # cuDNN would like its weights side by side in memory; it copies these few.
                warnings.filterwarnings("ignore", message="RNN module weights")
                own_states, _ = torch.rnn_tanh(
                    inputs, states[i].contiguous(), parameters, True, 1, 0.0, self.training, False, False
                )
            states[i] = torch.cat((states[i], own_states))
        return torch.cat([held(i, steps) for i in modules], dim=2)


class _States(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(
        ctx: Any, drives: Tensor, weights: Tensor, start: Tensor, setting: tuple[Sequence[int], int, bool, int]
    ) -> Tensor:
        # Compilers are slow to import, and only this needs them.
        from regulome.models import clockwork_kernel

        steps = setting[3]
        states = drives.new_empty(steps, *start.shape)
        drives, weights, start = (tensor.contiguous() for tensor in (drives, weights, start))
        _run(clockwork_kernel.forward, setting, (drives, weights.T.contiguous(), start, states))
        ctx.setting = setting
        ctx.rows = len(drives)
        ctx.save_for_backward(weights, start, states)
        return states

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, Tensor, Tensor, None]:
        from regulome.models import clockwork_kernel

        if torch.is_grad_enabled():
            raise RuntimeError("the compiled layer has no second derivatives: create_graph=True is not supported")
        weights, start, states = ctx.saved_tensors
        width = len(weights) // len(ctx.setting[0])
        ddrives = states.new_empty(ctx.rows, len(start), width)
        dweights = states.new_zeros(-(-len(start) // _BLOCK), *weights.shape)
        dstart = torch.empty_like(start)
        _run(
            clockwork_kernel.backward,
            ctx.setting,
            (weights, start, states, grads[0].contiguous(), ddrives, dweights, dstart),
        )
        return ddrives, dweights.sum(dim=0), dstart, None


def _run(kernel: Callable[..., None], setting: tuple[Sequence[int], int, bool, int], tensors: Sequence[Tensor]) -> None:
    periods, offset, faster, steps = setting
    arrays = [tensor.detach().numpy() for tensor in tensors]
    examples = tensors[-1].shape[-2]
    share_out(
        lambda task: kernel(task, _BLOCK, np.array(periods, np.int64), offset, faster, *arrays),
        -(-examples // _BLOCK),
        steps * examples,
    )
