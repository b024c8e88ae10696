"""DeepSEA's ``train.mat`` (MATLAB v7.3, which is HDF5), ``valid.mat`` and ``test.mat`` (MATLAB v5), or any of both."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numba import njit

from regulome.datasets.feature_table import deepsea_features
from regulome.datasets.hdf5_planes import HDF5Plane, find_array, open_hdf5
from regulome.datasets.matlab5 import MatlabPlane, is_matlab5, list_variables
from regulome.datasets.one_hot_planes import Labels, OneHot, Plane, by_example, names_of, together
from regulome.datasets.published_part import Bytes, Chunk, Part, feature_names
from regulome.errors import InputError

logger = logging.getLogger(__name__)

#: The channels are A, G, C, T.
_CHANNELS = (0, 2, 1, 3)


def open_deepsea(files: Mapping[str, Path]) -> list[Part]:
    """Look into the files of a bundle; see :func:`regulome.datasets.prepare_published_sequence`.

    Raises:
        InputError: A file is cut short, no MATLAB file, lacks an array, or an array has another shape.
    """
    return [
        _open_matlab5(split, file) if is_matlab5(file) else _open_hdf5(split, file) for split, file in files.items()
    ]


def _open_hdf5(split: str, file: Path) -> Part:
    with open_hdf5(file) as stream:
        windows, labels, _ = _hdf5_planes(split, file, stream)

    def chunks(scratch: Path) -> Iterator[Chunk]:
        with open_hdf5(file) as stream:
            x, y, _ = _hdf5_planes(split, file, stream)
            yield from _pair(x, y, scratch, part)

    part = _part(split, file, windows, labels, chunks)
    return part


def _hdf5_planes(split: str, file: Path, stream: h5py.File) -> tuple[HDF5Plane, HDF5Plane, bool]:
    names, cure = _names(split, stream)
    x, y = (find_array(stream, file, name, cure) for name in names)
    if x.ndim != 3 or y.ndim != 2 or x.shape[1] != 4:
        raise _misshapen(file, names, x.shape, y.shape, "(L, 4, N) and (features, N)")
    # MATLAB stores its first dimension, the example, last; files made with h5py may have it first.
    last = x.shape[2] == y.shape[1]
    if not last and x.shape[0] != y.shape[0]:
        raise _unequal(file, names, x.shape[2], y.shape[1])
    x_axes, y_axes = ((0, 1, 2), (0, None, 1)) if last else ((2, 1, 0), (1, None, 0))
    return HDF5Plane(file, x, x_axes), HDF5Plane(file, y, y_axes), last


def _open_matlab5(split: str, file: Path) -> Part:
    found = list_variables(file)
    names, cure = _names(split, found)
    for name in names:
        if name not in found:
            raise InputError(f"has no array {name!r}, it has {names_of(sorted(found))}", file=file, cure=cure)
    x, y = (found[name] for name in names)
    if len(x.shape) != 3 or len(y.shape) != 2 or x.shape[1] != 4:
        raise _misshapen(file, names, x.shape, y.shape, "(N, 4, L) and (N, features)")
    if x.shape[0] != y.shape[0]:
        raise _unequal(file, names, x.shape[0], y.shape[0])

    def chunks(scratch: Path) -> Iterator[Chunk]:
        yield from _pair(MatlabPlane(file, x), MatlabPlane(file, y), scratch, part)

    part = _part(split, file, MatlabPlane(file, x), MatlabPlane(file, y), chunks)
    return part


def _names(split: str, found: Any) -> tuple[tuple[str, str], str]:
    names = (f"{split}xdata", f"{split}data")
    others = [part for part in ("train", "valid", "test") if f"{part}xdata" in found]
    return names, f"give it as --{others[0]}" if others and others != [split] else "is it a file of DeepSEA's bundle?"


def _part(split: str, file: Path, windows: Plane, labels: Plane, chunks: Any) -> Part:
    length, _, examples = windows.shape
    if not examples or not length:
        raise InputError(f"the array {windows.name!r} is empty", file=file, cure="download it again")
    table = deepsea_features()
    known = labels.shape[0] == table.height
    features = table if known else feature_names([f"feature{i + 1}" for i in range(labels.shape[0])])
    if not known:
        logger.info("%s: %d features, not DeepSEA's 919: they are named feature1 …", file.name, labels.shape[0])
    return Part(split, file, examples, length, features.select("name", "cell", "assay", "treatment", "group"), chunks)


def _pair(windows: Plane, labels: Plane, scratch: Path, part: Part) -> Iterator[Chunk]:
    strands = _Strands(part.examples)
    codes = strands.watch(by_example(windows, OneHot(_CHANNELS), scratch))
    yield from together(codes, by_example(labels, Labels(), scratch))
    part.record["windows"] = part.examples
    part.record["reverse_complements"] = strands.found
    if strands.found:
        logger.info(
            "%s: %s of %s windows are reverse complements of windows in the first half",
            part.file.name,
            f"{strands.found:,}",
            f"{part.examples:,}",
        )


class _Strands:
    """Finds whether the second half of a file are the reverse complements of the first half, in the same order.

    Attributes:
        found: In how many places this is so.
    """

    def __init__(self, examples: int) -> None:
        self.found = 0
        self._half = examples // 2 if examples % 2 == 0 else 0
        self._prints = np.empty(self._half, np.uint64)

    def watch(self, chunks: Iterator[Bytes]) -> Iterator[Bytes]:
        place = 0
        for codes in chunks:
            if self._half:
                first = codes[: max(0, self._half - place)]
                _fingerprint(first, True, self._prints[place : place + len(first)])
                second = codes[len(first) :]
                prints = np.empty(len(second), np.uint64)
                _fingerprint(second, False, prints)
                begin = place + len(first) - self._half
                self.found += int((prints == self._prints[begin : begin + len(second)]).sum()) if len(second) else 0
            place += len(codes)
            yield codes


@njit(cache=True, nogil=True)
def _fingerprint(codes: Any, turned: Any, prints: Any) -> None:
    """Write a 64-bit fingerprint of each sequence, or of its reverse complement."""
    n, length = codes.shape
    for i in range(n):
        value = np.uint64(1469598103934665603)
        for j in range(length):
            code = codes[i, length - 1 - j] if turned else codes[i, j]
            if turned and code < 4:
                code = np.uint8(3) - code
            value = (value ^ np.uint64(code)) * np.uint64(1099511628211)
        prints[i] = value


def _misshapen(file: Path, names: tuple[str, str], x: tuple[int, ...], y: tuple[int, ...], wanted: str) -> InputError:
    shown = " and ".join("(" + ", ".join(map(str, shape)) + ")" if shape else "no numbers" for shape in (x, y))
    return InputError(
        f"{names[0]} and {names[1]} are {shown}, expected {wanted}", file=file, cure="is it a file of DeepSEA's bundle?"
    )


def _unequal(file: Path, names: tuple[str, str], x: int, y: int) -> InputError:
    return InputError(f"{x:,} windows in {names[0]}, {y:,} in {names[1]}", file=file, cure="download it again")
