"""Bidirectional LSTMs on a CPU, all steps of a few examples in one call, and their attention with them.

A small LSTM (AttentiveChrome's have width 32) is thousands of operations that each take about a microsecond. Called
one by one they cost more than their arithmetic, so a whole pass over the steps is compiled by numba:

- A *task* is one direction of an LSTM on a block of examples (of attention: one LSTM on a block). Its weights and the
  numbers of a step stay in the fastest cache. Tasks write to places of their own, so that they may run in any order
  on any number of threads.
- [h[t−1] | x[t] | 1] is one matrix, so that one product with [W_hh | W_ih | b]ᵀ gives the pre-activations of a gate,
  and one product gives the gradients of all three.
- Gates lie apart from each other, so that all arithmetic on them is on contiguous numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from regulome.models.kernel_arithmetic import FLAGS, add_product, copy, exp, lay, make_sigmoid, make_tanh, set_product


@njit(fastmath=FLAGS, error_model="numpy")
def step(gates: Any, c: Any, h: Any) -> None:
    """Make gates of the pre-activations and cells of those before; give the states."""
    i, f, g, o = gates[0], gates[1], gates[2], gates[3]
    make_sigmoid(i)
    make_sigmoid(f)
    make_tanh(g)
    make_sigmoid(o)
    for j in range(c.size):
        c[j] = f[j] * c[j] + i[j] * g[j]
    copy(c, h)
    make_tanh(h)
    for j in range(c.size):
        h[j] *= o[j]


@njit(fastmath=FLAGS, error_model="numpy")
def step_back(gates: Any, c: Any, before: Any, dh: Any, dc: Any, d: Any) -> None:
    """Give the gradients ``d`` of the pre-activations; ``dc`` comes from the step after and goes to the one before."""
    one = c.dtype.type(1)
    i, f, g, o = gates[0], gates[1], gates[2], gates[3]
    di, df, dg, do = d[0], d[1], d[2], d[3]
    # A loop writes one array: the more there are, the less the compiler can tell that they do not overlap.
    copy(c, do)
    make_tanh(do)
    for j in range(c.size):
        dc[j] += dh[j] * o[j] * (one - do[j] * do[j])
    for j in range(c.size):
        do[j] *= dh[j] * o[j] * (one - o[j])
    for j in range(c.size):
        di[j] = dc[j] * g[j] * i[j] * (one - i[j])
    for j in range(c.size):
        df[j] = dc[j] * before[j] * f[j] * (one - f[j])
    for j in range(c.size):
        dg[j] = dc[j] * i[j] * (one - g[j] * g[j])
    for j in range(c.size):
        dc[j] *= f[j]


@njit(fastmath=FLAGS | {"reassoc"}, error_model="numpy")
def _dots(vector: Any, states: Any, lstm: int, e: int, out: Any) -> None:
    """For each step: both directions' states, one after the other, times ``vector``."""
    hidden = states.shape[3]
    for t in range(out.size):
        forwards, backwards = states[2 * lstm, t, e], states[2 * lstm + 1, t, e]
        total = out.dtype.type(0)
        for j in range(hidden):
            total += forwards[j] * vector[j] + backwards[j] * vector[hidden + j]
        out[t] = total


@njit(fastmath=FLAGS, error_model="numpy")
def _weighted_sum(factors: Any, states: Any, lstm: int, e: int, out: Any) -> None:
    """Both directions' states, one after the other, times their step's factor, summed over the steps into ``out``."""
    hidden = states.shape[3]
    for direction in range(2):
        total = out[direction * hidden : (direction + 1) * hidden]
        for t in range(factors.size):
            state, factor = states[2 * lstm + direction, t, e], factors[t]
            for j in range(hidden):
                total[j] += factor * state[j]


@njit(fastmath=FLAGS, error_model="numpy", nogil=True, cache=True)
def forward(task: int, size: int, x: Any, weights: Any, states: Any, gates: Any, cells: Any) -> None:
    """Run one task: a stream over all steps of a block of examples.

    Args:
        task: Its number, block · streams + stream.
        size: Examples of a block.
        x: Inputs [example, LSTM, step, inputs].
        weights: [stream, gate, hidden + inputs + 1, hidden], see :func:`regulome.models.recurrent.stack_weights`.
        states: Receives h [stream, step, example, hidden].
        gates: Receives the gates [stream, step, …], block after block [gate, example, hidden]; or one step, where they
            are not kept.
        cells: Receives the cells [stream, step or 1, example, hidden].
    """
    _, steps, examples, hidden = states.shape
    block, stream = divmod(task, len(weights))
    first = block * size
    last = min(first + size, examples)
    rows = np.ones((last - first, weights.shape[2]), x.dtype)
    rows[:, :hidden] = 0
    c = np.zeros((last - first) * hidden, x.dtype)
    for n in range(steps):
        t = steps - 1 - n if stream % 2 else n
        kept = t % gates.shape[1]
        z = gates[stream, kept, 4 * hidden * first : 4 * hidden * last].reshape(4, last - first, hidden)
        h = states[stream, t, first:last]
        lay(x[first:last, stream // 2, t], rows, hidden)
        for gate in range(4):
            set_product(z[gate], rows, weights[stream, gate])
        step(z.reshape(4, c.size), c, h.ravel())
        copy(c, cells[stream, kept, first:last].ravel())
        lay(h, rows, 0)


@njit(fastmath=FLAGS, error_model="numpy", nogil=True, cache=True)
def attend(task: int, size: int, contexts: Any, states: Any, attention: Any, vectors: Any) -> None:
    """Run one task: the attention of an LSTM on a block of examples.

    Args:
        task: Its number, block · LSTMs + LSTM.
        size: Examples of a block.
        contexts: Context vectors [LSTM, 2·hidden].
        states: [stream, step, example, hidden].
        attention: Receives the weights of the steps [example, LSTM, step].
        vectors: The weighted sums of states [example, LSTM, 2·hidden] are added to it.
    """
    steps = states.shape[1]
    block, lstm = divmod(task, len(contexts))
    for e in range(block * size, min((block + 1) * size, states.shape[2])):
        a = attention[e, lstm]
        _dots(contexts[lstm], states, lstm, e, a)
        top = a[0]
        for t in range(steps):
            top = max(top, a[t])
        total = a.dtype.type(0)
        for t in range(steps):
            a[t] = exp(a[t] - top)
            total += a[t]
        for t in range(steps):
            a[t] /= total
        _weighted_sum(a, states, lstm, e, vectors[e, lstm])


@njit(fastmath=FLAGS, error_model="numpy", nogil=True, cache=True)
def attend_back(
    task: int, size: int, states: Any, attention: Any, dattention: Any, dvectors: Any, dscores: Any, dcontexts: Any
) -> None:
    """Run the way back of a task of :func:`attend`.

    Args:
        task: As in :func:`attend`, like all that are not named here.
        size: See there.
        states: See there.
        attention: See there.
        dattention: Gradients of ``attention``.
        dvectors: Gradients of the weighted sums.
        dscores: Receives the gradients of the steps' scores [example, LSTM, step].
        dcontexts: Gradients of the contexts [block, LSTM, 2·hidden] are added to it.
    """
    steps = states.shape[1]
    block, lstm = divmod(task, attention.shape[1])
    for e in range(block * size, min((block + 1) * size, states.shape[2])):
        a, ds = attention[e, lstm], dscores[e, lstm]
        _dots(dvectors[e, lstm], states, lstm, e, ds)
        mean = a.dtype.type(0)
        for t in range(steps):
            ds[t] += dattention[e, lstm, t]
            mean += a[t] * ds[t]
        for t in range(steps):
            ds[t] = a[t] * (ds[t] - mean)
        _weighted_sum(ds, states, lstm, e, dcontexts[block, lstm])


@njit(fastmath=FLAGS, error_model="numpy", nogil=True, cache=True)
def backward(
    task: int,
    size: int,
    x: Any,
    weights: Any,
    contexts: Any,
    states: Any,
    gates: Any,
    cells: Any,
    attention: Any,
    dscores: Any,
    dvectors: Any,
    dstates: Any,
    dx: Any,
    dweights: Any,
) -> None:
    """Run a task's way back, with the arrays of :func:`forward` and the gradients of what it gave.

    Args:
        task: As in :func:`forward`, like all that are not named here.
        size: See there.
        x: See there.
        weights: [stream, gate, hidden, hidden + inputs + 1]: the same transposed.
        contexts: Context vectors [LSTM, 2·hidden]; of length 0 without attention.
        states: See there.
        gates: See there.
        cells: See there.
        attention: With contexts: see :func:`attend`.
        dscores: With contexts: what :func:`attend_back` gave.
        dvectors: With contexts: gradients of the weighted sums.
        dstates: Without contexts: gradients of ``states``.
        dx: Gradients of ``x`` from each direction [direction, …] are added to it; of length 0 where not wanted.
        dweights: Gradients of the weights in the shape of :func:`forward`, [block, …], are added to it.
    """
    _, steps, examples, hidden = states.shape
    block, stream = divmod(task, len(weights))
    lstm, direction = divmod(stream, 2)
    first = block * size
    last = min(first + size, examples)
    number, half = last - first, direction * hidden
    rows = np.ones((number, weights.shape[3]), x.dtype)
    to_h = np.ascontiguousarray(weights[stream, :, :, :hidden])
    d = np.empty((4, number, hidden), x.dtype)
    dh = np.zeros((number, hidden), x.dtype)
    dc = np.zeros(number * hidden, x.dtype)
    nothing = np.zeros((number, hidden), x.dtype)
    for n in range(steps):
        t = n if direction else steps - 1 - n
        before = t + 1 if direction else t - 1
        if len(contexts):
            w = contexts[lstm]
            for e in range(number):
                a, ds, dv = attention[first + e, lstm, t], dscores[first + e, lstm, t], dvectors[first + e, lstm]
                for j in range(hidden):
                    dh[e, j] += a * dv[half + j] + ds * w[half + j]
        else:
            dh += dstates[stream, t, first:last]
        c_before = nothing if n == steps - 1 else cells[stream, before, first:last]
        h_before = nothing if n == steps - 1 else states[stream, before, first:last]
        kept = gates[stream, t, 4 * hidden * first : 4 * hidden * last].reshape(4, dc.size)
        c = cells[stream, t, first:last].ravel()
        step_back(kept, c, c_before.ravel(), dh.ravel(), dc, d.reshape(4, dc.size))
        lay(h_before, rows, 0)
        lay(x[first:last, lstm, t], rows, hidden)
        set_product(dh, d[0], to_h[0])
        for gate in range(1, 4):
            add_product(dh, d[gate], to_h[gate])
        for gate in range(4):
            add_product(dweights[block, stream, gate], rows.T, d[gate])
        if len(dx):
            for gate in range(4):
                add_product(dx[direction, first:last, lstm, t], d[gate], weights[stream, gate, :, hidden:-1])
