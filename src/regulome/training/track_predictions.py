"""Predictions along chromosomes: one bigWig track for each chosen feature."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome import storage
from regulome.errors import InputError
from regulome.genome.bed_regions import BedRegions
from regulome.genome.bigwig_writer import Values, write_bigwig
from regulome.genome.letters import UNKNOWN
from regulome.genome.region import parse_region
from regulome.genome.sequence import Genome, open_genome
from regulome.progress import progress
from regulome.training.feature_choice import choose_features, distinct_names
from regulome.training.runs import Run
from regulome.training.scorer import BATCH_SIZE, Scorer

logger = logging.getLogger(__name__)

#: Windows that are scored at a time.
_BINS = 4096
#: Bases from the start of one bin to that of the next.
STRIDE = 200
ENDINGS = (".bw", ".bigwig")
_TABLES = (".tsv", ".csv", ".parquet", ".gz", ".bedgraph", ".bg", ".wig", ".bed")


@dataclass(frozen=True)
class Stretch:
    """Bins of a chromosome that follow each other: ``first`` to ``last`` (exclusive), as multiples of the stride."""

    chromosome: int
    first: int
    last: int


def predict_tracks(
    run: Run | Scorer | str | os.PathLike[str],
    genome: Genome | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    features: Sequence[str] | str | None = None,
    chromosomes: Sequence[str] | str | None = None,
    regions: Sequence[str] | str | os.PathLike[str] | None = None,
    stride: int = STRIDE,
    smooth: int = 0,
    both_strands: bool | None = None,
    batch_size: int = BATCH_SIZE,
    device: str = "auto",
    overwrite: bool = False,
) -> list[Path]:
    """Predict along a genome and write a bigWig track for each feature.

    Chromosomes are cut into bins of ``stride`` bases; a bin's value is the prediction for the window with the bin's
    middle in its own middle. A window without a known letter has no value.

    Memory and device: a few thousand windows at a time, and one chromosome's values of one feature. Until the tracks
    are written, 4 bytes per bin and feature lie on disk beside them (a human genome in bins of 200: 62 MB per feature).

    Args:
        run: The run, its folder, or a scorer (then ``both_strands``, ``batch_size`` and ``device`` are the scorer's).
        genome: FASTA or 2bit, or an opened genome. The tracks have its names of chromosomes.
        out: ``NAME.bw`` for one feature; for several a folder, in which each has its ``FEATURE.bw`` and
            ``tracks.tsv`` says which is which.
        features: Names or patterns of features; all by default.
        chromosomes: Names of chromosomes; all by default.
        regions: Only bins that overlap these: a BED file, or regions such as ``chr20:1,000-2,000``.
        stride: Bases per bin.
        smooth: Width in bases of a moving average over bins, rounded to an odd number of them; 0 for none. It does not
            reach over bins without a value or beyond a region.
        both_strands: Average over both strands; None does as the run's recipe says.
        batch_size: Windows at a time.
        device: "auto", "cpu" or "cuda".
        overwrite: Replace what is there.

    Returns:
        The bigWig files.

    Raises:
        InputError: No such feature or chromosome, several features for one file, nothing to predict, the run does not
            read DNA, or ``out`` exists.
    """
    if stride < 1 or smooth < 0:
        raise InputError(f"stride {stride} and smooth {smooth} cannot be", cure="give a stride of 1 or more bases")
    path = Path(out)
    if path.suffix.lower() in _TABLES:
        raise InputError("is a name for a table, not for tracks", file=path, cure="name a .bw file, or a folder")
    storage.check_target(path, overwrite=overwrite)
    scorer = run
    if not isinstance(scorer, Scorer):
        scorer = Scorer.from_run(scorer, device=device, both_strands=both_strands, batch_size=batch_size)
    chosen = choose_features(scorer.target_names, features)
    single = path.suffix.lower() in ENDINGS
    if single and len(chosen) > 1:
        cure = "choose one with --features, or name a folder"
        raise InputError(f"{len(chosen)} features cannot be in one bigWig", file=path, cure=cure)
    genome = genome if isinstance(genome, Genome) else open_genome(genome)
    stretches = choose_stretches(genome, chromosomes, regions, stride)
    bins = sum(part.last - part.first for part in stretches)
    logger.info(f"predicting {bins:,} bins of {stride} bp for {len(chosen):,} features")
    names = [scorer.target_names[i] for i in chosen]
    files = distinct_names([re.sub(r"[^0-9A-Za-z_.+-]+", "_", name) for name in names])
    with ExitStack() as stack:
        scratch = Path(mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.absolute().parent))
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        values = storage.allocate_npy(scratch / "values.npy", (len(chosen), bins), np.float32)
        _fill(values, scorer, chosen, genome, stretches, stride)
        tracks = [_track(row, genome, stretches, stride, smooth) for row in values]
        if single:
            target = stack.enter_context(storage.new_file(path, overwrite=overwrite))
            write_bigwig(target, genome.lengths, tracks[0])
            return [path]
        folder = stack.enter_context(storage.new_folder(path, overwrite=overwrite))
        with progress("writing tracks", len(files), "tracks") as advance:
            for file, track in zip(files, tracks, strict=True):
                write_bigwig(folder / f"{file}.bw", genome.lengths, track)
                advance(1)
        table = pl.DataFrame({"file": [f"{file}.bw" for file in files], "feature": names})
        table.write_csv(folder / "tracks.tsv", separator="\t")
    return [path / f"{file}.bw" for file in files]


def choose_stretches(
    genome: Genome,
    chromosomes: Sequence[str] | str | None,
    regions: Sequence[str] | str | os.PathLike[str] | None,
    stride: int,
) -> list[Stretch]:
    """Say which bins to predict, in the order of the chromosomes' names; overlapping regions are joined.

    Raises:
        InputError: No such chromosome, a wrong region, or nothing is left.
    """
    wanted = [chromosomes] if isinstance(chromosomes, str) else list(chromosomes or genome.names)
    codes = sorted({genome.find(name) for name in wanted}, key=lambda code: genome.names[code])
    sizes = list(genome.lengths.values())
    if regions is None:
        return [Stretch(code, 0, -(-sizes[code] // stride)) for code in codes]
    table = _regions(genome, regions)
    found = []
    for code in codes:
        here = table.filter(code=code).sort("start")
        first, last = here["start"].to_numpy() // stride, -(-here["end"].to_numpy() // stride)
        furthest = np.maximum.accumulate(last)
        begins = np.flatnonzero(np.concatenate([[True], first[1:] > furthest[:-1]])[: len(first)])
        ends = furthest[np.concatenate([begins[1:], [len(first)]]) - 1] if len(first) else furthest
        found += [Stretch(code, *pair) for pair in zip(first[begins].tolist(), ends.tolist(), strict=True)]
    if not found:
        raise InputError("none of the regions lies on the chosen chromosomes", cure="choose others")
    return found


def _regions(genome: Genome, regions: Sequence[str] | str | os.PathLike[str]) -> pl.DataFrame:
    """Return ``code, start, end`` of a BED file's regions, or of regions in words."""
    if isinstance(regions, os.PathLike) or (isinstance(regions, str) and Path(regions).exists()):
        return pl.concat([part.select("code", "start", "end") for part in BedRegions(regions, genome)])
    rows = []
    for text in [regions] if isinstance(regions, str) else regions:
        region = parse_region(text)
        code = genome.find(region.chrom)
        size = genome.lengths[genome.names[code]]
        if region.end > size:
            raise InputError(f"region {text} ends beyond the end of {genome.names[code]} at {size:,}")
        rows.append((code, region.start, region.end))
    return pl.DataFrame(rows, schema={"code": pl.Int32, "start": pl.Int64, "end": pl.Int64}, orient="row")


def _fill(
    values: npt.NDArray[np.float32],
    scorer: Scorer,
    chosen: list[int],
    genome: Genome,
    stretches: Sequence[Stretch],
    stride: int,
) -> None:
    """Fill [features, bins] with predictions, and NaN where nothing is known."""
    done = 0
    with progress("predicting", values.shape[1], "bins") as advance:
        for part in stretches:
            for begin in range(part.first, part.last, _BINS):
                bins = np.arange(begin, min(begin + _BINS, part.last))
                starts = bins * stride + stride // 2 - scorer.length // 2
                codes = genome.windows(np.full(len(bins), part.chromosome, np.int32), starts, scorer.length)
                known = (codes != UNKNOWN).any(1)
                block = np.full((len(bins), len(chosen)), np.nan, np.float32)
                block[known] = scorer.probabilities(codes[known])[:, chosen]
                values[:, done : done + len(bins)] = block.T
                done += len(bins)
                advance(len(bins))
    if not any(np.isfinite(values[0, begin : begin + _BINS]).any() for begin in range(0, done, _BINS)):
        raise InputError("no window has a known letter", file=genome.path, cure="choose other regions")


def _track(
    row: npt.NDArray[np.float32], genome: Genome, stretches: Sequence[Stretch], stride: int, smooth: int
) -> Iterator[Values]:
    """Give one feature's values stretch by stretch."""
    done = 0
    for part in stretches:
        name = genome.names[part.chromosome]
        bins = np.arange(part.first, part.last)
        here = np.array(row[done : done + len(bins)])
        done += len(bins)
        known = np.isfinite(here)
        here = smoothed(here, round((smooth / stride - 1) / 2)) if smooth > stride else here
        starts = bins * stride
        ends = np.minimum(starts + stride, genome.lengths[name])
        yield name, starts[known], ends[known], here[known]


def smoothed(values: npt.NDArray[np.float32], reach: int) -> npt.NDArray[np.float32]:
    """Average each value with its neighbours at a distance of at most ``reach`` that are numbers.

    Args:
        values: float32 [n]; NaN stays NaN and counts nothing.
        reach: Neighbours on either side.

    Returns:
        float32 [n].
    """
    known = np.isfinite(values)

    def window_sums(numbers: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        sums = np.concatenate([[0.0], np.cumsum(numbers, dtype=np.float64)])
        places = np.arange(len(values))
        high, low = np.minimum(places + reach + 1, len(values)), np.maximum(places - reach, 0)
        found: npt.NDArray[np.float64] = sums[high] - sums[low]
        return found

    means = window_sums(np.where(known, values, 0)) / np.maximum(window_sums(known), 1)
    return np.where(known, means, np.nan).astype(np.float32)
