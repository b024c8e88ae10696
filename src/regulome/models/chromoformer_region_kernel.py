"""Chromoformer's attention among the regions of a gene on a CPU, compiled.

A gene has up to nine regions or so, a head 32 channels: products of matrices of that size are over before a library
has been called, and would need padding and copies into another order. A *task* is a block of genes and writes to places
of its own, so that tasks may run in any order on any number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from regulome.models.chromoformer_bin_kernel import add, dot, softmax_back
from regulome.models.kernel_arithmetic import FLAGS, copy, exp, make_sigmoid, set_product


@njit
def _tokens(gene: int, genes: int, begin: Any, out: Any) -> Any:
    """Which tokens are a gene's: all promoters stand before all pCREs. Gives their number."""
    out[0] = gene
    count = begin[gene + 1] - begin[gene] + 1
    for j in range(1, count):
        out[j] = genes + begin[gene] + j - 1
    return count


@njit
def _padded(count: Any) -> Any:
    """Rows for products of matrices, which take eight at a time and then one by one."""
    return count if count % 8 <= 1 else count + 8 - count % 8


@njit
def _gather(values: Any, tokens: Any, count: int, kind: int, head: int, out: Any) -> None:
    out[count:] = 0
    for i in range(count):
        copy(values[tokens[i], kind, head], out[i])


@njit
def _gather_across(values: Any, tokens: Any, count: int, kind: int, head: int, out: Any) -> None:
    """The same, transposed."""
    out[:, count:] = 0
    for i in range(count):
        for c in range(out.shape[0]):
            out[c, i] = values[tokens[i], kind, head, c]


@njit
def _scatter(rows: Any, tokens: Any, count: int, kind: int, head: int, out: Any) -> None:
    for i in range(count):
        copy(rows[i], out[tokens[i], kind, head])


@njit(fastmath=FLAGS | {"reassoc"}, error_model="numpy")
def _normalise(scores: Any, count: int) -> None:
    """Softmax over the first ``count`` columns of rows; 0 in the others."""
    for i in range(scores.shape[0]):
        line = scores[i]
        most = line[0]
        for j in range(count):
            most = max(most, line[j])
        for j in range(line.size):
            line[j] = exp(line[j] - most)
        line[count:] = 0
        total = line.dtype.type(0)
        for j in range(line.size):
            total += line[j]
        total = line.dtype.type(1) / total
        for j in range(line.size):
            line[j] *= total


@njit(fastmath=FLAGS, error_model="numpy")
def _scale(factor: Any, out: Any) -> None:
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] *= factor


@njit(fastmath=FLAGS, error_model="numpy", nogil=True, cache=True)
def attend(task: int, size: int, values: Any, begin: Any, frequency: Any, gamma: Any, weights: Any, out: Any) -> None:
    """Gated attention among the tokens of each gene.

    Args:
        task: Number of the block of genes.
        size: Genes in a block.
        values: Query, key, value and gate [token, 4, head, channel]; promoters before pCREs.
        begin: Which pCREs are a gene's: from its number to the next one's, [gene + 1].
        frequency: Of each pCRE.
        gamma: Of each head.
        weights: Zeros [gene, head, T, T]; becomes the weights.
        out: Where the gated sums go, [token, head, channel].
    """
    genes, most = len(begin) - 1, weights.shape[2]
    heads, channels = values.shape[2:]
    root = values.dtype.type(channels**-0.5)
    tokens = np.empty(most, np.int64)
    room, width = most + 7, -(-most // 16) * 16
    q, v, o = np.empty((3, room, channels), values.dtype)
    across, scores = np.empty((channels, width), values.dtype), np.empty((room, width), values.dtype)
    gate = np.empty(heads * channels, values.dtype)
    for gene in range(task * size, min((task + 1) * size, genes)):
        count = _tokens(gene, genes, begin, tokens)
        rows = _padded(count)
        for head in range(heads):
            _gather(values, tokens, count, 0, head, q[:rows])
            _gather_across(values, tokens, count, 1, head, across)
            _gather(values, tokens, count, 2, head, v[:rows])
            w = scores[:rows]
            set_product(w, q[:rows], across)
            _scale(root, w)
            add(gamma[head], frequency[begin[gene] : begin[gene + 1]], w[0, 1:count])
            _normalise(w, count)
            set_product(o[:rows], w[:, :count], v[:count])
            for i in range(count):
                copy(w[i, :count], weights[gene, head, i])
                copy(o[i], out[tokens[i], head])
        for i in range(count):
            copy(values[tokens[i], 3].ravel(), gate)
            make_sigmoid(gate)
            answer = out[tokens[i]].ravel()
            for c in range(gate.size):
                answer[c] *= gate[c]


@njit(fastmath=FLAGS, error_model="numpy")
def _shut(grad: Any, gate: Any, out: Any, dgate: Any, dseen: Any) -> None:
    """Gradients of the gate before its sigmoid, and of what it lets pass."""
    one = gate.dtype.type(1)
    for c in range(gate.size):
        dgate[c] = grad[c] * out[c] * (one - gate[c])
    for c in range(gate.size):
        dseen[c] = grad[c] * gate[c]


@njit(fastmath=FLAGS, error_model="numpy", nogil=True, cache=True)
def attend_back(
    task: int,
    size: int,
    values: Any,
    begin: Any,
    frequency: Any,
    gamma: Any,
    weights: Any,
    out: Any,
    dweights: Any,
    grads: Any,
    dvalues: Any,
    dfrequency: Any,
    dgamma: Any,
) -> None:
    """Derivatives of :func:`attend`.

    Args:
        task: Number of the block of genes, as all up to ``out``, which it filled.
        size: See :func:`attend`.
        values: See :func:`attend`.
        begin: See :func:`attend`.
        frequency: See :func:`attend`.
        gamma: See :func:`attend`.
        weights: See :func:`attend`.
        out: See :func:`attend`.
        dweights: Gradients of the weights, or an array of no genes.
        grads: Gradients of ``out``.
        dvalues: Where those of ``values`` go.
        dfrequency: Zeros, to which those of the frequencies are added.
        dgamma: Zeros [task, head], to which those of gamma are added.
    """
    genes, most = len(begin) - 1, weights.shape[2]
    heads, channels = values.shape[2:]
    root = values.dtype.type(channels**-0.5)
    tokens = np.empty(most, np.int64)
    room, width = most + 7, -(-most // 16) * 16
    q, k, o = np.empty((3, room, channels), values.dtype)
    dseen = np.zeros((room, heads, channels), values.dtype)
    across = np.empty((channels, width), values.dtype)
    d, w = np.empty((2, room, width), values.dtype)
    gate = np.empty(heads * channels, values.dtype)
    for gene in range(task * size, min((task + 1) * size, genes)):
        count = _tokens(gene, genes, begin, tokens)
        rows = _padded(count)
        for i in range(count):
            t = tokens[i]
            copy(values[t, 3].ravel(), gate)
            make_sigmoid(gate)
            _shut(grads[t].ravel(), gate, out[t].ravel(), dvalues[t, 3].ravel(), dseen[i].ravel())
        dseen[count:rows] = 0
        for head in range(heads):
            _gather(values, tokens, count, 0, head, q[:rows])
            _gather(values, tokens, count, 1, head, k[:rows])
            _gather_across(values, tokens, count, 2, head, across)
            w[:rows] = 0
            for i in range(count):
                copy(weights[gene, head, i, :count], w[i])
            # Values: Wᵀ · dseen. Columns beyond the tokens are rows here; they are zero, and not copied.
            columns = min(rows, width)
            set_product(o[:columns], w[:count, :columns].T, dseen[:count, head])
            _scatter(o, tokens, count, 2, head, dvalues)
            ds = d[:rows]
            set_product(ds, dseen[:rows, head], across)
            for i in range(count):
                if len(dweights):
                    add(gate.dtype.type(1), dweights[gene, head, i, :count], ds[i])
                softmax_back(w[i], ds[i])
            ds[count:] = 0
            near = frequency[begin[gene] : begin[gene + 1]]
            dgamma[task, head] += dot(ds[0, 1:count], near)
            add(gamma[head], ds[0, 1:count], dfrequency[begin[gene] : begin[gene + 1]])
            _scale(root, ds)
            set_product(o[:rows], ds[:, :count], k[:count])
            _scatter(o, tokens, count, 0, head, dvalues)
            set_product(o[:columns], ds[:count, :columns].T, q[:count])
            _scatter(o, tokens, count, 1, head, dvalues)
