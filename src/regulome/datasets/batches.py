"""Batches of a dataset, in an order that depends on nothing but seed and epoch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from regulome.datasets import ordered_batches
from regulome.datasets.dataset import Dataset
from regulome.datasets.ordered_batches import Batch, OrderedBatches, chosen_rows, fits
from regulome.datasets.promoter_windows import read_rows
from regulome.datasets.views import View

__all__ = ["Batch", "Batches"]


class Batches(OrderedBatches):
    """Iterate over batches of chosen examples; every example comes exactly once per epoch.

    The order is a pure function of ``(seed, epoch)`` and the indices, the same on every machine: a permutation of all
    examples where the inputs take at most 2 GiB on disk; above that, blocks of 8,192 examples are permuted, then the
    examples inside each (random rows of a cold disk are 100 times slower).

    Memory: inputs that fit into a quarter of the free memory are held as one float32 tensor (on ``device``, where that
    has the room too); otherwise 8,192 rows at a time are read from the memory map.

    Several processes take ``rank`` and ``world_size``. Shuffled, each batch of ``batch_size · world_size`` examples of
    the common order is dealt out in equal parts, so that the mean of the gradients is that of the whole; what does not
    divide by ``world_size`` at the end of an epoch (fewer than ``world_size`` examples, others in each epoch) is left
    out. Not shuffled, each process takes one contiguous part and nothing is left out.

    Args:
        dataset: The dataset.
        indices: Rows to iterate over; None takes all.
        batch_size: Examples per batch and process; the last batch of an epoch may be smaller.
        shuffle: Permute the examples anew in each epoch; otherwise they come in the order of ``indices``.
        seed: Seed of the order, 0 or more.
        orient: Turn the bins of genes on the minus strand, so that all run from 5' to 3'.
        device: Where the batches shall be; None means the CPU.
        rank: Number of this process.
        world_size: Number of processes.
        drop_last: Leave out a last batch that is smaller than the others.
        input_name: Which input of the dataset.
        view: The part of the input that is read; None takes all of it.

    Example:
        >>> batches = Batches(dataset, rows, batch_size=64, shuffle=True, seed=1)  # doctest: +SKIP
        >>> for epoch in range(10):  # doctest: +SKIP
        ...     batches.set_epoch(epoch)
        ...     for inputs, targets, index in batches: ...
    """

    def __init__(
        self,
        dataset: Dataset,
        indices: npt.ArrayLike | None = None,
        *,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        orient: bool = False,
        device: torch.device | str | None = None,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
        input_name: str = "marks",
        view: View | None = None,
    ) -> None:
        rows = chosen_rows(dataset, indices)
        self._array, self._view = read_rows(dataset, input_name), view
        self._shape = self._array.shape[1:] if view is None else (len(view.marks), view.bins)
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
            bytes_on_disk=self._array[:1].nbytes * len(rows),
        )
        self._reverse = (dataset.regions["strand"] == "-").to_numpy()[self.indices] if orient else None
        self._held: torch.Tensor | None = None
        self._targets = torch.from_numpy(np.array(dataset.targets[self.indices], np.float32)).to(self.device)
        self._index = torch.from_numpy(self.indices.copy()).to(self.device)

    def _gather(self, places: npt.NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        where = torch.from_numpy(places).to(self.device)
        if self._held is None and self._fits():
            self._held = self._read(np.arange(len(self.indices))).to(self.device)
        held = self._held
        inputs = self._read(places).to(self.device) if held is None else held.index_select(0, where)
        return inputs, self._targets.index_select(0, where), self._index.index_select(0, where)

    def _read(self, places: npt.NDArray[np.int64]) -> torch.Tensor:
        """Read rows from the disk, in the order in which they lie there."""
        rows = self.indices[places]
        order = np.argsort(rows, kind="stable")
        inputs = np.empty((len(rows), *self._shape), np.float32)
        for start in range(0, len(rows), ordered_batches.BLOCK_ROWS):
            some = order[start : start + ordered_batches.BLOCK_ROWS]
            inputs[some] = self._array[rows[some]] if self._view is None else self._view.read(self._array, rows[some])
        if self._reverse is not None:
            minus = self._reverse[places]
            inputs[minus] = inputs[minus, ..., ::-1]
        return torch.from_numpy(inputs)

    def _fits(self) -> bool:
        size = len(self.indices) * int(np.prod(self._shape)) * 4
        return fits(size, self.device, self.world_size)
