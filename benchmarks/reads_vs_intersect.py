"""Counts of 5 million reads in 20,000 × 100 bins: ours from the raw, unsorted tagAlign.gz, the peer from sorted files.

The peer is ``bedtools intersect -c -sorted`` on plain BED files that were sorted before. CPU seconds of the whole work,
median of interleaved repetitions; both write or return all 2 million counts.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from benchmarks import reads_world
from benchmarks.measure import interleaved, result, tool_version
from regulome.genome.reads import count_reads

COMMAND = "bedtools intersect -c -sorted"


def run(data_dir: Path) -> dict[str, object]:
    world = reads_world.make(data_dir)
    version = tool_version("bedtools")
    counts, _ = count_reads(world.reads, world.windows)

    def ours() -> None:
        count_reads(world.reads, world.windows)

    def peer() -> None:
        arguments = ["-a", world.bins, "-b", world.sorted_reads, "-g", world.sizes]
        subprocess.run([*COMMAND.split(), *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)

    name = f"{COMMAND} ({version or 'bedtools: not installed'})"
    times = interleaved({"ours": ours, **({"peer": peer} if version else {})})
    bins, peer_seconds = counts.size, times.get("peer")
    return result(
        bins / times["ours"], None if peer_seconds is None else bins / peer_seconds, unit="bins/CPU s", peer_name=name
    )
