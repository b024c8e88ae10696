"""Windows of a dataset of sequences: from two bits per letter to codes, in any order, shifted or turned."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from regulome.datasets.dataset import Dataset
from regulome.genome.letters import UNKNOWN, turn_row, unpack_row

Codes = npt.NDArray[np.uint8]


class SequenceWindows:
    """The windows of a dataset of the line ``"sequence"``, decoded straight from its memory map.

    Memory: one bit per example and the runs of unknown letters; letters stay on disk (in its cache).

    Args:
        dataset: The dataset.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.length = dataset.length
        self.margin = dataset.manifest.inputs["start"].margin or 0
        self._letters = dataset.inputs["letters"]
        self._starts = dataset.inputs["start"]
        runs = np.asarray(dataset.inputs["unknown"])
        self._run_starts, self._run_ends = np.ascontiguousarray(runs[:, 0]), np.ascontiguousarray(runs[:, 1])
        self._minus = (dataset.regions["strand"] == "-").to_numpy()

    def codes(
        self,
        rows: npt.NDArray[np.int64],
        *,
        shift: npt.NDArray[np.int32] | None = None,
        flip: npt.NDArray[np.bool_] | None = None,
    ) -> Codes:
        """Decode windows; see :func:`window_codes`."""
        rows = np.asarray(rows, np.int64)
        n = len(rows)
        starts = self._starts[rows]
        turned = self._minus[rows]
        if flip is not None:
            turned = turned ^ flip
        shifts = np.zeros(n, np.int32) if shift is None else np.asarray(shift, np.int32)
        # Windows are read in the order in which they lie on disk: rows in random order come in a few neighbourhoods.
        codes = np.empty((n, self.length), np.uint8)
        runs = self._run_starts, self._run_ends
        _decode(self._letters, *runs, starts, shifts, turned, self.margin, codes)
        return codes


def window_codes(
    dataset: Dataset,
    rows: npt.ArrayLike,
    *,
    shift: npt.NDArray[np.int32] | None = None,
    flip: npt.NDArray[np.bool_] | None = None,
) -> Codes:
    """Decode windows of a dataset of sequences. For many calls, make a :class:`SequenceWindows` once.

    Args:
        dataset: A dataset of the line ``"sequence"``.
        rows: ``[n]`` rows of the dataset, in any order, also repeatedly.
        shift: ``[n]`` letters by which each window is moved along the forward strand. What lies further than the
            dataset's margin outside the window is unknown.
        flip: ``[n]`` which windows are read as their reverse complement; those of examples with strand ``-`` are
            reverse complements already, and ``flip`` turns them to the forward strand.

    Returns:
        uint8 ``[n, length]``: A 0, C 1, G 2, T 3, unknown 4.

    Raises:
        InputError: The dataset holds no sequences.
        IndexError: A row is not in the dataset.
    """
    return SequenceWindows(dataset).codes(np.asarray(rows, np.int64), shift=shift, flip=flip)


@njit(cache=True, nogil=True)
def _decode(
    letters: Any,
    run_starts: Any,
    run_ends: Any,
    starts: Any,
    shifts: Any,
    turned: Any,
    margin: Any,
    codes: Any,
) -> None:
    """Fill ``codes``; positions of the dataset that are not the window's own stay unknown."""
    n, length = codes.shape
    for i in range(n):
        row = codes[i]
        begin = starts[i] + shifts[i]
        # The part of the row that is stored: not further than the margin from the window that was given.
        low = max(0, -np.int64(shifts[i]) - margin)
        high = min(length, length + margin - np.int64(shifts[i]))
        if low > 0 or high < length:
            row[:] = UNKNOWN
        if high <= low:
            continue
        end = begin + high
        unpack_row(letters, begin + low, row[low:high])
        run = np.searchsorted(run_ends, begin + low, side="right")
        while run < len(run_starts) and run_starts[run] < end:
            for p in range(max(run_starts[run], begin + low), min(run_ends[run], end)):
                row[p - begin] = UNKNOWN
            run += 1
        if turned[i]:
            turn_row(row)
