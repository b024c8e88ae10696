"""Batches of genes with their promoters and the distal regions that touch them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from regulome.datasets.dataset import Array, Dataset
from regulome.datasets.ordered_batches import OrderedBatches, chosen_rows, fits
from regulome.datasets.promoter_windows import crop
from regulome.datasets.region_kernel import copy_bins
from regulome.datasets.regions import RegionTable
from regulome.errors import InputError
from regulome.models.regions import RegionBatch

Rows = npt.NDArray[np.int64]


class RegionBatches(OrderedBatches):
    """Iterate over batches of genes as networks on promoters and pCREs take them.

    Inputs are :class:`regulome.models.regions.RegionBatch`: ln(1 + mean depth) of the bins of each gene's promoter and
    of its pCREs, regions centred in a window of :attr:`span` bases; promoters of genes on the minus strand are turned,
    pCREs never are. The order is that of :class:`regulome.datasets.ordered_batches.OrderedBatches`.

    Memory: the logarithms of all bins that the chosen genes need, each region once, where they fit into a quarter of
    the free memory; otherwise each batch is read from the memory map.

    Args:
        dataset: A dataset with contacts.
        indices: Rows to iterate over; None takes all.
        batch_size: Examples per batch and process.
        shuffle: Permute the examples anew in each epoch.
        seed: Seed of the order.
        marks: Marks to take, in this order; empty takes all.
        window: Bases around the start site that are taken of a promoter; 0 takes the dataset's window. pCREs, and the
            window in which all regions are centred, stay as they are.
        resolutions: Widths of bins, in the network's order; empty takes the dataset's.
        top: At most so many pCREs of a gene, the first by rank; None takes all.
        device: Where the batches shall be; None means the CPU.
        rank: Number of this process.
        world_size: Number of processes.
        drop_last: Leave out a last batch that is smaller than the others.

    Attributes:
        span: Bases of the window that all bins lie in: the ``window`` of a network.

    Raises:
        InputError: The dataset has no regions, or no such mark, window or resolution.

    Example:
        >>> batches = RegionBatches(dataset, rows, batch_size=64, shuffle=True, seed=1)  # doctest: +SKIP
        >>> for inputs, targets, index in batches: ...  # doctest: +SKIP
    """

    def __init__(
        self,
        dataset: Dataset,
        indices: npt.ArrayLike | None = None,
        *,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        marks: Sequence[str] = (),
        window: int = 0,
        resolutions: Sequence[int] = (),
        top: int | None = None,
        device: torch.device | str | None = None,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
    ) -> None:
        self.table = table = RegionTable(dataset)
        self.span = table.span
        self.marks = [table.marks[place] for place in table.mark_places(marks)]
        self.resolutions = tuple(resolutions) or table.resolutions
        self.window = window or table.window
        for width in self.resolutions:
            if width not in table.signals:
                has = ", ".join(f"{other:,}" for other in table.resolutions)
                raise InputError(f"has no bins of {width:,} bases", file=dataset.path, cure=f"it has bins of {has}")
        rows = chosen_rows(dataset, indices)
        self._near = _Neighbours(table, rows, top)
        super().__init__(
            dataset,
            rows,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            device=device,
            rank=rank,
            world_size=world_size,
            drop_last=drop_last,
            bytes_on_disk=0,  # what lies on the disk is shared between genes: it is never read in the order of a batch
        )
        self._minus = (dataset.regions["strand"] == "-").to_numpy()[rows]
        self._targets = torch.from_numpy(np.array(dataset.targets[rows], np.float32))
        columns = table.mark_places(self.marks)
        self._sources = [self._source(width, columns) for width in self.resolutions]
        self._slots = np.array([-(-self.span // width) for width in self.resolutions])
        size = sum(int(source.count.sum()) for source in self._sources) * len(columns) * 4
        if fits(size, torch.device("cpu"), world_size):
            self._sources = [source.held() for source in self._sources]

    def _source(self, bin: int, columns: Rows) -> _Source:
        """Find the rows of each of the regions that are needed: promoters, then pCREs."""
        table, near = self.table, self._near
        where = crop(table.window, self.window, bin, table.resolutions)
        # A crop that does not begin with a bin is made of finer ones; those of pCREs are taken as they are.
        promoters, pcres = near.promoters, near.pcres
        if where.bin != bin:
            signal = table.signals[where.bin]
            begin = table.regions.offsets(where.bin)[promoters] + where.first
            count = np.full(len(promoters), where.bins, np.int64)
            cropped = _Source(signal, begin, count, np.full(len(begin), where.factor), columns, raw=True).held()
            begin = table.regions.offsets(bin)[pcres]
            count = table.regions.counts(bin)[pcres]
            distal = _Source(table.signals[bin], begin, count, np.ones(len(begin), np.int64), columns, raw=True).held()
            return cropped.joined(distal)
        offsets, counts = table.regions.offsets(bin), table.regions.counts(bin)
        begin = np.concatenate([offsets[promoters] + where.first, offsets[pcres]])
        count = np.concatenate([np.full(len(promoters), where.bins, np.int64), counts[pcres]])
        return _Source(table.signals[bin], begin, count, np.ones(len(begin), np.int64), columns, raw=True)

    def _rows_at_once(self) -> int:
        return self.batch_size

    def _cut(self, places: Rows) -> Iterator[tuple[Any, torch.Tensor, torch.Tensor]]:
        yield self._gather(places)

    def _gather(self, places: Rows) -> tuple[RegionBatch, torch.Tensor, torch.Tensor]:
        gene, contacts = self._near.contacts(places)
        regions = np.concatenate([self._near.promoter[places], self._near.pcre[contacts]])
        turned = np.zeros(len(regions), dtype=bool)
        turned[: len(places)] = self._minus[places]
        bins = np.stack([source.count[regions] for source in self._sources])
        room = self._slots[:, None] - bins
        # Turning a promoter swaps its paddings: the larger one is on the left otherwise.
        first = np.where(turned, room // 2, -(-room // 2))
        batch = RegionBatch(
            tuple(torch.from_numpy(source.take(regions, turned)) for source in self._sources),
            torch.from_numpy(first),
            torch.from_numpy(bins),
            torch.from_numpy(gene),
            torch.from_numpy(self._near.frequency[contacts]),
        )
        targets = self._targets.index_select(0, torch.from_numpy(places))
        index = torch.from_numpy(self.indices[places])
        if self.device.type == "cpu":
            return batch, targets, index
        return batch.to(self.device), targets.to(self.device), index.to(self.device)


class _Neighbours:
    """The regions that chosen genes need, numbered anew: first promoters, then pCREs.

    Attributes:
        promoters: Regions that are promoters of the genes.
        pcres: Regions that are pCREs of the genes.
        promoter: For each gene the new number of its promoter.
        pcre: For each contact of the genes the new number of its pCRE.
        frequency: Of each contact.
    """

    def __init__(self, table: RegionTable, rows: Rows, top: int | None) -> None:
        counts = table.first[rows + 1] - table.first[rows]
        counts = counts if top is None else np.minimum(counts, top)
        self._first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        contacts = _runs(table.first[rows], counts)
        self.promoters, promoter = np.unique(table.promoter[rows], return_inverse=True)
        self.pcres, pcre = np.unique(table.contact[contacts, 1], return_inverse=True)
        self.promoter, self.pcre = promoter.reshape(-1), pcre.reshape(-1) + len(self.promoters)
        self.frequency = table.frequency[contacts]

    def contacts(self, places: Rows) -> tuple[Rows, Rows]:
        """Return for some genes which gene (counted from 0) each of their contacts belongs to, and the contacts."""
        counts = self._first[places + 1] - self._first[places]
        return np.repeat(np.arange(len(places)), counts), _runs(self._first[places], counts)


@dataclass
class _Source:
    """Rows of regions in a signal.

    Attributes:
        signal: float32 [rows, marks].
        begin: int64 [r], first row.
        count: int64 [r], bins.
        factor: int64 [r], rows of which each bin is the mean.
        columns: int64 [m], marks that are taken.
        raw: The signal is depth; otherwise it is ln(1 + depth).
    """

    signal: Array
    begin: Rows
    count: Rows
    factor: Rows
    columns: Rows
    raw: bool

    def take(self, regions: Rows, turned: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
        """Return ln(1 + depth) of the bins of some regions, float32 [bins, marks]."""
        count = self.count[regions]
        out = np.empty((int(count.sum()), len(self.columns)), np.float32)
        copy_bins(self.signal, self.begin[regions], count, self.factor[regions], turned, self.columns, out)
        if self.raw:
            out += 1
            np.log(out, out=out)
        return out

    def held(self) -> _Source:
        """Return the same with the logarithms in memory, each region once."""
        everything = np.arange(len(self.begin))
        signal = self.take(everything, np.zeros(len(everything), dtype=bool))
        begin = np.concatenate([[0], np.cumsum(self.count)])[:-1].astype(np.int64)
        ones = np.ones(len(begin), np.int64)
        return replace(self, signal=signal, begin=begin, factor=ones, columns=np.arange(len(self.columns)), raw=False)

    def joined(self, other: _Source) -> _Source:
        """Return both, held, as one."""
        return replace(
            self,
            signal=np.concatenate([self.signal, other.signal]),
            begin=np.concatenate([self.begin, other.begin + len(self.signal)]),
            count=np.concatenate([self.count, other.count]),
            factor=np.concatenate([self.factor, other.factor]),
        )


def _runs(first: Rows, counts: Rows) -> Rows:
    """Return ``first[0], first[0] + 1, …`` (``counts[0]`` of them), then those of ``first[1]``, and so on."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(first - (ends - counts), counts) + np.arange(total)
