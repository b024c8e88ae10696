"""Chromoformer's attention over the bins of regions on a CPU, compiled.

It is some operations on a handful of numbers for each bin, between large products of matrices. As operations of torch
they cost more than those products: regions of all sizes would have to be padded. A *task* is a block of regions and
writes to places of its own, so that tasks may run in any order on any number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from regulome.models.kernel_arithmetic import FLAGS, exp


@njit(fastmath=FLAGS | {"reassoc"}, error_model="numpy")
def dot(a: Any, b: Any) -> Any:
    """Give the inner product of two vectors."""
    total = a.dtype.type(0)
    for c in range(a.size):
        total += a[c] * b[c]
    return total


@njit(fastmath=FLAGS, error_model="numpy")
def add(factor: Any, a: Any, out: Any) -> None:
    """Add a multiple of a vector to another."""
    for c in range(a.size):
        out[c] += factor * a[c]


@njit(fastmath=FLAGS | {"reassoc"}, error_model="numpy")
def _softmax(z: Any) -> None:
    most = z[0]
    for j in range(z.size):
        most = max(most, z[j])
    for j in range(z.size):
        z[j] = exp(z[j] - most)
    total = z.dtype.type(0)
    for j in range(z.size):
        total += z[j]
    for j in range(z.size):
        z[j] /= total


@njit(fastmath=FLAGS | {"reassoc"}, error_model="numpy")
def softmax_back(weights: Any, d: Any) -> None:
    """Turn gradients ``d`` of a softmax's results into those of what went in."""
    total = dot(weights, d)
    for j in range(d.size):
        d[j] = weights[j] * (d[j] - total)


@njit(fastmath=FLAGS, error_model="numpy")
def _columns(rows: Any, begin: int, out: Any) -> None:
    for mark in range(out.shape[0]):
        for s in range(out.shape[1]):
            out[mark, s] = rows[begin + s, mark]


@njit(fastmath=FLAGS | {"reassoc"}, error_model="numpy", nogil=True, cache=True)
def look(
    task: int, size: int, rows: Any, begin: Any, slot: Any, bins: Any, unit: Any, weights: Any, marks: Any
) -> None:
    """One query for each region and head over the region's bins.

    Args:
        task: Number of the block of regions.
        size: Regions in a block.
        rows: Features [row, mark].
        begin: Row of a region's first bin, [region].
        slot: Slot of a region's first bin among those of ``weights``, [region].
        bins: Number of a region's bins, [region].
        unit: What a unit of each mark adds to the score, [region, head, mark].
        weights: What each slot adds to the score, [region, head, slot]; becomes the weights.
        marks: Where the weighted means of the features go, [region, head, mark].
    """
    for region in range(task * size, min((task + 1) * size, len(bins))):
        count, first = bins[region], slot[region]
        columns = np.empty((rows.shape[1], count), rows.dtype)
        _columns(rows, begin[region], columns)
        for head in range(unit.shape[1]):
            line = weights[region, head]
            line[:first] = 0
            line[first + count :] = 0
            here = line[first : first + count]
            for mark in range(rows.shape[1]):
                add(unit[region, head, mark], columns[mark], here)
            _softmax(here)
            for mark in range(rows.shape[1]):
                marks[region, head, mark] = dot(here, columns[mark])


@njit(fastmath=FLAGS | {"reassoc"}, error_model="numpy", nogil=True, cache=True)
def look_back(
    task: int,
    size: int,
    rows: Any,
    begin: Any,
    slot: Any,
    bins: Any,
    unit: Any,
    weights: Any,
    dmarks: Any,
    dscores: Any,
    dunit: Any,
    drows: Any,
) -> None:
    """Derivatives of :func:`look`.

    Args:
        task: Number of the block of regions, as all up to ``weights``, which it filled.
        size: See :func:`look`.
        rows: See :func:`look`.
        begin: See :func:`look`.
        slot: See :func:`look`.
        bins: See :func:`look`.
        unit: See :func:`look`.
        weights: See :func:`look`.
        dmarks: Gradients of ``marks``.
        dscores: Gradients of the weights; becomes those of what each slot adds to the score.
        dunit: Where the gradients of ``unit`` go.
        drows: Where those of the features are added, or an array of no rows.
    """
    for region in range(task * size, min((task + 1) * size, len(bins))):
        count, first, start = bins[region], slot[region], begin[region]
        columns = np.empty((rows.shape[1], count), rows.dtype)
        _columns(rows, start, columns)
        for head in range(unit.shape[1]):
            line = dscores[region, head]
            line[:first] = 0
            line[first + count :] = 0
            d, here = line[first : first + count], weights[region, head, first : first + count]
            for mark in range(rows.shape[1]):
                add(dmarks[region, head, mark], columns[mark], d)
            softmax_back(here, d)
            for mark in range(rows.shape[1]):
                dunit[region, head, mark] = dot(d, columns[mark])
            if len(drows):
                for s in range(count):
                    add(d[s], unit[region, head], drows[start + s])
                    add(here[s], dmarks[region, head], drows[start + s])
