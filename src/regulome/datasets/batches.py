"""Batches of a dataset, in an order that depends on nothing but seed and epoch."""

from __future__ import annotations

import os
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
#: Inputs are held in memory when they take at most this share of what is free.
HELD_SHARE = 0.25


class Batch(NamedTuple):
    """Some examples.

    Attributes:
        inputs: float32 ``[batch, marks, bins]``.
        targets: float32 ``[batch, targets]``.
        index: int64 ``[batch]``, row of each example in the dataset.
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    index: torch.Tensor  # type: ignore[assignment]  # hides tuple.index, which nobody asks of a batch


class Batches:
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
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, but got {batch_size}")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank must be in 0 … {world_size - 1}, but got {rank}")
        rows = np.arange(len(dataset)) if indices is None else np.asarray(indices)
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        self.dataset = dataset
        self.indices: npt.NDArray[np.int64] = rows.astype(np.int64)
        self.batch_size, self.shuffle, self.seed, self.drop_last = batch_size, shuffle, seed, drop_last
        self.rank, self.world_size = rank, world_size
        self.device = torch.device(device or "cpu")
        self._array = dataset.inputs[input_name]
        self._reverse = (dataset.regions["strand"] == "-").to_numpy()[self.indices] if orient else None
        self._whole = self._array[:1].nbytes * len(self.indices) <= WHOLE_BYTES
        self._held: torch.Tensor | None = None
        self._targets = torch.from_numpy(np.array(dataset.targets[self.indices], np.float32)).to(self.device)
        self._index = torch.from_numpy(self.indices.copy()).to(self.device)
        self.epoch = 0
        self._position = self._resume = 0
        self._length = self._count()

    def __len__(self) -> int:
        """Number of batches in an epoch, for this process."""
        return self._length

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
        chunk = max(1, BLOCK_ROWS // self.batch_size) * self.batch_size
        for start in range(begin * self.batch_size, len(order), chunk):
            positions = order[start : start + chunk]
            cuts = zip(*(torch.split(part, self.batch_size) for part in self._gather(positions)), strict=True)
            for inputs, targets, index in cuts:
                if self._position == self._length:
                    return
                self._position += 1
                yield Batch(inputs, targets, index)

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
        n, world = len(self.indices), self.world_size
        share = n // world if self.shuffle else len(np.array_split(np.empty(n, bool), world)[self.rank])
        return share // self.batch_size if self.drop_last else -(-share // self.batch_size)

    def _order(self) -> npt.NDArray[np.int64]:
        """Positions in ``indices``, in the order of this epoch, for this process."""
        n = len(self.indices)
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

    def _gather(self, positions: npt.NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        where = torch.from_numpy(positions).to(self.device)
        if self._held is None and self._fits():
            self._held = self._read(np.arange(len(self.indices))).to(self.device)
        held = self._held
        inputs = self._read(positions).to(self.device) if held is None else held.index_select(0, where)
        return inputs, self._targets.index_select(0, where), self._index.index_select(0, where)

    def _read(self, positions: npt.NDArray[np.int64]) -> torch.Tensor:
        """Read rows from the disk, in the order in which they lie there."""
        rows = self.indices[positions]
        order = np.argsort(rows, kind="stable")
        inputs = np.empty((len(rows), *self._array.shape[1:]), np.float32)
        for start in range(0, len(rows), BLOCK_ROWS):
            some = order[start : start + BLOCK_ROWS]
            inputs[some] = self._array[rows[some]]
        if self._reverse is not None:
            minus = self._reverse[positions]
            inputs[minus] = inputs[minus, ..., ::-1]
        return torch.from_numpy(inputs)

    def _fits(self) -> bool:
        size = len(self.indices) * int(np.prod(self._array.shape[1:])) * 4
        if size * self.world_size > HELD_SHARE * free_memory():
            return False
        return self.device.type != "cuda" or size <= HELD_SHARE * torch.cuda.mem_get_info(self.device)[0]


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
