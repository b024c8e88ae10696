"""The regions of a dataset: promoters and the distal regions (pCREs) that touch them, each stored once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from regulome.datasets.dataset import Array, Dataset
from regulome.datasets.region_layout import SIGNAL, extra, has_regions, signals
from regulome.errors import InputError
from regulome.genome.region_bins import Regions


class RegionTable:
    """Where the regions of a dataset lie, which rows of the signals are theirs, and what touches what.

    Args:
        dataset: A dataset of the line ``"expression"`` with contacts.

    Attributes:
        regions: The regions, :class:`regulome.genome.region_bins.Regions`.
        promoter: int64 [examples], region of each example's promoter.
        window: Bases of every promoter.
        span: Bases of the window in which regions are centred: no region is longer.
        contact: int64 [contacts, 2], example and region; those of an example in order of rank.
        frequency: float32 [contacts].
        first: int64 [examples + 1]: the contacts of example ``i`` are ``first[i]`` … ``first[i + 1] - 1``.
        marks: Names of the marks.
        signals: Width of a bin → float32 [rows, marks], mean depth, in the dataset's order of widths.

    Raises:
        InputError: The dataset has no regions.
    """

    def __init__(self, dataset: Dataset) -> None:
        entries = dataset.manifest.inputs
        if not has_regions(dataset.manifest):
            raise InputError(
                f"has no distal regions: its inputs are {', '.join(entries)}",
                file=dataset.path,
                cure="use a dataset that `regulome prepare contacts` made",
            )
        edges = np.asarray(dataset.inputs["region"])
        names = tuple(extra(entries["region_chromosome"], "names"))
        codes = np.array(dataset.inputs["region_chromosome"])
        self.regions = Regions(names, codes, edges[:, 0].copy(), edges[:, 1].copy())
        self.promoter: npt.NDArray[np.int64] = np.array(dataset.inputs["promoter"])
        self.window: int = extra(entries["promoter"], "window")
        self.contact: npt.NDArray[np.int64] = np.array(dataset.inputs["contact"])
        self.frequency: npt.NDArray[np.float32] = np.array(dataset.inputs["frequency"])
        self.first = np.searchsorted(self.contact[:, 0], np.arange(len(dataset) + 1)).astype(np.int64)
        self.signals: dict[int, Array] = {
            width: dataset.inputs[SIGNAL.format(width)] for width in signals(dataset.manifest)
        }
        self.marks = list(next(iter(signals(dataset.manifest).values())).mark or [])
        self.span = max(self.window, extra(entries["contact"], "max_region") or int(self.regions.lengths.max()))

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Widths of bins, in the dataset's order."""
        return tuple(self.signals)

    def mark_places(self, marks: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the columns of the named marks (in upper or lower case); those of all marks where none is named.

        Raises:
            InputError: A mark is not in the dataset, or is named twice.
        """
        places = {mark.casefold(): place for place, mark in enumerate(self.marks)}
        wanted = [name.casefold() for name in marks] or list(places)
        for name, given in zip(wanted, marks, strict=False):
            if name not in places:
                raise InputError(f"there is no mark {given!r}", cure=f"the dataset has {', '.join(self.marks)}")
            if wanted.count(name) > 1:
                raise InputError(f"the mark {given!r} is named twice", cure="name each once")
        return np.array([places[name] for name in wanted], dtype=np.int64)
