"""Numeric arrays of MATLAB v5 files (``save -v6`` and ``-v7``), decompressed and read as a stream.

A file is a header of 128 bytes and then elements: a tag with type and size, and data. An array is an element that holds
others: flags, dimensions, name, values. Compressed, the whole array is a zlib stream of such an element. Values run
with the first dimension fastest.

Source: MathWorks, "MAT-File Format".
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from regulome.datasets.one_hot_planes import BUDGET, Array
from regulome.errors import InputError

_HEADER, _PIECE = 128, 1 << 20
_MATRIX, _COMPRESSED = 14, 15
#: Number types by the code of an element.
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
#: Classes of arrays that are numbers: double, single, and whole ones of 8 to 64 bits.
_NUMERIC = range(6, 16)
_DAMAGED = "download or make it again"


@dataclass(frozen=True)
class Variable:
    """An array of a file.

    Attributes:
        name: Its name.
        shape: Its dimensions, the first one the fastest; none where it is not an array of real numbers.
        offset: Where its element's data begins.
        size: How many bytes that is.
        compressed: Whether it is a zlib stream.
    """

    name: str
    shape: tuple[int, ...]
    offset: int
    size: int
    compressed: bool


def is_matlab5(path: str | os.PathLike[str]) -> bool:
    """Say whether a file begins as MATLAB v5 files do."""
    with Path(path).open("rb") as stream:
        head = stream.read(_HEADER)
    return len(head) == _HEADER and (
        (head[126:128] == b"IM" and head[125] == 1) or (head[126:128] == b"MI" and head[124] == 1)
    )


def list_variables(path: str | os.PathLike[str]) -> dict[str, Variable]:
    """List the arrays of a file by name; reads only their beginnings.

    Raises:
        InputError: The file is no MATLAB v5 file, or is cut short or damaged.
    """
    path = Path(path)
    total = path.stat().st_size
    found = {}
    with path.open("rb") as stream:
        order = _order(stream.read(_HEADER), path)
        place = _HEADER
        while place < total:
            stream.seek(place)
            kind, size = struct.unpack(order + "II", _whole(stream.read(8), 8, path))
            if kind not in (_MATRIX, _COMPRESSED):
                raise InputError(f"has an element of type {kind} at byte {place:,}", file=path, cure=_DAMAGED)
            if place + 8 + size > total:
                raise InputError(
                    f"is cut short: it has {total:,} bytes, and an array ends at {place + 8 + size:,}",
                    file=path,
                    cure=_DAMAGED,
                )
            source = _Source(stream, place + 8, size, kind == _COMPRESSED, path)
            name, shape = _describe(source, order)
            found[name] = Variable(name, shape, place + 8, size, kind == _COMPRESSED)
            place += 8 + size
    return found


class MatlabPlane:
    """An array of a MATLAB v5 file with the examples along its first dimension, seen as ``[row, channel, example]``.

    Args:
        file: The file.
        variable: The array: ``(example, row)`` or ``(example, channel, row)``.
    """

    def __init__(self, file: Path, variable: Variable) -> None:
        self.file = file
        self.name = variable.name
        self._variable = variable
        examples, *middle, rows = variable.shape
        self.shape = (rows, middle[0] if middle else 1, examples)
        # The examples lie across the stream: it is read by example only where it is small.
        self.block: int | None = examples if np.prod(variable.shape, dtype=np.int64) * 8 <= BUDGET else None

    def read(self, first: int, last: int) -> Array:
        """Return the examples from ``first`` to ``last``; reads the whole array."""
        return np.concatenate([values for _, _, values in self.pieces()])[:, :, first:last]

    def pieces(self) -> Iterator[tuple[int, int, Array]]:
        """Yield pieces of whole rows: first row, 0, values [row, channel, example].

        Raises:
            InputError: The compressed data is damaged, or ends early.
        """
        rows, channels, examples = self.shape
        with _values(self.file, self._variable) as (source, dtype):
            line = channels * examples * dtype.itemsize
            step = max(1, BUDGET // max(1, line))
            for row in range(0, rows, step):
                n = min(step, rows - row)
                yield row, 0, np.frombuffer(source.take(n * line), dtype).reshape(n, channels, examples)
            source.finish()


class _Source:
    """The bytes of an element, decompressed where they are compressed."""

    def __init__(self, stream: BinaryIO, offset: int, size: int, compressed: bool, path: Path) -> None:
        stream.seek(offset)
        self._stream, self._left, self.path = stream, size, path
        self._inflater = zlib.decompressobj() if compressed else None
        self.compressed = compressed

    def take(self, size: int) -> bytearray:
        """Return the next ``size`` bytes."""
        taken, filled = bytearray(size), 0
        while filled < size:
            piece = self._next(min(size - filled, _PIECE))
            taken[filled : filled + len(piece)] = piece
            filled += len(piece)
        return taken

    def finish(self) -> None:
        """Go to the end of a compressed element: its checksum stands there."""
        inflater = self._inflater
        try:
            while inflater is not None and not inflater.eof:
                waiting = inflater.unconsumed_tail or self._stream.read(min(_PIECE, self._left))
                self._left -= 0 if inflater.unconsumed_tail else len(waiting)
                inflater.decompress(_whole(waiting, 1, self.path), _PIECE)
        except zlib.error:
            raise InputError("its compressed data is damaged", file=self.path, cure=_DAMAGED) from None

    def _next(self, most: int) -> bytes:
        if self._inflater is None:
            piece = self._stream.read(min(most, self._left))
            self._left -= len(piece)
            return _whole(piece, 1, self.path)
        try:
            while True:
                waiting = self._inflater.unconsumed_tail
                if not waiting:
                    waiting = self._stream.read(min(_PIECE, self._left))
                    self._left -= len(waiting)
                piece = self._inflater.decompress(waiting, most)
                if piece:
                    return piece
                if not self._left and not self._inflater.unconsumed_tail:
                    return _whole(b"", 1, self.path)
        except zlib.error:
            raise InputError("its compressed data is damaged", file=self.path, cure=_DAMAGED) from None


def _order(head: bytes, path: Path) -> str:
    if len(head) < _HEADER or head[126:128] not in (b"IM", b"MI"):
        raise InputError("is no MATLAB file", file=path, cure="check the path and the layout")
    return "<" if head[126:128] == b"IM" else ">"


def _whole(piece: bytes, size: int, path: Path) -> bytes:
    if len(piece) < size:
        raise InputError("is cut short", file=path, cure=_DAMAGED)
    return piece


def _tag(source: _Source, order: str) -> tuple[int, int, bytes | None]:
    """Return type and size of the next element, and its data where it is so small that the tag holds it."""
    head = source.take(8)
    first, second = struct.unpack(order + "II", head)
    if first >> 16:
        return first & 0xFFFF, first >> 16, bytes(head[4 : 4 + (first >> 16)])
    return first, second, None


def _element(source: _Source, order: str) -> bytes:
    _, size, data = _tag(source, order)
    if data is not None:
        return data
    if size > 1 << 16:
        raise InputError("has an array with a damaged beginning", file=source.path, cure=_DAMAGED)
    return bytes(source.take(size + -size % 8))[:size]


def _describe(source: _Source, order: str) -> tuple[str, tuple[int, ...]]:
    """Read the beginning of an array up to its values."""
    if source.compressed and struct.unpack(order + "II", source.take(8))[0] != _MATRIX:
        return "", ()
    flags = _element(source, order)
    if len(flags) < 4:
        raise InputError("has an array with a damaged beginning", file=source.path, cure=_DAMAGED)
    flag = struct.unpack(order + "I", flags[:4])[0]
    dimensions = _element(source, order)
    shape = struct.unpack(f"{order}{len(dimensions) // 4}i", dimensions[: len(dimensions) // 4 * 4])
    name = _element(source, order).decode("latin-1")
    numbers = (flag & 0xFF) in _NUMERIC and not flag & 0x0800  # 0x0800: has imaginary parts
    return name, shape if numbers else ()


@contextmanager
def _values(path: Path, variable: Variable) -> Iterator[tuple[_Source, np.dtype[np.generic]]]:
    """Open an array and go to its values."""
    with path.open("rb") as stream:
        order = _order(stream.read(_HEADER), path)
        source = _Source(stream, variable.offset, variable.size, variable.compressed, path)
        _describe(source, order)
        kind, size, small = _tag(source, order)
        if kind not in _TYPES:
            raise InputError(f"the array {variable.name!r} has values of type {kind}", file=path, cure=_DAMAGED)
        dtype = np.dtype(order + _TYPES[kind])
        if size != int(np.prod(variable.shape, dtype=np.int64)) * dtype.itemsize:
            words = " × ".join(str(length) for length in variable.shape)
            raise InputError(
                f"the array {variable.name!r} has {size:,} bytes for {words} values", file=path, cure=_DAMAGED
            )
        yield _Small(source, small) if small is not None else source, dtype


class _Small(_Source):
    """Values that stand in their tag."""

    def __init__(self, source: _Source, data: bytes) -> None:
        self.path, self._data, self._inflater = source.path, data, None

    def take(self, size: int) -> bytearray:
        taken, self._data = self._data[:size], self._data[size:]
        return bytearray(taken)
