"""Write a dataset folder, array by array, in bounded memory; it takes its name when it is complete."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import polars as pl

import regulome
from regulome import storage
from regulome.datasets.dataset import REGION_COLUMNS
from regulome.datasets.growing_array import GrowingArray
from regulome.datasets.manifest import MANIFEST, ArrayEntry, DType, FileEntry, Manifest, TargetsEntry, Task
from regulome.errors import InputError

#: Arrays are copied in pieces of about this many bytes.
BLOCK_BYTES = 64 * 2**20

_REGIONS = "regions.parquet"
_TARGETS = "targets.npy"


@contextmanager
def write_dataset(
    path: str | os.PathLike[str],
    *,
    line: str,
    task: Task,
    regions: pl.DataFrame | None = None,
    overwrite: bool = False,
) -> Iterator[DatasetWriter]:
    """Give a writer for the dataset ``path``, which appears when the block ends well and not otherwise.

    Args:
        path: The folder to make.
        line: The line of work, for example ``"expression"``.
        task: ``"classification"``, ``"regression"`` or ``"unlabelled"``.
        regions: One row per example: ``id`` (unique), ``chrom``, ``start``, ``end``, ``strand``, optionally ``split``,
            then whatever else is known about an example. None: :meth:`DatasetWriter.set_regions` gives it.
        overwrite: Replace an existing dataset.

    Raises:
        InputError: ``path`` exists already, or the table is empty, lacks a column or repeats an id.
        OSError: The disk is full.
    """
    table = None if regions is None else _complete(regions)
    with storage.new_folder(path, overwrite=overwrite) as folder:
        (folder / "inputs").mkdir()
        writer = DatasetWriter(folder, line=line, task=task, regions=table)
        try:
            yield writer
            writer.finish()
        finally:
            writer.close()


class DatasetWriter:
    """What :func:`write_dataset` gives: takes the arrays and what is known about their origin.

    Attributes:
        sources: Records of the input files, one dictionary each; append to it.
        parameters: How the examples were made; update it.
    """

    def __init__(self, folder: Path, *, line: str, task: Task, regions: pl.DataFrame | None) -> None:
        self._folder = folder
        self._line = line
        self._task = task
        self._regions = regions
        self._inputs: dict[str, tuple[np.memmap[Any, np.dtype[Any]], dict[str, Any]]] = {}
        self._growing: dict[str, tuple[GrowingArray, dict[str, Any]]] = {}
        self._targets: TargetsEntry | None = None
        self._growing_targets: GrowingArray | None = None
        self.sources: list[dict[str, Any]] = []
        self.parameters: dict[str, Any] = {}

    def add_input(
        self, name: str, *, axes: Sequence[str], shape: Sequence[int], dtype: npt.DTypeLike, **about: Any
    ) -> np.memmap[Any, np.dtype[Any]]:
        """Reserve an input array of zeros and return it, mapped for writing.

        Args:
            name: Name of the input.
            axes: Name of each axis; ``"example"`` first where there is one row per example.
            shape: Length of each axis.
            dtype: Number type; :meth:`narrow` can make it smaller afterwards.
            **about: What else the manifest shall say: ``mark=[names]``, ``bin_size=100``, ``unit="reads"`` …

        Raises:
            OSError: There is no room for it on the disk.
        """
        array = storage.allocate_npy(self._file(name), tuple(shape), dtype)
        self._inputs[name] = (array, {"axes": list(axes), **about})
        return array

    def grow_input(
        self, name: str, *, axes: Sequence[str], dtype: npt.DTypeLike, row: tuple[int, ...] = (), **about: Any
    ) -> GrowingArray:
        """Begin an input array whose length is not known yet; see :meth:`add_input`, and :meth:`describe_input`.

        Args:
            name: Name of the input.
            axes: Name of each axis.
            dtype: Number type.
            row: Lengths of the axes after the first.
            **about: What else the manifest shall say.
        """
        array = GrowingArray(self._file(name), dtype, row)
        self._growing[name] = (array, {"axes": list(axes), **about})
        return array

    def describe_input(self, name: str, **about: Any) -> None:
        """Add to what the manifest shall say about a growing input."""
        self._growing[name][1].update(about)

    def grow_targets(self, dtype: npt.DTypeLike, columns: int) -> GrowingArray:
        """Begin a target array whose length is not known yet; :meth:`describe_targets` says what it holds."""
        self._growing_targets = GrowingArray(self._folder / _TARGETS, dtype, (columns,))
        return self._growing_targets

    def describe_targets(
        self, names: Sequence[str], rule: Mapping[str, Any], features: Sequence[Mapping[str, str]] | None = None
    ) -> None:
        """Complete the targets that :meth:`grow_targets` began."""
        if (array := self._growing_targets) is None:
            raise ValueError("no targets were begun")
        array.flush()
        self._targets = TargetsEntry(
            file=_TARGETS,
            names=list(names),
            shape=list(array.shape),
            dtype=cast(DType, str(array.dtype)),
            sha256=storage.sha256(self._folder / _TARGETS),
            rule=dict(rule),
            features=None if features is None else [dict(feature) for feature in features],
        )

    def set_regions(self, regions: pl.DataFrame) -> None:
        """Give the table of examples where it was not known when the writer was made."""
        self._regions = _complete(regions)

    def narrow(self, name: str, rows: npt.NDArray[np.int64] | None = None) -> str:
        """Store an input in the smallest of uint16, int32 and float32 that keeps every value.

        Memory: one block; disk: both copies for a moment.

        Args:
            name: The input.
            rows: The rows to keep, in order; None keeps all.

        Returns:
            The number type.
        """
        array, about = self._inputs[name]
        dtype = _smallest(array)
        kept = np.arange(len(array)) if rows is None else rows
        if array.dtype != dtype or rows is not None:
            old = self._file(name).rename(self._file(name).with_suffix(".wide"))
            new = storage.allocate_npy(self._file(name), (len(kept), *array.shape[1:]), dtype)
            for block in _blocks(new):
                new[block] = array[kept[block]].astype(dtype)
            self._inputs[name] = (new, about)
            old.unlink()
        return str(dtype)

    def set_targets(self, values: Array, names: Sequence[str], rule: Mapping[str, Any]) -> None:
        """Store the targets: float32 ``[examples, targets]``, with the rule that made them."""
        values = np.ascontiguousarray(values, np.float32)
        if values.ndim != 2 or values.shape[1] != len(names):
            raise ValueError(f"targets of shape {values.shape} for {len(names)} names")
        file = self._folder / _TARGETS
        array = storage.allocate_npy(file, values.shape, values.dtype)
        array[:] = values
        array.flush()
        self._targets = TargetsEntry(
            file=_TARGETS,
            names=list(names),
            shape=list(values.shape),
            dtype="float32",
            sha256=storage.sha256(file),
            rule=dict(rule),
        )

    def finish(self) -> None:
        """Write the table and the manifest; :func:`write_dataset` calls it."""
        if self._regions is None:
            raise ValueError("the table of examples was not given")
        inputs = {}
        written: list[tuple[str, Any, dict[str, Any]]] = [
            (name, array, about) for name, (array, about) in (*self._inputs.items(), *self._growing.items())
        ]
        for name, array, about in written:
            array.flush()
            file = self._file(name)
            inputs[name] = ArrayEntry(
                file=file.relative_to(self._folder).as_posix(),
                shape=list(array.shape),
                dtype=cast(DType, str(array.dtype)),
                sha256=storage.sha256(file),
                **about,
            )
        self._regions.write_parquet(self._folder / _REGIONS)
        manifest = Manifest(
            line=self._line,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            regulome=regulome.__version__,
            examples=self._regions.height,
            task=self._task,
            inputs=inputs,
            targets=self._targets,
            regions=FileEntry(file=_REGIONS, sha256=storage.sha256(self._folder / _REGIONS)),
            sources=self.sources,
            parameters=self.parameters,
        )
        (self._folder / MANIFEST).write_text(manifest.to_json(), "utf-8")

    def close(self) -> None:
        """Close the files of growing arrays, also of those that were given up."""
        for array in (*(array for array, _ in self._growing.values()), self._growing_targets):
            if array is not None:
                array.close()

    def _file(self, name: str) -> Path:
        return self._folder / "inputs" / f"{name}.npy"


Array = np.ndarray[Any, np.dtype[Any]]


def _blocks(array: Array) -> Iterator[slice]:
    rows = max(1, BLOCK_BYTES // max(1, array.nbytes // len(array)))
    for start in range(0, len(array), rows):
        yield slice(start, start + rows)


def _smallest(array: Array) -> np.dtype[Any]:
    low, high = 0.0, 0.0
    for rows in _blocks(array):
        block = array[rows]
        if block.dtype.kind == "f" and not np.array_equal(block, np.rint(block)):
            return np.dtype(np.float32)
        low, high = min(low, float(block.min())), max(high, float(block.max()))
    if low >= 0 and high <= np.iinfo(np.uint16).max:
        return np.dtype(np.uint16)
    if low >= np.iinfo(np.int32).min and high <= np.iinfo(np.int32).max:
        return np.dtype(np.int32)
    return np.dtype(np.float32)


def _complete(regions: pl.DataFrame) -> pl.DataFrame:
    """Order the columns, give them their types, and refuse a table that cannot be one of examples."""
    if regions.is_empty():
        raise InputError("a dataset without examples", cure="nothing was left of the inputs: look at what was skipped")
    if "split" not in regions.columns:
        regions = regions.with_columns(pl.lit(None, pl.String).alias("split"))
    missing = [name for name in REGION_COLUMNS if name not in regions.columns]
    if missing:
        raise ValueError(f"the table of examples lacks {', '.join(missing)}")
    regions = regions.select(
        *(pl.col(name).cast(dtype) for name, dtype in REGION_COLUMNS.items()), pl.exclude(*REGION_COLUMNS)
    )
    repeated = regions.filter(pl.col("id").is_duplicated())
    if not repeated.is_empty():
        raise InputError(
            f"{repeated['id'].n_unique():,} ids name more than one example, the first is {repeated['id'][0]!r}",
            cure="give every example its own id",
        )
    return regions
