"""Predicting with Chromoformer at batch 64 from a prepared dataset, genes per second, reading included."""

from __future__ import annotations

from pathlib import Path

from benchmarks.chromoformer_peer import compare


def run(data_dir: Path) -> dict[str, object]:
    return compare(data_dir, training=False)
