"""Promoters of a dataset with distal regions as ordinary windows around start sites, and smaller windows in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from regulome.datasets.dataset import Array, Dataset
from regulome.datasets.region_kernel import copy_bins
from regulome.datasets.region_layout import has_regions
from regulome.datasets.regions import RegionTable
from regulome.errors import InputError


class Crop(NamedTuple):
    """Where the bins of a smaller window lie in a larger one with the same centre.

    Attributes:
        bin: Width of the stored bins that it is made of.
        first: The first stored bin.
        factor: Stored bins of which each bin is the mean.
        bins: Number of bins.
    """

    bin: int
    first: int
    factor: int
    bins: int


def crop(stored: int, window: int, bin: int, resolutions: Sequence[int]) -> Crop:
    """Find the widest stored bins of which the bins of a window can be made exactly.

    Args:
        stored: Bases of the stored windows.
        window: Bases of the window that is wanted.
        bin: Bases of its bins.
        resolutions: Widths of the stored bins.

    Raises:
        InputError: The window is larger than the stored one, is no multiple of the bin, or its bins have their borders
            inside of stored ones.
    """
    offset = (stored - window) // 2
    if window > stored or window < 1 or bin < 1 or window % bin or (stored - window) % 2:
        raise InputError(
            f"a window of {window:,} bases in bins of {bin:,} cannot be cut out of windows of {stored:,}",
            cure="choose a multiple of the bin that is not larger",
        )
    widths = [width for width in resolutions if bin % width == 0 and offset % width == 0]
    if not widths:
        has = ", ".join(f"{width:,}" for width in resolutions)
        raise InputError(
            f"bins of {bin:,} bases of the window's middle {window:,} have their borders inside of the stored bins "
            f"({has} bases)",
            cure="choose another window or bin, or prepare the dataset with finer bins",
        )
    width = max(widths)
    return Crop(width, offset // width, bin // width, window // bin)


class PromoterWindows:
    """The promoters of a dataset with distal regions, read as an array ``[example, mark, bin]`` of mean depth is.

    Bins are the finest of the dataset and run forward: the same numbers as an ordinary dataset of tracks has.

    Args:
        dataset: A dataset with contacts.

    Attributes:
        shape: ``(examples, marks, bins)``.
        dtype: float32.

    Raises:
        InputError: The dataset has no regions.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, dataset: Dataset) -> None:
        table = RegionTable(dataset)
        bin_size = min(table.signals)
        self._signal = table.signals[bin_size]
        self._first = table.regions.offsets(bin_size)[table.promoter]
        self.shape = (len(dataset), len(table.marks), table.window // bin_size)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> npt.NDArray[np.float32]:
        """Return float32 [rows, marks, bins] of ``rows`` or ``(rows, marks, bins)``: lists or slices each."""
        rows, marks, bins = (*key, *(slice(None),) * 3)[:3] if isinstance(key, tuple) else (key, *(slice(None),) * 2)
        chosen = np.arange(self.shape[0])[rows].reshape(-1)
        columns = np.arange(self.shape[1])[marks].reshape(-1)
        seen = range(self.shape[2])[bins]
        count, factor = np.full(len(chosen), len(seen)), np.ones(len(chosen), np.int64)
        turned = np.zeros(len(chosen), dtype=bool)
        out = np.empty((len(chosen) * len(seen), len(columns)), np.float32)
        copy_bins(self._signal, self._first[chosen] + seen.start, count, factor, turned, columns, out)
        return np.ascontiguousarray(out.reshape(len(chosen), len(seen), -1).transpose(0, 2, 1))


def read_rows(dataset: Dataset, name: str = "marks") -> Array:
    """Return the input of a dataset that is read row by row; where there are regions, its promoters."""
    if name == "marks" and has_regions(dataset.manifest):
        return cast(Array, PromoterWindows(dataset))
    return dataset.inputs[name]
