"""Which part of a dataset's marks a network sees: some marks, a narrower window, wider bins."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from regulome.datasets.dataset import Array, Dataset
from regulome.errors import InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class View:
    """A part of the marks of a dataset; make one with :func:`choose_view`.

    Attributes:
        marks: Names of the marks, in the order in which they are seen.
        places: Position of each in the dataset.
        bins: Number of bins that are seen.
        bin_size: Width of each in base pairs.
        first: The first bin of the dataset that is seen.
        merged: How many bins of the dataset make one that is seen.
        summed: Whether merged bins are added (reads) rather than averaged (signal).
        stored_marks: Number of marks of the dataset.
    """

    marks: tuple[str, ...]
    places: tuple[int, ...]
    bins: int
    bin_size: int
    first: int
    merged: int
    summed: bool
    stored_marks: int

    @property
    def window(self) -> int:
        """Base pairs that are seen; the start site is in their middle."""
        return self.bins * self.bin_size

    def settings(self) -> dict[str, Any]:
        """Return the keys of a recipe's section ``input`` that choose the same part of any dataset that has it."""
        return {"marks": list(self.marks), "window": self.window, "bin": self.bin_size}

    def read(self, array: Array, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Read what is seen of some rows of an array [example, mark, bin], and nothing else of them.

        Returns:
            float32 [rows, marks, bins].
        """
        span = slice(self.first, self.first + self.bins * self.merged)
        everything = self.places == tuple(range(self.stored_marks))
        if everything and self.bins * self.merged == array.shape[2]:
            # Whole rows are copied at once.
            seen = array[rows]
        elif everything:
            seen = array[rows, :, span]
        else:
            seen = array[rows[:, None], np.array(self.places), span]
        seen = seen.astype(np.float32, copy=False)
        if self.merged == 1:
            return seen
        parts = seen.reshape(*seen.shape[:2], self.bins, self.merged)
        merged: npt.NDArray[np.float32] = parts.sum(axis=3) if self.summed else parts.mean(axis=3)
        return merged


def choose_view(dataset: Dataset, marks: Sequence[str] = (), window: int = 0, bin: int = 0) -> View:
    """Choose a part of a dataset's marks.

    Args:
        dataset: The dataset.
        marks: Names of the marks, in the wanted order, in upper or lower case; empty takes all of them.
        window: Base pairs around the start site, a multiple of ``bin``; 0 takes the dataset's.
        bin: Base pairs per bin, a multiple of the dataset's: reads are added up, signal is averaged. 0 takes the
            dataset's.

    Raises:
        InputError: A mark is not there or asked for twice, the window is wider than the dataset's or cannot have the
            start site in its middle, or the bins cannot be made of the dataset's.
    """
    places = {mark.casefold(): place for place, mark in enumerate(dataset.marks)}
    wanted = list(marks) or dataset.marks
    missing = [mark for mark in wanted if mark.casefold() not in places]
    if missing:
        raise InputError(
            f"has no mark {', '.join(missing)}: it has {', '.join(dataset.marks)}",
            file=dataset.path,
            cure="name marks that it has, or prepare it with these, under the same names",
        )
    if len({mark.casefold() for mark in wanted}) < len(wanted):
        raise InputError(f"a mark is asked for twice: {', '.join(wanted)}", cure="name each mark once")
    width, stored = bin or dataset.bin_size, dataset.bins * dataset.bin_size
    if width % dataset.bin_size:
        raise InputError(
            f"has bins of {dataset.bin_size:,} bp, of which none of {width:,} bp can be made",
            file=dataset.path,
            cure=f"take a multiple of {dataset.bin_size:,} bp, or prepare it with --bin {width}",
        )
    seen = window or stored
    if seen > stored:
        raise InputError(
            f"has windows of {stored:,} bp, {seen:,} bp are asked for",
            file=dataset.path,
            cure=f"take at most {stored:,} bp, or prepare it with --window {seen}",
        )
    left = (stored - seen) // dataset.bin_size
    if seen % width or left % 2:
        raise InputError(
            f"has windows of {stored:,} bp in bins of {dataset.bin_size:,} bp: the middle {seen:,} bp in bins of "
            f"{width:,} bp cannot be cut out",
            file=dataset.path,
            cure="take a window that is a multiple of the bin, and leaves whole bins over, equally many on both sides",
        )
    entry = dataset.manifest.inputs.get("marks")
    return View(
        marks=tuple(wanted) if marks else tuple(dataset.marks),
        places=tuple(places[mark.casefold()] for mark in wanted),
        bins=seen // width,
        bin_size=width,
        first=left // 2,
        merged=width // dataset.bin_size,
        summed=entry is not None and entry.unit == "reads",
        stored_marks=len(dataset.marks),
    )


def tell_view(view: View, dataset: Dataset) -> None:
    """Say what is not seen as it lies in the dataset."""
    if view.places != tuple(range(view.stored_marks)):
        some = f"{len(view.marks)} of {view.stored_marks} marks" if len(view.marks) < view.stored_marks else "the marks"
        logger.info("%s, in this order: %s", some, ", ".join(view.marks))
    if view.window < dataset.bins * dataset.bin_size:
        logger.info("the middle %s bp of windows of %s bp", f"{view.window:,}", f"{dataset.bins * dataset.bin_size:,}")
    if view.merged > 1:
        how = "the sum" if view.summed else "the mean"
        logger.info("a bin of %s bp is %s of %d bins", f"{view.bin_size:,}", how, view.merged)
