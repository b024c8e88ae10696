"""What the batches of every line share: an order that depends on nothing but seed and epoch, and a place in it."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from regulome.datasets.dataset import Dataset

#: Rows that are shuffled together, and read together, when a dataset is too large to be shuffled as a whole.
BLOCK_ROWS = 8192
#: Inputs of at most this many bytes on disk are shuffled as a whole.
WHOLE_BYTES = 2 * 2**30
#: Arrays are held in memory when they take at most this share of what is free.
HELD_SHARE = 0.25


class Batch(NamedTuple):
    """Some examples.

    Attributes:
        inputs: float32 ``[batch, marks, bins]``; for sequences uint8 codes ``[batch, length]`` or float32
            ``[batch, 4, length]``; with distal regions a :class:`regulome.models.regions.RegionBatch`.
        targets: float32 ``[batch, targets]``.
        index: int64 ``[batch]``, row of each example in the dataset.
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    index: torch.Tensor  # type: ignore[assignment]  # hides tuple.index, which nobody asks of a batch


class OrderedBatches(ABC):
    """Iterate over batches of chosen examples in an order that is a pure function of seed and epoch.

    A line's own class says how the inputs at some places of the order are read (:meth:`_gather`).

    Args:
        dataset: The dataset.
        indices: Rows to iterate over, or a mask of them; None takes all.
        batch_size: Examples per batch and process; the last batch of an epoch may be smaller.
        shuffle: Permute the examples anew in each epoch; otherwise they come in the order of ``indices``.
        seed: Seed of the order, 0 or more.
        device: Where the batches shall be; None means the CPU.
        rank: Number of this process.
        world_size: Number of processes.
        drop_last: Leave out a last batch that is smaller than the others.
        bytes_on_disk: Bytes of the chosen examples' inputs: whether they are shuffled as a whole or in blocks.
        copies: How often each example comes in an epoch: place ``p`` of the order is copy ``p % copies`` of the example
            ``p // copies`` of ``indices``.
    """

    def __init__(
        self,
        dataset: Dataset,
        indices: npt.ArrayLike | None,
        *,
        batch_size: int,
        shuffle: bool,
        seed: int,
        device: torch.device | str | None,
        rank: int,
        world_size: int,
        drop_last: bool,
        bytes_on_disk: float,
        copies: int = 1,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, but got {batch_size}")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank must be in 0 … {world_size - 1}, but got {rank}")
        self.dataset = dataset
        self.indices = chosen_rows(dataset, indices)
        self.batch_size, self.shuffle, self.seed, self.drop_last = batch_size, shuffle, seed, drop_last
        self.rank, self.world_size = rank, world_size
        self.device = torch.device(device or "cpu")
        self.copies = copies
        self._whole = bytes_on_disk <= WHOLE_BYTES
        self._places = len(self.indices) * copies
        self.epoch = 0
        self._position = self._resume = 0
        self._length = self._count()

    def __len__(self) -> int:
        """Number of batches in an epoch, for this process."""
        return self._length

    @property
    def examples(self) -> int:
        """Examples of an epoch, of all processes together."""
        return self._places

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; a position that :meth:`load_state_dict` set in this same epoch is kept."""
        if epoch != self.epoch:
            self.epoch = epoch
            self._position = self._resume = 0

    def state_dict(self) -> dict[str, Any]:
        """Where the iteration is: the epoch, and the number of batches given out in it; JSON-able."""
        return {"epoch": self.epoch, "position": self._position, **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state``: the next iteration begins after the batches given out when it was taken.

        Raises:
            ValueError: The state was taken from batches of another order.
        """
        for name, value in self._identity().items():
            if state[name] != value:
                raise ValueError(f"the state belongs to batches with {name} {state[name]}, these have {value}")
        self.epoch = int(state["epoch"])
        self._position = self._resume = int(state["position"])

    def __iter__(self) -> Iterator[Batch]:
        begin, self._resume = self._resume, 0
        self._position = begin
        order = self._order()
        # Several batches are gathered at once and then cut: one call instead of hundreds where batches are small.
        chunk = max(1, self._rows_at_once() // self.batch_size) * self.batch_size
        for start in range(begin * self.batch_size, len(order), chunk):
            for inputs, targets, index in self._cut(order[start : start + chunk]):
                if self._position == self._length:
                    return
                self._position += 1
                yield Batch(inputs, targets, index)

    def _cut(self, places: npt.NDArray[np.int64]) -> Iterator[tuple[Any, torch.Tensor, torch.Tensor]]:
        """Gather what lies at some places of the order, and cut it into batches."""
        return zip(*(torch.split(part, self.batch_size) for part in self._gather(places)), strict=True)

    @abstractmethod
    def _gather(self, places: npt.NDArray[np.int64]) -> tuple[Any, torch.Tensor, torch.Tensor]:
        """Return inputs, targets and dataset rows at some places of the order."""

    def _rows_at_once(self) -> int:
        """About how many examples are gathered by one call."""
        return BLOCK_ROWS

    def _identity(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "shuffle": self.shuffle,
            "batch_size": self.batch_size,
            "examples": len(self.indices),
            "rank": self.rank,
            "world_size": self.world_size,
            "drop_last": self.drop_last,
        }

    def _count(self) -> int:
        """Batches of an epoch."""
        n, world = self._places, self.world_size
        share = n // world if self.shuffle else len(np.array_split(np.empty(n, bool), world)[self.rank])
        return share // self.batch_size if self.drop_last else -(-share // self.batch_size)

    def _order(self) -> npt.NDArray[np.int64]:
        """Places in the order of this epoch, for this process."""
        n = self._places
        if not self.shuffle:
            return np.array_split(np.arange(n), self.world_size)[self.rank]
        generator = np.random.default_rng([self.seed, self.epoch])
        if self._whole:
            order = generator.permutation(n)
        else:
            blocks = [np.arange(start, min(start + BLOCK_ROWS, n)) for start in range(0, n, BLOCK_ROWS)]
            order = np.concatenate([generator.permutation(blocks[i]) for i in generator.permutation(len(blocks))])
        if self.world_size == 1:
            return order
        step = self.batch_size * self.world_size
        full = n // step * step
        batches = order[:full].reshape(-1, self.world_size, self.batch_size)[:, self.rank].reshape(-1)
        share = (n - full) // self.world_size
        return np.concatenate([batches, order[full + self.rank * share : full + (self.rank + 1) * share]])


def chosen_rows(dataset: Dataset, indices: npt.ArrayLike | None) -> npt.NDArray[np.int64]:
    """Return the rows that ``indices`` (rows, a mask, or None for all) mean."""
    rows = np.arange(len(dataset)) if indices is None else np.asarray(indices)
    return (np.flatnonzero(rows) if rows.dtype == bool else rows).astype(np.int64)


def fits(size: int, device: torch.device, processes: int = 1) -> bool:
    """Say whether ``size`` bytes may be held: a quarter of what is free, for all processes together, also on a GPU."""
    if size * processes > HELD_SHARE * free_memory():
        return False
    return device.type != "cuda" or size <= HELD_SHARE * torch.cuda.mem_get_info(device)[0]


def free_memory() -> int:
    """Bytes of memory that may still be taken: as the system says; at most the control group's limit."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    information = Path("/proc/meminfo")
    if information.exists():
        lines = dict(line.split(":", 1) for line in information.read_text().splitlines())
        free = int(lines["MemAvailable"].split()[0]) * 1024
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.exists() and (text := limit.read_text().strip()).isdigit():
        free = min(free, int(text))
    return free
