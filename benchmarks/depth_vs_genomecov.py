"""Depth of promoters and distal regions: ours from a BED file of reads; ``bedtools genomecov -bga`` on the same file.

20,000 promoters of 40,000 bases and 60,000 distal regions of 5,000, cut into bins of 100: ours gives the sum of depth
in each bin. The peer gives the depth of the whole genome as a bedGraph, from which the regions would still have to be
cut and averaged; that work is not counted. The file is sorted, as bedtools needs it and ours does not. CPU seconds per
million reads, median of 3 runs of ours; the peer, which takes a minute, runs once. The depth of some regions is
compared base for base, and their bins.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from benchmarks import reads_world
from benchmarks.measure import interleaved, result, seconds, tool_version
from regulome.genome.read_depth import depth
from regulome.genome.region_bins import Regions
from regulome.genome.region_depth import sum_depth
from regulome.genome.tracks import summarize_track
from regulome.genome.windows import Windows

BIN, PROMOTER, DISTAL = 100, 40_000, 5_000
#: Regions whose depth is compared base for base.
SAMPLE = 50


def run(data_dir: Path) -> dict[str, object]:
    world = reads_world.make(data_dir)
    windows, random = world.windows, np.random.default_rng(22)
    codes = np.concatenate([windows.codes, np.repeat(windows.codes, 3)])
    distal = np.repeat(windows.centres, 3) + random.integers(-500_000, 500_000, 3 * len(windows))
    starts = np.concatenate([windows.centres - PROMOTER // 2, np.maximum(distal, 0)])
    ends = starts + np.repeat([PROMOTER, DISTAL], [len(windows), 3 * len(windows)])
    regions = Regions(windows.chromosomes, codes, starts, ends)
    sums, _ = sum_depth(world.sorted_reads, regions, BIN, kind="reads")
    version = tool_version("bedtools")
    taken = None
    if version:
        track = data_dir / "genomecov.bedGraph"

        def genomecov() -> None:
            command = ["bedtools", "genomecov", "-bga", "-i", str(world.sorted_reads), "-g", str(world.sizes)]
            with track.open("wb") as out:
                subprocess.run(command, check=True, stdout=out)

        taken = seconds(genomecov)
        _compare(world, regions, sums, track)
        track.unlink()
    times = interleaved({"ours": lambda: sum_depth(world.sorted_reads, regions, BIN, kind="reads")}, repeats=3)
    scale = 1e6 / reads_world.READS
    peer = None if taken is None else taken * scale
    name = f"bedtools genomecov -bga ({version or 'bedtools: not installed'})"
    return result(times["ours"] * scale, peer, unit="CPU s/million reads", peer_name=name, smaller_is_better=True)


def _compare(world: reads_world.World, regions: Regions, sums: np.ndarray, track: Path) -> None:
    """Compare some promoters with the depth that bedtools found, base for base and bin for bin."""
    sample = np.linspace(0, len(world.windows) - 1, SAMPLE).astype(int)
    bases = Windows(regions.chromosomes, regions.codes[sample], regions.starts[sample], PROMOTER, 1)
    expected, _ = summarize_track(track, bases)
    chrom = [regions.chromosomes[code] for code in regions.codes[sample]]
    places = {"chrom": chrom, "start": regions.starts[sample], "end": regions.ends[sample]}
    assert np.array_equal(np.stack(depth(world.sorted_reads, places)), expected), "bedtools finds another depth"
    rows = regions.offsets(BIN)[sample, None] + np.arange(PROMOTER // BIN)
    assert np.array_equal(sums[rows], expected.reshape(SAMPLE, -1, BIN).sum(2)), "bins are not the sums of depths"
