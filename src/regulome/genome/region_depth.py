"""Reads or a track to depth in the bins of regions, in one pass over the file."""

from __future__ import annotations

import logging
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from regulome.errors import InputError
from regulome.genome.bigwig import open_bigwig
from regulome.genome.chromosomes import Names, aliases, match_names, say_missing
from regulome.genome.read_sample import ReadSample
from regulome.genome.reads import ReadSource, found
from regulome.genome.region_bins import Regions, RegionSums
from regulome.genome.rows import Rows
from regulome.genome.signals import detect_kind
from regulome.genome.tracks import is_bigwig
from regulome.storage import existing_file

logger = logging.getLogger(__name__)


def sum_depth(
    path: str | PathLike[str],
    regions: Regions,
    bin: int,
    *,
    kind: str = "auto",
    reads: int | None = None,
    trim: int | None = None,
    extend: int | None = None,
    min_mapq: int = 0,
    keep_duplicates: bool = False,
    skip_invalid: bool = False,
    seed: int = 0,
) -> tuple[npt.NDArray[np.float64], dict[str, Any]]:
    """Sum the depth over the bases of each bin of each region.

    The depth of a base is the number of reads that cover it, as ``bedtools genomecov`` has it, or the value of the
    track, 0 where it has none. The file is read once and in any order; memory depends on the bins alone, and on
    ``reads`` where these are to be sampled.

    Args:
        path: tagAlign, BED or BAM; or bigWig or bedGraph.
        regions: ``r`` regions.
        bin: Bases in a bin.
        kind: ``reads``, ``track``, or ``auto`` for :func:`regulome.genome.signals.detect_kind`.
        reads: Take so many reads of the file at random, where it has more.
        trim: Cut reads to this many bases from their 5' end, where they are longer.
        extend: Make every read this many bases long, from its 5' end.
        min_mapq: Least mapping quality (BAM).
        keep_duplicates: Count reads marked as duplicates (BAM).
        skip_invalid: Leave invalid rows out and count them instead of refusing the file.
        seed: Seed of the sample of reads.

    Returns:
        Sums float64 [rows of all bins], and the record for a dataset.

    Raises:
        InputError: The file or a row of it is wrong, or the genome is another one.
    """
    path = existing_file(Path(path))
    kind = detect_kind(path) if kind == "auto" else kind
    if kind not in ("reads", "track"):
        cure = "give reads (tagAlign, BAM), bigWig or bedGraph; for peaks use `regulome prepare expression`"
        raise InputError(f"is a file of {kind}, which have no depth", file=path, cure=cure)
    sums = RegionSums(regions, bin)
    if kind == "reads":
        options: dict[str, Any] = {"reads": reads, "trim": trim, "extend": extend, "min_mapq": min_mapq}
        record = _reads(path, regions, sums, **options, keep=keep_duplicates, skip=skip_invalid, seed=seed)
    else:
        record = _bigwig(path, regions, sums) if is_bigwig(path) else _bedgraph(path, regions, sums, skip_invalid)
    if record["n_skipped"]:
        logger.warning(f"{path.name}: {record['n_skipped']:,} invalid rows left out: {record['first_skipped']}")
    return sums.result(), {"kind": kind, **record}


def _reads(
    path: Path,
    regions: Regions,
    sums: RegionSums,
    *,
    reads: int | None,
    trim: int | None,
    extend: int | None,
    min_mapq: int,
    keep: bool,
    skip: bool,
    seed: int,
) -> dict[str, Any]:
    for name, number in (("reads", reads), ("trim", trim)):
        if number is not None and number < 1:
            raise InputError(
                f"--{name} {number} is not positive", cure=f"give a positive number, or leave --{name} out"
            )
    if seed < 0:
        raise InputError(f"the seed {seed} is negative", cure="give 0 or more")
    source = ReadSource(path, regions.chromosomes, None, None)
    if source.sizes:
        regions.check_inside(source.sizes, file=path)
    sample = None if reads is None else ReadSample(reads, seed)
    for block in source.blocks("overlap", extend, min_mapq, keep, True, skip, trim=trim):
        if sample is None:
            sums.add(block)
        else:
            sample.add(block, sums.near(block))
    record = source.record()
    parameters: dict[str, Any] = {"extend": extend, "trim": trim}
    if source.is_bam:
        parameters |= {"min_mapq": min_mapq, "keep_duplicates": keep}
    if sample is not None:
        total = int(record["n_records"])
        for block in sample.blocks(total):
            sums.add(block)
        parameters |= {"reads": reads, "seed": seed}
        record["n_sampled"] = min(total, reads or 0)
        logger.info(f"{path.name}: {record['n_sampled']:,} of {total:,} reads")
    return {"parameters": parameters, **record}


def _bigwig(path: Path, regions: Regions, sums: RegionSums) -> dict[str, Any]:
    with open_bigwig(path) as track:
        names = match_names(regions.chromosomes, track.sizes, file=path)
        regions.check_inside(track.sizes, file=path)
        missing = say_missing([name for name in regions.chromosomes if name not in names], path)
        for block in track.blocks(sums.windows, names):
            sums.add(block)
    spelled = {"aliases": aliases(names, path), "missing_chromosomes": missing}
    return {"n_records": None, "n_skipped": 0, "first_skipped": None, **spelled}


def _bedgraph(path: Path, regions: Regions, sums: RegionSums, skip_invalid: bool) -> dict[str, Any]:
    names = Names(regions.chromosomes, file=path)
    rows = Rows(path, names, value=4, skip_invalid=skip_invalid)
    for block in rows:
        sums.add(block)
    return found(rows.tally, names)
