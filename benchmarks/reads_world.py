"""The reads and the bins of the two read-counting cases, made once from a seed.

5 million reads of 36 bases on the 24 chromosomes of hg19: half of them uniform, half within 2 kb around start sites, in
random order as tagAlign.gz; the same reads sorted, as plain BED and as an indexed BAM. 20,000 start sites, 100 bins of
100 bases around each.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.measure import prepared
from regulome.genome.windows import Windows

READS, SITES, LENGTH = 5_000_000, 20_000, 36
# Lengths of hg19's chromosomes in Mb, rounded.
MEGABASES = (
    249,
    243,
    198,
    191,
    180,
    171,
    159,
    146,
    141,
    135,
    135,
    133,
    115,
    107,
    102,
    90,
    81,
    78,
    59,
    63,
    48,
    51,
    155,
    59,
)
NAMES = tuple(f"chr{name}" for name in [*range(1, 23), "X", "Y"])


@dataclass
class World:
    """Paths of the prepared files, and the windows."""

    reads: Path
    sorted_reads: Path
    bam: Path
    bins: Path
    sizes: Path
    windows: Windows


def make(folder: Path) -> World:
    """Return the world, made now or before."""
    random = np.random.default_rng(20)
    lengths = np.array(MEGABASES) * 1_000_000
    site_codes = random.choice(len(NAMES), SITES, p=lengths / lengths.sum())
    sites = (random.random(SITES) * (lengths[site_codes] - 20_000)).astype(np.int64) + 10_000
    windows = Windows.around(np.array(NAMES)[site_codes].tolist(), sites)
    world = World(
        folder / "reads.tagAlign.gz", folder / "reads.sorted.bed", folder / "reads.bam", folder / "bins.sorted.bed",
        folder / "reads.sizes", windows,
    )  # fmt: skip
    order = sorted(NAMES)
    with prepared(world.sizes) as path:
        if path:
            path.write_text("".join(f"{name}\t{MEGABASES[NAMES.index(name)] * 1_000_000}\n" for name in order))
    if not (world.reads.exists() and world.sorted_reads.exists()):
        table = _reads(random, lengths, site_codes, sites)
        _write(table, world.reads)
        _write(table.sort("chrom", "start", "end"), world.sorted_reads)
    with prepared(world.bins) as path:
        if path:
            edges = windows.starts[:, None] + np.arange(100) * 100
            names = np.repeat(np.array(windows.chromosomes)[windows.codes], 100)
            table = pl.DataFrame({"chrom": names, "start": edges.ravel(), "end": edges.ravel() + 100})
            table.sort("chrom", "start").write_csv(path, separator="\t", include_header=False)
    return world


def _reads(random: np.random.Generator, lengths: np.ndarray, site_codes: np.ndarray, sites: np.ndarray) -> pl.DataFrame:
    half = READS // 2
    codes = random.choice(len(NAMES), half, p=lengths / lengths.sum())
    starts = (random.random(half) * (lengths[codes] - LENGTH)).astype(np.int64)
    near = random.integers(0, SITES, READS - half)
    around = sites[near] + random.integers(-2_000, 2_000, READS - half)
    codes, starts = np.concatenate([codes, site_codes[near]]), np.concatenate([starts, around])
    order = random.permutation(READS)
    codes, starts = codes[order], starts[order]
    return pl.DataFrame(
        {
            "chrom": np.array(NAMES)[codes], "start": starts, "end": starts + LENGTH,
            "name": pl.repeat("N", READS, eager=True), "score": pl.repeat(1000, READS, eager=True),
            "strand": random.choice(["+", "-"], READS),
        }
    )  # fmt: skip


def _write(table: pl.DataFrame, target: Path) -> None:
    with prepared(target) as path:
        if path is None:
            return
        if target.suffix == ".gz":
            with gzip.open(path, "wb", compresslevel=6) as stream:
                table.write_csv(stream, separator="\t", include_header=False)
        else:
            table.write_csv(path, separator="\t", include_header=False)


def make_bam(world: World) -> Path:
    """Return the sorted, indexed BAM file of the reads, made now or before.

    Names, bases and qualities are as varied as a sequencer's, since it is them that BAM readers decompress.
    """
    import pysam

    if world.bam.exists() and Path(f"{world.bam}.bai").exists():
        return world.bam
    random = np.random.default_rng(21)
    bases = _pool(random, b"ACGT", [0.29, 0.21, 0.21, 0.29])
    qualities = _pool(random, bytes(range(33 + 2, 33 + 42)), None)
    names = ["chrom", "start", "end", "name", "score", "strand"]
    table = pl.read_csv(world.sorted_reads, separator="\t", has_header=False, new_columns=names).select(
        pl.format(
            "HWI-ST1234:97:C0ABCACXX:{}:{}:{}:{}",
            *(pl.lit(pl.Series(random.integers(low, high, READS))) for low, high in _NAME_RANGES),
        ),
        flag=pl.when(pl.col("strand") == "-").then(16).otherwise(0),
        chrom="chrom",
        position=pl.col("start") + 1,
        quality=pl.lit(37),
        cigar=pl.lit(f"{LENGTH}M"),
        mate=pl.lit("*"),
        mate_position=pl.lit(0),
        length=pl.lit(0),
        bases=pl.lit(bases.gather(random.integers(0, len(bases), READS))),
        qualities=pl.lit(qualities.gather(random.integers(0, len(qualities), READS))),
    )
    sam, partial = world.bam.with_suffix(".sam"), world.bam.with_name("partial-" + world.bam.name)
    with sam.open("wb") as out:
        out.write(b"@HD\tVN:1.6\tSO:coordinate\n")
        for line in world.sizes.read_text().splitlines():
            out.write("@SQ\tSN:{}\tLN:{}\n".format(*line.split("\t")).encode())
        table.write_csv(out, separator="\t", include_header=False, quote_style="never")
    pysam.view("-b", "-o", str(partial), str(sam), catch_stdout=False)  # type: ignore[attr-defined]
    sam.unlink()
    partial.replace(world.bam)
    pysam.index(str(world.bam))  # type: ignore[attr-defined]
    return world.bam


#: Lane, tile, x and y in a read's name.
_NAME_RANGES = ((1, 9), (1101, 2317), (1000, 21000), (1000, 101000))


def _pool(random: np.random.Generator, letters: bytes, weights: list[float] | None) -> pl.Series:
    """Make 200,000 random strings of a read's length."""
    drawn = random.choice(np.frombuffer(letters, dtype=np.uint8), (200_000, LENGTH), p=weights)
    return pl.Series(np.ascontiguousarray(drawn).view(f"S{LENGTH}").ravel().astype(np.str_))
