"""Signal tracks (bigWig, bedGraph) to mean, maximum or sum per bin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pybigtools

from regulome.errors import InputError
from regulome.genome.bins import Coverage
from regulome.genome.chromosomes import Names, aliases, check_inside, match_names, say_missing
from regulome.genome.reads import found
from regulome.genome.rows import Rows
from regulome.genome.windows import Windows
from regulome.progress import progress
from regulome.storage import existing_file

STATISTICS = ("mean", "max", "sum")
UNCOVERED = ("zero", "ignore")
_BIGWIG = (b"\x26\xfc\x8f\x88", b"\x88\x8f\xfc\x26")
_BIGBED = (b"\xeb\xf2\x89\x87", b"\x87\x89\xf2\xeb")


def summarize_track(
    path: str | PathLike[str],
    windows: Windows,
    *,
    statistic: str = "mean",
    uncovered: str = "zero",
    skip_invalid: bool = False,
    chromosome_sizes: Mapping[str, int] | None = None,
    known_chromosomes: Iterable[str] | None = None,
) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
    """Summarize a track over each bin, exactly (from the values of bases, never from zoom levels).

    Args:
        path: bigWig, or bedGraph (plain or gzip, in any order).
        windows: ``n`` windows; what leaves the chromosome has no value.
        statistic: ``mean``, ``max`` or ``sum`` of the values of a bin's bases.
        uncovered: ``zero``: bases without a value count as 0; ``ignore``: only covered bases count. A bin without any
            covered base is 0 either way.
        skip_invalid: Leave invalid rows of a bedGraph out and count them instead of refusing the file.
        chromosome_sizes: Chromosome → length; rows that pass an end are invalid. A bigWig brings its own.
        known_chromosomes: All chromosomes of the annotation, see :class:`regulome.genome.chromosomes.Names`.

    Returns:
        Values float32 [n, bins], and the record for a dataset.

    Raises:
        InputError: The file or a row of it is wrong, or the genome is another one.
    """
    if statistic not in STATISTICS:
        raise InputError(f"unknown statistic {statistic!r} of a track", cure=f"choose one of {', '.join(STATISTICS)}")
    if uncovered not in UNCOVERED:
        raise InputError(
            f"unknown way {uncovered!r} with uncovered bases", cure=f"choose one of {', '.join(UNCOVERED)}"
        )
    if chromosome_sizes:
        check_inside(windows, chromosome_sizes, file=path)
    if is_bigwig(path):
        values, record = _bigwig(path, windows, statistic, uncovered)
    else:
        names = Names(windows.chromosomes, sizes=chromosome_sizes, known=known_chromosomes, file=path)
        rows = Rows(path, names, value=4, skip_invalid=skip_invalid)
        bins = Coverage(windows, statistic, uncovered=uncovered)
        for block in rows:
            bins.add(block)
        values, record = bins.result(), found(rows.tally, names)
    return values, {"kind": "track", "parameters": {"statistic": statistic, "uncovered": uncovered}, **record}


def is_bigwig(path: str | PathLike[str]) -> bool:
    """Say whether a file is bigWig, by its first bytes.

    Raises:
        InputError: It is bigBed, or is called bigWig without being one.
    """
    path = existing_file(path)
    with path.open("rb") as raw:
        magic = raw.read(4)
    if magic in _BIGBED:
        raise InputError("is bigBed, expected bigWig or bedGraph", file=path, cure="convert it with bigBedToBed")
    if magic not in _BIGWIG and path.suffix.lower() in {".bw", ".bigwig"}:
        raise InputError("is not bigWig, as its name says", file=path, cure="download it again, or rename it")
    return magic in _BIGWIG


def bigwig_sizes(path: str | PathLike[str]) -> dict[str, int]:
    """Return chromosome → length in bases from a bigWig file's header."""
    with _open(path) as track:
        sizes: dict[str, int] = dict(track.chroms())
        return sizes


def _bigwig(
    path: str | PathLike[str], windows: Windows, statistic: str, uncovered: str
) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
    out = np.zeros((len(windows), windows.n_bins), dtype=np.float32)
    with _open(path) as track:
        sizes = dict(track.chroms())
        names = match_names(windows.chromosomes, sizes, file=path)
        check_inside(windows, sizes, file=path)
        missing = say_missing([name for name in windows.chromosomes if name not in names], path)
        _fill(track, windows, names, statistic, uncovered, out, Path(path).name)
    out[np.isnan(out)] = 0
    record = {
        "n_records": None,
        "n_skipped": 0,
        "first_skipped": None,
        "aliases": aliases(names, path),
        "missing_chromosomes": missing,
    }
    return out, record


@contextmanager
def _open(path: str | PathLike[str]) -> Iterator[Any]:
    """Open a bigWig of any name; the reader would judge a path by its suffix, but takes a stream.

    Raises:
        InputError: It cannot be opened, or, in the block, cannot be read.
    """
    try:
        with Path(path).open("rb") as stream:
            track = pybigtools.open(str(path) if str(path).endswith((".bw", ".bigWig")) else stream)
            try:
                yield track
            finally:
                track.close()
    except (pybigtools.BBIReadError, ValueError, OSError) as error:
        problem = f"bigWig is damaged or ends early ({str(error).strip()})"
        raise InputError(problem, file=path, cure="download or make it again") from error


def _fill(
    track: Any, windows: Windows, names: Mapping[str, str], statistic: str, uncovered: str,
    out: npt.NDArray[np.float32], title: str,
) -> None:  # fmt: skip
    """Ask for one window after the other, in the file's order, so that its blocks are decompressed about once."""
    present = [names.get(name) for name in windows.chromosomes]
    sizes = np.array([track.chroms(name) if name else 0 for name in present], dtype=np.int64)
    order = np.lexsort((windows.starts, windows.codes))
    chosen = order[sizes[windows.codes[order]] > 0]
    leaves = (windows.starts < 0) | (windows.ends > sizes[windows.codes])
    fill = 0.0 if uncovered == "zero" else None
    values, width, bins = track.values, windows.width, windows.n_bins
    with progress(f"reading {title}", len(chosen), "windows") as advance:
        for begin in range(0, len(chosen), 512):
            part = chosen[begin : begin + 512]
            columns = (part, windows.codes[part], windows.starts[part], leaves[part])
            for i, code, start, leaving in zip(*(column.tolist() for column in columns), strict=True):
                if leaving:
                    bases = np.full(width, np.nan)
                    low, high = max(start, 0), min(start + width, int(sizes[code]))
                    if low < high:
                        bases[low - start : high - start] = values(present[code], low, high, fillna=None)
                    out[i] = summarize_bases(bases.reshape(bins, -1), statistic, uncovered)
                else:
                    out[i] = values(
                        present[code], start, start + width, bins=bins, summary=statistic, exact=True, uncovered=fill,
                        oob=0.0, fillna=0.0,
                    )  # fmt: skip
            advance(len(part))


def summarize_bases(bases: npt.NDArray[np.float64], statistic: str, uncovered: str) -> npt.NDArray[np.float64]:
    """Summarize values of single bases, NaN where there is none.

    Args:
        bases: float64 [bins, bases of a bin].
        statistic: See :func:`summarize_track`.
        uncovered: See :func:`summarize_track`.

    Returns:
        float64 [bins].
    """
    covered = ~np.isnan(bases)
    kept = np.where(covered, bases, 0)
    if statistic == "max":
        highest = np.where(covered, bases, 0 if uncovered == "zero" else -np.inf).max(axis=1)
        return np.asarray(np.where(covered.any(axis=1), highest, 0))
    total: npt.NDArray[np.float64] = kept.sum(axis=1)
    if statistic == "sum":
        return total
    return total / (bases.shape[1] if uncovered == "zero" else np.maximum(covered.sum(axis=1), 1))
