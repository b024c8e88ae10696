"""Batches of a text for training: many places read in step, or windows in random order."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numba import njit

from regulome.datasets.dataset import Dataset
from regulome.datasets.language_text import Codes, Text
from regulome.datasets.ordered_batches import OrderedBatches, chosen_rows
from regulome.datasets.sequence_batches import draws
from regulome.errors import InputError
from regulome.genome.letters import turn_row, unpack_row

logger = logging.getLogger(__name__)

#: Steps that an epoch of a short text shall have at least: batches become smaller for it.
LEAST_STEPS = 25
#: Letters decoded by one call: few enough for a core's cache.
_AT_ONCE = 1 << 20

Integers = npt.NDArray[np.int64]


class LanguageBatches(OrderedBatches):
    """Iterate over windows of the training text, each letter with the one after it.

    The training text is that of the chosen blocks, joined in their order; with the strands ``"both"``, its reverse
    complement follows. Its end is followed by its beginning.

    **Carried**: ``batch_size`` streams read as many equal parts of the text, in step: stream ``i`` of a batch goes on
    where stream ``i`` of the batch before ended, so that what a network remembers stays true. All batches of an epoch
    have the same number of streams. **Not carried**: the windows follow each other through the text and come in random
    order. Where the first window begins is drawn anew for each epoch.

    Short texts get fewer windows per batch (:attr:`batch_size` says how many), so that an epoch has at least 25 steps.

    With several processes each has its own streams, or windows.

    Memory: letters stay two bits each in the memory map, about a million at a time are decoded; 8 bytes per window.

    Args:
        dataset: A dataset of the line ``"language"``.
        indices: Rows (blocks) to read, or a mask of them; None takes all.
        length: Letters of a window; None: the dataset's.
        batch_size: Streams, or windows, per batch and process.
        carry: Go on where the last batch ended.
        shuffle: Draw the beginning, and where nothing is carried the order, from seed and epoch; otherwise the text is
            read from its first letter.
        seed: Seed of beginnings and order, 0 or more.
        device: Where the batches shall be; None means the CPU.
        rank: Number of this process.
        world_size: Number of processes.

    Raises:
        InputError: The dataset holds no text, or less than one window for each process.

    Example:
        >>> batches = LanguageBatches(dataset, rows, batch_size=50, length=100)  # doctest: +SKIP
        >>> for codes, following, index in batches: ...  # doctest: +SKIP
    """

    def __init__(
        self,
        dataset: Dataset,
        indices: npt.ArrayLike | None = None,
        *,
        length: int | None = None,
        batch_size: int,
        carry: bool = True,
        shuffle: bool = True,
        seed: int = 0,
        device: torch.device | str | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._text = Text(dataset)
        self.length = length or self._text.length
        self.carry = carry
        rows = np.sort(chosen_rows(dataset, indices))
        blocks = self._text.blocks[rows]
        # Blocks that follow each other are one stretch.
        first = np.flatnonzero(np.r_[True, blocks[1:, 0] != blocks[:-1, 1]]) if len(rows) else np.empty(0, np.int64)
        self._starts = np.ascontiguousarray(blocks[first, 0])
        ends = blocks[np.r_[first[1:], len(rows)] - 1, 1] if len(rows) else self._starts
        self._offsets: Integers = np.concatenate([[0], np.cumsum(ends - self._starts)]).astype(np.int64)
        self._block_offsets: Integers = np.cumsum(blocks[:, 1] - blocks[:, 0]) - (blocks[:, 1] - blocks[:, 0])
        #: Letters of the circle that is read: of both strands, where both are learned from.
        self.letters = int(self._offsets[-1]) * (2 if self._text.strands == "both" else 1)
        windows = self.letters // self.length
        if windows < world_size or self.length < 1:
            raise InputError(
                f"a training text of {self.letters:,} letters is shorter than a window of {self.length:,}"
                + f" for each of {world_size} processes" * (world_size > 1),
                file=dataset.path,
                cure="take a smaller length, or train on more of the dataset",
            )
        fitting = min(batch_size, max(1, windows // (LEAST_STEPS * world_size)))
        if fitting < batch_size and rank == 0:
            what = "streams" if carry else "windows"
            logger.info("a short text: batches of %d %s instead of %d", fitting, what, batch_size)
        streams = fitting * world_size
        #: Letters from the beginning of a stream to that of the next, and windows of a stream.
        self._part = self.letters // streams
        self._steps = self._part // self.length
        super().__init__(
            dataset,
            rows,
            batch_size=fitting,
            shuffle=shuffle,
            seed=seed,
            device=device,
            rank=rank,
            world_size=world_size,
            drop_last=False,
            bytes_on_disk=self.letters / 4,
        )
        self._places = streams * self._steps if carry else windows
        self._length = self._count()

    def _order(self) -> Integers:
        """Windows in the order of this epoch; carried: in step, ``steps`` windows for each stream."""
        if not self.carry:
            return super()._order()
        places = np.arange(self._places).reshape(-1, self._steps)
        mine = places[self.rank * self.batch_size : (self.rank + 1) * self.batch_size]
        return np.ascontiguousarray(mine.T).reshape(-1)

    def _count(self) -> int:
        return self._steps if self.carry else super()._count()

    def _begins(self, places: Integers) -> Integers:
        """Where windows begin on the circle."""
        if self.carry:
            stream, step = np.divmod(places, self._steps)
            begins = stream * self._part + step * self.length
        else:
            begins = places * self.length
        if self.shuffle:
            begins = begins + int(draws(self.seed, self.epoch, 2, np.zeros(1, np.int64))[0] % np.uint64(self.letters))
        return np.asarray(begins % self.letters, np.int64)

    def _gather(self, places: Integers) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        begins = self._begins(places)
        codes: Codes = np.empty((len(begins), self.length + 1), np.uint8)
        _read(self._text.letters, self._starts, self._offsets, self.letters, begins, codes)
        total = self._offsets[-1]
        forward = np.where(begins < total, begins, 2 * total - 1 - begins)
        rows = self.indices[np.searchsorted(self._block_offsets, forward, side="right") - 1]
        both = torch.from_numpy(codes).to(self.device)
        return both[:, :-1].contiguous(), both[:, 1:].contiguous(), torch.from_numpy(rows).to(self.device)

    def _rows_at_once(self) -> int:
        return max(1, _AT_ONCE // self.length)

    def _identity(self) -> dict[str, Any]:
        return super()._identity() | {"length": self.length, "carry": self.carry, "letters": self.letters}


@njit(cache=True, nogil=True)
def _read(letters: Any, starts: Any, offsets: Any, circle: Any, begins: Any, codes: Any) -> None:
    """Fill rows from places of a circle: stretches that begin at ``starts`` in the text and at ``offsets`` joined.

    Beyond ``offsets[-1]`` the circle is the reverse complement of what was before.
    """
    total = offsets[-1]
    for i in range(len(begins)):
        row = codes[i]
        place, k = begins[i], 0
        while k < len(row):
            reverse = place >= total
            # Backwards, the letter at ``place`` is the last of its piece on the forward strand.
            forward = 2 * total - 1 - place if reverse else place
            stretch = np.searchsorted(offsets, forward, side="right") - 1
            here = starts[stretch] + forward - offsets[stretch]
            rest = forward - offsets[stretch] + 1 if reverse else offsets[stretch + 1] - forward
            n = min(rest, len(row) - k)
            piece = row[k : k + n]
            unpack_row(letters, here - n + 1 if reverse else here, piece)
            if reverse:
                turn_row(piece)
            k += n
            place += n
            if place >= circle:
                place -= circle
