"""FASTA, plain or gzipped, read in one pass: one code per base, nothing between the bases.

Lines may end in LF or CRLF and have any length; blanks inside them are left out. A record's name is the first word
after ``>``. What letters mean is told in :mod:`regulome.genome.letters`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regulome.errors import InputError
from regulome.genome import fasta_scanner as scanner
from regulome.genome.bytestream import open_bytes, watched
from regulome.genome.letters import Codes, not_dna

#: Bytes of text that are scanned at a time.
_PIECE = 1 << 22
#: Wrong records of a file that are told one by one; the others are only counted.
KEPT_PROBLEMS = 20


@dataclass(frozen=True)
class Sequences:
    """Named sequences of any lengths, one after the other.

    Attributes:
        names: [n].
        codes: uint8 [all bases].
        offsets: int64 [n + 1]; sequence ``i`` is ``codes[offsets[i]:offsets[i + 1]]``.
    """

    names: list[str]
    codes: Codes
    offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """int64 [n]."""
        return np.diff(self.offsets)


class Fasta:
    """A FASTA file on its way through the scanner: iterate once, then ask for names and offsets.

    Args:
        path: The file.
        strict: Raise the first problem; otherwise keep going and collect them in ``problems``, with letters that are
            not DNA as unknown ones.

    Attributes:
        problems: What is wrong, when not strict: the first :data:`KEPT_PROBLEMS`.
        n_problems: How many there are: records with wrong letters, without letters, with a name seen before.
        n_letters: Letters so far.
    """

    def __init__(self, path: str | os.PathLike[str], *, strict: bool = True) -> None:
        self.path = path
        self.strict = strict
        self.problems: list[InputError] = []
        self.n_problems = 0
        self.n_letters = 0
        self._names = bytearray()
        self._begins: list[npt.NDArray[np.int64]] = []

    def __iter__(self) -> Iterator[Codes]:
        """Read the file.

        Yields:
            uint8 codes of the bases in the file's order, whatever record they are of. An array is overwritten by the
            next.

        Raises:
            InputError: The file is missing, empty or damaged; and, when strict, anything in it is not right.
        """
        text, codes = np.empty(_PIECE, dtype=np.uint8), np.empty(_PIECE, dtype=np.uint8)
        names, begins = np.empty(_PIECE + 1, dtype=np.uint8), np.empty(_PIECE // 2 + 1, dtype=np.int64)
        wrong = np.empty((KEPT_PROBLEMS, 4), dtype=np.int64)
        state = scanner.new_state()
        with open_bytes(self.path) as stream, watched(stream, f"reading {os.path.basename(self.path)}") as moved:  # noqa: PTH119
            while filled := stream.readinto(memoryview(text.data)):
                scanner.scan(text, filled, state, codes, names, begins, wrong)
                self._names += names[: state[scanner.NAMES]].tobytes()
                self._begins.append(begins[: state[scanner.BEGINS]] + self.n_letters)
                self._tell_wrong(state, wrong)
                n = int(state[scanner.CODES])
                self.n_letters += n
                if n:
                    yield codes[:n]
                moved()
        if state[scanner.MODE] in (scanner.BEFORE_NAME, scanner.NAME):
            self._names += b"\n"
        if not state[scanner.RECORDS]:
            cure = "name a FASTA file; an empty one may be a download that failed"
            self._refuse(InputError("has no record, no line begins with >", file=self.path, cure=cure))

    def _refuse(self, problem: InputError) -> None:
        if self.strict:
            raise problem
        self.n_problems += 1
        if len(self.problems) < KEPT_PROBLEMS:
            self.problems.append(problem)

    def _tell_wrong(self, state: npt.NDArray[np.int64], wrong: npt.NDArray[np.int64]) -> None:
        """Tell what the scanner found in one piece."""
        if state[scanner.STRAY_LINE] > 0:
            line, state[scanner.STRAY_LINE] = int(state[scanner.STRAY_LINE]), -1
            cure = "name a FASTA file, whose records begin with >"
            self._refuse(InputError("has text before the first >", file=self.path, record=line, cure=cure))
        for record, line, position, byte in wrong[: min(state[scanner.WRONG], KEPT_PROBLEMS)].tolist():
            error = not_dna(byte, position, line=line)
            name = self._names.split(b"\n", record + 1)[record].decode("utf-8", "replace")
            self._refuse(InputError(error.problem, file=self.path, record=name or None, cure=error.cure))
        self.n_problems += max(0, int(state[scanner.WRONG]) - KEPT_PROBLEMS)

    def finish(self) -> tuple[list[str], npt.NDArray[np.int64]]:
        """Give names and offsets of all records, after all pieces were read.

        Returns:
            Names, [n]; and int64 [n + 1], where each begins among all bases.

        Raises:
            InputError: A name is missing, repeated or no text, or a record has no sequence (when strict).
        """
        begins = np.concatenate([*self._begins, np.array([self.n_letters])])
        try:
            names = self._names.decode("utf-8").split("\n")[:-1]
        except UnicodeDecodeError as error:
            record = f"record {self._names.count(10, 0, error.start) + 1:,}"
            cure = "save it as UTF-8; is it really a text file?"
            self._refuse(InputError("its name is not UTF-8 text", file=self.path, record=record, cure=cure))
            names = self._names.decode("utf-8", "replace").split("\n")[:-1]
        seen: dict[str, int] = {}
        if len(set(names)) < len(names) or "" in names:
            for i, name in enumerate(names):
                if not name:
                    cure = "write a name after >"
                    self._refuse(InputError("has no name", file=self.path, record=f"record {i + 1:,}", cure=cure))
                elif name in seen:
                    cure = "give each record a name of its own"
                    problem = f"the name is used twice, by record {seen[name]:,} and again by record {i + 1:,}"
                    self._refuse(InputError(problem, file=self.path, record=name, cure=cure))
                seen.setdefault(name, i + 1)
        for i in np.flatnonzero(begins[1:] == begins[:-1]).tolist():
            cure = "take the record out, or download the file again"
            self._refuse(InputError("has no sequence", file=self.path, record=names[i] or None, cure=cure))
        return names, begins


def read_sequences(path: str | os.PathLike[str]) -> Sequences:
    """Read a FASTA file of many short sequences into memory, one byte per base.

    Args:
        path: FASTA, plain or gzipped.

    Returns:
        Names, codes and offsets, in the file's order.

    Raises:
        InputError: The file is missing, empty, cut short or not FASTA; a record has no name or no sequence, a name is
            used twice, or a letter is not DNA.
    """
    fasta = Fasta(path)
    letters = bytearray()
    for codes in fasta:
        letters += codes.data
    names, offsets = fasta.finish()
    return Sequences(names, np.frombuffer(letters, dtype=np.uint8), offsets)


def stale_index(path: str | os.PathLike[str], lengths: dict[str, int]) -> str | None:
    """Say what is wrong with the ``.fai`` beside a FASTA file; None where there is none or it agrees.

    Regulome needs no such index and uses none, but other tools would read wrong sequences with it.

    Args:
        path: The FASTA file.
        lengths: Name → length of its records.
    """
    index = os.fspath(path) + ".fai"
    try:
        with open(index, encoding="utf-8") as stream:  # noqa: PTH123
            rows = [line.split("\t")[:2] for line in stream if line.strip()]
        older = os.stat(index).st_mtime < os.stat(path).st_mtime - 1  # noqa: PTH116
    except (OSError, UnicodeDecodeError):
        return None
    short = os.path.basename(index)  # noqa: PTH119
    if rows != [[name, str(length)] for name, length in lengths.items()]:
        return f"its index {short} contradicts it and was not used"
    return f"its index {short} is older than it and was not used" if older else None
