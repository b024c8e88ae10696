"""A run on DNA windows whose networks are made on the spot, and a genome for it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from regulome.models.one_hot import OneHot
from regulome.models.preprocess import Predictor
from regulome.training.runs import Run, RunInfo

LENGTH, TARGETS = 40, 12


def network(seed: int) -> nn.Module:
    """A small DeepSEA whose answers differ clearly between windows."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        *(nn.Conv1d(4, 8, 5), nn.ReLU(), nn.MaxPool1d(3), nn.Dropout(0.2), nn.Flatten()),
        nn.Linear(8 * 12, TARGETS),
    )
    nn.init.normal_(model[-1].weight, std=0.5)
    return model


class OpenRun(Run):
    """A run whose members need no folder."""

    def models(self, device: str | torch.device = "cpu") -> list[Predictor]:
        return [Predictor(OneHot(), network(seed)).to(device).eval() for seed in self.info.members]


def sequence_run(path: Path, *, members: int = 2, task: str = "classification", both: bool = True) -> OpenRun:
    features = [
        {"name": f"F{i}", "cell": f"cell {i % 3}", "assay": "CTCF", "treatment": "none", "group": "TF"}
        for i in range(TARGETS)
    ]
    info = RunInfo(
        recipe="deepsea",
        model="deepsea",
        line="sequence",
        task=task,
        length=LENGTH,
        target_names=[one["name"] for one in features],
        features=features,
        members=list(range(members)),
    )
    recipe: Any = SimpleNamespace(input=SimpleNamespace(both_strands=both))
    return OpenRun(path, info, recipe)


def letters(length: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 4, length).astype(np.uint8)


def fasta(path: Path, records: dict[str, NDArray[np.uint8]]) -> Path:
    path.write_text(
        "".join(f">{name}\n{''.join('ACGTN'[code] for code in codes)}\n" for name, codes in records.items())
    )
    return path
