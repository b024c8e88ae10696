"""Basset's HDF5 file: ``train_in``, ``train_out``, the same for valid and test, and ``target_labels``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import polars as pl

from regulome.datasets.hdf5_planes import HDF5Plane, find_array, open_hdf5
from regulome.datasets.one_hot_planes import Labels, OneHot, by_example, together
from regulome.datasets.published_part import Chunk, Part, feature_names
from regulome.errors import InputError

_CURE = "is it another --published layout?"


def open_basset(files: Mapping[str, Path]) -> list[Part]:
    """Look into the files; see :func:`regulome.datasets.prepare_published_sequence`.

    Raises:
        InputError: A file is no HDF5 file or cut short, lacks an array, or an array has another shape.
    """
    parts = {}
    for split, file in files.items():
        with open_hdf5(file) as stream:
            # The file with the training part holds the others, too, unless they are given in files of their own.
            for other in ("train", "valid", "test"):
                if other == split or (split == "train" and other not in files and f"{other}_in" in stream):
                    parts[other] = _part(other, file, stream)
    return [parts[split] for split in ("train", "valid", "test") if split in parts]


def _part(split: str, file: Path, stream: h5py.File) -> Part:
    windows, labels = _planes(split, file, stream)

    def chunks(scratch: Path) -> Iterator[Chunk]:
        with open_hdf5(file) as again:
            x, y = _planes(split, file, again)
            yield from together(by_example(x, OneHot((0, 1, 2, 3)), scratch), by_example(y, Labels(), scratch))

    length, _, examples = windows.shape
    return Part(split, file, examples, length, _features(file, stream, labels.shape[0]), chunks)


def _planes(split: str, file: Path, stream: h5py.File) -> tuple[HDF5Plane, HDF5Plane]:
    x = find_array(stream, file, f"{split}_in", _CURE)
    y = find_array(stream, file, f"{split}_out", _CURE)
    flat = x.ndim == 3 and x.shape[1] == 4
    tall = x.ndim == 4 and x.shape[1:3] == (4, 1)
    if y.ndim != 2 or not (flat or tall) or not x.size or not y.size:
        raise InputError(
            f"{split}_in and {split}_out are {x.shape} and {y.shape}, expected (n, 4, 1, L) and (n, features)",
            file=file,
            cure=_CURE,
        )
    if x.shape[0] != y.shape[0]:
        raise InputError(
            f"{x.shape[0]:,} windows in {split}_in, {y.shape[0]:,} in {split}_out", file=file, cure="make it again"
        )
    return HDF5Plane(file, x, (x.ndim - 1, 1, 0)), HDF5Plane(file, y, (1, None, 0))


def _features(file: Path, stream: h5py.File, number: int) -> pl.DataFrame:
    labels = stream.get("target_labels")
    if not isinstance(labels, h5py.Dataset):
        return feature_names([f"feature{i + 1}" for i in range(number)])
    names = [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in labels[()].ravel()]
    if len(names) != number:
        raise InputError(f"{len(names)} target_labels for {number} columns", file=file, cure="make it again")
    return feature_names(names)
