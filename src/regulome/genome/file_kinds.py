"""What an input file is, by its name where that is telling, else by its content."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Literal

import polars as pl

from regulome.genome.bytestream import open_bytes
from regulome.genome.chromosomes import key
from regulome.genome.text import read_lines

Kind = Literal["genes", "expression", "reads", "alignments", "bigWig", "bedGraph", "peaks", "sizes"]

_SUFFIXES: dict[str, Kind] = {
    ".gtf": "genes", ".gff": "genes", ".gff3": "genes", ".bam": "alignments", ".bw": "bigWig", ".bigwig": "bigWig",
    ".bedgraph": "bedGraph", ".bdg": "bedGraph", ".bg": "bedGraph", ".narrowpeak": "peaks", ".broadpeak": "peaks",
    ".tagalign": "reads", ".sizes": "sizes", ".fai": "sizes",
}  # fmt: skip
_BIG_WIG_MAGIC = 0x888FFC26
_ENSEMBL = re.compile(r"^ENS[A-Z]*[0-9]{6,}")


def find_kind(path: Path) -> Kind:
    """Say what a file is: by its suffix where that is telling, else by its content.

    Raises:
        InputError: The file is missing, empty or damaged.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    if suffixes and suffixes[-1] in _SUFFIXES:
        return _SUFFIXES[suffixes[-1]]
    with open_bytes(path) as stream:
        head = bytearray(4)
        stream.readinto(memoryview(head))
    if bytes(head) == b"BAM\1":
        return "alignments"
    if is_big_wig(path):
        return "bigWig"
    lines = next((table["text"].head(1_000) for table in read_lines(path, 1 << 17) if table.height), pl.Series([""]))
    lines = lines.filter(~lines.str.contains(r"^(track|browser)\s"))
    rows = [line.split("\t") for line in lines.to_list()]
    first = rows[0] if rows else [""]
    if len(first) == 9 and first[3].isdigit() and first[4].isdigit():
        return "genes"
    if len(first) >= 3 and first[1].isdigit() and first[2].isdigit():
        return _row_kind(rows)
    names = [name.strip('"').lower() for name in re.split(r"[\t,;]", lines[0])] if len(lines) else []
    if {"chrom", "chr", "chromosome"} & set(names) and {"tss", "position", "pos", "start"} & set(names):
        return "genes"
    return "sizes" if len(first) == 2 and key(first[0]) in ("1", "2", "3") and first[1].isdigit() else "expression"


def _row_kind(rows: list[list[str]]) -> Kind:
    """Tell genes, reads, peaks and bedGraph apart by the first rows of a BED-like file."""
    first = rows[0]
    if len(first) >= 4 and _ENSEMBL.match(first[3]):
        return "genes"
    if len(first) == 4 and re.fullmatch(r"[-+0-9.eE]+", first[3]):
        return "bedGraph"
    stranded = all(len(row) == 6 and row[5] in ("+", "-") for row in rows)
    widths = (
        {row[2].isdigit() and row[1].isdigit() and int(row[2]) - int(row[1]) for row in rows} if stranded else set()
    )
    return "reads" if len(widths) == 1 else "peaks"


def is_big_wig(path: Path) -> bool:
    """Say whether a file begins as bigWig does, in either byte order."""
    with path.open("rb") as stream:
        head = stream.read(4)
    return len(head) == 4 and _BIG_WIG_MAGIC in (*struct.unpack("<I", head), *struct.unpack(">I", head))
