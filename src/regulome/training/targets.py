"""What the targets of some rows look like, column by column, without holding them all."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regulome.datasets.dataset import Dataset
from regulome.errors import InputError

logger = logging.getLogger(__name__)

# Values that are looked at together: 64 MB as float32.
_BLOCK = 1 << 24
# Targets that a message names.
_NAMED = 5


@dataclass(frozen=True)
class TargetSummary:
    """Targets of some rows; all arrays are float64 [targets].

    Attributes:
        n: Number of rows.
        low: Smallest value.
        high: Largest value.
        mean: Mean; for labels the share of positives.
        finite: Whether every value is a finite number.
    """

    n: int
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]
    finite: bool

    @property
    def constant(self) -> npt.NDArray[np.int64]:
        """Columns that have the same value in every row."""
        return np.flatnonzero(self.low == self.high)


def summarize_targets(dataset: Dataset, rows: npt.NDArray[np.int64]) -> TargetSummary:
    """Look at the targets of some rows (at least one); memory is that of a block of 16.8 million values."""
    columns = dataset.targets.shape[1]
    low, high, total = np.full(columns, np.inf), np.full(columns, -np.inf), np.zeros(columns)
    finite = True
    step = max(1, _BLOCK // max(1, columns))
    for start in range(0, len(rows), step):
        block = dataset.targets[rows[start : start + step]]
        if block.dtype.kind == "f":
            finite = finite and bool(np.isfinite(block).all())
        low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
        total += block.sum(axis=0, dtype=np.float64)
    return TargetSummary(len(rows), low, high, total / max(1, len(rows)), finite)


def check_targets(dataset: Dataset, parts: npt.NDArray[np.str_], *, by_rank: bool) -> None:
    """Refuse targets from which nothing can be learned, before any work; say which single ones teach nothing.

    Args:
        dataset: The dataset.
        parts: The part of each example.
        by_rank: Whether the validation part has to have values that differ.

    Raises:
        InputError: Targets are not finite, or all of a part are equal.
    """
    for part in ("train", "valid"):
        found = summarize_targets(dataset, np.flatnonzero(parts == part))
        if not found.finite:
            raise InputError(f"the {part} targets are not all finite numbers", file=dataset.path)
        constant = found.constant
        if len(constant) == 0:
            continue
        names = [dataset.target_names[place] for place in constant]
        needed = part == "train" or dataset.task == "classification" or by_rank
        if needed and len(constant) == len(dataset.target_names):
            raise InputError(
                f"all {found.n:,} {part} examples have the same {names[0]}: {found.low[constant[0]]:g}",
                file=dataset.path,
                cure="choose another --split, or another target when preparing",
            )
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        logger.warning(
            "%s of %s targets have one value in all %s %s examples: %s%s",
            *(f"{len(names):,}", f"{len(dataset.target_names):,}", f"{found.n:,}", part),
            *(", ".join(names[:_NAMED]), more),
        )
