"""Which part of a dataset with distal regions a network sees: some marks, resolutions, pCREs, a narrower promoter."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from regulome.datasets.dataset import Dataset
from regulome.datasets.promoter_windows import crop
from regulome.datasets.regions import RegionTable
from regulome.errors import InputError, blame

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RegionView:
    """A part of a dataset with distal regions; make one with :func:`choose_regions`.

    Attributes:
        marks: Names of the marks, in the order in which they are seen.
        window: Base pairs around the start site that are seen of a promoter.
        resolutions: Widths of bins, in the order in which they are seen.
        pcres: pCREs of a gene that are seen at most; -1 = all.
        span: Base pairs of the window in which regions are centred.
        stored_marks: The dataset's marks.
        stored_window: Its window around start sites.
    """

    marks: tuple[str, ...]
    window: int
    resolutions: tuple[int, ...]
    pcres: int
    span: int
    stored_marks: tuple[str, ...]
    stored_window: int

    def settings(self) -> dict[str, Any]:
        """Return the keys of a recipe's section ``input`` that choose the same part of any dataset that has it."""
        return {
            "marks": list(self.marks),
            "window": self.window,
            "resolutions": list(self.resolutions),
            "pcres": self.pcres,
        }


def choose_regions(
    dataset: Dataset, marks: Sequence[str] = (), window: int = 0, resolutions: Sequence[int] = (), pcres: int = -1
) -> RegionView:
    """Choose a part of a dataset with distal regions.

    Args:
        dataset: The dataset.
        marks: Names of the marks, in the wanted order, in upper or lower case; empty takes all of them.
        window: Base pairs around the start site that are taken of a promoter; 0 takes the dataset's.
        resolutions: Widths of bins, in the wanted order; empty takes the dataset's.
        pcres: pCREs of a gene at most, the first by rank; -1 takes all.

    Raises:
        InputError: The dataset has no distal regions, or no such marks, window or bins.
    """
    table = RegionTable(dataset)
    with blame(dataset.path):
        names = [table.marks[place] for place in table.mark_places(marks)]
        widths = tuple(resolutions) or table.resolutions
        missing = [width for width in widths if width not in table.signals]
        if missing or len(set(widths)) < len(widths):
            problem = f"has no bins of {missing[0]:,} bp" if missing else "bins of one width are asked for twice"
            has = ", ".join(f"{width:,}" for width in table.resolutions)
            raise InputError(
                problem, cure=f"it has bins of {has} bp: name these, or prepare it with other --resolutions"
            )
        for width in widths:
            crop(table.window, window or table.window, width, table.resolutions)
    return RegionView(
        *(tuple(names), window or table.window, widths, pcres, table.span),
        stored_marks=tuple(table.marks),
        stored_window=table.window,
    )


def tell_regions(view: RegionView) -> None:
    """Say what is not seen as it lies in the dataset."""
    if view.marks != view.stored_marks:
        many = len(view.marks) < len(view.stored_marks)
        some = f"{len(view.marks)} of {len(view.stored_marks)} marks" if many else "the marks"
        logger.info("%s, in this order: %s", some, ", ".join(view.marks))
    if view.window < view.stored_window:
        logger.info("the middle %s bp of promoters of %s bp", f"{view.window:,}", f"{view.stored_window:,}")
    if view.pcres >= 0:
        logger.info("at most %d pCREs of each gene", view.pcres)
