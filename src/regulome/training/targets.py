"""What the targets of some rows look like, column by column, without holding them all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regulome.datasets.dataset import Dataset

# Values that are looked at together: 64 MB as float32.
_BLOCK = 1 << 24


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
