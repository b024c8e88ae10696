"""Signal tracks (bigWig, bedGraph) to mean, maximum or sum per bin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt

from regulome.errors import InputError
from regulome.genome.bigwig import open_bigwig
from regulome.genome.bins import Coverage
from regulome.genome.chromosomes import Names, aliases, check_inside, match_names, say_missing
from regulome.genome.reads import found
from regulome.genome.rows import Rows
from regulome.genome.windows import Windows
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
    bins = Coverage(windows, statistic, uncovered=uncovered)
    if is_bigwig(path):
        record = _bigwig(path, windows, bins)
    else:
        names = Names(windows.chromosomes, sizes=chromosome_sizes, known=known_chromosomes, file=path)
        rows = Rows(path, names, value=4, skip_invalid=skip_invalid)
        for block in rows:
            bins.add(block)
        record = found(rows.tally, names)
    parameters = {"statistic": statistic, "uncovered": uncovered}
    return bins.result(), {"kind": "track", "parameters": parameters, **record}


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
    with open_bigwig(path) as track:
        return track.sizes


def _bigwig(path: str | PathLike[str], windows: Windows, bins: Coverage) -> dict[str, Any]:
    with open_bigwig(path) as track:
        names = match_names(windows.chromosomes, track.sizes, file=path)
        check_inside(windows, track.sizes, file=path)
        missing = say_missing([name for name in windows.chromosomes if name not in names], path)
        for block in track.blocks(windows, names):
            bins.add(block)
    return {
        "n_records": None,
        "n_skipped": 0,
        "first_skipped": None,
        "aliases": aliases(names, path),
        "missing_chromosomes": missing,
    }
