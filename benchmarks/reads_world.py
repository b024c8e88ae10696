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
    """Return the sorted, indexed BAM file of the reads, made now or before."""
    import pysam

    if world.bam.exists() and Path(f"{world.bam}.bai").exists():
        return world.bam
    lines = world.sizes.read_text().splitlines()
    sizes = [(name, int(size)) for name, size in (line.split("\t") for line in lines)]
    header = {"HD": {"VN": "1.6", "SO": "coordinate"}, "SQ": [{"SN": name, "LN": size} for name, size in sizes]}
    partial = world.bam.with_name("partial-" + world.bam.name)
    code = {name: i for i, (name, _) in enumerate(sizes)}
    with pysam.AlignmentFile(str(partial), "wb", header=header) as out, world.sorted_reads.open() as rows:
        read = pysam.AlignedSegment(out.header)
        read.query_name, read.query_sequence, read.cigarstring = "r", "A" * LENGTH, f"{LENGTH}M"
        read.mapping_quality = 30
        for row in rows:
            chrom, start, _, _, _, strand = row.rstrip("\n").split("\t")
            read.reference_id, read.reference_start = code[chrom], int(start)
            read.flag = 16 if strand == "-" else 0
            out.write(read)
    partial.replace(world.bam)
    pysam.index(str(world.bam))
    return world.bam
