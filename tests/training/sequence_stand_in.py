"""A genome of three small chromosomes, and a network whose answer is known in closed form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from regulome.training.scorer import Scorer

LENGTH = 20
NAMES = ["share/C", "share/G", "share/T"]


class Shares(nn.Module):
    """Logit of output k: share of letters C, G, T among the window's positions."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("letters", torch.arange(1, 4, dtype=torch.uint8))

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        return (codes[:, :, None] == self.letters).float().mean(1)


def make_scorer(*, both_strands: bool = False) -> Scorer:
    return Scorer([Shares()], length=LENGTH, target_names=NAMES, both_strands=both_strands, batch_size=7)


def write_genome(folder: Path) -> tuple[Path, dict[str, str]]:
    rng = np.random.default_rng(5)
    texts = {
        f"chr{name}": "".join(rng.choice(list("ACGT"), size)) for name, size in (("2", 205), ("10", 95), ("1", 150))
    }
    texts["chr1"] = texts["chr1"][:40] + "N" * 60 + texts["chr1"][100:]
    path = folder / "g.fa"
    path.write_text("".join(f">{name}\n{text}\n" for name, text in texts.items()))
    return path, texts


def window(text: str, middle: int) -> str:
    padded = "N" * LENGTH + text + "N" * LENGTH
    begin = LENGTH + middle - LENGTH // 2
    return padded[begin : begin + LENGTH]


def answer(letters: str, *, both_strands: bool = False, turned: bool = False) -> np.ndarray:
    shares = np.array([letters.count(letter) / LENGTH for letter in "CGTA"])
    strands = [shares[:3], shares[[1, 0, 3]]]
    if turned:
        strands.reverse()
    return np.mean([1 / (1 + np.exp(-s)) for s in strands[: 1 + both_strands]], axis=0)
