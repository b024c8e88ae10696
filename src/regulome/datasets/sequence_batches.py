"""Batches of windows of DNA, read as either strand and shifted by chance where that is wanted."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from regulome.datasets.dataset import Dataset
from regulome.datasets.ordered_batches import OrderedBatches, chosen_rows, fits
from regulome.datasets.sequence_windows import SequenceWindows
from regulome.genome.letters import one_hot

ReverseComplement = Literal["none", "random", "both"]

#: Windows decoded by one call: few enough for a core's cache.
CODES_AT_ONCE, ONE_HOT_AT_ONCE = 2048, 512


class SequenceBatches(OrderedBatches):
    """Iterate over batches of windows; the order is that of :class:`regulome.datasets.Batches`.

    Whether an example is turned and how far it is shifted is a function of ``seed``, epoch and the example alone: it
    does not depend on batch size, order or number of processes. What lies further outside a window than the dataset's
    margin is unknown.

    Memory: letters stay two bits each in the memory map, some hundred windows at a time are decoded. Targets are kept
    as they are stored (one byte per label), in memory where they fit into a quarter of what is free (on ``device``,
    where that has the room too), otherwise in their memory map; those of some batches at a time become float32.

    Args:
        dataset: A dataset of the line ``"sequence"``.
        indices: Rows to iterate over, or a mask of them; None takes all.
        batch_size: Examples per batch and process; the last batch of an epoch may be smaller.
        shuffle: Permute the examples anew in each epoch; otherwise they come in the order of ``indices``.
        seed: Seed of the order, of strands and of shifts, 0 or more.
        reverse_complement: ``"none"``; ``"random"``: each example is turned or not, anew in each epoch; ``"both"``:
            each example comes twice in an epoch, once turned (one after the other when not shuffled).
        shift: Move each window by up to so many letters either way, anew in each epoch.
        device: Where the batches shall be; None means the CPU.
        rank: Number of this process.
        world_size: Number of processes; see :class:`regulome.datasets.Batches`.
        drop_last: Leave out a last batch that is smaller than the others.
        one_hot: Give float32 ``[batch, 4, length]`` (channels A, C, G, T; unknown letters 0) instead of uint8 codes
            ``[batch, length]``.

    Raises:
        InputError: The dataset holds no sequences.

    Example:
        >>> batches = SequenceBatches(dataset, rows, batch_size=100, shuffle=True)  # doctest: +SKIP
        >>> for codes, targets, index in batches: ...  # doctest: +SKIP
    """

    def __init__(
        self,
        dataset: Dataset,
        indices: npt.ArrayLike | None = None,
        *,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        reverse_complement: ReverseComplement = "none",
        shift: int = 0,
        device: torch.device | str | None = None,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
        one_hot: bool = False,
    ) -> None:
        if reverse_complement not in ("none", "random", "both"):
            raise ValueError(f"reverse_complement must be none, random or both, but got {reverse_complement!r}")
        if shift < 0:
            raise ValueError(f"shift must be at least 0, but got {shift}")
        self._windows = SequenceWindows(dataset)
        rows = chosen_rows(dataset, indices)
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
            # Windows that overlap share their letters, so this is at most what the rows take.
            bytes_on_disk=dataset.inputs["letters"].nbytes * len(rows) / len(dataset),
            copies=2 if reverse_complement == "both" else 1,
        )
        self.reverse_complement, self.shift, self.one_hot = reverse_complement, shift, one_hot
        self._held: torch.Tensor | None = None
        size = len(rows) * dataset.targets[:1].nbytes
        if fits(size, self.device, world_size):
            self._held = torch.from_numpy(dataset.targets[self.indices]).to(self.device)

    def _gather(self, places: npt.NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        chosen, copy = np.divmod(places, self.copies)
        rows = self.indices[chosen]
        codes = self._windows.codes(rows, shift=self._shifts(rows, copy), flip=self._flips(rows, copy))
        inputs = torch.from_numpy(one_hot(codes) if self.one_hot else codes)
        return inputs.to(self.device), self._labels(chosen, rows), torch.from_numpy(rows).to(self.device)

    def _labels(self, chosen: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> torch.Tensor:
        if self._held is not None:
            return self._held.index_select(0, torch.from_numpy(chosen).to(self.device)).float()
        # In the order in which they lie on the disk.
        order = np.argsort(rows, kind="stable")
        labels = np.empty((len(rows), self.dataset.targets.shape[1]), self.dataset.targets.dtype)
        labels[order] = self.dataset.targets[rows[order]]
        return torch.from_numpy(labels).to(self.device).float()

    def _flips(self, rows: npt.NDArray[np.int64], copy: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_] | None:
        if self.reverse_complement == "none":
            return None
        chance = copy if self.reverse_complement == "both" else draws(self.seed, self.epoch, 0, rows) & np.uint64(1)
        return chance.astype(np.bool_)

    def _shifts(self, rows: npt.NDArray[np.int64], copy: npt.NDArray[np.int64]) -> npt.NDArray[np.int32] | None:
        if not self.shift:
            return None
        drawn = draws(self.seed, self.epoch, 1, rows * self.copies + copy)
        return ((drawn >> np.uint64(32)) % np.uint64(2 * self.shift + 1)).astype(np.int32) - np.int32(self.shift)

    def _rows_at_once(self) -> int:
        return ONE_HOT_AT_ONCE if self.one_hot else CODES_AT_ONCE

    def _identity(self) -> dict[str, Any]:
        return super()._identity() | {"reverse_complement": self.reverse_complement, "shift": self.shift}


def draws(seed: int, epoch: int, stream: int, examples: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Draw a random number for each example that depends on nothing but these four (SplitMix64 of a counter).

    Args:
        seed: Seed, 0 or more.
        epoch: Epoch.
        stream: One number for each purpose.
        examples: ``[n]`` numbers of the examples.

    Returns:
        uint64 ``[n]``, uniform.
    """
    begin = np.random.SeedSequence([seed, epoch, stream]).generate_state(1, np.uint64)
    x: npt.NDArray[np.uint64] = begin + (examples.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
