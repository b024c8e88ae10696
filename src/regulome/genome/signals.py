"""One door for everything that gives a number to each bin: reads, tracks and peaks."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from regulome.errors import InputError
from regulome.genome.peaks import bin_peaks, is_called_peak
from regulome.genome.reads import count_reads
from regulome.genome.rows import first_rows
from regulome.genome.tracks import summarize_track
from regulome.genome.windows import Windows
from regulome.storage import existing_file

logger = logging.getLogger(__name__)

KINDS = ("reads", "track", "peaks")
_SUFFIXES = {
    ".bam": "reads", ".tagalign": "reads",
    ".bw": "track", ".bigwig": "track", ".bedgraph": "track", ".bdg": "track", ".bg": "track",
    ".narrowpeak": "peaks", ".broadpeak": "peaks", ".gappedpeak": "peaks",
}  # fmt: skip
_CONVERT = {
    ".sam": "convert it to BAM: samtools view -b", ".cram": "convert it to BAM: samtools view -b",
    ".wig": "convert it to bigWig: wigToBigWig", ".bb": "convert it to BED: bigBedToBed",
    ".bigbed": "convert it to BED: bigBedToBed",
}  # fmt: skip
#: How many rows of a ``.bed`` file are looked at.
_LOOK = 1000


@dataclass
class Signal:
    """A value for each bin of some windows.

    Attributes:
        values: [windows, bins]; int32 for counts of reads, float32 otherwise.
        record: What a dataset remembers: ``kind``, ``parameters``, ``n_records`` (valid rows or reads; None for
            bigWig), ``n_skipped``, ``first_skipped`` (where and why), ``aliases`` (name in the windows → name in the
            file, where they differ), ``missing_chromosomes``; for BAM, ``filtered``.
    """

    values: npt.NDArray[np.int32] | npt.NDArray[np.float32]
    record: dict[str, Any]


def detect_kind(path: str | PathLike[str]) -> str:
    """Tell what a file holds: ``reads``, ``track`` or ``peaks``.

    By the suffix, with or without ``.gz``: ``.bam``, ``.tagAlign`` → reads; ``.bw``, ``.bigWig``, ``.bedGraph``,
    ``.bdg``, ``.bg`` → track; ``.narrowPeak``, ``.broadPeak``, ``.gappedPeak`` → peaks. A ``.bed`` file may be
    anything, so its first 1,000 rows decide: it holds reads if they have 6 columns, all strands are ``+`` or ``-``,
    and at least half of the intervals have one and the same length; otherwise peaks.

    Raises:
        InputError: The suffix says nothing, or names a format that is not read.
    """
    path = existing_file(path)
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in {".gz", ".bgz"}]
    suffix = suffixes[-1] if suffixes else ""
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    if suffix in _CONVERT:
        raise InputError(f"{suffix} files are not read", file=path, cure=_CONVERT[suffix])
    if suffix != ".bed":
        cure = f"say which of {', '.join(KINDS)} it holds, or give it its format's suffix, such as .bed or .bam"
        raise InputError("its name does not tell what it holds", file=path, cure=cure)
    rows = first_rows(path, _LOOK)
    kind = "reads" if _look_like_reads(rows) else "peaks"
    columns = "narrowPeak or broadPeak" if is_called_peak(rows[0]) else f"BED of {len(rows[0])} columns"
    logger.info(f"{path.name}: taken as {kind} ({columns})")
    return kind


def _look_like_reads(rows: list[list[str]]) -> bool:
    if any(len(row) != 6 or row[5] not in {"+", "-"} or not (row[1] + row[2]).isdigit() for row in rows):
        return False
    lengths = Counter(int(row[2]) - int(row[1]) for row in rows)
    return 2 * lengths.most_common(1)[0][1] >= len(rows)


def read_signal(
    path: str | PathLike[str],
    windows: Windows,
    *,
    kind: str = "auto",
    skip_invalid: bool = False,
    chromosome_sizes: Mapping[str, int] | None = None,
    known_chromosomes: Iterable[str] | None = None,
    statistic: str | None = None,
    uncovered: str = "zero",
    count: str = "overlap",
    extend: int | None = None,
    min_mapq: int = 0,
    keep_duplicates: bool = False,
    value: str | None = None,
) -> Signal:
    """Read whatever a file holds into the bins of windows.

    Args:
        path: A file of reads, a track, or peaks.
        windows: ``n`` windows.
        kind: ``reads``, ``track``, ``peaks``, or ``auto`` for :func:`detect_kind`.
        skip_invalid: Leave invalid rows out and count them instead of refusing the file.
        chromosome_sizes: Chromosome → length, where known: rows and windows beyond an end are refused.
        known_chromosomes: All chromosomes of the annotation, see :class:`regulome.genome.chromosomes.Names`.
        statistic: Tracks: ``mean`` (default), ``max``, ``sum``. Peaks: ``max`` (default), ``sum``.
        uncovered: Tracks, see :func:`regulome.genome.tracks.summarize_track`.
        count: Reads: ``overlap`` or ``five_prime``, see :func:`regulome.genome.reads.count_reads`.
        extend: Reads: length of fragments in bases.
        min_mapq: Reads in BAM: least mapping quality.
        keep_duplicates: Reads in BAM: count those marked as duplicates too.
        value: Peaks: ``signalValue``, ``score``, ``presence``; None goes by the format.

    Raises:
        InputError: The file or a row of it is wrong, or it lies on another genome.
    """
    if kind not in (*KINDS, "auto"):
        raise InputError(f"unknown kind of file {kind!r}", file=path, cure=f"choose one of {', '.join(KINDS)}, auto")
    path = existing_file(Path(path))
    kind = detect_kind(path) if kind == "auto" else kind
    shared: dict[str, Any] = {
        "skip_invalid": skip_invalid, "chromosome_sizes": chromosome_sizes, "known_chromosomes": known_chromosomes
    }  # fmt: skip
    signal: Signal
    if kind == "reads":
        filters: dict[str, Any] = {"min_mapq": min_mapq, "keep_duplicates": keep_duplicates}
        signal = Signal(*count_reads(path, windows, count=count, extend=extend, **filters, **shared))
    elif kind == "track":
        signal = Signal(*summarize_track(path, windows, statistic=statistic or "mean", uncovered=uncovered, **shared))
    else:
        signal = Signal(*bin_peaks(path, windows, statistic=statistic or "max", value=value, **shared))
    skipped = signal.record.get("n_skipped")
    if skipped:
        logger.warning(f"{path.name}: {skipped:,} invalid rows left out, the first: {signal.record['first_skipped']}")
    return signal
