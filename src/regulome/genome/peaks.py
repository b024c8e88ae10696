"""Peaks (narrowPeak, broadPeak, BED) to values per bin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt

from regulome.errors import InputError
from regulome.genome.bins import Maxima, Sums
from regulome.genome.chromosomes import Names, check_inside
from regulome.genome.reads import found
from regulome.genome.rows import Rows, first_rows
from regulome.genome.windows import Windows

STATISTICS = ("max", "sum")
#: Name of a value → its column, from 1; 0 for none.
VALUES = {"signalValue": 7, "score": 5, "presence": 0}


def bin_peaks(
    path: str | PathLike[str],
    windows: Windows,
    *,
    statistic: str = "max",
    value: str | None = None,
    skip_invalid: bool = False,
    chromosome_sizes: Mapping[str, int] | None = None,
    known_chromosomes: Iterable[str] | None = None,
) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
    """Give each bin the largest value, or the sum of the values, of the peaks that overlap it by a base or more.

    Args:
        path: narrowPeak, broadPeak or BED, plain or gzip, in any order; peaks may overlap each other.
        windows: ``n`` windows.
        statistic: ``max`` or ``sum``; a bin without a peak is 0. The sum of ``presence`` is the number of peaks.
        value: ``signalValue`` (column 7), ``score`` (column 5) or ``presence`` (1). None chooses by the number of
            columns: signalValue for narrowPeak (10) and broadPeak (9), also where it is called ``.bed``; score for
            BED with 5 columns or more; presence for fewer.
        skip_invalid: Leave invalid rows out and count them instead of refusing the file.
        chromosome_sizes: Chromosome → length; rows that pass an end are invalid.
        known_chromosomes: All chromosomes of the annotation, see :class:`regulome.genome.chromosomes.Names`.

    Returns:
        Values float32 [n, bins], and the record for a dataset.

    Raises:
        InputError: The file or a row of it is wrong, or the genome is another one.
    """
    if statistic not in STATISTICS:
        raise InputError(f"unknown statistic {statistic!r} of peaks", cure=f"choose one of {', '.join(STATISTICS)}")
    if value is not None and value not in VALUES:
        raise InputError(f"unknown value {value!r} of peaks", cure=f"choose one of {', '.join(VALUES)}")
    value = value or choose_value(path)
    if chromosome_sizes:
        check_inside(windows, chromosome_sizes, file=path)
    names = Names(windows.chromosomes, sizes=chromosome_sizes, known=known_chromosomes, file=path)
    rows = Rows(path, names, value=VALUES[value], skip_invalid=skip_invalid)
    bins = Maxima(windows) if statistic == "max" else Sums(windows)
    for block in rows:
        bins.add(block)
    record = {"kind": "peaks", "parameters": {"statistic": statistic, "value": value}, **found(rows.tally, names)}
    return bins.result(), record


def choose_value(path: str | PathLike[str]) -> str:
    """Return the value that a file of peaks is read for, by the number of columns of its first row."""
    row = first_rows(path, 1)[0]
    if is_called_peak(row):
        return "signalValue"
    return "score" if len(row) >= 5 else "presence"


def is_called_peak(row: list[str]) -> bool:
    """Say whether a row is narrowPeak (10 columns) or broadPeak (9, where BED has a colour in the last)."""
    return len(row) == 10 or (len(row) == 9 and "," not in row[8] and row[6:8] != row[1:3])
