"""Training AttentiveChrome (5 marks × 100 bins) at the published batch size, 16 on both sides, genes per second."""

from __future__ import annotations

from pathlib import Path

from benchmarks.attentivechrome_peer import PEER_BATCH, compare


def run(data_dir: Path) -> dict[str, object]:
    return compare(PEER_BATCH)
