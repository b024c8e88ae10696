"""Chromoformer's attention among the regions of a gene on a CPU, compiled.

A gene has up to nine regions or so, a head 32 channels: a call for each product of such matrices, or a view of each
part of an array, takes longer than the arithmetic. Hence all is written as plain loops, the innermost over channels. A
*task* is a block of genes and writes to places of its own, so that tasks may run in any order on any number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from regulome.models.kernel_arithmetic import FLAGS, exp

_SUMS = FLAGS | {"reassoc"}


@njit
def _tokens(gene: int, genes: int, begin: Any, out: Any) -> Any:
    """Which tokens are a gene's: all promoters stand before all pCREs. Gives their number."""
    out[0] = gene
    count = begin[gene + 1] - begin[gene] + 1
    for j in range(1, count):
        out[j] = genes + begin[gene] + j - 1
    return count


@njit(fastmath=_SUMS, error_model="numpy")
def _pairs(a: Any, rows: Any, kind: int, b: Any, columns: Any, other: int, count: int, out: Any) -> None:
    """Inner products in each head, of all pairs of a gene's tokens.

    Args:
        a: [token, kind, head, channel].
        rows: Which tokens of it are the gene's.
        kind: Which kind of it.
        b: As ``a``.
        columns: As ``rows``, for ``b``.
        other: As ``kind``, for ``b``.
        count: Number of the gene's tokens.
        out: Where they go, [head, token of a, token of b].
    """
    for i in range(count):
        row = rows[i]
        for j in range(count):
            column = columns[j]
            for head in range(out.shape[0]):
                total = out.dtype.type(0)
                for c in range(b.shape[3]):
                    total += a[row, kind, head, c] * b[column, other, head, c]
                out[head, i, j] = total


@njit(fastmath=FLAGS, error_model="numpy")
def _mix(weights: Any, turned: bool, a: Any, rows: Any, kind: int, count: int, out: Any, places: Any, to: int) -> None:
    """Weighted sums over a gene's tokens.

    Args:
        weights: [head, token, token]; sums are over the second token, or over the first one if ``turned``.
        turned: See ``weights``.
        a: What is summed, [token, kind, head, channel].
        rows: Which tokens of it are the gene's.
        kind: Which kind of it.
        count: Number of the gene's tokens.
        out: Where the sums go, as ``a``.
        places: As ``rows``, for ``out``.
        to: As ``kind``, for ``out``.
    """
    heads, channels = a.shape[2:]
    for i in range(count):
        place = places[i]
        for head in range(heads):
            for c in range(channels):
                out[place, to, head, c] = 0
        for j in range(count):
            row = rows[j]
            for head in range(heads):
                weight = weights[head, j, i] if turned else weights[head, i, j]
                for c in range(channels):
                    out[place, to, head, c] += weight * a[row, kind, head, c]


@njit(fastmath=_SUMS, error_model="numpy")
def _softmax(count: int, z: Any) -> None:
    """Softmax over the last axis, of which ``count`` places are taken; 0 in the others."""
    for head in range(z.shape[0]):
        for i in range(count):
            most = z[head, i, 0]
            for j in range(count):
                most = max(most, z[head, i, j])
            for j in range(z.shape[2]):
                z[head, i, j] = exp(z[head, i, j] - most)
            total = z.dtype.type(0)
            for j in range(count):
                total += z[head, i, j]
            total = z.dtype.type(1) / total
            for j in range(z.shape[2]):
                z[head, i, j] *= total if j < count else 0


@njit(fastmath=FLAGS, error_model="numpy")
def _gates(values: Any, tokens: Any, count: int, out: Any) -> None:
    """Sigmoid of the gates of a gene's tokens, [token of the gene, 1, head, channel]."""
    one = out.dtype.type(1)
    for i in range(count):
        token = tokens[i]
        for head in range(values.shape[2]):
            for c in range(values.shape[3]):
                out[i, 0, head, c] = one / (one + exp(-values[token, 3, head, c]))


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
        out: Where the gated sums go, [token, 1, head, channel].
    """
    genes, heads, most = len(begin) - 1, weights.shape[1], weights.shape[2]
    channels = values.shape[3]
    root = values.dtype.type(channels**-0.5)
    tokens = np.empty(most, np.int64)
    scores = np.zeros((heads, most, most), values.dtype)
    gate = np.empty((most, 1, heads, channels), values.dtype)
    for gene in range(task * size, min((task + 1) * size, genes)):
        count = _tokens(gene, genes, begin, tokens)
        _pairs(values, tokens, 0, values, tokens, 1, count, scores)
        for head in range(heads):
            for i in range(count):
                for j in range(count):
                    scores[head, i, j] *= root
            for j in range(1, count):
                scores[head, 0, j] += gamma[head] * frequency[begin[gene] + j - 1]
        _softmax(count, scores)
        for head in range(heads):
            for i in range(count):
                for j in range(count):
                    weights[gene, head, i, j] = scores[head, i, j]
        _mix(scores, False, values, tokens, 2, count, out, tokens, 0)
        _gates(values, tokens, count, gate)
        for i in range(count):
            token = tokens[i]
            for head in range(heads):
                for c in range(channels):
                    out[token, 0, head, c] *= gate[i, 0, head, c]


@njit(fastmath=_SUMS, error_model="numpy")
def _softmax_back(count: int, w: Any, d: Any) -> None:
    """Turn gradients ``d`` of the results ``w`` of :func:`_softmax` into those of what went in."""
    for head in range(d.shape[0]):
        for i in range(count):
            total = d.dtype.type(0)
            for j in range(count):
                total += w[head, i, j] * d[head, i, j]
            for j in range(count):
                d[head, i, j] = w[head, i, j] * (d[head, i, j] - total)


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
    genes, heads, most = len(begin) - 1, weights.shape[1], weights.shape[2]
    channels = values.shape[3]
    one, root = values.dtype.type(1), values.dtype.type(channels**-0.5)
    tokens, own = np.empty(most, np.int64), np.arange(most)
    d = np.empty((heads, most, most), values.dtype)
    gate, dseen = np.empty((2, most, 1, heads, channels), values.dtype)
    for gene in range(task * size, min((task + 1) * size, genes)):
        count = _tokens(gene, genes, begin, tokens)
        w = weights[gene]
        _gates(values, tokens, count, gate)
        for i in range(count):
            token = tokens[i]
            for head in range(heads):
                for c in range(channels):
                    grad, passed = grads[token, 0, head, c], gate[i, 0, head, c]
                    dvalues[token, 3, head, c] = grad * out[token, 0, head, c] * (one - passed)
                    dseen[i, 0, head, c] = grad * passed
        _mix(w, True, dseen, own, 0, count, dvalues, tokens, 2)
        _pairs(dseen, own, 0, values, tokens, 2, count, d)
        if len(dweights):
            for head in range(heads):
                for i in range(count):
                    for j in range(count):
                        d[head, i, j] += dweights[gene, head, i, j]
        _softmax_back(count, w, d)
        for head in range(heads):
            for j in range(1, count):
                pcre = begin[gene] + j - 1
                dgamma[task, head] += d[head, 0, j] * frequency[pcre]
                dfrequency[pcre] += d[head, 0, j] * gamma[head]
            for i in range(count):
                for j in range(count):
                    d[head, i, j] *= root
        _mix(d, False, values, tokens, 1, count, dvalues, tokens, 0)
        _mix(d, True, values, tokens, 0, count, dvalues, tokens, 1)
