"""Letters that arrive in pieces, written at two bits each, and the runs of unknown ones among them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from regulome.datasets.growing_array import GrowingArray
from regulome.genome.letters import pack

Codes = npt.NDArray[np.uint8]


class Runs:
    """Stretches ``[begin, end)`` in ascending order, added piece by piece; those that touch become one."""

    def __init__(self) -> None:
        self._parts: list[npt.NDArray[np.int64]] = []

    def __len__(self) -> int:
        """Runs so far."""
        return sum(map(len, self._parts))

    def add(self, runs: npt.NDArray[np.int64], offset: int) -> None:
        """Add runs of a piece.

        Args:
            runs: int64 ``[n, 2]``, within the piece.
            offset: Where the piece begins.
        """
        if not len(runs):
            return
        runs = runs + offset
        if self._parts and self._parts[-1][-1, 1] == runs[0, 0]:
            self._parts[-1][-1, 1] = runs[0, 1]
            runs = runs[1:]
        if len(runs):
            self._parts.append(runs)

    def joined(self) -> npt.NDArray[np.int64]:
        """Return int64 ``[n, 2]``."""
        return np.concatenate(self._parts) if self._parts else np.empty((0, 2), np.int64)


class PackedLetters:
    """Packs letters into a growing array; up to three of them wait for the rest of their byte.

    Args:
        array: Takes the bytes: uint8, one axis.

    Attributes:
        bases: Letters so far.
        unknown: Runs of unknown letters among them, which are packed as A.
    """

    def __init__(self, array: GrowingArray) -> None:
        self._array = array
        self._rest = np.empty(0, np.uint8)
        self.bases = 0
        self.unknown = Runs()

    def append(self, codes: npt.NDArray[Any]) -> None:
        """Add letters at the end.

        Args:
            codes: uint8 ``[n]``, codes 0 … 4.
        """
        together = np.concatenate([self._rest, codes]) if len(self._rest) else codes
        whole = len(together) // 4 * 4
        self._write(together[:whole], self.bases - len(self._rest))
        self._rest = together[whole:].copy()
        self.bases += len(codes)

    def finish(self) -> None:
        """Write the letters that still wait; nothing can be added afterwards."""
        if len(self._rest):
            self._write(self._rest, self.bases - len(self._rest))

    def _write(self, codes: Codes, offset: int) -> None:
        packed, runs = pack(codes)
        self._array.append(packed)
        self.unknown.add(runs, offset)
