"""Alignments of a BAM file as blocks of intervals, in one pass, in any order, without an index.

BAM is gzip members (BGZF) around binary records (SAM specification, section 4.2), so the same decompression and the
same counting serve as for text; no object is made for a read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from regulome.errors import InputError
from regulome.genome.bytestream import ByteStream, open_bytes, watched
from regulome.genome.chromosomes import ELSEWHERE, Names, key
from regulome.genome.rows import Block, Tally
from regulome.storage import existing_file

#: The empty BGZF block that ends every complete BAM file (SAM specification, section 4.1.2).
_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_BLOCK = 1 << 20
#: A record has 36 bytes before its name, which has at least one.
_SHORTEST = 37

UNMAPPED, SECONDARY, FAILED, DUPLICATE, SUPPLEMENTARY = 0x4, 0x100, 0x200, 0x400, 0x800
_REASONS = ("unmapped", "failed quality control", "duplicate", "low mapping quality", "secondary or supplementary")


class Alignments:
    """The alignments of a BAM file that pass the filters, to be iterated over once.

    An alignment spans its reference bases, introns and deletions included (``bedtools multicov`` without ``-split``).

    | left out | here | ``bedtools multicov`` |
    |---|---|---|
    | unmapped | always | if without a position |
    | failed quality control (0x200) | always | by default |
    | duplicate (0x400) | unless ``keep_duplicates`` | by default |
    | secondary (0x100), supplementary (0x800) | unless ``keep_secondary`` | never |
    | mapping quality below ``min_mapq`` | yes | yes |

    Args:
        path: The file; sorted or not, with or without index.
        names: What its chromosome names mean.
        min_mapq: Least mapping quality.
        keep_duplicates: Count reads that are marked as duplicates.
        keep_secondary: Count secondary and supplementary alignments.
        skip_invalid: Leave out alignments that pass the chromosome's end instead of refusing the file.
        description: What the progress bar says.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        names: Names,
        *,
        min_mapq: int = 0,
        keep_duplicates: bool = False,
        keep_secondary: bool = True,
        skip_invalid: bool = False,
        description: str | None = None,
    ) -> None:
        self.path = Path(path)
        self.names = names
        self.skip_invalid = skip_invalid
        self.tally = Tally(np.zeros(len(names.wanted), dtype=np.int64))
        self._min_mapq = min_mapq
        self._dropped = (0 if keep_duplicates else DUPLICATE) | (0 if keep_secondary else SECONDARY | SUPPLEMENTARY)
        self._description = description or f"reading {self.path.name}"

    def __iter__(self) -> Iterator[Block]:
        check_complete(self.path)
        with open_bytes(self.path) as stream, watched(stream, self._description) as advance:
            sizes = read_header(stream)
            codes_of, limits = self._resolve(sizes)
            state = np.zeros(8, dtype=np.int64)  # records, invalid, filtered by reason
            buffer, kept = np.empty(_BLOCK, dtype=np.uint8), 0
            while count := stream.readinto(buffer[kept:].data):
                filled = kept + count
                columns = _columns(len(buffer) // _SHORTEST + 1)
                used, n = _decode(
                    buffer, filled, codes_of, limits, self._min_mapq, self._dropped, state, self.tally.rows, *columns
                )
                if used < 0:
                    raise InputError(
                        "is damaged", file=self.path, record=f"alignment {state[0] + 1}", cure="make it again"
                    )
                if state[1] and self.tally.first_skipped is None:
                    problem = "ends beyond its chromosome; another assembly?"
                    self.tally.first_skipped = (f"alignment {state[7]}", problem)
                yield Block(*(column[:n] for column in columns))
                advance()
                kept = filled - used
                buffer = _moved(buffer, used, filled)
            if kept:
                raise InputError("ends in the middle of an alignment", file=self.path, cure="download or make it again")
        self._finish(state)

    def _resolve(self, sizes: dict[str, int]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        exact = set(sizes) & set(self.names.wanted)
        taken = {key(name) for name in exact}
        codes = [ELSEWHERE if name not in exact and key(name) in taken else self.names.resolve(name) for name in sizes]
        limits = [self.names.limit(name) or size for name, size in sizes.items()]
        # A header may name chromosomes that the windows lack; that alone makes no alignment wrong.
        return np.maximum(np.array(codes, dtype=np.int32), ELSEWHERE), np.array(limits, dtype=np.int64)

    def _finish(self, state: npt.NDArray[np.int64]) -> None:
        self.tally.skipped = int(state[1])
        self.tally.records = int(state[0] - state[1:7].sum())
        self.tally.filtered = {reason: int(n) for reason, n in zip(_REASONS, state[2:7], strict=True) if n}
        if not self.skip_invalid:
            self.tally.refuse(self.path)
        if state[0] == 0:
            raise InputError("has no alignments", file=self.path, cure="make or download it again")


def check_complete(path: str | PathLike[str]) -> None:
    """Refuse a BAM file that lacks the mark at its end: it was cut at a block's border.

    Raises:
        InputError: It is not BAM, or cut short.
    """
    with existing_file(path).open("rb") as raw:
        if raw.read(2) != _END[:2]:
            raise InputError("is not BAM", file=path, cure="name it after its format, or convert it with samtools")
        raw.seek(0, 2)
        raw.seek(max(0, raw.tell() - len(_END)))
        if raw.read() != _END:
            raise InputError("BAM ends early", file=path, cure="download or make it again")


def read_header(stream: ByteStream) -> dict[str, int]:
    """Read a BAM header and return chromosome → length, in the file's order.

    Raises:
        InputError: It is not a BAM header.
    """

    def take(size: int) -> bytes:
        data = bytearray(size)
        if stream.readinto(memoryview(data)) < size:
            raise InputError("BAM ends in its header", file=stream.path, cure="download or make it again")
        return bytes(data)

    def number() -> int:
        value: int = struct.unpack("<i", take(4))[0]
        return value

    if take(4) != b"BAM\1":
        raise InputError("is not BAM", file=stream.path, cure="name it after its format, or convert it with samtools")
    take(number())
    sizes = {}
    for _ in range(number()):
        name = take(number())[:-1].decode("utf-8", errors="replace")
        sizes[name] = number()
    return sizes


def chromosome_sizes(path: str | PathLike[str]) -> dict[str, int]:
    """Return chromosome → length in bases from a BAM file's header."""
    check_complete(path)
    with open_bytes(path) as stream:
        return read_header(stream)


def _columns(size: int) -> tuple[npt.NDArray[Any], ...]:
    whole = (np.empty(size, dtype=np.int32) for _ in range(3))
    return (*whole, np.empty(size, dtype=np.uint8), np.ones(size))


def _moved(buffer: npt.NDArray[np.uint8], used: int, filled: int) -> npt.NDArray[np.uint8]:
    """Move what is left to the front; where not one record fitted, into a larger buffer."""
    larger = buffer if used else np.empty(2 * len(buffer), dtype=np.uint8)
    larger[: filled - used] = buffer[used:filled]
    return larger


@njit(cache=True, nogil=True)
def _integer(buffer: Any, p: Any) -> Any:
    value = np.uint32(buffer[p]) | np.uint32(buffer[p + 1]) << np.uint32(8)
    value |= np.uint32(buffer[p + 2]) << np.uint32(16) | np.uint32(buffer[p + 3]) << np.uint32(24)
    return np.int64(np.int32(value))


@njit(cache=True, nogil=True)
def _decode(
    buffer: Any, filled: Any, codes_of: Any, limits: Any, min_mapq: Any, dropped: Any, state: Any, rows: Any,
    codes: Any, starts: Any, ends: Any, reverse: Any, values: Any,
) -> Any:  # fmt: skip
    """Decode whole records; return the bytes used (-1 where they make no sense) and the alignments kept."""
    p, n = 0, 0
    while p + 36 <= filled and n < len(codes):
        size = _integer(buffer, p) + 4
        reference, start = _integer(buffer, p + 4), _integer(buffer, p + 8)
        operations = np.int64(buffer[p + 16]) | np.int64(buffer[p + 17]) << 8
        flag = np.int64(buffer[p + 18]) | np.int64(buffer[p + 19]) << 8
        cigar = p + 36 + np.int64(buffer[p + 12])
        if (
            size < 36
            or size > 1 << 28
            or reference >= len(codes_of)
            or reference < -1
            or cigar + 4 * operations > p + size
        ):
            return -1, n
        if p + size > filled:
            break
        quality = np.int64(buffer[p + 13])
        p += size
        state[0] += 1
        if flag & UNMAPPED or reference < 0 or start < 0:
            state[2] += 1
            continue
        if flag & FAILED:
            state[3] += 1
            continue
        if flag & dropped & DUPLICATE:
            state[4] += 1
            continue
        if flag & dropped:
            state[6] += 1
            continue
        if quality < min_mapq:
            state[5] += 1
            continue
        end = start
        for i in range(operations):
            operation = _integer(buffer, cigar + 4 * i) & 0xFFFFFFFF
            kind = operation & 15
            if kind == 0 or kind == 2 or kind == 3 or kind == 7 or kind == 8:  # M D N = X
                end += operation >> 4
        if end == start:
            end += 1
        if end > limits[reference]:
            if state[1] == 0:
                state[7] = state[0]
            state[1] += 1
            continue
        code = codes_of[reference]
        if code >= 0:
            codes[n], starts[n], ends[n] = code, start, end
            reverse[n] = 1 if flag & 16 else 0
            rows[code] += 1
            n += 1
    return p, n
