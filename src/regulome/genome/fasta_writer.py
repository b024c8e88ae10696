"""Write FASTA, a record at a time."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from regulome.genome.letters import UNKNOWN, Codes

#: Letters on a line.
LINE = 60
_LETTERS = np.frombuffer(b"ACGTN", np.uint8)
_NEWLINE, _SMALL = 10, 0x20


def write_record(stream: BinaryIO, name: str, codes: Codes, *, small: npt.NDArray[np.bool_] | None = None) -> None:
    """Write one record.

    Args:
        stream: Open for writing.
        name: What follows ``>``: a name without blanks, then whatever is to be told.
        codes: ``[n]`` codes 0 … 4; the last one is written as N.
        small: ``[n]`` which letters are written small, as masked ones are; N stays large.
    """
    text = _LETTERS[codes]
    if small is not None:
        text = np.where(small & (codes < UNKNOWN), text | _SMALL, text)
    whole = len(text) // LINE * LINE
    lines = np.full((whole // LINE, LINE + 1), _NEWLINE, np.uint8)
    lines[:, :LINE] = text[:whole].reshape(-1, LINE)
    rest = text[whole:].tobytes() + b"\n" if whole < len(text) else b""
    stream.write(f">{name}\n".encode() + lines.tobytes() + rest)
