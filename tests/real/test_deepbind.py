"""DeepBind's published models on DeepBind's published test sequences."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from regulome.catalog import open_weights

PUBLISHED = {
    "ARID3A": ("D00736.002", 0.885),
    "CTCFL": ("D00753.001", 0.986),
    "ELK1": ("D00360.007", 0.953),
    "FOXA1": ("D00761.001", 0.982),
    "MYC": ("D00785.001", 0.928),
    "USF1": ("D00700.006", 0.993),
}


@pytest.mark.parametrize("factor", PUBLISHED)
def test_area_under_the_curve(shared: Path, factor: str) -> None:
    model, expected = PUBLISHED[factor]
    folder = shared / "data" / "sequence"
    (file,) = (folder / "deepbind_encode").glob(f"{factor}_*_B.seq.gz")
    with gzip.open(file, "rt") as rows:
        fields = [row.split() for row in rows][1:]
    codes = np.array([["ACGT".index(letter) for letter in sequence] for _, _, sequence, _ in fields], np.uint8)
    predictor = open_weights(folder / "deepbind_models" / f"{model}.txt", length=codes.shape[1])
    with torch.no_grad():
        scores = predictor(torch.from_numpy(codes))[:, 0].numpy()
    assert roc_auc_score([int(bound) for *_, bound in fields], scores) == pytest.approx(expected, abs=0.002)
