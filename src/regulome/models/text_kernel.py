"""Recurrences of one direction on a CPU, simple ones, GRUs and LSTMs: all steps of a few examples in one call.

What holds for :mod:`regulome.models.lstm_kernel` holds here: a *task* is a block of examples, whose numbers of a step
stay in the fast caches; tasks write to places of their own, and gates lie apart. [h[t−1] | x[t]] is one matrix, and
each gate *reads* some of its columns. A GRU has four gates here, because its reset gate stands between the two halves
of the new state: r and z, then the new state's part of x, then its part of h. The gradients of the weights are taken
over several steps at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from regulome.models.kernel_arithmetic import FLAGS, add_product, copy, lay, make_sigmoid, make_tanh
from regulome.models.lstm_kernel import step, step_back

#: What ``cell`` means.
RNN, GRU, LSTM = 0, 1, 2

# Rows (steps × examples) over which the gradients of the weights are summed in the fast caches.
_ROWS = 128


@njit(fastmath=FLAGS, error_model="numpy")
def _gru_step(gates: Any, h: Any) -> None:
    """Make gates of the pre-activations, and states of those before."""
    r, z, n, from_h = gates[0], gates[1], gates[2], gates[3]
    make_sigmoid(r)
    make_sigmoid(z)
    for j in range(h.size):
        n[j] += r[j] * from_h[j]
    make_tanh(n)
    for j in range(h.size):
        h[j] = n[j] + z[j] * (h[j] - n[j])


@njit(fastmath=FLAGS, error_model="numpy")
def _gru_step_back(gates: Any, before: Any, dh: Any, d: Any) -> None:
    """Give the gradients ``d`` of the pre-activations, and in ``dh`` what goes straight to the states before."""
    one = dh.dtype.type(1)
    r, z, n, from_h = gates[0], gates[1], gates[2], gates[3]
    dr, dz, dn, dfrom_h = d[0], d[1], d[2], d[3]
    for j in range(dh.size):
        dn[j] = dh[j] * (one - z[j]) * (one - n[j] * n[j])
    for j in range(dh.size):
        dfrom_h[j] = dn[j] * r[j]
    for j in range(dh.size):
        dr[j] = dfrom_h[j] * from_h[j] * (one - r[j])
    for j in range(dh.size):
        dz[j] = dh[j] * (before[j] - n[j]) * z[j] * (one - z[j])
    for j in range(dh.size):
        dh[j] *= z[j]


@njit(fastmath=FLAGS, error_model="numpy")
def _rnn_step_back(h: Any, dh: Any, d: Any) -> None:
    one = dh.dtype.type(1)
    for j in range(dh.size):
        d[j] = dh[j] * (one - h[j] * h[j])
    for j in range(dh.size):
        dh[j] = 0


@njit(fastmath=FLAGS, error_model="numpy", nogil=True, cache=True)
def forward(
    task: int,
    size: int,
    cell: int,
    reads: Any,
    across: Any,
    bias: Any,
    x: Any,
    start: Any,
    start_cell: Any,
    y: Any,
    gates: Any,
    cells: Any,
) -> None:
    """Run all steps of a block of examples.

    Args:
        task: Number of the block.
        size: Examples of a block.
        cell: RNN, GRU or LSTM.
        reads: Columns of [h | x] that each gate reads [gate, 2]: from, to.
        across: Weights [gate, hidden + inputs or more, hidden].
        bias: [gate, hidden].
        x: Inputs [example, step, inputs].
        start: h before the first step [example, hidden].
        start_cell: Of an LSTM: the cells before it, in the same shape.
        y: Receives h [example, step, hidden].
        gates: Receives the gates [step, …], block after block [gate, example, hidden]; or one step, where they are not
            kept.
        cells: Of an LSTM: receives the cells [step or 1, example, hidden].
    """
    examples, steps, _ = x.shape
    number_of_gates, columns, hidden = across.shape
    first, last = task * size, min((task + 1) * size, examples)
    number = last - first
    rows = np.zeros((number, columns), x.dtype)
    h = start[first:last].copy()
    c = start_cell[first:last].copy().ravel()
    for t in range(steps):
        lay(h, rows, 0)
        lay(x[first:last, t], rows, hidden)
        own = number_of_gates * hidden
        z = gates[t % len(gates), own * first : own * last].reshape(number_of_gates, number, hidden)
        for gate in range(number_of_gates):
            begin, end = reads[gate]
            for e in range(number):
                copy(bias[gate], z[gate, e])
            add_product(z[gate], rows[:, begin:end], across[gate, begin:end])
        flat, state = z.reshape(number_of_gates, number * hidden), h.ravel()
        if cell == GRU:
            _gru_step(flat, state)
        elif cell == LSTM:
            step(flat, c, state)
            copy(c, cells[t % len(cells), first:last].ravel())
        else:
            copy(flat[0], state)
            make_tanh(state)
        lay(h, y[first:last, t], 0)


@njit(fastmath=FLAGS, error_model="numpy", nogil=True, cache=True)
def backward(
    task: int,
    size: int,
    cell: int,
    reads: Any,
    weights: Any,
    x: Any,
    start: Any,
    start_cell: Any,
    y: Any,
    gates: Any,
    cells: Any,
    dy: Any,
    dcell: Any,
    dx: Any,
    dstart: Any,
    dweights: Any,
    dbias: Any,
) -> None:
    """Run a block's way back, with the arrays of :func:`forward` and the gradients of what it gave.

    Args:
        task: As in :func:`forward`, like all that are not named here.
        size: See there.
        cell: See there.
        reads: See there.
        weights: [gate, hidden, hidden + inputs or more]: the same transposed; its columns and hidden are multiples
            of 16.
        x: See there.
        start: See there.
        start_cell: See there.
        y: See there.
        gates: See there.
        cells: See there.
        dy: Gradients of ``y``.
        dcell: Of an LSTM: holds the gradients of the last step's cells [example, hidden], receives those of
            ``start_cell``.
        dx: Receives the gradients of ``x``; of length 0 where not wanted.
        dstart: Receives the gradients of ``start``.
        dweights: Gradients of the weights in the shape of :func:`forward`, [block, …], are added to it.
        dbias: Gradients of ``bias`` [block, gate, hidden] are added to it.
    """
    examples, steps, inputs = x.shape
    number_of_gates, hidden, columns = weights.shape
    first, last = task * size, min((task + 1) * size, examples)
    number = last - first
    together = max(1, _ROWS // number)
    rows = np.zeros((together * number, columns), x.dtype)
    d = np.empty((number_of_gates, together * number, hidden), x.dtype)
    now = np.empty((number_of_gates, number * hidden), x.dtype)
    drows = np.empty((together * number, columns - hidden), x.dtype)
    before, h = np.empty((number, hidden), x.dtype), np.empty((number, hidden), x.dtype)
    dh = np.zeros((number, hidden), x.dtype)
    dc = dcell[first:last].copy().ravel()
    filled = 0
    for t in range(steps - 1, -1, -1):
        for e in range(number):
            for j in range(hidden):
                dh[e, j] += dy[first + e, t, j]
        lay(y[first:last, t - 1] if t else start[first:last, :], before, 0)
        own = number_of_gates * hidden
        if cell == RNN:
            lay(y[first:last, t], h, 0)
            _rnn_step_back(h.ravel(), dh.ravel(), now[0])
        else:
            kept = gates[t, own * first : own * last].reshape(number_of_gates, number * hidden)
            if cell == GRU:
                _gru_step_back(kept, before.ravel(), dh.ravel(), now)
            else:
                c_before = cells[t - 1, first:last] if t else start_cell[first:last]
                step_back(kept, cells[t, first:last].ravel(), c_before.ravel(), dh.ravel(), dc, now)
                dh[:] = 0
        lay(before, rows[filled : filled + number], 0)
        lay(x[first:last, t], rows[filled : filled + number], hidden)
        for gate in range(number_of_gates):
            d_gate = d[gate, filled : filled + number]
            lay(now[gate].reshape(number, hidden), d_gate, 0)
            if reads[gate, 0] == 0:
                add_product(dh, d_gate, weights[gate][:, :hidden])
        filled += number
        if filled < len(rows) and t:
            continue
        for gate in range(number_of_gates):
            begin, end = reads[gate, 0], hidden if reads[gate, 1] == hidden else columns
            add_product(dweights[task, gate, begin:end], rows[:filled, begin:end].T, d[gate, :filled])
            for row in range(filled):
                for j in range(hidden):
                    dbias[task, gate, j] += d[gate, row, j]
        if len(dx):
            drows[:filled] = 0
            for gate in range(number_of_gates):
                if reads[gate, 1] > hidden:
                    add_product(drows[:filled], d[gate, :filled], weights[gate][:, hidden:])
            for n in range(filled // number):
                at = filled - (n + 1) * number
                for e in range(number):
                    for j in range(inputs):
                        dx[first + e, t + n, j] = drows[at + e, j]
        filled = 0
    lay(dh, dstart[first:last], 0)
    copy(dc, dcell[first:last].ravel())
