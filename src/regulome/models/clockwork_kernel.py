"""Clockwork recurrences on a CPU, all steps of a few examples in one call, compiled by numba.

At a step only the modules whose period divides it are computed: with the periods 1, 2, 4, … that is two modules on
average, however many there are. The states of a block of examples stay in the fastest cache.

Module *i* owns the hidden units [i·width, (i+1)·width). It reads those of itself and of all modules after it, or, with
``faster``, of itself and of all before it. What it gets from the inputs at the steps when it is computed lies in
``drives``: first all rows of module 0, then those of module 1, and so on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from regulome.models.kernel_arithmetic import FLAGS, add_product, lay, make_tanh


@njit
def _first_rows(periods: Any, offset: int, steps: int) -> Any:
    """Where each module's rows begin in ``drives``, and last where they all end."""
    rows = np.zeros(len(periods) + 1, np.int64)
    for i in range(len(periods)):
        wait = -offset % periods[i]
        rows[i + 1] = rows[i] + max(0, (steps - wait + periods[i] - 1) // periods[i])
    return rows


@njit(fastmath=FLAGS, error_model="numpy", nogil=True, cache=True)
def forward(
    task: int, size: int, periods: Any, offset: int, faster: bool, drives: Any, across: Any, start: Any, states: Any
) -> None:
    """Run all steps of a block of examples.

    Args:
        task: Number of the block.
        size: Examples of a block.
        periods: Of each module, int64.
        offset: Number of the first step.
        faster: Modules read those before them, not those after.
        drives: [row, example, width], see above.
        across: Recurrent weights [from, to].
        start: States before the first step [example, hidden].
        states: Receives the states after each step [step, example, hidden].
    """
    steps, examples, hidden = states.shape
    modules = len(periods)
    width = hidden // modules
    first, last = task * size, min((task + 1) * size, examples)
    h = start[first:last].copy()
    z = np.empty((last - first, width), h.dtype)
    rows = _first_rows(periods, offset, steps)
    for t in range(steps):
        for n in range(modules):
            # None reads one that was computed before it in this step: all see the states of the step before.
            i = modules - 1 - n if faster else n
            if (offset + t) % periods[i] == 0:
                left, right = (0, (i + 1) * width) if faster else (i * width, hidden)
                lay(drives[rows[i], first:last], z, 0)
                rows[i] += 1
                add_product(z, h[:, left:right], across[left:right, i * width : (i + 1) * width])
                make_tanh(z.ravel())
                lay(z, h, i * width)
        lay(h, states[t, first:last], 0)


@njit(fastmath=FLAGS, error_model="numpy", nogil=True, cache=True)
def backward(
    task: int,
    size: int,
    periods: Any,
    offset: int,
    faster: bool,
    weights: Any,
    start: Any,
    states: Any,
    dstates: Any,
    ddrives: Any,
    dweights: Any,
    dstart: Any,
) -> None:
    """Run a block's way back, with the arrays of :func:`forward` and the gradients of the states.

    Args:
        task: As in :func:`forward`, like all that are not named here.
        size: See there.
        periods: See there.
        offset: See there.
        faster: See there.
        weights: Recurrent weights [to, from].
        start: See there.
        states: See there.
        dstates: Gradients of ``states``.
        ddrives: Receives the gradients of ``drives``.
        dweights: Gradients of ``weights``, [block, to, from], are added to it.
        dstart: Receives the gradients of ``start``.
    """
    steps, examples, hidden = states.shape
    modules = len(periods)
    width = hidden // modules
    first, last = task * size, min((task + 1) * size, examples)
    one = states.dtype.type(1)
    g = np.zeros((last - first, hidden), states.dtype)
    before = np.empty((last - first, hidden), states.dtype)
    rows = _first_rows(periods, offset, steps)[1:].copy()
    for t in range(steps - 1, -1, -1):
        for e in range(last - first):
            for j in range(hidden):
                g[e, j] += dstates[t, first + e, j]
        lay(states[t - 1, first:last] if t else start[first:last], before, 0)
        # All gradients of this step's states are taken out, before those of the step before are put in.
        for i in range(modules):
            if (offset + t) % periods[i] == 0:
                rows[i] -= 1
                d, left = ddrives[rows[i], first:last], i * width
                for e in range(last - first):
                    h, slope = states[t, first + e], g[e]
                    for j in range(width):
                        d[e, j] = slope[left + j] * (one - h[left + j] * h[left + j])
                    slope[left : left + width] = 0
        for i in range(modules):
            if (offset + t) % periods[i] == 0:
                left, right = (0, (i + 1) * width) if faster else (i * width, hidden)
                to, d = slice(i * width, (i + 1) * width), ddrives[rows[i], first:last]
                add_product(g[:, left:right], d, weights[to, left:right])
                add_product(dweights[task, to, left:right], d.T, before[:, left:right])
    lay(g, dstart[first:last], 0)
