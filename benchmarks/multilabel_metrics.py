"""AUROC and average precision of 919 features on 455,024 windows, DeepSEA's test set, with intervals.

Ours: :func:`regulome.training.multilabel.multilabel`, probabilities and labels as memory maps: AUROC, average
precision, F1, MCC, accuracy and cross-entropy of every feature, means by group, and the standard errors of all of them.
Peer: scikit-learn's ``roc_auc_score`` and ``average_precision_score``, feature by feature on arrays in memory, without
intervals; timed on some features and scaled up, because all of them take minutes. The values are equal.

CPU seconds for all features; ``wall`` is ours on the clock, ``memory`` the peak of the process above its start, the
pages of the maps left out (anonymous memory).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.measure import result

WINDOWS, FEATURES, SAMPLED = 455_024, 919, 6
#: What the processes run; each alone, so that its peak of memory is its own.
_OURS = """
import json, sys, time
import numpy as np, polars as pl
from regulome.training.multilabel import multilabel

def anonymous(key):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key)) / 1024

scores, labels = (np.load(path, mmap_mode="r") for path in sys.argv[1:3])
groups = ["DNase"] * 125 + ["TF"] * 690 + ["histone"] * 104
features = pl.DataFrame({"name": [f"f{i}" for i in range(919)], "group": groups})
few = np.random.default_rng(0).random((100, 2), np.float32)
multilabel(few, (few > 0.5).astype(np.uint8), ["a", "b"], thresholds=np.full(2, 0.5, np.float32))
before, peak = anonymous("RssAnon"), 0.0
import threading
done = threading.Event()
def watch():
    global peak
    while not done.wait(0.02):
        peak = max(peak, anonymous("RssAnon"))
watcher = threading.Thread(target=watch); watcher.start()
wall, cpu = time.perf_counter(), time.process_time()
found = multilabel(scores, labels, features, thresholds=np.full(919, 0.3, np.float32))
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
done.set(); watcher.join()
summary = found.summary()
print(json.dumps({"wall": wall, "cpu": cpu, "memory": peak - before, "auroc": found.values[:, 0].tolist(),
                  "auprc": found.values[:, 1].tolist(), "mean": summary["auroc"]}))
"""


def run(data_dir: Path) -> dict[str, object]:
    import time

    import sklearn
    from sklearn.metrics import average_precision_score, roc_auc_score

    paths = make_files(data_dir)
    command = [sys.executable, "-c", _OURS, *map(str, paths)]
    ours = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    scores, labels = (np.load(path, mmap_mode="r") for path in paths)
    spent = 0.0
    for feature in np.linspace(0, FEATURES - 1, SAMPLED).astype(int):
        score, label = np.ascontiguousarray(scores[:, feature]), np.ascontiguousarray(labels[:, feature])
        begin = time.process_time()
        area, precision = roc_auc_score(label, score), average_precision_score(label, score)
        spent += time.process_time() - begin
        if not np.allclose([area, precision], [ours["auroc"][feature], ours["auprc"][feature]], atol=1e-9):
            raise AssertionError(f"feature {feature} differs")
    return result(
        ours["cpu"],
        spent / SAMPLED * FEATURES,
        unit="CPU s",
        peer_name=f"roc_auc_score + average_precision_score (scikit-learn {sklearn.__version__}), no intervals",
        smaller_is_better=True,
        wall=round(ours["wall"], 1),
        memory=f"{ours['memory']:.0f} MB",
        mean_auroc={key: round(value, 5) for key, value in ours["mean"].items()},
    )


def make_files(data_dir: Path) -> tuple[Path, Path]:
    """Make probabilities (float32, 1.7 GB) and labels (uint8, 0.4 GB) of DeepSEA's size, once."""
    paths = data_dir / "multilabel-scores.npy", data_dir / "multilabel-labels.npy"
    if all(path.exists() for path in paths):
        return paths
    generator = np.random.default_rng(1)
    shape = (WINDOWS, FEATURES)
    partial = [path.with_suffix(".partial") for path in paths]
    scores = np.lib.format.open_memmap(partial[0], mode="w+", dtype=np.float32, shape=shape)
    labels = np.lib.format.open_memmap(partial[1], mode="w+", dtype=np.uint8, shape=shape)
    # Features are as rare as DeepSEA's: between 0.1 and 10 percent.
    offset = np.log(10 ** generator.uniform(-3, -1, FEATURES)).astype(np.float32)
    for start in range(0, WINDOWS, 8192):
        block = slice(start, min(start + 8192, WINDOWS))
        logit = generator.standard_normal((block.stop - start, FEATURES), np.float32) + offset
        noise = generator.standard_normal(logit.shape, np.float32)
        scores[block] = 1 / (1 + np.exp(-logit))
        labels[block] = logit + noise > offset + 2 + offset / -3
    scores.flush()
    labels.flush()
    for path, name in zip(partial, paths, strict=True):
        path.rename(name)
    return paths
