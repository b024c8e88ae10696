"""Reading DeepChrome's published CSV. Ours: the table of 6,601 genes to a dataset on disk, checked and with checksums.
Peer: a loop in the published way, rows as text from the csv module, put into a tensor number by number and gene by
gene, on the first 330 genes of the same table; it checks and keeps nothing (the published code itself: 545 genes/s).
Genes per CPU second, median of interleaved repetitions."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch

from benchmarks.measure import interleaved, prepared, result
from regulome.datasets import prepare_published

GENES, PEER_GENES, BINS, MARKS = 6601, 330, 100, 5


def run(data_dir: Path) -> dict[str, object]:
    table, short, out = data_dir / "deepchrome.csv", data_dir / "deepchrome-330.csv", data_dir / "published-csv-dataset"
    _make(table, GENES)
    _make(short, PEER_GENES)
    read = _published_way(short)
    dataset = prepare_published("deepchrome", table, None, None, out, overwrite=True)
    if not np.array_equal(
        dataset.inputs["marks"][:PEER_GENES], torch.stack([gene["input"].T for gene in read]).numpy()
    ):
        raise AssertionError("ours and the published way read different counts")
    times = interleaved(
        {
            "ours": lambda: prepare_published("deepchrome", table, None, None, out, overwrite=True),
            "peer": lambda: _published_way(short),
        }
    )
    return result(
        GENES / times["ours"],
        PEER_GENES / times["peer"],
        unit="genes/CPU s",
        peer_name="loop over csv rows, gene by gene (published way)",
    )


def _make(path: Path, genes: int) -> None:
    """Write a table with counts as in the published ones: most are below 10."""
    with prepared(path) as temporary:
        if temporary is None:
            return
        rng = np.random.default_rng(0)
        counts = rng.poisson(rng.gamma(0.5, 4.0, (GENES, 1, MARKS)), (GENES, BINS, MARKS))[:genes].reshape(-1, MARKS)
        gene = np.repeat(np.arange(genes), BINS)
        columns = [gene, np.tile(np.arange(1, BINS + 1), genes), *counts.T, gene % 2]
        np.savetxt(temporary, np.stack(columns, axis=1), fmt=["%06d"] + ["%d"] * (MARKS + 2), delimiter=",")


def _published_way(path: Path) -> list[dict[str, object]]:
    with path.open() as stream:
        rows = list(csv.reader(stream))
    genes = []
    for start in range(0, len(rows), BINS):
        values = torch.zeros(BINS, MARKS)
        for row in range(start, start + BINS):
            for mark in range(MARKS):
                values[row - start, mark] = int(rows[row][2 + mark])
        label = int(rows[start + BINS - 1][2 + MARKS])
        genes.append({"geneID": rows[start][0].split("_")[0], "label": label, "input": values})
    return genes
