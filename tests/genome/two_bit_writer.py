"""Writes 2bit files in every dialect, after UCSC's description of the format."""

import struct
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path


def _runs(flags: list[bool]) -> list[tuple[int, int]]:
    runs, at = [], 0
    for flag, group in groupby(flags):
        size = len(list(group))
        if flag:
            runs.append((at, size))
        at += size
    return runs


def write_two_bit(path: Path, sequences: Mapping[str, str], *, order: str = "<", version: int = 0) -> Path:
    """Write ``sequences`` of ACGTN in either case."""
    offset = "Q" if version else "I"
    index_size = sum(1 + len(name.encode()) + struct.calcsize("<" + offset) for name in sequences)
    index, body = b"", b""
    for name, text in sequences.items():
        index += bytes([len(name.encode())]) + name.encode() + struct.pack(order + offset, 16 + index_size + len(body))
        body += struct.pack(order + "I", len(text))
        for flags in ([c in "Nn" for c in text], [c.islower() for c in text]):
            runs = _runs(flags)
            numbers = [len(runs), *(begin for begin, _ in runs), *(size for _, size in runs)]
            body += struct.pack(f"{order}{len(numbers)}I", *numbers)
        body += struct.pack(order + "I", 0)
        bases = ["TCAG".index(c) if c in "TCAG" else 0 for c in text.upper()]
        bases += [0] * (-len(bases) % 4)
        body += bytes(a << 6 | b << 4 | c << 2 | d for a, b, c, d in zip(*[iter(bases)] * 4, strict=True))
    path.write_bytes(struct.pack(order + "4I", 0x1A412743, version, len(sequences), 0) + index + body)
    return path
