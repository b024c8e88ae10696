"""Mean effects of perturbations by mark, place, factor and group of genes, added up while genes come by."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulome.explain.groups import GROUPS
from regulome.explain.perturbation_places import Places

Floats = NDArray[np.floating[Any]]
#: Borders of the classes of distance to which pCREs belong, in bp.
DISTANCES = (0, 20e3, 50e3, 100e3, 200e3, 500e3, 1e6, np.inf)
#: Quantile of the normal distribution for intervals of 95 %.
_NORMAL = 1.959964


class Profile:
    """Sums of effects.

    Args:
        marks: Names of the sets of marks.
        factors: The factors.
        places: The places, the same in all genes; None: pCREs, which go into classes of distance, after one for all of
            a gene together.
        labelled: Whether high and low genes can be told apart.
    """

    def __init__(
        self, marks: Sequence[str], factors: Sequence[float], places: Places | None, *, labelled: bool
    ) -> None:
        self.marks, self.factors, self.places = list(marks), list(factors), places
        self.groups = GROUPS if labelled else ("all",)
        count = len(DISTANCES) if places is None else len(places)
        shape = (len(self.groups), count, len(marks), len(factors))
        self._n = np.zeros(shape[:2], np.int64)
        self._sums = np.zeros((2, *shape))
        self._changes = np.zeros((2, *shape))

    def add(
        self,
        difference: Floats,
        change: Floats,
        high: NDArray[np.bool_],
        present: NDArray[np.bool_],
        distance: Floats | None = None,
    ) -> None:
        """Add some genes.

        Args:
            difference: Effects [genes, sets, places, factors].
            change: Relative effects, of the same shape; NaN where there is none.
            high: Which genes are high, [genes].
            present: Which places a gene has, [genes, places].
            distance: bp from the TSS [genes, places], where places differ between genes.
        """
        gene, place = np.nonzero(present)
        slot = place
        if self.places is None and distance is not None:
            classes = np.searchsorted(DISTANCES, np.abs(distance[gene, place]), side="right")
            slot = np.where(place == 0, 0, np.clip(classes, 1, len(DISTANCES) - 1))
        effects, changes = (np.asarray(one, np.float64)[gene, :, place] for one in (difference, change))
        finite = np.isfinite(changes)
        changes = np.where(finite, changes, 0.0)
        for row, group in enumerate(self.groups):
            kept = slice(None) if group == "all" else high[gene] if group == "high" else ~high[gene]
            where = slot[kept]
            np.add.at(self._n[row], where, 1)
            for sums, values in ((self._sums[0], effects), (self._sums[1], effects**2)):
                np.add.at(sums[row], where, values[kept])
            np.add.at(self._changes[0, row], where, changes[kept])
            np.add.at(self._changes[1, row], where, finite[kept])

    def table(self) -> pl.DataFrame:
        """Lay the means out.

        Returns:
            mark, place, from, to, distance (bp from the TSS), factor, group, n, difference (mean), low and high
            (interval of 95 % of that mean over genes), change (mean).
        """
        groups, count, sets, factors = self._sums.shape[1:]
        row, place, mark, factor = (axis.ravel() for axis in np.indices((groups, count, sets, factors)))
        n = np.broadcast_to(self._n[:, :, None, None], self._sums.shape[1:]).ravel()
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self._sums[0].ravel() / n
            spread = np.sqrt(np.clip(self._sums[1].ravel() / n - mean**2, 0, None) * n / (n - 1))
            change = (self._changes[0] / self._changes[1]).ravel()
            reach = _NORMAL * spread / np.sqrt(n)
        names, begins, ends, distances = self._where()
        table = pl.DataFrame(
            {
                "mark": np.array(self.marks)[mark],
                "place": np.array(names)[place],
                "from": begins[place],
                "to": ends[place],
                "distance": distances[place],
                "factor": np.array(self.factors)[factor],
                "group": np.array(self.groups)[row],
                "n": n,
                "difference": mean,
                "low": mean - reach,
                "high": mean + reach,
                "change": change,
                "_order": mark * count + place,
            }
        )
        table = table.filter(pl.col("n") > 0).sort("_order", "factor", descending=[False, True], maintain_order=True)
        return table.drop("_order").with_columns(pl.col(pl.Float64).fill_nan(None))

    def _where(self) -> tuple[list[str], Floats, Floats, Floats]:
        if self.places is not None:
            return list(self.places.names), self.places.begins, self.places.ends, self.places.distances
        edges = np.array(DISTANCES)
        left, right = np.append(np.nan, edges[:-1]), np.append(np.nan, edges[1:])
        names = distance_names()
        # The middle on a logarithmic axis; the first and the last class are open there.
        middle = np.sqrt(np.maximum(left, 5e3) * np.minimum(right, 2e6))
        return ["all", *names], left, np.where(np.isfinite(right), right, np.nan), middle


def distance_names() -> list[str]:
    """Return what the classes between the borders of :data:`DISTANCES` are called: "20–50 kb"."""
    return [f"{_kb(a)}–{_kb(b)} kb" if np.isfinite(b) else f"≥ {_kb(a)} kb" for a, b in pairwise(DISTANCES)]


def _kb(value: float) -> str:
    return f"{value / 1000:,.0f}"
