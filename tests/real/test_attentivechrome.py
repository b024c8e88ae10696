"""AttentiveChrome against its authors' code (captured outputs) and with its authors' weights on real genes."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from regulome.catalog import DEEPCHROME_MARKS, open_weights


@pytest.fixture
def golden(shared: Path) -> Path:
    folder = shared / "golden" / "attentivechrome"
    if not folder.is_dir():
        pytest.skip(f"no reference outputs at {folder}")
    return folder


def test_reference_outputs(golden: Path) -> None:
    toy, expected = np.load(golden / "toy_inputs.npz"), np.load(golden / "att_chrome_seed1_outputs.npz")
    network = open_weights(golden / "att_chrome_seed1_state.npz")
    x = torch.from_numpy(toy["x"]).transpose(1, 2)
    with torch.no_grad():
        maps = network.attention(x)
        np.testing.assert_allclose(network(x), expected["logit"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(maps["bins"], expected["alpha"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(maps["marks"], expected["beta"], atol=1e-5, rtol=0)


def test_reference_training_step(golden: Path) -> None:
    toy, expected = np.load(golden / "toy_inputs.npz"), np.load(golden / "att_chrome_seed1_train_step.npz")
    network = open_weights(golden / "att_chrome_seed1_state.npz").train()
    x, y = torch.from_numpy(toy["x"]).transpose(1, 2), torch.from_numpy(toy["label"]).float()[:, None]
    train = torch.from_numpy(toy["split"] == "train")
    optimizer = torch.optim.Adam(network.parameters(), 2e-4)
    loss = nn.functional.binary_cross_entropy_with_logits(network(x[train]), y[train])
    loss.backward()
    norm = nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    network.eval()
    assert float(loss.detach()) == pytest.approx(float(expected["loss"]), abs=1e-5)
    assert float(norm) == pytest.approx(float(expected["total_grad_norm_before_clip"]), abs=1e-5)
    with torch.no_grad():
        np.testing.assert_allclose(network(x), expected["logit_after_step"], atol=1e-5, rtol=0)


def h1_counts(path: Path) -> tuple[list[str], torch.Tensor]:
    """Genes and counts [gene, mark, bin] of a 200-bin table: the middle 100 bins, marks in DeepChrome's order."""
    order = ["H3K4me1", "H3K4me3", "H3K9me3", "H3K27me3", "H3K36me3"]
    table = np.loadtxt(path, delimiter=",", dtype=str)
    counts = table[:, 1:].astype(np.float32).reshape(-1, 200, 5)
    x = counts[:, 50:150][:, :, [order.index(mark) for mark in DEEPCHROME_MARKS]]
    return [name.split("_")[0] for name in table[::200, 0]], torch.from_numpy(x).transpose(1, 2)


def e003_rpkm(path: Path) -> dict[str, float]:
    with gzip.open(path, "rt") as lines:
        column = next(lines).split().index("E003")
        return {fields[0]: float(fields[column]) for fields in map(str.split, lines)}


def test_published_weights_on_real_genes(shared: Path) -> None:
    data = shared / "data" / "expression"
    network = open_weights(data / "attentivechrome_E003" / "E003_attchrome_avgAUC_model.pt")
    assert sum(p.numel() for p in network.parameters()) == 55_681
    rpkm = e003_rpkm(data / "roadmap" / "57epigenomes.RPKM.pc.gz")
    median = np.median(list(rpkm.values()))
    labels: list[bool] = []
    scores: list[float] = []
    aucs = {}
    for split in ("train", "valid", "test"):
        start = len(labels)
        genes, x = h1_counts(data / "counts_H1_E003" / f"Cell2.{split}.csv")
        known = [g in rpkm for g in genes]
        labels += [rpkm[g] >= median for g in genes if g in rpkm]
        with torch.no_grad():
            scores += network(x)[known, 0].tolist()
        aucs[split] = roc_auc_score(labels[start:], scores[start:])
    assert aucs["test"] == pytest.approx(0.857, abs=0.001)
    assert roc_auc_score(labels, scores) == pytest.approx(0.865, abs=0.001)
