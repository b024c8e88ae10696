"""2bit: UCSC's file of packed sequences, read from a memory map.

The format is described in UCSC's FAQ of data formats: a header, an index of names and offsets, then for each sequence
its length, blocks of N, blocks of lower case (left alone here) and two bits per base: T = 0, C = 1, A = 2, G = 3, the
first base in the highest bits of a byte. Either byte order; version 1 has offsets of 64 bits.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from regulome.errors import InputError
from regulome.genome.letters import UNKNOWN, Codes
from regulome.progress import progress
from regulome.storage import existing_file

_SIGNATURE = 0x1A412743
#: Bases that are decoded at a time; a multiple of four.
_PIECE = 1 << 22
_CURE = "download or make it again"


def is_two_bit(path: str | os.PathLike[str]) -> bool:
    """Say whether a file begins as 2bit files do."""
    with existing_file(path).open("rb") as stream:
        head = stream.read(4)
    return head in (struct.pack("<I", _SIGNATURE), struct.pack(">I", _SIGNATURE))


@dataclass(frozen=True)
class _Record:
    """Where a sequence lies in the file: its bases, where its runs of N begin, and how long they are."""

    length: int
    bases_at: int
    n_begins: npt.NDArray[np.int64]
    n_sizes: npt.NDArray[np.int64]


class TwoBit:
    """An open 2bit file; its bases are read when they are asked for.

    Args:
        path: The file.

    Attributes:
        names: Sequences in the file's order.
        lengths: Name → bases.

    Raises:
        InputError: It is no 2bit file, cut short or damaged; a name is used twice or a sequence is empty.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = existing_file(path)
        if not is_two_bit(self.path):
            cure = "name it after its format, or convert it with faToTwoBit"
            raise InputError("is not 2bit: its first bytes are not those of one", file=self.path, cure=cure)
        with self.path.open("rb") as stream:
            self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        self._bytes = np.frombuffer(self._map, dtype=np.uint8)
        self._order = "<" if self._map[:4] == struct.pack("<I", _SIGNATURE) else ">"
        self._records: dict[str, _Record] = {}
        for name, offset in self._index():
            if name in self._records:
                cure = "give each sequence a name of its own"
                raise InputError("the name is used twice", file=self.path, record=name, cure=cure)
            self._records[name] = self._record(name, offset)
        self.names = tuple(self._records)
        self.lengths = {name: record.length for name, record in self._records.items()}

    def _short(self, record: str | None = None) -> InputError:
        return InputError("2bit is damaged or ends early", file=self.path, record=record, cure=_CURE)

    def _numbers(self, at: int, n: int, kind: str = "I", record: str | None = None) -> npt.NDArray[np.int64]:
        size = n * struct.calcsize("<" + kind)
        if n < 0 or at < 0 or at + size > len(self._map):
            raise self._short(record)
        return np.frombuffer(self._map, dtype=f"{self._order}{kind}", count=n, offset=at).astype(np.int64)

    def _index(self) -> Iterator[tuple[str, int]]:
        """Read names, and where their sequences begin."""
        version, n = self._numbers(4, 2).tolist()
        if version > 1:
            cure = "make it with a present faToTwoBit, or give FASTA"
            raise InputError(f"is 2bit of version {version}, known are 0 and 1", file=self.path, cure=cure)
        if not n:
            raise InputError("has no sequence", file=self.path, cure=_CURE)
        kind, at = ("Q", 16) if version else ("I", 16)
        for i in range(n):
            size = self._map[at] if at < len(self._map) else 0
            try:
                name = self._map[at + 1 : at + 1 + size].decode("utf-8")
            except UnicodeDecodeError as error:
                record = f"record {i + 1:,}"
                raise InputError("its name is not UTF-8 text", file=self.path, record=record, cure=_CURE) from error
            offset = int(self._numbers(at + 1 + size, 1, kind)[0])
            if not name:
                raise InputError("has no name", file=self.path, record=f"record {i + 1:,}", cure=_CURE)
            yield name, offset
            at += 1 + size + struct.calcsize("<" + kind)

    def _record(self, name: str, at: int) -> _Record:
        length, n_runs = self._numbers(at, 2, record=name).tolist()
        if not length:
            raise InputError("has no sequence", file=self.path, record=name, cure="take it out, or make the file again")
        begins = self._numbers(at + 8, n_runs, record=name)
        sizes = self._numbers(at + 8 + 4 * n_runs, n_runs, record=name)
        at += 8 + 8 * n_runs
        masked = int(self._numbers(at, 1, record=name)[0])
        bases_at = at + 4 + 8 * masked + 4
        if bases_at + (length + 3) // 4 > len(self._map) or (begins + sizes > length).any():
            raise self._short(name)
        return _Record(length, bases_at, begins, sizes)

    def codes(self, name: str, start: int = 0, end: int | None = None) -> Codes:
        """Decode a stretch of a sequence.

        Args:
            name: As the file spells it.
            start: First base, from 0.
            end: One past the last base; None = the sequence's end.

        Returns:
            uint8 [end - start], as in :mod:`regulome.genome.letters`.
        """
        record = self._records[name]
        end = record.length if end is None else end
        if not 0 <= start <= end <= record.length:
            raise ValueError(f"bases {start} to {end} of {record.length}")
        codes = np.empty(end - start, dtype=np.uint8)
        _decode(self._bytes, record.bases_at, start, codes)
        for i in np.flatnonzero((record.n_begins < end) & (record.n_begins + record.n_sizes > start)).tolist():
            begin = int(record.n_begins[i])
            codes[max(begin - start, 0) : begin + int(record.n_sizes[i]) - start] = UNKNOWN
        return codes

    def __iter__(self) -> Iterator[Codes]:
        """Decode everything, in pieces of bounded size.

        Yields:
            uint8 codes in the file's order, whatever sequence they are of.
        """
        with progress(f"reading {self.path.name}", sum(self.lengths.values()), "bases") as advance:
            for name, length in self.lengths.items():
                for start in range(0, length, _PIECE):
                    codes = self.codes(name, start, min(start + _PIECE, length))
                    yield codes
                    advance(len(codes))

    def finish(self) -> tuple[list[str], npt.NDArray[np.int64]]:
        """Give names, and int64 [n + 1], where each begins among all bases."""
        return list(self.names), np.concatenate([[0], np.cumsum(list(self.lengths.values()))]).astype(np.int64)


@njit(cache=True, nogil=True)
def _decode(packed: Any, at: Any, start: Any, codes: Any) -> None:
    for i in range(len(codes)):
        base = start + i
        two = (packed[at + (base >> 2)] >> np.uint8(6 - 2 * (base & 3))) & np.uint8(3)
        # T C A G → A C G T: 0 1 2 3 → 3 1 0 2.
        codes[i] = (np.uint8(0b10000111) >> np.uint8(2 * two)) & np.uint8(3)
