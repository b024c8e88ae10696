"""Arrays of published files, in which the example may be any axis, turned to one row per example in bounded memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from numba import njit

from regulome.errors import InputError

Array = np.ndarray[Any, np.dtype[Any]]
Bytes = npt.NDArray[np.uint8]

#: About how many bytes of a file's array are in memory at a time; what is made of them takes about as much again.
BUDGET = 32 << 20
#: The code of a letter that is not known.
UNKNOWN = 4


class Plane(Protocol):
    """An array of a file, seen as ``[row, channel, example]``; a row is a position of the window, or a feature.

    Attributes:
        file: The file.
        name: Name of the array in it.
        shape: Number of rows, channels and examples.
        block: Examples that :meth:`read` takes best at a time, so that nothing is read or decompressed twice; None
            where reading by example would do so.
    """

    file: Path
    name: str
    shape: tuple[int, int, int]
    block: int | None

    def read(self, first: int, last: int) -> Array:
        """Return the examples from ``first`` to ``last``: [row, channel, example]."""

    def pieces(self) -> Iterator[tuple[int, int, Array]]:
        """Yield first row, first example and ``[row, channel, example]`` of pieces that cover the array once."""


@dataclass(frozen=True)
class OneHot:
    """Turns one-hot columns into codes (A, C, G, T = 0 … 3; 4 = unknown).

    A column of zeros, or of four quarters, is an unknown letter.

    Attributes:
        channels: The code of each channel, in the order of the file.
    """

    channels: tuple[int, int, int, int]

    def __call__(self, plane: Plane, raw: Array, row: int, example: int, out: Bytes) -> None:
        """Write the codes of ``raw`` [row, channel, example] into ``out`` [example, row].

        Raises:
            InputError: A column has two ones, or other values than 0 and 1.
        """
        wrong = _codes(raw, np.array(self.channels, np.uint8), out)
        if wrong >= 0:
            i, p = divmod(int(wrong), raw.shape[0])
            values = ", ".join(f"{float(value):g}" for value in raw[p, :, i])
            raise InputError(
                f"position {row + p + 1} is {values}, expected a single 1 (or zeros for an unknown letter)",
                file=plane.file,
                record=f"{plane.name}, example {example + i + 1:,}",
                cure="give one-hot sequences",
            )


class Labels:
    """Turns labels into bytes 0 and 1."""

    def __call__(self, plane: Plane, raw: Array, row: int, example: int, out: Bytes) -> None:
        """Write the labels of ``raw`` [feature, 1, example] into ``out`` [example, feature].

        Raises:
            InputError: A label is neither 0 nor 1.
        """
        wrong = _labels(raw, out)
        if wrong >= 0:
            i, p = divmod(int(wrong), raw.shape[0])
            raise InputError(
                f"the label of feature {row + p + 1} is {float(raw[p, 0, i]):g}, expected 0 or 1",
                file=plane.file,
                record=f"{plane.name}, example {example + i + 1:,}",
                cure="give a file with labels of 0 and 1",
            )


def by_example(plane: Plane, turn: OneHot | Labels, scratch: Path) -> Iterator[Bytes]:
    """Read an array once, from its beginning to its end in the file, and yield it by example.

    Memory: a few times :data:`BUDGET`, whatever the size of the file. Disk: where the file holds all examples of a row
    together, one byte per row and example in a temporary file in ``scratch``.

    Args:
        plane: The array.
        turn: What makes bytes of its values.
        scratch: A folder for the temporary file.

    Yields:
        Bytes ``[example, row]``, the examples in order.

    Raises:
        InputError: The file is damaged, or holds other values.
    """
    rows, _, examples = plane.shape
    if plane.block is not None:
        for first in range(0, examples, plane.block):
            raw = _plain(plane.read(first, min(first + plane.block, examples)))
            out = np.empty((raw.shape[2], rows), np.uint8)
            turn(plane, raw, 0, first, out)
            yield out
        return
    with tempfile.TemporaryFile(dir=scratch) as stream:
        for row, example, values in plane.pieces():
            raw = _plain(values)
            turned = np.empty((raw.shape[0], raw.shape[2]), np.uint8)
            turn(plane, raw, row, example, turned.T)
            for i, line in enumerate(turned):
                stream.seek((row + i) * examples + example)
                stream.write(line.data)
        stream.flush()
        block = max(1, BUDGET // rows)
        for first in range(0, examples, block):
            lines = np.empty((rows, min(block, examples - first)), np.uint8)
            for row, line in enumerate(lines):
                os.preadv(stream.fileno(), [line.data], row * examples + first)
            out = np.empty(lines.shape[::-1], np.uint8)
            _turn(lines, out)
            yield out


def together(left: Iterator[Bytes], right: Iterator[Bytes]) -> Iterator[tuple[Bytes, Bytes]]:
    """Pair two streams of rows that come in blocks of different sizes; both must hold as many rows."""
    empty = np.empty((0, 0), np.uint8)
    a, b = empty, empty
    while True:
        a = next(left, empty) if not len(a) else a
        b = next(right, empty) if not len(b) else b
        n = min(len(a), len(b))
        if not n:
            return
        yield a[:n], b[:n]
        a, b = a[n:], b[n:]


def covers(rows: int, channels: int, examples: int, itemsize: int) -> int:
    """Return how many examples of so many values fit the budget, at least one."""
    return max(1, min(examples, BUDGET // max(1, rows * channels * itemsize)))


def names_of(found: Sequence[str]) -> str:
    """List the arrays of a file in an error message."""
    return ", ".join(found) or "nothing"


def _plain(raw: Array) -> Array:
    """Give numbers a type that the kernels know."""
    kind, size = raw.dtype.kind, raw.dtype.itemsize
    if kind in "bui" and size == 1:
        return raw.view(np.uint8)
    if kind == "f" and size in (4, 8) and raw.dtype.isnative:
        return raw
    return raw.astype(np.float32 if size <= 2 else np.float64)


@njit(cache=True, nogil=True)
def _codes(raw: Any, channels: Any, out: Any) -> Any:
    """Return -1, or example × rows + row of the first column that is none, in the order of reading."""
    rows, _, examples = raw.shape
    # Tiles keep what is read and what is written in the cache: one of both is always across.
    for begin in range(0, examples, 64):
        end = min(begin + 64, examples)
        for p in range(rows):
            for i in range(begin, end):
                code, ones, quarters, bad = UNKNOWN, 0, 0, False
                for c in range(4):
                    value = raw[p, c, i]
                    if value == 1:
                        code = channels[c]
                        ones += 1
                    elif value == 0.25:
                        quarters += 1
                    elif value != 0:
                        bad = True
                if bad or ones > 1 or (quarters != 0 and (quarters != 4)):
                    return i * rows + p
                out[i, p] = code
    return -1


@njit(cache=True, nogil=True)
def _labels(raw: Any, out: Any) -> Any:
    rows, _, examples = raw.shape
    for begin in range(0, examples, 64):
        end = min(begin + 64, examples)
        for p in range(rows):
            for i in range(begin, end):
                value = raw[p, 0, i]
                if value != 0 and value != 1:
                    return i * rows + p
                out[i, p] = value
    return -1


@njit(cache=True, nogil=True)
def _turn(lines: Any, out: Any) -> None:
    rows, examples = lines.shape
    for begin in range(0, examples, 64):
        end = min(begin + 64, examples)
        for p in range(rows):
            for i in range(begin, end):
                out[i, p] = lines[p, i]
