"""High and low genes, and the mean maps of each group."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

GROUPS = ("high", "low", "all")


def high_genes(targets: NDArray[np.floating[Any]], task: str) -> tuple[NDArray[np.bool_], str]:
    """Tell high genes from low ones by what is true of them, not by what a model says.

    Args:
        targets: Labels or values, [n].
        task: "classification" or "regression".

    Returns:
        Which genes are high, bool [n], and the rule in words.
    """
    if task == "classification":
        return targets >= 0.5, "high = label 1, low = label 0"
    middle = float(np.median(targets)) if len(targets) else 0.0
    return targets > middle, f"high = target above {middle:.4g}, the median of the explained genes"


def sample(high: NDArray[np.bool_], limit: int, seed: int) -> NDArray[np.int64]:
    """Pick at most ``limit`` examples, half of them high where there are enough; returns sorted positions [m]."""
    random = np.random.default_rng(seed)
    ups, downs = (random.permutation(np.flatnonzero(mask)) for mask in (high, ~high))
    n_up = min(len(ups), max(limit // 2, limit - len(downs)))
    n_down = min(len(downs), limit - n_up)
    picked: NDArray[np.int64] = np.sort(np.concatenate([ups[:n_up], downs[:n_down]])).astype(np.int64)
    return picked


class GroupMeans:
    """Means over high, low and all examples, summed batch by batch in float64.

    Args:
        high: Which of the examples are high, bool [n], in the order in which they will come.
        labelled: False when that is not known: then only the mean over all is given.
    """

    def __init__(self, high: NDArray[np.bool_], *, labelled: bool = True) -> None:
        self._high = high
        self._labelled = labelled
        self._sums: dict[str, NDArray[np.float64]] = {}

    def add(self, quantity: str, begin: int, values: NDArray[np.floating[Any]]) -> None:
        """Add the maps [b, ...] of examples ``begin`` … ``begin + b``."""
        high = self._high[begin : begin + len(values)]
        sums = np.stack([values[high].sum(axis=0, dtype=np.float64), values[~high].sum(axis=0, dtype=np.float64)])
        self._sums[quantity] = self._sums[quantity] + sums if quantity in self._sums else sums

    def means(self) -> dict[str, dict[str, NDArray[np.float64]]]:
        """Return quantity → group → mean map; a group without examples is left out."""
        counts = [int(self._high.sum()), int((~self._high).sum())]
        result: dict[str, dict[str, NDArray[np.float64]]] = {}
        for quantity, (high, low) in self._sums.items():
            totals = zip(GROUPS, (high, low, high + low), (*counts, sum(counts)), strict=True)
            result[quantity] = {
                group: total / count for group, total, count in totals if count and (self._labelled or group == "all")
            }
        return result
