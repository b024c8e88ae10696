"""Means of 100-bp bins over 10-kb windows of a bigWig, with the file in memory's cache.

Three ways on the same windows: ours (:func:`regulome.genome.tracks.summarize_track`); pyBigWig's ``.values()`` and
numpy's mean over each bin; and, as ``alone``, the fastest that pybigtools alone can do: its ``.values(bins=…)`` into
one array, in the file's order, with no checks. The track is simulated as bamCoverage of deepTools writes one by
default: 100 Mb, depth per million reads in steps of 50 bases, equal neighbours merged, a fifth uncovered. Finer tracks
have more blocks to decompress, which costs all three the same, so ratios shrink (steps of 20 bases: 3.4 instead of
more than 5).

Windows per CPU second, median of interleaved repetitions; ``alone_ratio`` is ours divided by pybigtools alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pybigtools

from benchmarks.measure import interleaved, prepared, result
from regulome.genome.tracks import summarize_track
from regulome.genome.windows import Windows

LENGTH, WINDOWS = 100_000_000, 4_000


def make(path: Path) -> Path:
    """Write the track, unless it is there."""
    with prepared(path) as partial:
        if partial:
            random = np.random.default_rng(7)
            steps = LENGTH // 50
            # Depth per million reads is a small number of reads, scaled.
            reads = random.poisson(np.repeat(random.gamma(1.0, 3.0, steps // 20), 20))
            reads[np.repeat(random.random(steps // 20) < 0.2, 20)] = -1
            begins = np.append(0, np.flatnonzero(np.diff(reads)) + 1)
            ends = np.append(begins[1:], steps)
            kept = reads[begins] >= 0
            values = reads[begins][kept] * 0.0417
            rows = zip((begins[kept] * 50).tolist(), (ends[kept] * 50).tolist(), values.tolist(), strict=True)
            writer = pybigtools.open(str(partial), "w")
            writer.write({"chr1": LENGTH}, (("chr1", begin, end, value) for begin, end, value in rows))
    return path


def run(data_dir: Path) -> dict[str, object]:
    path = make(data_dir / "track.bw")
    starts = np.sort(np.random.default_rng(8).integers(0, LENGTH - 10_000, WINDOWS))
    windows = Windows.around(["chr1"] * WINDOWS, starts + 5_000)
    answers: dict[str, np.ndarray] = {}

    def ours() -> None:
        answers["ours"], _ = summarize_track(path, windows)

    def alone() -> None:
        out = np.empty((WINDOWS, 100))
        values = pybigtools.open(str(path)).values
        for i, start in enumerate(starts.tolist()):
            out[i] = values(
                "chr1", start, start + 10_000, bins=100, summary="mean", exact=True, uncovered=0.0, oob=0.0, fillna=0.0
            )
        answers["alone"] = out

    works = {"ours": ours, "alone": alone}
    try:
        import pyBigWig
    except ImportError:
        name = "pyBigWig .values() + mean: pyBigWig is not installed"
    else:
        name = f"pyBigWig .values() + mean (pyBigWig {pyBigWig.__version__})"

        def peer() -> None:
            out = np.empty((WINDOWS, 100))
            with pyBigWig.open(str(path)) as track:
                for i, start in enumerate(starts.tolist()):
                    bases = track.values("chr1", start, start + 10_000, numpy=True)
                    out[i] = np.nan_to_num(bases, copy=False).reshape(100, 100).mean(axis=1)
            answers["peer"] = out

        works["peer"] = peer
    for work in works.values():
        work()
    for other in answers.values():
        np.testing.assert_allclose(answers["ours"], other, rtol=1e-4)
    times = interleaved(works, repeats=15)
    rates = {name: WINDOWS / time for name, time in times.items()}
    more = {"alone": round(rates["alone"]), "alone_ratio": round(rates["ours"] / rates["alone"], 3)}
    return result(rates["ours"], rates.get("peer"), unit="windows/CPU s", peer_name=name, **more)
