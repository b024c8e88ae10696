"""Variants of VCF files as columns, some thousand records at a time.

A row is wrong when it has another number of columns than the ``#CHROM`` line, no chromosome, a position that is not a
whole number, a REF that is not letters of DNA, or an ALT that VCF does not know. Wrong rows are an error that names the
first one, or are left out and counted. Positions are 0-based from here on; a POS of 0 (the telomere) becomes -1.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome.errors import InputError
from regulome.genome import vcf_parser as parser
from regulome.genome.bytestream import GZIP, open_bytes
from regulome.genome.letters import CODE_OF
from regulome.genome.text import KEPT_ROWS, BadRows, read_pieces

#: Text is decompressed and parsed in pieces of about this many bytes.
PIECE = 1 << 22
#: Records of a chunk.
RECORDS = 8192
_COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LONGEST_HEADER = 1 << 26
#: The empty block that ends every file of bgzip.
_BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


@dataclass(frozen=True)
class Sites:
    """Some records of a VCF file, in file order; the text of every column is kept as it came.

    Attributes:
        text: uint8, the text in which the records lie.
        begins: int64 [n], where records begin in the text.
        ends: int64 [n, 9], where their first eight columns end, and the record itself.
        lines: int64 [n], line of the file, 1-based.
        positions: int64 [n], first base of REF, 0-based.
        names: Names of chromosomes, as the file has them.
        chromosomes: int32 [n], index into ``names``.
        wrong: Line and problem of every wrong row among these records, where wrong rows may be left out.
    """

    text: npt.NDArray[np.uint8]
    begins: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    lines: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    names: tuple[str, ...]
    chromosomes: npt.NDArray[np.int32]
    wrong: tuple[tuple[int, str], ...] = ()

    def __len__(self) -> int:
        return len(self.begins)

    def take(self, rows: Any) -> Sites:
        """Choose records by index, mask or slice."""
        begins, ends, lines, positions = self.begins[rows], self.ends[rows], self.lines[rows], self.positions[rows]
        return Sites(self.text, begins, ends, lines, positions, self.names, self.chromosomes[rows])

    def parts(self, size: int) -> Iterator[Sites]:
        """Cut the records into parts of at most ``size``."""
        for begin in range(0, len(self), size):
            yield self.take(slice(begin, begin + size))

    def column(self, number: int) -> list[str]:
        """Return the text of one of the first eight columns, counted from 0, of every record."""
        begins = self.begins if number == 0 else self.ends[:, number - 1] + 1
        return self._strings(begins, self.ends[:, number])

    def rest(self) -> list[str]:
        """Return what follows INFO in every record: nothing, or a tab and the genotypes."""
        return self._strings(self.ends[:, 7], self.ends[:, 8])

    def alleles(self) -> npt.NDArray[np.int64]:
        """List the alternative alleles.

        Returns:
            int64 [alleles, 5], in file order: record, number of the allele from 1, where it begins and ends in
            ``text``, and what it is (``LETTERS``, ``MISSING``, … of :mod:`regulome.genome.vcf_parser`).
        """
        found = np.empty((2 * len(self) + 16, 5), np.int64)
        count = parser.alternatives(self.text, self.ends, CODE_OF, found)
        if count > len(found):
            found = np.empty((count, 5), np.int64)
            parser.alternatives(self.text, self.ends, CODE_OF, found)
        return found[:count]

    def _strings(self, begins: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> list[str]:
        if not len(begins):
            return []
        first, last = int(begins.min()), int(ends.max())
        text = self.text[first:last].tobytes()
        pairs = zip((begins - first).tolist(), (ends - first).tolist(), strict=True)
        return [text[begin:end].decode() for begin, end in pairs]


class Variants:
    """A VCF file, to be iterated over as often as needed; make one with :func:`read_variants`.

    Attributes:
        path: The file.
        header: Its lines that begin with ``#``, without line ends; the last begins with ``#CHROM``.
        skip_invalid: Leave wrong rows out instead of refusing the file.
        invalid: The wrong rows of the latest iteration.
    """

    def __init__(self, path: str | os.PathLike[str], *, skip_invalid: bool = False) -> None:
        self.path = Path(path)
        self.skip_invalid = skip_invalid
        self.invalid = BadRows()
        self.header = _read_header(self.path)
        self.columns = len(self.header[-1].split("\t"))
        _check_end(self.path)

    def __iter__(self) -> Iterator[Sites]:
        """Iterate over the records in chunks.

        Raises:
            InputError: At the end of the file: it has wrong rows, and they may not be left out.
        """
        self.invalid = BadRows()
        codes: dict[int, int] = {}
        names: list[str] = []
        line = 0
        for piece in read_pieces(self.path, PIECE):
            text = np.frombuffer(piece, np.uint8)
            _check_letters(piece, text, line, self.path)
            begin = 3 if line == 0 and piece.startswith(_BYTE_ORDER_MARK) else 0
            while begin < len(text):
                begin, line, sites = self._split(text, begin, line, codes, names)
                if len(sites) or sites.wrong:
                    yield sites
        self.invalid.refuse(self.path, skip_invalid=self.skip_invalid)

    def _split(
        self, text: npt.NDArray[np.uint8], begin: int, line: int, codes: dict[int, int], names: list[str]
    ) -> tuple[int, int, Sites]:
        begins, lines, positions = (np.empty(RECORDS, np.int64) for _ in range(3))
        ends = np.zeros((RECORDS, parser.FIXED + 1), np.int64)
        hashes, reasons = np.empty(RECORDS, np.uint64), np.empty(RECORDS, np.uint8)
        out = (begins, ends, lines, positions, hashes, reasons)
        n, begin, line = parser.split(text, begin, len(text), line, self.columns, CODE_OF, *out)
        wrong: tuple[tuple[int, str], ...] = ()
        if reasons[:n].any():
            wrong = self._note(text, np.flatnonzero(reasons[:n]), begins, ends, lines, reasons)
        good = np.flatnonzero(reasons[:n] == 0)
        different, first, inverse = np.unique(hashes[good], return_index=True, return_inverse=True)
        known = np.empty(len(different), np.int32)
        for place in np.argsort(first).tolist():
            row = good[first[place]]
            value = int(different[place])
            if value not in codes:
                codes[value] = len(names)
                names.append(text[begins[row] : ends[row, 0]].tobytes().decode())
            known[place] = codes[value]
        rows = (begins[good], ends[good], lines[good], positions[good])
        return begin, line, Sites(text, *rows, tuple(names), known[inverse], wrong)

    def _note(
        self,
        text: npt.NDArray[np.uint8],
        rows: npt.NDArray[np.int64],
        begins: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
        lines: npt.NDArray[np.int64],
        reasons: npt.NDArray[np.uint8],
    ) -> tuple[tuple[int, str], ...]:
        # Where they are refused in the end, only the first few are told in words.
        told = rows if self.skip_invalid else rows[:KEPT_ROWS]
        problems = []
        for row in told.tolist():
            fields = text[begins[row] : ends[row, parser.FIXED]].tobytes().decode().split("\t")
            problems.append(_problem(int(reasons[row]), fields, self.columns))
        words = pl.Series(problems + [""] * (len(rows) - len(told)), dtype=pl.String)
        self.invalid.add(pl.Series(lines[rows]), words)
        return tuple(zip(lines[told].tolist(), problems, strict=True)) if self.skip_invalid else ()


def read_variants(path: str | os.PathLike[str], *, skip_invalid: bool = False) -> Variants:
    """Open a VCF file: plain, gzip or bgzip, sorted or not, with or without genotypes.

    Memory: some megabytes, whatever the size of the file. Nothing but the first eight columns is looked at.

    Args:
        path: The file.
        skip_invalid: Leave wrong rows out and count them instead of refusing the file.

    Returns:
        The variants; iterating gives :class:`Sites`, chunk by chunk.

    Raises:
        InputError: It is no VCF file, or is cut short. Wrong rows are an error at the end of an iteration.
    """
    return Variants(path, skip_invalid=skip_invalid)


def _read_header(path: Path) -> list[str]:
    with open_bytes(path) as stream:
        text = bytearray()
        block = bytearray(1 << 16)
        while (count := stream.readinto(memoryview(block))) and len(text) < _LONGEST_HEADER:
            text += block[:count]
            if text.startswith(b"BCF"):
                raise InputError("is BCF, expected VCF", file=path, cure="convert it: bcftools view -O z -o OUT.vcf.gz")
            if not text.removeprefix(_BYTE_ORDER_MARK).startswith(b"##fileformat=VCF"):
                cure = "its first line should be ##fileformat=VCFv4.2 or another version; name a VCF file"
                raise InputError("is not a VCF", file=path, record=1, cure=cure)
            start = text.find(b"\n#CHROM")
            stop = text.find(b"\n", start + 1) if start >= 0 else -1
            if stop >= 0 or (start >= 0 and count < len(block)):
                text = text[: stop if stop >= 0 else len(text)]
                break
    try:
        lines = text.decode("utf-8-sig").replace("\r\n", "\n").rstrip("\r").split("\n")
    except UnicodeDecodeError as error:
        cure = "save it as UTF-8; is it really a text file?"
        number = text.count(b"\n", 0, error.start) + 1
        raise InputError("is not UTF-8 text", file=path, record=number, cure=cure) from None
    for number, line in enumerate(lines[:-1], 1):
        if not line.startswith("##"):
            cure = "the line that names the columns must follow the lines that begin with ##"
            raise InputError("has no #CHROM line", file=path, record=number, cure=cure)
    columns = lines[-1].split("\t")
    if tuple(columns[:8]) != _COLUMNS:
        problem = f"the columns are not {' '.join(_COLUMNS)}, separated by tabs"
        if not lines[-1].startswith("#CHROM"):
            problem = "has no #CHROM line"
        raise InputError(problem, file=path, record=len(lines), cure="download it again, or mend its header")
    return lines


def _check_end(path: Path) -> None:
    """Refuse a file of bgzip that was cut between two blocks, where gzip alone cannot tell."""
    with path.open("rb") as raw:
        head = raw.read(16)
        if head[:4] != GZIP + b"\x08\x04" or head[12:14] != b"BC":
            return
        raw.seek(-len(_BGZIP_END), os.SEEK_END)
        if raw.read() != _BGZIP_END:
            problem = "bgzip ends early: the block that marks its end is missing"
            raise InputError(problem, file=path, cure="download or make it again")


def _check_letters(piece: bytes, text: npt.NDArray[np.uint8], line: int, path: Path) -> None:
    if text.max() < 128 and text.min() > 0:
        return
    if b"\0" in piece:
        number = line + piece.count(b"\n", 0, piece.index(b"\0")) + 1
        raise InputError("holds binary data, expected text", file=path, record=number, cure="name the right file")
    try:
        piece.decode()
    except UnicodeDecodeError as error:
        number = line + piece.count(b"\n", 0, error.start) + 1
        cure = "save it as UTF-8; is it really a text file?"
        raise InputError("is not UTF-8 text", file=path, record=number, cure=cure) from None


def _problem(reason: int, fields: list[str], columns: int) -> str:
    if reason == parser.WRONG_COLUMNS:
        few = f"has {len(fields)} column{'s' * (len(fields) != 1)}"
        return f"{few}, expected {columns} as in the #CHROM line, separated by tabs"
    if reason == parser.NO_CHROMOSOME:
        return "has no chromosome"
    if reason == parser.BAD_POSITION:
        return f"POS {_quoted(fields[1])} is not a whole number from 0 to 2^31 - 1"
    if reason == parser.BAD_REF:
        return f"REF {_quoted(fields[3])} is not letters of DNA"
    more = "; in VCF a deletion keeps the base before it: REF CA, ALT C" if "-" in fields[4].split(",") else ""
    return f"ALT {_quoted(fields[4])} is not letters of DNA, *, ., <NAME> or a breakend{more}"


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "…")
