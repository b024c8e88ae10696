"""The text of a dataset of the line ``"language"``: any stretch of it, as either strand."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from regulome.datasets.dataset import Dataset
from regulome.datasets.language_layout import strands_of
from regulome.errors import InputError
from regulome.genome.letters import UNKNOWN, turn_row, unpack_row

Codes = npt.NDArray[np.uint8]


class Text:
    """All letters that a dataset keeps, one after the other: those of its records that are A, C, G or T.

    Letters stay two bits each in the memory map; what is asked for is decoded.

    Args:
        dataset: A dataset of the line ``"language"``.

    Attributes:
        total: Letters of the text.
        blocks: int64 ``[examples, 2]``: first letter of each example, and one past the last; ascending, without gaps.
        length: Letters that a model shall read at a time.
        strands: ``"forward"`` or ``"both"``: what shall be learned from.

    Raises:
        InputError: The dataset holds no text.
    """

    def __init__(self, dataset: Dataset) -> None:
        if dataset.line != "language":
            problem = f"a dataset of the line {dataset.line!r} has no text"
            raise InputError(problem, file=dataset.path, cure="use one that `regulome prepare language` made")
        self.total = int(dataset.manifest.inputs["letters"].bases or 0)
        self.blocks: npt.NDArray[np.int64] = np.array(dataset.inputs["block"])
        self.length = dataset.length
        self.strands = strands_of(dataset.manifest)
        # The kernels want a plain array; this one shares the map's memory.
        self.letters: Codes = np.asarray(dataset.inputs["letters"])

    def codes(self, start: int, end: int) -> Codes:
        """Return a stretch of the text.

        Args:
            start: First letter, 0-based.
            end: One past the last.

        Returns:
            uint8 ``[end - start]``: A 0, C 1, G 2, T 3.
        """
        if not 0 <= start <= end <= self.total:
            raise ValueError(f"letters {start} to {end} of {self.total}")
        codes: Codes = self.windows(np.array([start]), end - start)[0]
        return codes

    def windows(self, starts: npt.ArrayLike, length: int, reverse: npt.ArrayLike | None = None) -> Codes:
        """Read stretches of equal length.

        Args:
            starts: ``[n]`` first letter of each, in any order; may lie before the text or reach beyond it.
            length: Letters of each.
            reverse: ``[n]`` which are given as their reverse complement; None: none.

        Returns:
            uint8 ``[n, length]``: A 0, C 1, G 2, T 3; 4 where there is no text.
        """
        starts = np.ascontiguousarray(starts, np.int64)
        turned = np.zeros(len(starts), np.bool_) if reverse is None else np.ascontiguousarray(reverse, np.bool_)
        if turned.shape != starts.shape:
            raise ValueError(f"{len(turned)} strands for {len(starts)} windows")
        codes = np.empty((len(starts), length), np.uint8)
        _decode(self.letters, self.total, starts, turned, codes)
        return codes


@njit(cache=True, nogil=True)
def _decode(letters: Any, total: Any, starts: Any, turned: Any, codes: Any) -> None:
    for i in range(len(starts)):
        row = codes[i]
        low = min(max(-starts[i], 0), len(row))
        high = max(min(total - starts[i], len(row)), low)
        row[:low] = UNKNOWN
        row[high:] = UNKNOWN
        unpack_row(letters, starts[i] + low, row[low:high])
        if turned[i]:
            turn_row(row)
