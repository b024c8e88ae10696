"""Arrays of HDF5 files (MATLAB v7.3 too), read along their chunks so that each is decompressed once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from regulome.datasets.one_hot_planes import BUDGET, Array, covers, names_of
from regulome.errors import InputError

_DAMAGED = "download or make it again"


@contextmanager
def open_hdf5(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading.

    Raises:
        InputError: It is no HDF5 file, or is cut short or damaged.
    """
    try:
        stream = h5py.File(path, "r")
    except OSError as error:
        if "truncated file" in str(error):
            raise InputError("HDF5 file is cut short", file=path, cure=_DAMAGED) from None
        known = h5py.is_hdf5(path)
        problem = f"HDF5 file is damaged: {error}" if known else "is no HDF5 file"
        raise InputError(problem, file=path, cure=_DAMAGED if known else "check the path and the layout") from None
    with stream:
        yield stream


def find_array(stream: h5py.File, path: Path, name: str, cure: str) -> h5py.Dataset:
    """Return a numeric array of a file.

    Raises:
        InputError: There is none of this name, or it holds no numbers.
    """
    found = stream.get(name)
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"has no array {name!r}, it has {names_of(sorted(stream))}", file=path, cure=cure)
    if found.dtype.kind not in "buif":
        raise InputError(f"the array {name!r} holds {found.dtype}, expected numbers", file=path, cure=cure)
    return found


class HDF5Plane:
    """An array of an HDF5 file, seen as ``[row, channel, example]``.

    Args:
        file: The file.
        data: The array in it.
        axes: Which axis of the array is row, channel (None: there is none) and example; others have length 1.
    """

    def __init__(self, file: Path, data: h5py.Dataset, axes: tuple[int, int | None, int]) -> None:
        self.file = file
        self.name = str(data.name).lstrip("/")
        self._data = data
        self._axes = axes
        self.shape = (data.shape[axes[0]], 1 if axes[1] is None else data.shape[axes[1]], data.shape[axes[2]])
        rows, channels, examples = self.shape
        step = 1 if data.chunks is None else data.chunks[axes[2]]
        fitting = covers(rows, channels, examples, data.dtype.itemsize)
        self.block = None if min(step, examples) > fitting else fitting // step * step or examples

    def read(self, first: int, last: int) -> Array:
        """Return the examples from ``first`` to ``last``: [row, channel, example]."""
        return self._read(slice(0, self.shape[0]), slice(first, last))

    def pieces(self) -> Iterator[tuple[int, int, Array]]:
        """Yield pieces along the chunks: first row, first example, values [row, channel, example]."""
        rows, channels, examples = self.shape
        chunks: Sequence[int] = self._data.chunks or (1,) * self._data.ndim
        across, along = chunks[self._axes[0]], chunks[self._axes[2]]
        fitting = max(1, BUDGET // (min(along, examples) * channels * self._data.dtype.itemsize))
        step = max(1, fitting // across) * across
        for example in range(0, examples, along):
            for row in range(0, rows, step):
                yield row, example, self._read(slice(row, row + step), slice(example, example + along))

    def _read(self, rows: slice, examples: slice) -> Array:
        row, channel, example = self._axes
        where: list[Any] = [0] * self._data.ndim
        where[row], where[example] = rows, examples
        if channel is not None:
            where[channel] = slice(None)
        try:
            values: Array = self._data[tuple(where)]
        except OSError as error:
            raise InputError(
                f"the array {self.name!r} cannot be read: {error}", file=self.file, cure=_DAMAGED
            ) from None
        kept = sorted(axis for axis in self._axes if axis is not None)
        order = [kept.index(axis) for axis in self._axes if axis is not None]
        turned = np.transpose(values, order)
        return turned if channel is not None else turned[:, None]
