"""Training AttentiveChrome at the batch size of our recipe, against the published way at its 16, genes per second."""

from __future__ import annotations

from pathlib import Path

from benchmarks.attentivechrome_peer import compare
from regulome.recipes import load_recipe


def run(data_dir: Path) -> dict[str, object]:
    return compare(load_recipe("attentivechrome").training.batch_size)
