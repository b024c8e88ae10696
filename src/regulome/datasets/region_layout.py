"""What a dataset of regions and contacts must have, beyond what its manifest says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from regulome.datasets.manifest import MANIFEST, ArrayEntry, Manifest
from regulome.errors import InputError

#: Axes and number type of each input beside the signals.
LAYOUT = {
    "region": (["region", "edge"], "int64"),
    "region_chromosome": (["region"], "int32"),
    "promoter": (["example"], "int64"),
    "contact": (["contact", "end"], "int64"),
    "frequency": (["contact"], "float32"),
}
#: Signals are called so, with the width of their bins.
SIGNAL = "signal_{}"

_CURE = "prepare the dataset again, or copy it again with all its files"


def signals(manifest: Manifest) -> dict[int, ArrayEntry]:
    """Return width of a bin → the entry of that signal, in the manifest's order; empty where there are no regions."""
    found = (entry for name, entry in manifest.inputs.items() if name == SIGNAL.format(entry.bin_size))
    return {entry.bin_size or 1: entry for entry in found}


def has_regions(manifest: Manifest) -> bool:
    """Say whether a dataset holds regions and contacts."""
    return "region" in manifest.inputs and "promoter" in manifest.inputs


def extra(entry: ArrayEntry, name: str) -> Any:
    """Return what the manifest says of an input under a name of its own."""
    return (entry.model_extra or {}).get(name)


def check_regions(folder: Path, manifest: Manifest, inputs: Mapping[str, np.ndarray[Any, np.dtype[Any]]]) -> None:
    """Refuse a dataset of regions whose arrays do not fit each other.

    Raises:
        InputError: An input is missing, of another kind, or names regions or examples that are not there.
    """
    file = folder / MANIFEST
    for name, (axes, dtype) in LAYOUT.items():
        entry = manifest.inputs.get(name)
        if entry is None:
            raise InputError(f"a dataset of regions without the input {name!r}", file=file, cure=_CURE)
        if entry.axes != axes or entry.dtype != dtype:
            problem = f"the input {name!r} has axes {entry.axes} of {entry.dtype}, expected {axes} of {dtype}"
            raise InputError(problem, file=file, cure=_CURE)
    stored = signals(manifest)
    window, names = extra(manifest.inputs["promoter"], "window"), extra(manifest.inputs["region_chromosome"], "names")
    if not stored or not isinstance(window, int) or not isinstance(names, list):
        missing = "a 'signal_…'" if not stored else "'window' of 'promoter' or 'names' of 'region_chromosome'"
        raise InputError(f"does not have {missing}", file=file, cure=_CURE)
    edges = inputs["region"]
    lengths = edges[:, 1] - edges[:, 0]
    if len(lengths) != len(inputs["region_chromosome"]) or (lengths < 1).any():
        raise InputError("empty regions, or regions without a chromosome", file=folder / "inputs", cure=_CURE)
    for width, entry in stored.items():
        rows = int((-(-lengths // width)).sum())
        if entry.axes != ["row", "mark"] or entry.mark is None or entry.shape[0] != rows:
            problem = f"{entry.shape[0]:,} rows of {entry.axes} for regions of {rows:,} bins of {width}"
            raise InputError(problem, file=folder / entry.file, cure=_CURE)
        if entry.mark != next(iter(stored.values())).mark:
            raise InputError("signals of several widths have different marks", file=file, cure=_CURE)
    promoter, contact = inputs["promoter"], inputs["contact"]
    _inside(promoter, len(edges), folder / manifest.inputs["promoter"].file)
    if (lengths[promoter] != window).any():
        problem = f"promoters are not {window:,} bases long"
        raise InputError(problem, file=folder / manifest.inputs["promoter"].file, cure=_CURE)
    place = folder / manifest.inputs["contact"].file
    _inside(contact[:, 0], manifest.examples, place)
    _inside(contact[:, 1], len(edges), place)
    if (np.diff(contact[:, 0]) < 0).any() or len(contact) != len(inputs["frequency"]):
        raise InputError("contacts are not in the order of the examples, or lack their frequencies", file=place)


def _inside(values: np.ndarray[Any, np.dtype[Any]], limit: int, file: Path) -> None:
    if len(values) and (values.min() < 0 or values.max() >= limit):
        raise InputError(f"names places beyond the {limit:,} that there are", file=file, cure=_CURE)
