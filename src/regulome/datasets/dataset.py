"""Open a dataset folder: validated, memory-mapped, nothing loaded but its table of examples."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from regulome import storage
from regulome.datasets.language_layout import check_text
from regulome.datasets.manifest import ArrayEntry, Manifest, TargetsEntry, read_manifest
from regulome.datasets.region_layout import check_regions, extra, has_regions, signals
from regulome.datasets.sequence_layout import FEATURE_COLUMNS, check_sequences
from regulome.errors import InputError

Array = np.ndarray[Any, np.dtype[Any]]

#: Columns that every table of examples has, with their types; others may follow.
REGION_COLUMNS: Mapping[str, pl.DataType] = {
    "id": pl.String(),
    "chrom": pl.String(),
    "start": pl.Int64(),
    "end": pl.Int64(),
    "strand": pl.String(),
    "split": pl.String(),
}
#: ``chrom`` of an example whose place on the genome is not known; its ``start`` and ``end`` are -1.
UNKNOWN_CHROMOSOME = "."


@dataclass(frozen=True)
class Dataset:
    """An opened dataset; make one with :func:`open_dataset`.

    It can be sent to other processes: they open the same folder again.

    Attributes:
        path: The dataset folder.
        manifest: The content of ``dataset.json``.
        regions: One row per example: ``id, chrom, start, end, strand, split`` and more (0-based, half-open).
        inputs: The input arrays by name, memory-mapped and read-only.
        targets: ``[examples, targets]``, memory-mapped and read-only; no columns when the task is ``"unlabelled"``.
    """

    path: Path
    manifest: Manifest
    regions: pl.DataFrame = field(repr=False)
    inputs: Mapping[str, Array] = field(repr=False)
    targets: Array = field(repr=False)

    def __len__(self) -> int:
        return self.manifest.examples

    def __str__(self) -> str:
        """Say in one line what it holds, where it lies and which checksum it has."""
        if self.line == "sequence":
            letters = self.manifest.inputs["letters"].bases or 0
            features = len(self.target_names)
            arrays = f"windows of {self.length:,} letters ({letters:,} stored), {features:,} feature" + "s" * (
                features != 1
            )
        elif self.line == "language":
            letters = self.manifest.inputs["letters"].bases or 0
            arrays = f"blocks of a text of {letters:,} letters, read {self.length:,} at a time"
        elif has_regions(self.manifest):
            widths = ", ".join(f"{width:,}" for width in signals(self.manifest))
            shapes = {name: self.manifest.inputs[name].shape[0] for name in ("region", "contact")}
            arrays = (
                f"{shapes['region']:,} regions × {len(self.marks)} marks in bins of {widths}, "
                f"{shapes['contact']:,} contacts"
            )
        else:
            arrays = "; ".join(
                f"{name} {' × '.join(f'{length:,}' for length in entry.shape)} ({entry.dtype})"
                for name, entry in self.manifest.inputs.items()
            )
        return f"{self.path}: {len(self):,} examples, {self.task}, {arrays}, checksum {self.checksum[:12]}"

    def __reduce__(self) -> tuple[Any, ...]:
        return open_dataset, (self.path,)

    @property
    def line(self) -> str:
        """The line of work, for example ``"expression"``."""
        return self.manifest.line

    @property
    def task(self) -> str:
        """``"classification"``, ``"regression"`` or ``"unlabelled"``."""
        return self.manifest.task

    @property
    def target_names(self) -> list[str]:
        """Name of each target column."""
        return [] if self.manifest.targets is None else list(self.manifest.targets.names)

    @property
    def checksum(self) -> str:
        """SHA-256 over the content of the dataset; the same examples give the same checksum."""
        return self.manifest.checksum

    @property
    def marks(self) -> list[str]:
        """Names along the axis ``"mark"`` of the input ``"marks"``, or of the signals of regions."""
        return list(self._marks.mark or [])

    @property
    def bins(self) -> int:
        """Number of bins of the input ``"marks"``, or of a promoter where there are regions: bins of `bin_size`."""
        if has_regions(self.manifest):
            return int(extra(self.manifest.inputs["promoter"], "window")) // self.bin_size
        return self._marks.shape[2]

    @property
    def bin_size(self) -> int:
        """Width of a bin of the input ``"marks"``, or of the finest signal of regions, in base pairs."""
        return self._marks.bin_size or 1

    @property
    def unit(self) -> str:
        """What a value of the marks means: ``"reads"`` or ``"signal"``."""
        return self._marks.unit or "signal"

    @property
    def length(self) -> int:
        """Letters of the window of an example of sequence; of a text, the letters that are read at a time."""
        entry = self.manifest.inputs.get({"sequence": "start", "language": "block"}.get(self.line, ""))
        if entry is None or entry.length is None:
            raise InputError(
                f"a dataset of the line {self.line!r} has no sequences: its inputs are "
                f"{', '.join(self.manifest.inputs)}",
                file=self.path,
                cure="use a dataset that `regulome prepare sequence` or `regulome prepare language` made",
            )
        return entry.length

    @property
    def features(self) -> pl.DataFrame:
        """What each target column measures: ``name, cell, assay, treatment, group``, all text, empty where unknown."""
        told = self.manifest.targets.features if self.manifest.targets else None
        rows = told or [{"name": name} for name in self.target_names]
        return pl.DataFrame(
            {column: [row.get(column, "") for row in rows] for column in FEATURE_COLUMNS},
            schema=dict.fromkeys(FEATURE_COLUMNS, pl.String()),
        )

    @property
    def _marks(self) -> ArrayEntry:
        if has_regions(self.manifest):
            return min(signals(self.manifest).items())[1]
        entry = self.manifest.inputs.get("marks")
        if entry is None or entry.axes != ["example", "mark", "bin"]:
            raise InputError(
                f"a dataset of the line {self.line!r} has no marks: its inputs are {', '.join(self.manifest.inputs)}",
                file=self.path,
                cure="use a dataset that `regulome prepare expression` or `regulome prepare contacts` made",
            )
        return entry

    def verify(self) -> None:
        """Compare every file with its checksum; reads the whole dataset.

        Raises:
            InputError: A file differs from what was written.
        """
        manifest = self.manifest
        entries = [*manifest.inputs.values(), manifest.regions, *([manifest.targets] if manifest.targets else [])]
        for entry in entries:
            file = self.path / entry.file
            found = storage.sha256(file)
            if found != entry.sha256:
                raise InputError(
                    f"its SHA-256 is {found[:12]}…, the manifest says {entry.sha256[:12]}…",
                    file=file,
                    cure="the file was changed or damaged: prepare the dataset again",
                )


def open_dataset(path: str | os.PathLike[str], *, verify: bool = False) -> Dataset:
    """Open a dataset folder.

    Presence, sizes, number types and lengths of all files are checked each time; their content only on demand.
    Memory: the table of examples is loaded, arrays are mapped.

    Args:
        path: The folder.
        verify: Also compare every file with its SHA-256.

    Raises:
        InputError: It is no dataset, of another schema version, or a file is missing, truncated or not what the
            manifest says.
    """
    folder = Path(path).absolute()
    manifest = read_manifest(folder)
    inputs = {name: _map(folder, entry) for name, entry in manifest.inputs.items()}
    if manifest.targets is None:
        targets: Array = np.empty((manifest.examples, 0), np.float32)
    else:
        targets = _map(folder, manifest.targets)
    regions = _read_regions(folder / manifest.regions.file, manifest.examples)
    if manifest.line == "sequence":
        check_sequences(folder, manifest, inputs)
    if manifest.line == "language":
        check_text(folder, manifest, inputs)
    if has_regions(manifest):
        check_regions(folder, manifest, inputs)
    dataset = Dataset(folder, manifest, regions, inputs, targets)
    if verify:
        dataset.verify()
    return dataset


def _map(folder: Path, entry: ArrayEntry | TargetsEntry) -> Array:
    file = folder / entry.file
    cure = "prepare the dataset again, or copy it again with all its files"
    if not file.is_file():
        raise InputError("is missing from the dataset", file=file, cure=cure)
    try:
        array: Array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"is truncated or no .npy array: {error}", file=file, cure=cure) from None
    if list(array.shape) != entry.shape:
        raise InputError(f"has shape {list(array.shape)}, the manifest says {entry.shape}", file=file, cure=cure)
    if array.dtype != np.dtype(entry.dtype):
        raise InputError(f"has type {array.dtype}, the manifest says {entry.dtype}", file=file, cure=cure)
    if not array.flags.c_contiguous:
        raise InputError("is stored in Fortran order, expected C order", file=file, cure=cure)
    return array


def _read_regions(file: Path, examples: int) -> pl.DataFrame:
    cure = "prepare the dataset again, or copy it again with all its files"
    if not file.is_file():
        raise InputError("is missing from the dataset", file=file, cure=cure)
    try:
        regions = pl.read_parquet(file)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"is truncated or no Parquet table: {reason}", file=file, cure=cure) from None
    for name, dtype in REGION_COLUMNS.items():
        if name not in regions.columns:
            raise InputError(f"has no column {name!r}", file=file, cure=cure)
        if regions[name].dtype != dtype:
            raise InputError(f"column {name!r} is {regions[name].dtype}, expected {dtype}", file=file, cure=cure)
    if regions.height != examples:
        raise InputError(f"has {regions.height:,} rows for {examples:,} examples", file=file, cure=cure)
    return regions
