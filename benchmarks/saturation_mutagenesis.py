"""Saturation mutagenesis of DeepSEA's 1,000-base window: all 3,000 substitutions, 919 features, 52.8 million random
weights. Ours reuses what a substitution cannot change in the convolutions. Peer: every mutant through the whole
network, in the batch size that is fastest for it, torch's own layers; a tenth of the mutants is evaluated and counts
tenfold. The largest difference between both stands beside the times, and the same for DanQ (whose LSTM goes
on from the states beside the change), Basset and the DeMo CNN."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from benchmarks.measure import interleaved, result, wall_seconds
from regulome import models
from regulome.explain import saturate

WINDOWS = {"deepsea": 1000, "danq": 1000, "basset": 600, "demo-cnn": 101}
TARGETS = {"deepsea": 919, "danq": 919, "basset": 164, "demo-cnn": 1}
SHARE = 10


def run(data_dir: Path) -> dict[str, object]:
    del data_dir
    more: dict[str, object] = {"threads": torch.get_num_threads()}
    times = _case("deepsea", more)
    for name in ("danq", "basset", "demo-cnn"):
        others = _case(name, more)
        more[f"{name}_ratio"] = float(f"{others['plain'] / others['ours']:.3g}")
    return result(
        times["ours"],
        times["plain"],
        unit="s",
        peer_name="every mutant through the whole network, in batches",
        smaller_is_better=True,
        **more,
    )


def _case(name: str, more: dict[str, object]) -> dict[str, float]:
    torch.manual_seed(0)
    length = WINDOWS[name]
    network = models.create(name, length=length, targets=TARGETS[name]).eval()
    codes = np.random.default_rng(0).integers(0, 4, length).astype(np.uint8)
    some = np.arange(0, length, SHARE)
    plain = saturate(network, codes, positions=some, reuse=False)
    ours = saturate(network, codes)
    if not ours.reused:
        raise AssertionError(f"{name} was not seen as a chain of layers")
    error = float(np.abs(ours.mutants[some] - plain.mutants).max())
    if error > 1e-5:
        raise AssertionError(f"{name}: mutants differ by {error}")
    more[f"{name}_largest_difference"] = error
    works = {
        "ours": lambda: saturate(network, codes),
        "plain": lambda: saturate(network, codes, positions=some, reuse=False),
    }
    times = interleaved(works, repeats=3, clock=wall_seconds)
    return {"ours": times["ours"], "plain": times["plain"] * len(codes) / len(some)}
