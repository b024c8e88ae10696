"""Letters drawn one after the other by recurrent networks on a CPU, compiled by numba.

Between two letters there is so little to compute that calls of torch's operations would take most of the time. Here a
letter costs little more than reading the recurrent weights once; the first layer's products with the five possible
inputs are a table.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from regulome.models.kernel_arithmetic import FLAGS, add_product, lay, make_sigmoid, make_tanh

#: Kinds of layers.
RNN, LSTM, GRU, CLOCKWORK = range(4)

# From so many rows on, tiles of rows and columns are faster than row by row.
_ROWS = 8


@njit(fastmath=FLAGS, error_model="numpy")
def _add(out: Any, a: Any, weights: Any, row: int, column: int) -> None:
    """Add A · W[row :, column :] to ``out`` [example, …]; all rows are contiguous."""
    many, length = a.shape
    width = out.shape[1]
    if many >= _ROWS:
        add_product(out, a, weights[row : row + length, column : column + width])
        return
    whole = length - length % 4
    for e in range(many):
        sums, factors = out[e], a[e]
        for k in range(0, whole, 4):
            # Four rows at a time, because the sums would otherwise be loaded and stored for each.
            w0, w1 = weights[row + k, column : column + width], weights[row + k + 1, column : column + width]
            w2, w3 = weights[row + k + 2, column : column + width], weights[row + k + 3, column : column + width]
            a0, a1, a2, a3 = factors[k], factors[k + 1], factors[k + 2], factors[k + 3]
            for j in range(width):
                sums[j] = (((sums[j] + a0 * w0[j]) + a1 * w1[j]) + a2 * w2[j]) + a3 * w3[j]
        for k in range(whole, length):
            w0, a0 = weights[row + k, column : column + width], factors[k]
            for j in range(width):
                sums[j] += a0 * w0[j]


@njit(fastmath=FLAGS, error_model="numpy")
def _gates(cell: int, zx: Any, zh: Any, h: Any, c: Any) -> None:
    """Turn what a layer gets from below and from itself [example, gate · hidden] into its next state."""
    examples, hidden = h.shape
    one = h.dtype.type(1)
    for e in range(examples):
        x, own, state = zx[e], zh[e], h[e]
        if cell == GRU:
            both, new = own[: 2 * hidden], own[2 * hidden :]
            for j in range(2 * hidden):
                both[j] += x[j]
            make_sigmoid(both)
            for j in range(hidden):
                new[j] = x[2 * hidden + j] + both[j] * new[j]
            make_tanh(new)
            for j in range(hidden):
                keep = both[hidden + j]
                state[j] = keep * state[j] + (one - keep) * new[j]
            continue
        for j in range(len(own)):
            own[j] += x[j]
        if cell == LSTM:
            memory, into, out = c[e], own[: 2 * hidden], own[3 * hidden :]
            new = own[2 * hidden : 3 * hidden]
            make_sigmoid(into)
            make_tanh(new)
            make_sigmoid(out)
            for j in range(hidden):
                memory[j] = into[hidden + j] * memory[j] + into[j] * new[j]
                state[j] = memory[j]
            make_tanh(state)
            for j in range(hidden):
                state[j] *= out[j]
        else:
            make_tanh(own)
            for j in range(hidden):
                state[j] = own[j]


@njit(fastmath=FLAGS, error_model="numpy")
def _tick(
    time: int, periods: Any, below: Any, letters: Any, first: Any, inputs: Any, bias: Any, across: Any, h: Any
) -> None:
    """Compute the modules of a Clockwork layer whose period divides ``time``; without ``below``, from the letters."""
    examples, hidden = h.shape
    width = hidden // len(periods)
    z = np.empty((examples, width), h.dtype)
    for i in range(len(periods)):
        # From the fastest on: none reads one that was computed before it in this step.
        if time % periods[i] == 0:
            left = i * width
            for e in range(examples):
                begin = bias if below.size else first[letters[e]]
                for j in range(width):
                    z[e, j] = begin[left + j]
            if below.size:
                _add(z, below, inputs, 0, left)
            _add(z, h[:, left:], across, left, left)
            for e in range(examples):
                make_tanh(z[e])
            lay(z, h, left)


@njit(error_model="numpy")
def _chances(h: Any, weights: Any, bias: Any, members: int, total: Any) -> None:
    """Add one member's probabilities of the four letters to their mean [example, 4]."""
    z = np.empty(4)
    for e in range(len(h)):
        for k in range(4):
            z[k] = bias[k]
        for j in range(h.shape[1]):
            for k in range(4):
                z[k] += h[e, j] * weights[j, k]
        # As differences from the largest one, which no exponential makes infinite.
        largest, parts = max(max(z[0], z[1]), max(z[2], z[3])), 0.0
        for k in range(4):
            z[k] = math.exp(z[k] - largest)
            parts += z[k]
        for k in range(4):
            total[e, k] += z[k] / (parts * members)


@njit(error_model="numpy", nogil=True, cache=True)
def choose(chances: Any, temperature: float, uniforms: Any, letters: Any) -> bool:
    """Choose one of four letters for each text.

    Args:
        chances: float64 [text, 4], their probabilities.
        temperature: p^(1/temperature), made to sum up to 1, is what is drawn from; 0 takes the most likely letter.
        uniforms: float64 [text] in [0, 1), the numbers that decide.
        letters: Receives the letters, uint8 [text].

    Returns:
        Whether all probabilities are numbers; if not, nothing more is chosen.
    """
    parts = np.empty(4)
    for e in range(len(chances)):
        best, total = 0, 0.0
        for k in range(4):
            if math.isnan(chances[e, k]):
                return False
            if chances[e, k] > chances[e, best]:
                best = k
        letters[e] = best
        if temperature == 0:
            continue
        for k in range(4):
            # Divided by the largest one, so that a power of it stays 1.
            parts[k] = (chances[e, k] / chances[e, best]) ** (1 / temperature)
            total += parts[k]
        left = uniforms[e] * total
        for k in range(4):
            left -= parts[k]
            if left < 0:
                letters[e] = k
                break
    return True


@njit(fastmath=FLAGS, error_model="numpy", nogil=True, cache=True)
def draw(
    cell: int,
    periods: Any,
    time: int,
    temperature: float,
    first: Any,
    inputs: Any,
    input_bias: Any,
    across: Any,
    across_bias: Any,
    answer: Any,
    answer_bias: Any,
    h: Any,
    c: Any,
    letters: Any,
    uniforms: Any,
    drawn: Any,
) -> bool:
    """Draw letters for some texts from networks of one shape, whose probabilities are averaged.

    Args:
        cell: Kind of all layers, see :data:`RNN`.
        periods: Periods of the modules of a Clockwork layer, int64.
        time: Number of letters that were read before.
        temperature: See :func:`choose`.
        first: What the first layer gets from each letter, with its bias [network, 5, gates].
        inputs: What the other layers get from the one below [network, layer − 1, from, to].
        input_bias: Their biases [network, layer − 1, to].
        across: Recurrent weights [network, layer, from, to].
        across_bias: Their biases [network, layer, to].
        answer: Weights of the logits [network, hidden, 4].
        answer_bias: Their biases [network, 4].
        h: States [network, layer, text, hidden]; replaced by those after the last letter that is read.
        c: Cells of an LSTM, likewise.
        letters: uint8 [text], the letter to read first; replaced by the last one that is drawn.
        uniforms: float64 [letter, text] in [0, 1).
        drawn: Receives the letters, uint8 [letter, text].

    Returns:
        Whether all probabilities were numbers; if not, nothing more is drawn.
    """
    members, layers, texts, _ = h.shape
    gates = first.shape[2]
    zx, zh = np.empty((texts, gates), h.dtype), np.empty((texts, gates), h.dtype)
    chances = np.empty((texts, 4))
    nothing = np.empty((0, 0), h.dtype)
    for t in range(len(uniforms)):
        for e in range(texts):
            for k in range(4):
                chances[e, k] = 0
        for m in range(members):
            for layer in range(layers):
                own = h[m][layer]
                if cell == CLOCKWORK:
                    below = h[m][layer - 1] if layer else nothing
                    up = max(layer - 1, 0)
                    _tick(
                        *(time + t, periods, below, letters, first[m]),
                        *(inputs[m][up], input_bias[m][up], across[m][layer], own),
                    )
                    continue
                own_bias = across_bias[m][layer]
                for e in range(texts):
                    begin = input_bias[m][layer - 1] if layer else first[m][letters[e]]
                    for j in range(gates):
                        zx[e, j] = begin[j]
                        zh[e, j] = own_bias[j]
                if layer:
                    _add(zx, h[m][layer - 1], inputs[m][layer - 1], 0, 0)
                _add(zh, own, across[m][layer], 0, 0)
                _gates(cell, zx, zh, own, c[m][layer])
            _chances(h[m][layers - 1], answer[m], answer_bias[m], members, chances)
        if not choose(chances, temperature, uniforms[t], letters):
            return False
        for e in range(texts):
            drawn[t, e] = letters[e]
    return True
