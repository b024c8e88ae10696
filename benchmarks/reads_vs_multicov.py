"""Counts of reads in bins: ours from the raw, unsorted tagAlign.gz; ``bedtools multicov`` from a sorted, indexed BAM.

Ours counts all 20,000 × 100 bins; multicov a sample of them, since all would take it a quarter of an hour. It asks the
index for each bin by itself, so its time for a bin does not depend on how many there are; its time to start (measured
with one bin) is taken off. CPU seconds per bin, median of interleaved repetitions. The counts of the sample are
compared.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from benchmarks import reads_world
from benchmarks.measure import interleaved, result, tool_version
from regulome.genome.reads import count_reads

#: Windows whose bins multicov counts.
SAMPLE = 50


def run(data_dir: Path) -> dict[str, object]:
    world = reads_world.make(data_dir)
    windows = world.windows
    version = tool_version("bedtools")
    name = f"bedtools multicov ({version or 'bedtools: not installed'})"
    counts, _ = count_reads(world.reads, windows)
    works = {"ours": lambda: count_reads(world.reads, windows)}
    sample = np.linspace(0, len(windows) - 1, SAMPLE).astype(int)
    if version:
        bam = reads_world.make_bam(world)
        edges = windows.starts[sample, None] + np.arange(windows.n_bins) * windows.bin
        names = np.array(windows.chromosomes)[windows.codes[sample]]
        lines = [f"{c}\t{s}\t{s + windows.bin}\n" for c, row in zip(names, edges.tolist(), strict=True) for s in row]
        some, one = data_dir / "multicov.bed", data_dir / "multicov-one.bed"
        some.write_text("".join(lines))
        one.write_text(lines[0])

        def multicov(bins: Path) -> str:
            command = ["bedtools", "multicov", "-bams", str(bam), "-bed", str(bins)]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout

        found = [int(line.rsplit("\t", 1)[1]) for line in multicov(some).splitlines()]
        assert found == counts[sample].ravel().tolist(), "bedtools multicov counts otherwise"
        works |= {"some": lambda: multicov(some), "one": lambda: multicov(one)}
    times = interleaved(works, repeats=3)
    ours = times["ours"] / counts.size * 1e6
    peer = (times["some"] - times["one"]) / (SAMPLE * windows.n_bins - 1) * 1e6 if version else None
    return result(ours, peer, unit="CPU µs/bin", peer_name=name, smaller_is_better=True)
