"""How a text is cut: into parts at exact letters, and into blocks that lie within one record and one part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regulome.datasets.split_file import PARTS

Integers = npt.NDArray[np.int64]


class Kept:
    """Where the letters of a text stood among all letters of the files.

    Args:
        offsets: int64 ``[records + 1]``, where each record begins among all letters.
        left_out: int64 ``[runs, 2]``, stretches of all letters that are not in the text, ascending.
    """

    def __init__(self, offsets: Integers, left_out: Integers) -> None:
        self.offsets = offsets
        self._left_out = left_out
        # Letters left out before each run, and in all.
        lengths = left_out[:, 1] - left_out[:, 0]
        self._before: Integers = np.concatenate([[0], lengths.cumsum()]).astype(np.int64)

    @property
    def begins(self) -> Integers:
        """Where each record begins in the text, and where the last one ends: int64 ``[records + 1]``."""
        runs = np.searchsorted(self._left_out[:, 0], self.offsets, side="left")
        # A run that holds the place itself counts as far as the place.
        beyond = np.zeros(len(runs), np.int64)
        inside = runs > 0
        beyond[inside] = np.maximum(0, self._left_out[runs[inside] - 1, 1] - self.offsets[inside])
        return np.asarray(self.offsets - (self._before[runs] - beyond), np.int64)

    def place(self, positions: Integers) -> Integers:
        """Say where letters of the text stand among all letters."""
        kept_before = self._left_out[:, 0] - self._before[:-1]
        return np.asarray(positions + self._before[np.searchsorted(kept_before, positions, side="right")], np.int64)


@dataclass(frozen=True)
class Blocks:
    """Blocks of a text in its order.

    Attributes:
        edges: int64 ``[n, 2]``, first letter and one past the last.
        records: int64 ``[n]``, the record that each lies in.
        parts: ``[n]``, ``"train"``, ``"valid"`` or ``"test"``.
    """

    edges: Integers
    records: Integers
    parts: npt.NDArray[np.str_]


def cut(begins: Integers, block: int, *, valid: int, test: int) -> Blocks:
    """Cut a text into blocks of nearly equal lengths.

    Args:
        begins: int64 ``[records + 1]``, where each record begins in the text, and its end; a record may be empty.
        block: Letters of a block at most.
        valid: Letters of the validation part, which lies before the held-out part.
        test: Letters that are held out, the last of the text.
    """
    total = int(begins[-1])
    borders = np.array([total - test - valid, total - test], np.int64)
    edges = np.unique(np.concatenate([begins, borders]))
    lengths = np.diff(edges)
    pieces = -(-lengths // block)
    stretch = np.repeat(np.arange(len(lengths)), pieces)
    number = np.arange(len(stretch)) - np.repeat(pieces.cumsum() - pieces, pieces)
    starts = edges[stretch] + number * lengths[stretch] // pieces[stretch]
    ends = edges[stretch] + (number + 1) * lengths[stretch] // pieces[stretch]
    return Blocks(
        np.stack([starts, ends], axis=1),
        np.searchsorted(begins, starts, side="right") - 1,
        np.array(PARTS)[np.searchsorted(borders, starts, side="right")],
    )
