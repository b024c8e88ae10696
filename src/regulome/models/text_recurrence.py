"""The recurrence of character models: ``nn.RNN``, ``nn.GRU`` and ``nn.LSTM`` with a state whose batch comes first.

On a CPU all steps of a layer are one operation, compiled (:mod:`regulome.models.text_kernel`) and shared out over the
examples among torch's number of threads; the numbers do not depend on that. torch's own networks make several
operations of each step, and on the way back sum the weights' gradients step by step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from regulome.models.recurrent import share_out
from regulome.models.workspace import Workspace

#: The state that a piece of text leaves to the next: h, of an LSTM h and c, each [batch, layer, hidden].
State = tuple[Tensor, ...]

# The kernel's numbers of cells and of their gates, and torch's function of a layer.
_CELLS: dict[str, tuple[int, int, Any]] = {
    "RNN_TANH": (0, 1, torch.rnn_tanh),
    "GRU": (1, 4, torch.gru),
    "LSTM": (2, 4, torch.lstm),
}
# The widest vectors of the kernel's products.
_LANES = 16
# Letters below which collecting the weights costs more than the kernel saves.
_FEW = 64
# Letters of a piece, where nothing has to be kept for a way back.
_PIECE = 16384


def recurrence(module: nn.RNN | nn.GRU | nn.LSTM, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
    """Run a network of one direction over all steps; equal to calling ``module``.

    Compiled for float32 on a CPU and hidden sizes that 16 divides; in all other cases ``module`` is called.

    Args:
        module: The network, with ``batch_first=True``; in training mode its dropout acts between layers.
        x: Inputs [batch, step, input].
        state: h (of an LSTM h and c) before the first step, each [batch, layer, hidden]; zeros without.

    Returns:
        h of the last layer after each step [batch, step, hidden], and the state after the last step.
    """
    if not _compiled(module, x):
        return _by_module(module, x, state)
    if state is None:
        zeros = x.new_zeros(len(x), module.num_layers, module.hidden_size)
        state = (zeros, zeros) if isinstance(module, nn.LSTM) else (zeros,)
    if torch.is_grad_enabled():
        return _layers(module, x, state)
    y = x.new_empty(len(x), x.shape[1], module.hidden_size)
    piece = max(1, _PIECE // len(x))
    for begin in range(0, x.shape[1], piece):
        y[:, begin : begin + piece], state = _layers(module, x[:, begin : begin + piece], state)
    return y, state


def _compiled(module: nn.RNN | nn.GRU | nn.LSTM, x: Tensor) -> bool:
    return (
        x.ndim == 3
        and x.shape[0] * x.shape[1] >= _FEW
        and x.device.type == "cpu"
        and x.dtype == module.weight_ih_l0.dtype == torch.float32
        and module.mode in _CELLS
        and module.hidden_size % _LANES == 0
        and module.batch_first
        and not module.bidirectional
        and not getattr(module, "proj_size", 0)
        # Transformed functions (torch.func) see no memory of tensors.
        and not torch._C._are_functorch_transforms_active()
    )


def _by_module(module: nn.RNN | nn.GRU | nn.LSTM, x: Tensor, state: State | None) -> tuple[Tensor, State]:
    before = None if state is None else tuple(part.transpose(0, 1).contiguous() for part in state)
    if isinstance(module, nn.LSTM):
        y, after = module(x, None if before is None else (before[0], before[1]))
    else:
        y, h = module(x, None if before is None else before[0])
        after = (h,)
    return y, tuple(part.transpose(0, 1) for part in after)


def _layers(module: nn.RNN | nn.GRU | nn.LSTM, x: Tensor, state: State) -> tuple[Tensor, State]:
    """Run one layer after the other; the memory of all for the way back is one workspace."""
    cell, gates, _ = _CELLS[module.mode]
    keep = torch.is_grad_enabled() and any(
        tensor.requires_grad for tensor in (x, *state, *module.parameters(recurse=False))
    )
    (examples, steps, _), hidden = x.shape, module.hidden_size
    kept = steps if keep else 1
    shapes = [(kept if cell else 1, examples * gates * hidden), (kept if cell == 2 else 1, examples, hidden)]
    workspace = Workspace(x, shapes * module.num_layers)
    y, after = x, []
    for layer in range(module.num_layers):
        if layer and module.training and module.dropout:
            y = nn.functional.dropout(y, module.dropout)
        parameters = [getattr(module, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh")]
        if module.bias:
            parameters += [getattr(module, f"{name}_l{layer}") for name in ("bias_ih", "bias_hh")]
        start = [part[:, layer] for part in state]
        memory = (workspace, *workspace.tensors[2 * layer : 2 * layer + 2])
        y, c = _Layer.apply(module.mode, memory, y, start[0], start[-1], *parameters)  # type: ignore[no-untyped-call]
        after.append((y[:, -1], c)[: len(state)])
    return y, tuple(torch.stack(parts, 1) for parts in zip(*after, strict=True))


class _Layer(torch.autograd.Function):
    """One layer: inputs, h and cells before it (those of h where there are none) to h and the cells after it."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(
        ctx: Any,
        mode: str,
        memory: tuple[Workspace, Tensor, Tensor],
        x: Tensor,
        h: Tensor,
        c: Tensor,
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor]:
        from regulome.models import text_kernel

        cell = _CELLS[mode][0]
        weights, bias, reads = _collect(cell, parameters)
        x, h, c = x.contiguous(), h.contiguous(), c.contiguous()
        y = x.new_empty(*x.shape[:2], h.shape[1])
        _, gates, cells = memory
        arrays = [tensor.numpy() for tensor in (x, h, c, y, gates, cells)]
        across = np.ascontiguousarray(weights.swapaxes(1, 2))
        size = _size(len(x))
        share_out(
            lambda task: text_kernel.forward(task, size, cell, reads, across, bias, *arrays),
            -(-len(x) // size),
            x.shape[0] * x.shape[1],
        )
        ctx.mode, ctx.memory, ctx.weights, ctx.reads = mode, memory, weights, reads
        ctx.save_for_backward(x, h, c, y, *parameters)
        ctx.set_materialize_grads(False)
        return y, cells[-1].clone()

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        x, h, c, y, *parameters = ctx.saved_tensors
        if torch.is_grad_enabled():
            return None, None, *_differentiable(ctx.mode, (x, h, c, *parameters), grads)
        from regulome.models import text_kernel

        cell, size = _CELLS[ctx.mode][0], _size(len(x))
        blocks = -(-len(x) // size)
        number, hidden, columns = ctx.weights.shape
        dy = torch.zeros_like(y) if grads[0] is None else grads[0].contiguous()
        dc = torch.zeros_like(c) if grads[1] is None else grads[1].clone(memory_format=torch.contiguous_format)
        dx = x.new_empty(x.shape if ctx.needs_input_grad[2] else (0, *x.shape[1:]))
        dh = torch.empty_like(h)
        dweights = np.zeros((blocks, number, columns, hidden), np.float32)
        dbias = np.zeros((blocks, number, hidden), np.float32)
        before = [tensor.detach().numpy() for tensor in (x, h, c, y, *ctx.memory[1:])]
        after = [tensor.numpy() for tensor in (dy, dc, dx, dh)]
        arrays = [ctx.reads, ctx.weights, *before, *after, dweights, dbias]
        share_out(
            lambda task: text_kernel.backward(task, size, cell, *arrays),
            blocks,
            x.shape[0] * x.shape[1],
        )
        gradients = _spread(cell, dweights.sum(axis=0), dbias.sum(axis=0), x.shape[2])
        answer = (dx if ctx.needs_input_grad[2] else None, dh, dc if cell == 2 else None, *gradients[: len(parameters)])
        return None, None, *answer


def _size(examples: int) -> int:
    """Examples of a task. The number of threads has no part in it."""
    return 32 if examples >= 128 else 16 if examples >= 32 else 8


def _collect(cell: int, parameters: Sequence[Tensor]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lay a layer's parameters out as the kernel takes them, in numpy as its threads should not wait for torch's.

    Returns:
        Weights [gate, hidden, hidden + inputs, filled up to a multiple of 16], biases [gate, hidden], and the columns
        that each gate reads.
    """
    from_x, from_h, *biases = (parameter.detach().numpy() for parameter in parameters)
    hidden, inputs = from_h.shape[1], from_x.shape[1]
    gates = len(from_h) // hidden
    weights = np.zeros((4 if cell == 1 else gates, hidden, hidden + -(-inputs // _LANES) * _LANES), np.float32)
    bias = np.zeros((len(weights), hidden), np.float32)
    reads = np.array([[0, hidden + inputs]] * len(weights))
    own = slice(hidden, hidden + inputs)
    weights[:gates, :, own] = from_x.reshape(gates, hidden, inputs)
    if biases:
        bias[:gates] = biases[0].reshape(gates, hidden)
    last = biases[1].reshape(gates, hidden) if biases else np.zeros((gates, hidden), np.float32)
    from_h = from_h.reshape(gates, hidden, hidden)
    whole = 2 if cell == 1 else gates
    weights[:whole, :, :hidden] = from_h[:whole]
    bias[:whole] += last[:whole]
    if cell == 1:
        weights[3, :, :hidden], bias[3] = from_h[2], last[2]
        reads[2:] = [hidden, hidden + inputs], [0, hidden]
    return weights, bias, reads


def _spread(cell: int, dweights: np.ndarray, dbias: np.ndarray, inputs: int) -> list[Tensor]:
    """Turn gradients of what :func:`_collect` gives, the weights' transposed, into those of the parameters."""
    hidden = dweights.shape[2]
    by_x, by_h = ([0, 1, 2], [0, 1, 3]) if cell == 1 else (slice(None), slice(None))
    from_x = dweights[by_x, hidden : hidden + inputs].swapaxes(1, 2).reshape(-1, inputs)
    from_h = dweights[by_h, :hidden].swapaxes(1, 2).reshape(-1, hidden)
    return [torch.from_numpy(array) for array in (from_x, from_h, dbias[by_x].ravel(), dbias[by_h].copy().ravel())]


def _differentiable(
    mode: str, arguments: Sequence[Tensor], grads: Sequence[Tensor | None]
) -> tuple[Tensor | None, ...]:
    """Give the gradients as a function that has derivatives itself, by torch's own layer."""
    x, h, c, *parameters = arguments
    start = (h[None], c[None]) if mode == "LSTM" else h[None]
    y, *after = _CELLS[mode][2](x, start, parameters, len(parameters) == 4, 1, 0.0, False, False, True)
    outputs = (y, after[-1][0])
    given = [n for n, grad in enumerate(grads) if grad is not None]
    wanted = [argument for argument in arguments if argument.requires_grad]
    found = iter(
        torch.autograd.grad(
            [outputs[n] for n in given], wanted, [grads[n] for n in given], create_graph=True, allow_unused=True
        )
    )
    return tuple(next(found) if argument.requires_grad else None for argument in arguments)
