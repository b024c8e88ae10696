"""What a dataset of the line ``"sequence"`` must have, beyond what its manifest says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from regulome.datasets.manifest import MANIFEST, Manifest
from regulome.errors import InputError

#: What is told of every feature, each a text; ``group`` is ``"DNase"``, ``"TF"``, ``"histone"`` or nothing.
FEATURE_COLUMNS = ("name", "cell", "assay", "treatment", "group")
#: Axes and number type of each input.
LAYOUT = {
    "letters": (["byte"], "uint8"),
    "unknown": (["run", "edge"], "int64"),
    "start": (["example"], "int64"),
}
#: Number types of the targets.
TARGETS = ("uint8", "float32")

#: What to do with a dataset that contradicts itself.
CURE = "prepare the dataset again, or copy it again with all its files"


def check_layout(manifest: Manifest, layout: Mapping[str, tuple[list[str], str]], file: Path, what: str) -> None:
    """Refuse a manifest that lacks an input, or has one of other axes or another number type.

    Args:
        manifest: The manifest.
        layout: Axes and number type of each input.
        file: The manifest's file, for messages.
        what: What the dataset is, for messages.
    """
    for name, (axes, dtype) in layout.items():
        entry = manifest.inputs.get(name)
        if entry is None:
            raise InputError(f"{what} without the input {name!r}", file=file, cure=CURE)
        if entry.axes != axes or entry.dtype != dtype:
            problem = f"the input {name!r} has axes {entry.axes} of {entry.dtype}, expected {axes} of {dtype}"
            raise InputError(problem, file=file, cure=CURE)


def check_sequences(folder: Path, manifest: Manifest, inputs: Mapping[str, np.ndarray[Any, np.dtype[Any]]]) -> None:
    """Refuse a dataset of sequences whose arrays do not fit each other: no window may leave the letters.

    Raises:
        InputError: An input is missing, of another kind, or names letters that are not there.
    """
    file = folder / MANIFEST
    check_layout(manifest, LAYOUT, file, "a dataset of sequences")
    bases, start = manifest.inputs["letters"].bases, manifest.inputs["start"]
    if bases is None or start.length is None or start.margin is None:
        missing = "'bases' of 'letters'" if bases is None else "'length' or 'margin' of 'start'"
        raise InputError(f"does not say {missing}", file=file, cure=CURE)
    if manifest.inputs["letters"].shape != [-(-bases // 4)]:
        stored = manifest.inputs["letters"].shape[0]
        raise InputError(f"{stored:,} bytes of letters, expected {-(-bases // 4):,} for {bases:,} letters", file=file)
    if manifest.targets is not None and manifest.targets.dtype not in TARGETS:
        raise InputError(f"targets of {manifest.targets.dtype}, expected uint8 or float32", file=file, cure=CURE)
    for feature in (manifest.targets.features if manifest.targets else None) or ():
        if "name" not in feature:
            raise InputError("a feature without a name", file=file, cure=CURE)
    low, high = int(inputs["start"].min()), int(inputs["start"].max())
    if low < start.margin or high > bases - start.length - start.margin:
        problem = f"a window of {start.length:,} letters and a margin of {start.margin:,} leaves the {bases:,} letters"
        raise InputError(problem, file=folder / start.file, cure=CURE)
    runs = inputs["unknown"]
    edges = np.asarray(runs).reshape(-1)
    inside = runs.shape[1:] == (2,) and (not len(edges) or (edges[0] >= 0 and edges[-1] <= bases))
    if not inside or (edges[::2] >= edges[1::2]).any() or (edges[2::2] < edges[1:-1:2]).any():
        problem = "runs of unknown letters that are not in order, or leave the letters"
        raise InputError(problem, file=folder / manifest.inputs["unknown"].file, cure=CURE)
