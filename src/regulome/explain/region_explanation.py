"""``regulome explain attention`` of networks on promoters and pCREs: arrays, tables of genes and contacts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulome.datasets.dataset import Dataset
from regulome.datasets.region_views import RegionView
from regulome.datasets.regions import RegionTable
from regulome.explain.explanation import summarize
from regulome.explain.genes import gene_table
from regulome.explain.groups import GROUPS
from regulome.explain.methods import Work, remember
from regulome.explain.perturbation_profile import DISTANCES
from regulome.explain.perturbation_rows import Where
from regulome.explain.region_attention import Maps, stream_region_attention
from regulome.storage import allocate_npy

Array = NDArray[Any]


def explain_regions(work: Work, dataset: Dataset, rows: NDArray[np.int64], view: RegionView) -> None:
    """Write arrays, ``summary.tsv``, ``genes.tsv`` and ``contacts.tsv``, and note what the manifest should say.

    Memory: a batch, and a line of the tables for each gene and each contact.

    Args:
        work: Where to write, what to explain; its batches are genes with regions.
        dataset: Where the genes are.
        rows: Which genes, in the order of the batches.
        view: What the network sees of the dataset.

    Raises:
        InputError: The model has no attention.
    """
    finest = min(view.resolutions)
    names = [f"embedding_{width}" for width in view.resolutions]
    contacts, own = _Contacts(work, dataset, rows, view), list[Maps]()

    def parts() -> Iterator[Maps]:
        for genes, near in stream_region_attention(work.model, work.batches):
            contacts.add(near, len(genes[names[0]]))
            own.append({name: values for name, values in genes.items() if name not in names})
            found = {name: genes[name] for name in names}
            yield remember(work, found, found[f"embedding_{finest}"][:, None], None)

    work.stream(parts(), {name: ["example", "bin"] for name in names})
    work.arrays |= contacts.finish()
    edges = {
        width: np.arange(0, view.window + 1, width, dtype=np.float64) - view.window / 2 for width in view.resolutions
    }
    tables = []
    for width, name in zip(view.resolutions, names, strict=True):
        means = {group: values[None] for group, values in work.means[name].items()}
        tables.append(summarize({name: means}, view.marks, edges[width][:-1], edges[width][1:]))
    tables.append(contacts.summary())
    pl.concat(tables).write_csv(work.folder / "summary.tsv", separator="\t")
    starts, ends = edges[finest][:-1], edges[finest][1:]
    table = gene_table(dataset, rows, view.marks, work.high, work.top, starts, ends, orient=True)
    table = table.with_columns(
        pl.Series("pcres", contacts.counts),
        *(pl.Series(name, np.concatenate([part[name] for part in own])) for name in own[0]),
    )
    table.write_csv(work.folder / "genes.tsv", separator="\t")
    work.notes = {
        "bins": {"from": starts.tolist(), "to": ends.tolist(), "unit": "bp from the TSS"},
        "resolutions": list(view.resolutions),
        "span": view.span,
        "contacts": int(contacts.counts.sum()),
    }


class _Contacts:
    """The contacts of the explained genes: arrays that grow on disk, a table, and means by distance."""

    def __init__(self, work: Work, dataset: Dataset, rows: NDArray[np.int64], view: RegionView) -> None:
        self._work, self._rows, self._view = work, rows, view
        self._regions, self._where = RegionTable(dataset), Where(dataset, None, view.pcres)
        self._ids = dataset.regions.select(name for name in ("id", "symbol") if name in dataset.regions.columns)
        first = self._regions.first
        counts = first[rows + 1] - first[rows]
        self.counts = counts if view.pcres < 0 else np.minimum(counts, view.pcres)
        self._maps: dict[str, np.memmap[Any, np.dtype[Any]]] = {}
        self._tables: list[pl.DataFrame] = []
        self._genes = self._done = 0

    def add(self, near: Maps, genes: int) -> None:
        """Take in the weights of the contacts of the next ``genes`` genes."""
        begin, end = self._done, self._done + len(next(iter(near.values())))
        for name, values in near.items():
            if name not in self._maps:
                shape = (int(self.counts.sum()), *values.shape[1:])
                self._maps[name] = allocate_npy(self._work.folder / f"{name}.npy", shape, np.float32)
            self._maps[name][begin:end] = values
        self._tables.append(self._table(near, slice(self._genes, self._genes + genes)))
        self._genes, self._done = self._genes + genes, end

    def _table(self, near: Maps, part: slice) -> pl.DataFrame:
        spots = self._where(self._rows[part])
        gene, place = np.nonzero(spots.present[:, 1:])
        contact = self._regions.first[self._rows[part]][gene] + place
        places = self._regions.regions
        region = self._regions.contact[contact, 1]
        finest = min(self._view.resolutions)
        seen = near[f"pairwise_{finest}"]
        bins, slots = places.counts(finest)[region], -(-self._view.span // finest)
        top = places.starts[region] + (seen.argmax(1) + (bins - slots) // 2) * finest
        frequency = self._regions.frequency[contact]
        near = near | {"frequency_alone": _alone(frequency, gene)}
        groups = []
        if self._work.labelled:
            groups = [pl.Series("group", np.where(self._work.high[part][gene], "high", "low"), dtype=pl.String)]
        return self._ids[self._rows[part]][gene].with_columns(
            *groups,
            pl.Series("rank", place + 1),
            pl.Series("chrom", np.array(places.chromosomes, object)[places.codes[region]], dtype=pl.String),
            pl.Series("start", places.starts[region]),
            pl.Series("end", places.ends[region]),
            pl.Series("distance", spots.distance[:, 1:][gene, place]),
            pl.Series("frequency", frequency),
            *(pl.Series(name, values) for name, values in near.items() if values.ndim == 1),
            pl.Series("top_start", top),
            pl.Series("top_end", np.minimum(top + finest, places.ends[region])),
        )

    def finish(self) -> dict[str, list[str]]:
        """Write ``contacts.tsv``; return the axes of the arrays."""
        self.table = pl.concat(self._tables)
        self.table.write_csv(self._work.folder / "contacts.tsv", separator="\t")
        for array in self._maps.values():
            array.flush()
        return {name: ["contact", "slot"][: array.ndim] for name, array in self._maps.items()}

    def summary(self) -> pl.DataFrame:
        """Means of the regulation's weights by class of distance."""
        edges = np.array(DISTANCES)
        far = np.searchsorted(edges, np.abs(self.table["distance"].to_numpy()), side="right") - 1
        high = np.repeat(self._work.high, self.counts)
        ends = np.where(np.isfinite(edges[1:]), edges[1:], np.nan)
        means: dict[str, dict[str, Array]] = {}
        for name in (*(name for name, array in self._maps.items() if array.ndim == 1), "frequency_alone"):
            weights, means[name] = self.table[name].to_numpy(), {}
            for group in GROUPS if self._work.labelled else ("all",):
                kept = np.full(len(high), True) if group == "all" else high if group == "high" else ~high
                sums = np.bincount(far[kept], weights[kept], len(ends))
                with np.errstate(invalid="ignore"):
                    means[name][group] = (sums / np.bincount(far[kept], minlength=len(ends)))[None]
        return summarize(means, self._view.marks, edges[:-1], ends).with_columns(pl.col("to", "value").fill_nan(None))


def _alone(frequency: NDArray[np.float32], gene: Array) -> NDArray[np.float32]:
    """Return the weights of contacts if all scores were equal but for the frequency, that of a promoter being 0."""
    top = np.zeros(int(gene.max(initial=-1)) + 1)
    np.maximum.at(top, gene, frequency)
    raised = np.exp(frequency - top[gene])
    share: NDArray[np.float32] = (raised / (np.exp(-top) + np.bincount(gene, raised, len(top)))[gene]).astype(
        np.float32
    )
    return share
