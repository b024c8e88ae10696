"""DNA as one byte per base: A = 0, C = 1, G = 2, T = 3, everything else that DNA may hold = 4.

U reads as T, lower case (soft masking) as upper case. N and the other letters of IUPAC for bases (R Y S W K M B D H V)
are ``UNKNOWN``. No other character is DNA: neither gaps (``-``, ``.``) nor ``X`` nor ``*``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from regulome.errors import InputError

Codes = npt.NDArray[np.uint8]

#: The bases in the order of their codes, which is the order of the channels of a one-hot array.
LETTERS = "ACGT"
#: The code of a letter that is none of them.
UNKNOWN = 4
#: What :data:`CODE_OF` has for bytes that are no letter of DNA.
INVALID = 255

_AMBIGUOUS = "NRYSWKMBDHV"


def _code_of() -> Codes:
    table = np.full(256, INVALID, dtype=np.uint8)
    for letters, code in (("A", 0), ("C", 1), ("G", 2), ("TU", 3), (_AMBIGUOUS, UNKNOWN)):
        for letter in letters + letters.lower():
            table[ord(letter)] = code
    return table


#: Byte → code, uint8 [256].
CODE_OF = _code_of()
_BYTE_OF = np.frombuffer(b"ACGTN", dtype=np.uint8)


@njit(cache=True, nogil=True)
def translate(text: Any, begin: Any, end: Any, codes: Any, at: Any) -> Any:
    """Write the codes of ``text[begin:end]`` to ``codes[at:]`` and say whether all letters were among ACGTUN.

    Where the answer is no, what was written means nothing: other letters are rare and left to :data:`CODE_OF`, so that
    the loop has no branch and runs on vectors.
    """
    wrong = np.uint8(0)
    for i in range(end - begin):
        letter = np.uint8(text[begin + i] & np.uint8(0xDF))
        # Bits 1 and 2 of ASCII count A, C, T = U, G; flipping the lower one in the upper half swaps T and G.
        two = np.uint8((letter >> np.uint8(1)) & np.uint8(3))
        base = np.uint8(two ^ (two >> np.uint8(1)))
        known = np.uint8((letter == 65) | (letter == 67) | (letter == 71) | (letter == 84) | (letter == 85))
        unknown = np.uint8(letter == 78)
        codes[at + i] = np.uint8(base * known + np.uint8(UNKNOWN) * unknown)
        wrong |= np.uint8(1) - (known | unknown)
    return wrong == 0


def encode(text: bytes | str | Codes) -> Codes:
    """Turn letters into codes.

    Args:
        text: Letters of DNA; as an array: their ASCII bytes.

    Returns:
        uint8 of the same shape, or [len(text)].

    Raises:
        InputError: A character is no letter of DNA; its position is named, counted from 1.

    Example:
        >>> encode("ACGTacgtNU").tolist()
        [0, 1, 2, 3, 0, 1, 2, 3, 4, 3]
    """
    if isinstance(text, str):
        # One byte for each character, so that positions are those of the text.
        text = text.encode("ascii", "replace")
    letters = np.frombuffer(text, dtype=np.uint8) if isinstance(text, bytes) else np.ascontiguousarray(text, np.uint8)
    flat = letters.reshape(-1)
    codes = np.empty(len(flat), dtype=np.uint8)
    if not translate(flat, 0, len(flat), codes, 0):
        codes = CODE_OF[flat]
        if codes.max() == INVALID:
            wrong = int(np.argmax(codes == INVALID))
            raise not_dna(int(flat[wrong]), wrong + 1)
    return codes.reshape(letters.shape)


def not_dna(byte: int, position: int, *, line: int | None = None) -> InputError:
    """Make the error for a character that is no letter of DNA.

    Args:
        byte: The character.
        position: Where it stands in its sequence, from 1.
        line: The line of the file.
    """
    shown = f"'{chr(byte)}'" if 32 < byte < 127 else f"byte 0x{byte:02x}"
    where = f"position {position:,}" + ("" if line is None else f" (line {line:,})")
    cure = "use A, C, G, T, N and the other IUPAC letters for bases"
    if chr(byte) in "EFILPQZeflipqz*":
        cure += "; is this a protein?"
    elif chr(byte) in "-.":
        cure += "; take the gaps out"
    elif chr(byte) in "Xx":
        cure += "; write masked bases as N"
    return InputError(f"{shown} at {where} is no letter of DNA", cure=cure)


def decode(codes: npt.ArrayLike) -> str:
    """Turn codes back into the letters ACGTN.

    Args:
        codes: [L].

    Example:
        >>> decode([0, 1, 2, 3, 4])
        'ACGTN'
    """
    return _BYTE_OF[np.asarray(codes, dtype=np.uint8)].tobytes().decode("ascii")


def reverse_complement(codes: npt.ArrayLike) -> Codes:
    """Return the other strand, read in its own direction.

    Args:
        codes: [..., L].

    Returns:
        uint8 of the same shape.

    Example:
        >>> decode(reverse_complement(encode("AACGN")))
        'NCGTT'
    """
    backwards = np.asarray(codes, dtype=np.uint8)[..., ::-1]
    return np.where(backwards < UNKNOWN, 3 - backwards, UNKNOWN).astype(np.uint8)


@njit(cache=True, nogil=True)
def expand(row: Any, unknown: Any, out: Any) -> None:
    """Write the one-hot form [4, L] of one row of codes."""
    for channel in range(4):
        base = np.uint8(channel)
        if unknown == 0:
            for i in range(len(row)):
                out[channel, i] = np.float32(row[i] == base)
        else:
            for i in range(len(row)):
                out[channel, i] = np.float32(row[i] == base) + unknown * np.float32(row[i] > 3)


@njit(cache=True, nogil=True)
def _one_hot(codes: Any, unknown: Any, out: Any) -> None:
    for i in range(len(codes)):
        expand(codes[i], unknown, out[i])


def one_hot(codes: npt.ArrayLike, unknown: float = 0.0) -> npt.NDArray[np.float32]:
    """Turn codes into one-hot channels in the order A, C, G, T.

    Args:
        codes: [n, L].
        unknown: The value of all four channels at unknown letters.

    Returns:
        float32 [n, 4, L].
    """
    rows = np.ascontiguousarray(codes, dtype=np.uint8)
    out = np.empty((rows.shape[0], 4, rows.shape[1]), dtype=np.float32)
    _one_hot(rows, np.float32(unknown), out)
    return out


@njit(cache=True, nogil=True)
def _pack(codes: Any, packed: Any) -> Any:
    """Fill ``packed`` and return the number of runs of unknown letters."""
    runs, inside = 0, False
    for byte in range(len(packed)):
        value = np.uint8(0)
        for i in range(4 * byte, min(4 * byte + 4, len(codes))):
            code = codes[i]
            if code < UNKNOWN:
                value |= code << np.uint8(2 * (i & 3))
                inside = False
            elif not inside:
                runs += 1
                inside = True
        packed[byte] = value
    return runs


@njit(cache=True, nogil=True)
def _find_runs(codes: Any, runs: Any) -> None:
    run, inside = -1, False
    for i in range(len(codes)):
        if codes[i] < UNKNOWN:
            if inside:
                runs[run, 1] = i
            inside = False
        elif not inside:
            run += 1
            runs[run, 0] = i
            inside = True
    if inside:
        runs[run, 1] = len(codes)


def pack(codes: npt.ArrayLike) -> tuple[Codes, npt.NDArray[np.int64]]:
    """Pack codes into two bits per base.

    Args:
        codes: [n].

    Returns:
        uint8 [ceil(n / 4)], the first base in the lowest two bits, unknown letters as 0; and int64 [runs, 2], where
        runs of unknown letters begin and end.
    """
    row = np.ascontiguousarray(codes, dtype=np.uint8)
    packed = np.empty((len(row) + 3) // 4, dtype=np.uint8)
    runs = np.empty((_pack(row, packed), 2), dtype=np.int64)
    if len(runs):
        _find_runs(row, runs)
    return packed, runs


@njit(cache=True, nogil=True)
def unpack_row(packed: Any, position: Any, row: Any) -> None:
    """Fill ``row`` with the letters from ``position`` on, whatever runs of unknown ones there are."""
    end = position + len(row)
    k = 0
    while position < end and position & 3:
        row[k] = (packed[position >> 2] >> ((position & 3) << 1)) & 3
        position += 1
        k += 1
    whole = (end - position) >> 2
    first = position >> 2
    for b in range(whole):
        byte = packed[first + b]
        row[k + 4 * b] = byte & 3
        row[k + 4 * b + 1] = (byte >> 2) & 3
        row[k + 4 * b + 2] = (byte >> 4) & 3
        row[k + 4 * b + 3] = byte >> 6
    position += 4 * whole
    k += 4 * whole
    while position < end:
        row[k] = (packed[position >> 2] >> ((position & 3) << 1)) & 3
        position += 1
        k += 1


@njit(cache=True, nogil=True)
def turn_row(row: Any) -> None:
    """Replace codes by those of the other strand, read in its own direction."""
    n = len(row)
    for k in range(n // 2):
        left, right = row[k], row[n - 1 - k]
        row[k] = right if right == UNKNOWN else 3 - right
        row[n - 1 - k] = left if left == UNKNOWN else 3 - left
    if n & 1:
        middle = row[n // 2]
        row[n // 2] = middle if middle == UNKNOWN else 3 - middle


@njit(cache=True, nogil=True)
def _unpack(packed: Any, runs: Any, start: Any, codes: Any) -> None:
    unpack_row(packed, start, codes)
    end = start + len(codes)
    # The first run that ends after the start.
    low, high = 0, len(runs)
    while low < high:
        middle = (low + high) // 2
        if runs[middle, 1] > start:
            high = middle
        else:
            low = middle + 1
    while low < len(runs) and runs[low, 0] < end:
        for base in range(max(runs[low, 0], start), min(runs[low, 1], end)):
            codes[base - start] = UNKNOWN
        low += 1


def unpack(packed: Codes, runs: npt.NDArray[np.int64], start: int, end: int) -> Codes:
    """Read codes back from two bits per base.

    Args:
        packed: As :func:`pack` gives it; may be memory-mapped.
        runs: As :func:`pack` gives them.
        start: First base.
        end: One past the last base.

    Returns:
        uint8 [end - start].
    """
    if not 0 <= start <= end <= 4 * len(packed):
        raise ValueError(f"bases {start} to {end} of {4 * len(packed)}")
    codes = np.empty(end - start, dtype=np.uint8)
    _unpack(np.asarray(packed), np.asarray(runs, dtype=np.int64).reshape(-1, 2), start, codes)
    return codes
