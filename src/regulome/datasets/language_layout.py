"""What a dataset of the line ``"language"`` must have, beyond what its manifest says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from regulome.datasets.manifest import MANIFEST, Manifest
from regulome.datasets.sequence_layout import CURE, check_layout
from regulome.errors import InputError

#: Axes and number type of each input.
LAYOUT = {"letters": (["byte"], "uint8"), "block": (["example", "edge"], "int64")}

#: Which strands of a text are learned from: what the entry of ``"block"`` says as ``"strands"``.
STRANDS = ("forward", "both")


def strands_of(manifest: Manifest) -> str:
    """Say which strands of a text are learned from; nothing where the manifest does not tell."""
    return str((manifest.inputs["block"].model_extra or {}).get("strands", ""))


def check_text(folder: Path, manifest: Manifest, inputs: Mapping[str, np.ndarray[Any, np.dtype[Any]]]) -> None:
    """Refuse a text whose blocks do not cover it, one after the other.

    Raises:
        InputError: An input is missing, of another kind, or names letters that are not there.
    """
    file = folder / MANIFEST
    check_layout(manifest, LAYOUT, file, "a text")
    letters, block = manifest.inputs["letters"], manifest.inputs["block"]
    if letters.bases is None or block.length is None or strands_of(manifest) not in STRANDS:
        missing = "'bases' of 'letters'" if letters.bases is None else "'length' or 'strands' of 'block'"
        raise InputError(f"does not say {missing}", file=file, cure=CURE)
    if letters.shape != [-(-letters.bases // 4)]:
        problem = f"{letters.shape[0]:,} bytes of letters, expected {-(-letters.bases // 4):,} for {letters.bases:,}"
        raise InputError(problem, file=file, cure=CURE)
    edges = np.asarray(inputs["block"])
    if (
        block.shape[1] != 2
        or edges[0, 0] != 0
        or edges[-1, 1] != letters.bases
        or (edges[1:, 0] != edges[:-1, 1]).any()
        or (edges[:, 0] >= edges[:, 1]).any()
    ):
        problem = f"blocks that do not follow each other through the {letters.bases:,} letters"
        raise InputError(problem, file=folder / block.file, cure=CURE)
