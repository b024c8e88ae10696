"""What an input file is, by its name where that is telling, else by its content."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from regulome.genome.bytestream import open_bytes
from regulome.genome.chromosomes import key
from regulome.genome.rows import first_rows
from regulome.genome.signals import detect_kind
from regulome.genome.tracks import is_bigwig
from regulome.genome.twobit import is_two_bit

Kind = Literal[
    "genes", "expression", "reads", "alignments", "bigWig", "bedGraph", "peaks", "sizes", "FASTA", "2bit", "variants",
    "features", "contacts",
]  # fmt: skip

_SUFFIXES: dict[str, Kind] = {
    ".gtf": "genes", ".gff": "genes", ".gff3": "genes", ".bam": "alignments", ".bw": "bigWig", ".bigwig": "bigWig",
    ".bedgraph": "bedGraph", ".bdg": "bedGraph", ".bg": "bedGraph", ".narrowpeak": "peaks", ".broadpeak": "peaks",
    ".tagalign": "reads", ".sizes": "sizes", ".fai": "sizes", ".2bit": "2bit",
    ".bedpe": "contacts", ".pickle": "contacts", ".pkl": "contacts",
    ".vcf": "variants", ".bcf": "variants",
    ".fa": "FASTA", ".fasta": "FASTA", ".fna": "FASTA", ".fas": "FASTA",
}  # fmt: skip
_CONVERT = (".sam", ".cram", ".wig", ".bb", ".bigbed")
_ENSEMBL = re.compile(r"^ENS[A-Z]*[0-9]{6,}")


def find_kind(path: Path) -> Kind:
    """Say what a file is: by its suffix where that is telling, else by its content.

    Raises:
        InputError: The file is missing, empty or damaged.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in (".gz", ".bgz")]
    if suffixes and suffixes[-1] in _SUFFIXES:
        return _SUFFIXES[suffixes[-1]]
    if suffixes and suffixes[-1] in _CONVERT:
        detect_kind(path)  # says how to convert it
    with open_bytes(path) as stream:
        head = bytearray(4)
        stream.readinto(memoryview(head))
    if bytes(head) == b"BAM\1":
        return "alignments"
    if is_bigwig(path):
        return "bigWig"
    if is_two_bit(path):
        return "2bit"
    if head[:1] == b">":
        return "FASTA"
    if head == b"##fi" or head[:3] == b"BCF":
        return "variants"
    rows = first_rows(path, 1)
    first = rows[0]
    if _is_pair(first):
        return "contacts"
    if len(first) == 9 and first[3].isdigit() and first[4].isdigit():
        return "genes"
    if len(first) >= 3 and first[1].isdigit() and first[2].isdigit():
        if len(first) >= 4 and _ENSEMBL.match(first[3]):
            return "genes"
        return "reads" if detect_kind(path) == "reads" else "peaks"
    names = {name.strip('"').lower() for name in re.split(r"[\t,;]", "\t".join(first))}
    if {"chrom", "chr", "chromosome"} & names and {"tss", "position", "pos", "start"} & names:
        return "genes"
    if "name" in names and {"cell", "assay", "treatment", "group"} & names:
        return "features"
    return "sizes" if len(first) == 2 and key(first[0]) in ("1", "2", "3") and first[1].isdigit() else "expression"


def _is_pair(first: list[str]) -> bool:
    """Whether a first row is two places, or the header of such rows."""
    names = {name.strip('"#').lower() for name in re.split(r"[\t,; ]", "\t".join(first))}
    places = [first[i].isdigit() for i in (1, 2, 4, 5)] if len(first) >= 7 else [False]
    return all(places) or {"chrom1", "start1", "chrom2", "start2"} <= names
