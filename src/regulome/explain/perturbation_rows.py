"""Effects of perturbations as rows of a table: where each place lies, and what was predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulome.datasets.dataset import Dataset
from regulome.datasets.region_layout import has_regions
from regulome.datasets.regions import RegionTable
from regulome.explain.perturbation_folder import COLUMNS
from regulome.explain.perturbation_places import Places

Array = NDArray[Any]


@dataclass(frozen=True)
class Spots:
    """The places of some genes.

    Attributes:
        ids: Names of the genes.
        chrom: Their chromosomes.
        names: What each place is called.
        begins, ends: bp from the TSS along the gene, [genes, places].
        starts, stops: On the chromosome, [genes, places].
        distance: bp from the TSS along the gene, [genes, places].
        frequency: How often the place touches the gene; NaN where it is not a pCRE.
        present: Which places a gene has.
    """

    ids: list[str]
    chrom: list[str]
    names: tuple[str, ...]
    begins: Array
    ends: Array
    starts: Array
    stops: Array
    distance: Array
    frequency: Array
    present: Array


class Where:
    """Finds the places of genes.

    Args:
        dataset: The dataset.
        places: The places of the window; None: pCREs.
        most: pCREs of a gene that count, the first by rank; -1: all.
    """

    def __init__(self, dataset: Dataset, places: Places | None, most: int = -1) -> None:
        self.places, self.most = places, most
        self._table = dataset.regions.select("id", "chrom", "start", "end", "strand")
        self._regions = RegionTable(dataset) if places is None and has_regions(dataset.manifest) else None

    def count(self, rows: NDArray[np.int64]) -> int:
        """Return the number of places of these genes."""
        if self.places is not None:
            return len(self.places)
        return 1 + int(self._near(rows)[1].max(initial=0))

    def _near(self, rows: Array) -> tuple[Array, Array]:
        """Return the first contact of each gene, and how many of its contacts count."""
        if self._regions is None:
            return np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
        first = self._regions.first
        counts = first[rows + 1] - first[rows]
        return first[rows], counts if self.most < 0 else np.minimum(counts, self.most)

    def __call__(self, rows: NDArray[np.int64]) -> Spots:
        """Find the places of the genes in some rows of the dataset."""
        table = self._table[rows]
        start, end = table["start"].to_numpy(), table["end"].to_numpy()
        minus = (table["strand"] == "-").to_numpy()
        shape = (len(rows), self.count(rows))
        ids, chrom = table["id"].to_list(), table["chrom"].to_list()
        if self.places is not None:
            places = self.places
            starts, stops = (
                np.where((start >= 0)[:, None], x, np.nan) for x in places.on_chromosome(start, end, minus)
            )
            begins, ends, distance = (
                np.broadcast_to(one, shape) for one in (places.begins, places.ends, places.distances)
            )
            nothing, every = np.full(shape, np.nan), np.ones(shape, bool)
            return Spots(ids, chrom, places.names, begins, ends, starts, stops, distance, nothing, every)
        return self._pcres(ids, chrom, rows, (start + end) / 2, minus, shape)

    def _pcres(
        self, ids: list[str], chrom: list[str], rows: Array, centre: Array, minus: Array, shape: tuple[int, int]
    ) -> Spots:
        starts, stops, frequency = (np.full(shape, np.nan) for _ in range(3))
        present = np.zeros(shape, bool)
        if self._regions is not None:
            first, counts = self._near(rows)
            gene = np.repeat(np.arange(len(rows)), counts)
            rank = 1 + np.arange(len(gene)) - np.repeat(np.cumsum(counts) - counts, counts)
            contact = np.repeat(first, counts) + rank - 1
            region = self._regions.contact[contact, 1]
            starts[gene, rank] = self._regions.regions.starts[region]
            stops[gene, rank] = self._regions.regions.ends[region]
            frequency[gene, rank] = self._regions.frequency[contact]
            present[gene, rank] = True
            present[:, 0] = counts > 0
        near, far = starts - centre[:, None], stops - centre[:, None]
        turned = minus[:, None]
        begins, ends = np.where(turned, -far, near), np.where(turned, -near, far)
        labels = ("all", *map(str, range(1, shape[1])))
        distance = (begins + ends) / 2
        return Spots(ids, chrom, labels, begins, ends, starts, stops, distance, frequency, present)


def effect_rows(
    spots: Spots,
    marks: Sequence[str],
    factors: Sequence[float],
    original: Array,
    perturbed: Array,
    change: Array,
    signal: Array,
    runs: Array,
) -> pl.DataFrame:
    """Lay predictions out, a row per gene, set of marks, place and factor.

    Args:
        spots: The genes and their places.
        marks: Names of the sets of marks.
        factors: The factors.
        original: Predictions of the genes as they are, [genes].
        perturbed: Predictions [genes, sets, places, factors].
        change: Relative effects, of the same shape.
        signal: Mean feature [genes, sets, places].
        runs: Number of runs behind each gene's predictions, [genes].

    Returns:
        The columns of :data:`regulome.explain.perturbation_folder.COLUMNS`.
    """
    shown = np.broadcast_to(spots.present[:, None, :, None], perturbed.shape)
    gene, which, place, strength = np.nonzero(shown)
    before, after = original[gene], perturbed[shown]
    at = (gene, place)
    columns = {
        "id": pl.Series(spots.ids, dtype=pl.String).gather(gene),
        "mark": pl.Series(list(marks), dtype=pl.String).gather(which),
        "place": pl.Series(spots.names, dtype=pl.String).gather(place),
        "from": spots.begins[at],
        "to": spots.ends[at],
        "chrom": pl.Series(spots.chrom, dtype=pl.String).gather(gene),
        "start": spots.starts[at],
        "end": spots.stops[at],
        "distance": spots.distance[at],
        "frequency": spots.frequency[at],
        "signal": signal[gene, which, place],
        "factor": np.asarray(factors, np.float32)[strength],
        "original": before,
        "prediction": after,
        "difference": after - before,
        "change": change[shown],
        "runs": runs[gene],
    }
    table = pl.DataFrame(columns).with_columns(pl.col(pl.Float32, pl.Float64).fill_nan(None))
    return table.select(pl.col(name).cast(kind) for name, kind in COLUMNS.items())
