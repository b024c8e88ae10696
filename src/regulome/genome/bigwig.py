"""The values of a bigWig file that lie in some windows, as blocks of intervals; each block of the file is read once.

A bigWig keeps the values of a step function over bases in compressed blocks of about a thousand, and a tree that tells
where each block lies on the genome (Kent et al., Bioinformatics 2010, whose supplement describes the tree of names, the
tree of blocks and the three kinds of blocks).
"""

from __future__ import annotations

import importlib
import mmap
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from regulome.errors import InputError
from regulome.genome.rows import Block
from regulome.genome.windows import LAST_POSITION, Windows
from regulome.progress import progress
from regulome.storage import existing_file

try:
    _zlib: Any = importlib.import_module("isal.isal_zlib")
except ImportError:  # a platform without isal wheels
    _zlib = zlib

_MAGIC, _NAMES_MAGIC, _BLOCKS_MAGIC = 0x888FFC26, 0x78CA8C91, 0x2468ACE0
_LAST = np.int64(LAST_POSITION)
#: Blocks that are decompressed before their values are decoded together.
_BATCH = 128


class BigWig:
    """An open bigWig file.

    Attributes:
        path: The file.
        sizes: Chromosome → length in bases, in the file's order.
    """

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self._data = data
        self._order = "<" if data[:4] == struct.pack("<I", _MAGIC) else ">"
        if self._unpack("I", 0)[0] != _MAGIC:
            raise ValueError("its first bytes are not those of a bigWig")
        self._names_at, _, self._blocks_at = self._unpack("QQQ", 8)
        # The size of a block after decompression; 0 says that blocks are not compressed.
        self._compressed = self._unpack("I", 52)[0] > 0
        self._ids: dict[str, int] = {}
        self.sizes: dict[str, int] = {}
        magic, _, key_bytes = self._unpack("III", self._names_at)
        if magic != _NAMES_MAGIC:
            raise ValueError("its list of chromosomes is not where it should be")
        self._read_names(self._names_at + 32, key_bytes, 0)

    def _unpack(self, layout: str, offset: int) -> tuple[Any, ...]:
        return struct.unpack_from(self._order + layout, self._data, offset)

    def _read_names(self, offset: int, key_bytes: int, level: int) -> None:
        if level > 32:
            raise ValueError("its list of chromosomes makes no sense")
        leaf, _, count = self._unpack("BBH", offset)
        for i in range(count):
            place = offset + 4 + i * (key_bytes + 8)
            if leaf:
                name, number, size = self._unpack(f"{key_bytes}sII", place)
                decoded = name.rstrip(b"\0").decode("utf-8", errors="replace")
                self._ids[decoded], self.sizes[decoded] = number, size
            else:
                self._read_names(self._unpack("Q", place + key_bytes)[0], key_bytes, level + 1)

    def blocks(self, windows: Windows, names: Mapping[str, str]) -> Iterator[Block]:
        """Iterate over the values in and around windows, in the file's order.

        Args:
            windows: ``n`` windows.
            names: Name in the windows → name in the file.
        """
        codes = np.full(max(self._ids.values(), default=-1) + 2, -1, dtype=np.int32)
        for code, name in enumerate(windows.chromosomes):
            if name in names:
                codes[self._ids[names[name]]] = code
        table = self._table()
        chosen = table[_touched(table, windows, codes)]
        numbers = np.dtype(f"{self._order}u4"), np.dtype(f"{self._order}f4")
        with progress(f"reading {self.path.name}", len(chosen), "blocks") as advance:
            for begin in range(0, len(chosen), _BATCH):
                batch = chosen[begin : begin + _BATCH]
                data = b"".join([self._read(at, size) for at, size in batch[["at", "size"]].tolist()])
                words = np.frombuffer(data, dtype=numbers[0]).astype(np.uint32, copy=False)
                values = np.frombuffer(data, dtype=numbers[1]).astype(np.float32, copy=False)
                kinds = np.frombuffer(data, dtype=np.uint8)
                out = _columns(len(words))
                n = _decode(words, values, kinds, self._order == "<", codes, *out)
                if n < 0:
                    raise ValueError("a block of values makes no sense")
                yield Block(*(column[:n] for column in out))
                advance(len(batch))

    def _read(self, at: int, size: int) -> bytes:
        data = self._data[at : at + size]
        if len(data) < size:
            raise ValueError("it ends before its values do")
        return bytes(_zlib.decompress(data)) if self._compressed else data

    def _table(self) -> npt.NDArray[Any]:
        """Return where each block of values lies: chromosome and base at its begin and its end, place and size."""
        if self._unpack("I", self._blocks_at)[0] != _BLOCKS_MAGIC:
            raise ValueError("its index is not where it should be")
        ranges = [(name, f"{self._order}u4") for name in ("chrom", "start", "last_chrom", "end")]
        inner = np.dtype([*ranges, ("at", f"{self._order}u8")])
        leaf = np.dtype([*ranges, ("at", f"{self._order}u8"), ("size", f"{self._order}u8")])
        parts, waiting, seen = [np.zeros(0, dtype=leaf)], [self._blocks_at + 48], set[int]()
        while waiting:
            offset = waiting.pop()
            is_leaf, _, count = self._unpack("BBH", offset)
            layout = leaf if is_leaf else inner
            # A copy: a map cannot be closed while arrays look into it.
            nodes = np.frombuffer(self._data[offset + 4 : offset + 4 + count * layout.itemsize], dtype=layout)
            if len(nodes) < count or offset in seen:
                raise ValueError("its index makes no sense")
            seen.add(offset)
            if is_leaf:
                parts.append(nodes)
            else:
                waiting.extend(nodes["at"].tolist())
        table = np.concatenate(parts)
        return table[np.argsort(table["at"], kind="stable")]


@contextmanager
def open_bigwig(path: str | PathLike[str]) -> Iterator[BigWig]:
    """Open a bigWig file of any name.

    Raises:
        InputError: It is not bigWig or, also while it is read, is damaged.
    """
    path = existing_file(path)
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield BigWig(path, data)
    except (ValueError, struct.error, IndexError, MemoryError, zlib.error, _zlib.error) as error:
        problem = f"bigWig is damaged or ends early ({error})"
        raise InputError(problem, file=path, cure="download or make it again") from error


def _touched(table: npt.NDArray[Any], windows: Windows, codes: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Say which blocks overlap a window."""
    known = np.minimum(table["chrom"].astype(np.int64), len(codes) - 1)
    code = codes[known].astype(np.int64)
    # Chromosomes laid end to end, so that one sorted list of windows answers for all.
    stride = np.int64(1) << 33
    starts = np.sort(windows.codes * stride + windows.starts)
    begin, end = code * stride + table["start"].astype(np.int64), code * stride + table["end"].astype(np.int64)
    some = np.searchsorted(starts, end, "left") > np.searchsorted(starts, begin - windows.width, "right")
    return np.asarray(((code >= 0) & some) | (table["chrom"] != table["last_chrom"]))


def _columns(size: int) -> tuple[npt.NDArray[Any], ...]:
    whole = (np.empty(size, dtype=np.int32) for _ in range(3))
    return (*whole, np.empty(size, dtype=np.uint8), np.empty(size, dtype=np.float64))


@njit(cache=True, nogil=True)
def _decode(
    words: Any, values: Any, kinds: Any, little: Any, codes_of: Any,
    codes: Any, starts: Any, ends: Any, reverse: Any, numbers: Any,
) -> Any:  # fmt: skip
    """Decode blocks that follow each other; return how many values they hold, or -1 if they make no sense.

    Args:
        words: The blocks as uint32.
        values: The blocks as float32.
        kinds: The blocks as bytes.
        little: Whether the file is little-endian.
        codes_of: int32, the file's number of a chromosome → code, or -1.
        codes: Output, as of :class:`regulome.genome.rows.Block`.
        starts: Output.
        ends: Output.
        reverse: Output.
        numbers: Output.
    """
    p: Any
    p, n = 0, 0
    while p + 6 <= len(words):
        code, begin = codes_of[min(words[p], np.uint32(len(codes_of) - 1))], np.int64(words[p + 1])
        step, span, kind = np.int64(words[p + 3]), np.int64(words[p + 4]), kinds[4 * p + 20]
        low, high = np.int64(kinds[4 * p + 22]), np.int64(kinds[4 * p + 23])
        count = low | high << 8 if little else low << 8 | high
        p += 6
        width = 3 if kind == 1 else 2 if kind == 2 else 1
        if kind < 1 or kind > 3 or p + count * width > len(words):
            return -1
        for i in range(count):
            q = p + i * width
            start = begin + i * step if kind == 3 else np.int64(words[q])
            end = np.int64(words[q + 1]) if kind == 1 else start + span
            number = values[q + width - 1]
            if start >= end or end > _LAST:
                return -1
            if code >= 0 and not np.isnan(number):
                codes[n], starts[n], ends[n], reverse[n], numbers[n] = code, start, end, 2, number
                n += 1
        p += count * width
    return n if p == len(words) else -1
