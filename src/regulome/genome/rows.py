"""Rows of BED-like text (BED, tagAlign, narrowPeak, broadPeak, bedGraph) as columns, block by block.

One policy for all of them: header lines (``track``, ``browser``, ``#``) and blank lines are passed over; a row that is
wrong is an error that names the first one with its line and counts the rest, or, with ``skip_invalid``, left out and
counted. Wrong are: fewer than three columns or another number of them than the first row has; a start or end that is
not a whole number; a start that is not before its end; an end beyond the chromosome, where sizes are known; text in a
number column; a strand that is not ``+`` or ``-``, where strands are needed; a chromosome that cannot exist (see
:class:`regulome.genome.chromosomes.Names`). Columns that nobody asked for are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from regulome.errors import InputError
from regulome.genome import row_parser as parser
from regulome.genome.bytestream import open_bytes, watched
from regulome.genome.chromosomes import Names

#: Bytes of text that are parsed at a time: with its columns about what a core's cache holds.
BLOCK = 1 << 19
_LONGEST_LINE = 1 << 24
#: Rows parsed at a time: the shortest row, ``a 0 1`` and a newline, has 6 bytes.
_ROWS = BLOCK // 6 + 1


@dataclass
class Block:
    """Some rows that lie on chromosomes with windows, in file order, as columns (views that the next block overwrites).

    Attributes:
        codes: int32, code of the chromosome among the wanted ones.
        starts: int32, 0-based.
        ends: int32, exclusive.
        reverse: uint8, 0 for strand ``+``, 1 for ``-``, 2 where it is neither or was not read.
        values: float64; 1 where no value column was asked for.
    """

    codes: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    reverse: npt.NDArray[np.uint8]
    values: npt.NDArray[np.float64]


@dataclass
class Tally:
    """What was found in a file.

    Attributes:
        records: Valid rows, also those on chromosomes without windows.
        skipped: Invalid rows.
        first_skipped: The first invalid row: its line (or record) and what is wrong with it.
        rows: int64, rows on each of the wanted chromosomes.
        filtered: Records that are valid and were left out by a filter, by reason (BAM only).
    """

    rows: npt.NDArray[np.int64]
    records: int = 0
    skipped: int = 0
    first_skipped: tuple[int | str, str] | None = None
    filtered: dict[str, int] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """Return what a dataset remembers of the file's records."""
        first = self.first_skipped
        where = "" if first is None else f"line {first[0]}" if isinstance(first[0], int) else first[0]
        record: dict[str, Any] = {
            "n_records": self.records,
            "n_skipped": self.skipped,
            "first_skipped": None if first is None else f"{where}: {first[1]}",
        }
        return record | ({"filtered": dict(self.filtered)} if self.filtered else {})

    def refuse(self, file: str | PathLike[str]) -> None:
        """Raise the error for the invalid rows, if there are any."""
        if self.first_skipped is None:
            return
        line, problem = self.first_skipped
        more = self.skipped - 1
        rest = f"; {more:,} more invalid row{'s' * (more > 1)}" if more else ""
        raise InputError(
            problem + rest, file=file, record=line, cure="mend the rows, or leave them out: --skip-invalid"
        )


class Rows:
    """A file of BED-like rows, to be iterated over once.

    Args:
        path: The file, plain or gzip, in any order.
        names: What its chromosome names mean.
        strand: Read the strand (column 6) and refuse rows without one.
        value: Column (from 1) of the value to read, or 0 for none.
        skip_invalid: Leave invalid rows out instead of refusing the file.
        description: What the progress bar says.

    Raises:
        InputError: While iterating: the file cannot be read, or at its end: it has no rows, or invalid ones.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        names: Names,
        *,
        strand: bool = False,
        value: int = 0,
        skip_invalid: bool = False,
        description: str | None = None,
    ) -> None:
        self.path = Path(path)
        self.names = names
        self.skip_invalid = skip_invalid
        self.tally = Tally(np.zeros(len(names.wanted), dtype=np.int64))
        self._description = description or f"reading {self.path.name}"
        self._state = np.zeros(parser.STATE, dtype=np.int64)
        self._state[parser.STRAND_COLUMN] = 6 if strand else 0
        self._state[parser.VALUE_COLUMN] = value
        self._table = _NameTable()
        whole = (np.empty(_ROWS, dtype=np.int32) for _ in range(3))
        self._columns: tuple[Any, ...] = (*whole, np.empty(_ROWS, dtype=np.uint8), np.empty(_ROWS, dtype=np.float64))

    def __iter__(self) -> Iterator[Block]:
        with open_bytes(self.path) as stream, watched(stream, self._description) as advance:
            buffer = np.empty(BLOCK, dtype=np.uint8)
            kept, first = 0, True
            while True:
                count = stream.readinto(buffer.data[kept:-1])
                filled, last = kept + count, count < len(buffer) - 1 - kept
                if first and count:
                    _check_text(buffer[:filled], self.path)
                    first = False
                if last and filled and buffer[filled - 1] != parser.NEWLINE:
                    buffer[filled] = parser.NEWLINE
                    filled += 1
                stop = parser.after_last_newline(buffer, filled)
                yield from self._parse(buffer, stop)
                advance()
                if last:
                    break
                kept = filled - stop
                if stop == 0:
                    buffer = self._grown(buffer)
                else:
                    buffer[:kept] = buffer[stop:filled]
        self._finish()

    def _grown(self, buffer: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        if len(buffer) >= _LONGEST_LINE:
            line = int(self._state[parser.LINE]) + 1
            raise InputError("line is too long for a table", file=self.path, record=line, cure="name a text file")
        larger = np.empty(2 * len(buffer), dtype=np.uint8)
        larger[: len(buffer) - 1] = buffer[:-1]
        return larger

    def _parse(self, buffer: npt.NDArray[np.uint8], stop: int) -> Iterator[Block]:
        begin = parser.after_byte_order_mark(buffer, stop) if self._state[parser.LINE] == 0 else 0
        while begin < stop:
            begin = parser.parse(buffer, begin, stop, self._state, self.tally.rows, *self._table.arrays, *self._columns)
            if self.tally.first_skipped is None and self._state[parser.INVALID]:
                self.tally.first_skipped = self._explain(buffer)
            if self._state[parser.NEW_NAME_END] >= 0:
                self._learn(buffer[begin : self._state[parser.NEW_NAME_END]].tobytes())
            elif begin < stop or self._state[parser.FILLED]:
                n = int(self._state[parser.FILLED])
                self._state[parser.FILLED] = 0
                yield Block(*(column[:n] for column in self._columns))

    def _learn(self, spelled: bytes) -> None:
        name = spelled.decode("utf-8", errors="replace")
        code = self.names.resolve(name)
        limit = self.names.limit(name)
        self._table.add(spelled, code, np.iinfo(np.int32).max if limit is None else limit)

    def _explain(self, buffer: npt.NDArray[np.uint8]) -> tuple[int, str]:
        state = self._state
        text = buffer[state[parser.FIRST_BEGIN] : state[parser.FIRST_END]].tobytes().decode("utf-8", errors="replace")
        fields = text.rstrip("\r\n").split("\t" if state[parser.SPACES] == 0 else None)
        return int(state[parser.FIRST_LINE]), self._problem(int(state[parser.FIRST_REASON]), fields)

    def _problem(self, reason: int, fields: list[str]) -> str:
        columns = int(self._state[parser.COLUMNS])
        if reason == parser.WRONG_COLUMNS:
            least = max(3, *self._state[[parser.STRAND_COLUMN, parser.VALUE_COLUMN]].tolist())
            expected = f"{columns} as in the first row" if columns else f"at least {least}, separated by tabs"
            return f"has {len(fields)} column{'s' * (len(fields) != 1)}, expected {expected}"
        chrom, start, end = fields[:3]
        column = int(self._state[parser.VALUE_COLUMN])
        return {
            parser.BAD_START: lambda: f"start {_quoted(start)} is not a whole number from 0 to 2^31 - 1",
            parser.BAD_END: lambda: f"end {_quoted(end)} is not a whole number from 0 to 2^31 - 1",
            parser.EMPTY: lambda: f"start {start} is not before end {end}",
            parser.BEYOND: lambda: (
                f"end {end} is beyond the end of {chrom} at {self.names.limit(chrom)}; another assembly?"
            ),
            parser.BAD_VALUE: lambda: f"value {_quoted(fields[column - 1])} in column {column} is not a number",
            parser.BAD_STRAND: lambda: f"strand {_quoted(fields[5])} in column 6 is not + or -",
            parser.UNKNOWN_NAME: lambda: self.names.why_unknown(chrom),
        }[reason]()

    def _finish(self) -> None:
        self.tally.records = int(self._state[parser.VALID])
        self.tally.skipped = int(self._state[parser.INVALID])
        if not self.skip_invalid:
            self.tally.refuse(self.path)
        if self.tally.records == 0:
            problem = "has no valid row" if self.tally.skipped else "has no rows"
            raise InputError(problem, file=self.path, cure="make or download it again")


class _NameTable:
    """Hash of a chromosome name → its code and length, for the parser; grows with the names of the file."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, int, int]] = []
        self._make(64)

    def _make(self, size: int) -> None:
        self.hashes = np.zeros(size, dtype=np.uint64)
        self.codes = np.zeros(size, dtype=np.int32)
        self.limits = np.zeros(size, dtype=np.int64)
        for entry in self._entries:
            self._put(*entry)

    def _put(self, value: int, code: int, limit: int) -> None:
        slot = value & (len(self.hashes) - 1)
        while self.hashes[slot]:
            slot = (slot + 1) & (len(self.hashes) - 1)
        self.hashes[slot], self.codes[slot], self.limits[slot] = value, code, limit

    def add(self, name: bytes, code: int, limit: int) -> None:
        entry = (parser.hash_name(name), code, limit)
        self._entries.append(entry)
        if 2 * len(self._entries) > len(self.hashes):
            self._make(2 * len(self.hashes))
        else:
            self._put(*entry)

    @property
    def arrays(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
        return self.hashes, self.codes, self.limits


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "…")


def _check_text(block: npt.NDArray[np.uint8], path: Path) -> None:
    if not block[: 1 << 16].all():
        raise InputError("holds binary data, expected text", file=path, cure="name the right file")


def first_rows(path: str | PathLike[str], count: int) -> list[list[str]]:
    """Return the columns of the first rows of a file, header lines left out, to tell what kind of file it is.

    Args:
        path: The file, plain or gzip.
        count: At most so many rows.

    Raises:
        InputError: The file cannot be read, is not text, or has no rows.
    """
    with open_bytes(path) as stream:
        buffer = np.empty(1 << 18, dtype=np.uint8)
        filled = stream.readinto(buffer.data)
    _check_text(buffer[:filled], Path(path))
    lines = buffer[:filled].tobytes().decode("utf-8-sig", errors="replace").split("\n")
    # Where the file goes on, the last line is cut.
    lines = lines[:-1] if filled == len(buffer) else lines
    rows = [line.rstrip("\r") for line in lines if line.strip() and not line.startswith(("#", "track ", "browser "))]
    if not rows:
        raise InputError("has no rows", file=path, cure="make or download it again")
    separator = "\t" if "\t" in rows[0] else None
    return [row.split(separator) for row in rows[:count]]
