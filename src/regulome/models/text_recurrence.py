"""The recurrence of character models: ``nn.RNN``, ``nn.GRU`` and ``nn.LSTM`` with a state whose batch comes first."""

from __future__ import annotations

from torch import Tensor, nn

#: The state that a piece of text leaves to the next: h, of an LSTM h and c, each [batch, layer, hidden].
State = tuple[Tensor, ...]


def recurrence(module: nn.RNN | nn.GRU | nn.LSTM, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
    """Run a network of one direction over all steps; equal to calling ``module``.

    Args:
        module: The network, with ``batch_first=True``; in training mode its dropout acts between layers.
        x: Inputs [batch, step, input].
        state: h (of an LSTM h and c) before the first step, each [batch, layer, hidden]; zeros without.

    Returns:
        h of the last layer after each step [batch, step, hidden], and the state after the last step.
    """
    before = None if state is None else tuple(part.transpose(0, 1).contiguous() for part in state)
    if isinstance(module, nn.LSTM):
        y, after = module(x, None if before is None else (before[0], before[1]))
    else:
        y, h = module(x, None if before is None else before[0])
        after = (h,)
    return y, tuple(part.transpose(0, 1) for part in after)
