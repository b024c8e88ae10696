"""Windows without peaks: chosen by chance, alike in their share of G and C where that is wanted."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from regulome.genome.letters import UNKNOWN

#: Windows are alike when they are in the same one of so many classes of GC.
GC_CLASSES = 50

Integers = npt.NDArray[np.int64]


@njit(cache=True, nogil=True)
def _compose(codes: Any, starts: Any, length: Any, strong: Any, unknown: Any) -> None:
    for i in range(len(starts)):
        begin, end = max(starts[i], 0), min(starts[i] + length, len(codes))
        g, n = 0, 0
        for p in range(begin, end):
            code = codes[p]
            g += (code == 1) | (code == 2)
            n += code == UNKNOWN
        strong[i] = g
        unknown[i] = n + length - max(end - begin, 0)


def composition(
    codes: npt.NDArray[np.uint8], starts: Integers, length: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the share of G and C among the known letters, and the share of unknown letters, of windows.

    Args:
        codes: A chromosome.
        starts: [n] first base of each window; letters outside the chromosome are unknown.
        length: Letters per window.

    Returns:
        Two arrays float64 [n]; GC is 0 where no letter is known.
    """
    strong, unknown = np.empty(len(starts), np.int64), np.empty(len(starts), np.int64)
    _compose(np.asarray(codes), np.asarray(starts, np.int64), length, strong, unknown)
    return strong / np.maximum(length - unknown, 1), unknown / length


def choose(candidates: int, wanted: int, generator: np.random.Generator) -> Integers:
    """Choose ``wanted`` of the candidates by chance, or all where there are fewer; in order."""
    return np.sort(generator.permutation(candidates)[:wanted])


def choose_alike(
    gc: npt.NDArray[np.float64], like: npt.NDArray[np.float64], wanted: int, generator: np.random.Generator
) -> Integers:
    """Choose candidates whose GC is spread as that of other windows.

    The classes of GC are served in proportion to ``like``. Where a class has too few candidates, the rest comes from
    the candidates that are left, from the class next to it outwards.

    Args:
        gc: [n] GC of the candidates.
        like: [m] GC of the windows to resemble.
        wanted: How many to choose.
        generator: Source of chance.

    Returns:
        int64 [at most wanted], in order.
    """
    classes = np.minimum((gc * GC_CLASSES).astype(np.int64), GC_CLASSES - 1)
    target = np.bincount(np.minimum((like * GC_CLASSES).astype(np.int64), GC_CLASSES - 1), minlength=GC_CLASSES)
    # Rounded so that the sum is kept: each class gets what its share of the running total has become.
    running = np.floor(np.cumsum(target) * (wanted / max(len(like), 1)) + 0.5).astype(np.int64)
    need = np.diff(running, prepend=0)
    have = np.bincount(classes, minlength=GC_CLASSES)
    take = np.minimum(need, have)
    lacking, left = need - take, have - take
    for distance in range(1, GC_CLASSES):
        for here in np.flatnonzero(lacking):
            for there in (here - distance, here + distance):
                if 0 <= there < GC_CLASSES:
                    moved = min(lacking[here], left[there])
                    take[there] += moved
                    left[there] -= moved
                    lacking[here] -= moved
    order = generator.permutation(len(gc))
    order = order[np.argsort(classes[order], kind="stable")]
    rank = np.arange(len(order)) - (np.cumsum(have) - have)[classes[order]]
    return np.sort(order[rank < take[classes[order]]])
