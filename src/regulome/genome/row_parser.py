"""The compiled part of :mod:`regulome.genome.rows`: text to columns, without objects.

``parse`` keeps everything that outlives a call in one int64 array, ``state``, at the indices named here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

NEWLINE, _RETURN, _TAB, _SPACE = 10, 13, 9, 32

# Where things are in ``state``.
LINE = 0  # lines read so far
FILLED = 1  # rows in the output columns
COLUMNS = 2  # columns of the first row, 0 before it
SPACES = 3  # 1 if columns are separated by runs of white space, 0 if by single tabs
STRAND_COLUMN, VALUE_COLUMN = 4, 5  # from 1; 0 = do not read
VALID, INVALID = 6, 7  # rows so far
FIRST_LINE, FIRST_REASON, FIRST_BEGIN, FIRST_END = 8, 9, 10, 11  # the first invalid row: line, why, bytes of the buffer
NEW_NAME_END = 12  # where a chromosome name ends that the table lacks; -1 if there is none
STATE = 13

# Reasons why a row is invalid.
WRONG_COLUMNS, BAD_START, BAD_END, EMPTY, BEYOND, BAD_VALUE, BAD_STRAND, UNKNOWN_NAME = 1, 2, 3, 4, 5, 6, 7, 8

_HASH_BEGIN, _HASH_FACTOR = 14695981039346656037, 1099511628211  # FNV-1a, 64 bits
_MAXIMUM = 2**31 - 1


def hash_name(name: bytes) -> int:
    """Hash a chromosome name as ``parse`` does."""
    value = _HASH_BEGIN
    for byte in name:
        value = ((value ^ byte) * _HASH_FACTOR) & 0xFFFFFFFFFFFFFFFF
    return value or 1


def after_last_newline(buffer: npt.NDArray[np.uint8], filled: int) -> int:
    """Return where the last whole line of ``buffer[:filled]`` ends; 0 if there is none."""
    stop = filled
    while stop > 0:
        begin = max(0, stop - 4096)
        found = np.flatnonzero(buffer[begin:stop] == NEWLINE)
        if len(found):
            return begin + int(found[-1]) + 1
        stop = begin
    return 0


def after_byte_order_mark(buffer: npt.NDArray[np.uint8], stop: int) -> int:
    """Return 3 if the text begins with UTF-8's byte order mark, else 0."""
    return 3 if stop >= 3 and bytes(buffer[:3]) == b"\xef\xbb\xbf" else 0


@njit(cache=True, nogil=True)
def _header(buffer: Any, p: Any) -> Any:
    """Say whether a line begins with #, or with the word track or browser."""
    c = buffer[p]
    if c == 35:
        return True
    if c == 116:  # track
        q, word = p, (116, 114, 97, 99, 107)
        for letter in word:
            if buffer[q] != letter:
                return False
            q += 1
        return buffer[q] == 32 or buffer[q] == 10 or buffer[q] == 13
    if c == 98:  # browser
        q, longer = p, (98, 114, 111, 119, 115, 101, 114)
        for letter in longer:
            if buffer[q] != letter:
                return False
            q += 1
        return buffer[q] == 32 or buffer[q] == 10 or buffer[q] == 13
    return False


@njit(cache=True, nogil=True)
def _number(buffer: Any, p: Any, q: Any) -> Any:
    """Read the decimal number that fills ``buffer[p:q]``."""
    negative = False
    if p < q and (buffer[p] == 45 or buffer[p] == 43):
        negative = buffer[p] == 45
        p += 1
    power: Any
    exponent: Any
    mantissa, exponent, digits, kept = np.int64(0), np.int64(0), 0, 0
    point = False
    while p < q:
        c = buffer[p]
        if 48 <= c <= 57:
            digits += 1
            if kept < 18:
                mantissa = mantissa * 10 + (np.int64(c) - 48)
                if mantissa:
                    kept += 1
                if point:
                    exponent -= 1
            elif not point:
                exponent += 1
        elif c == 46 and not point:
            point = True
        else:
            break
        p += 1
    if digits == 0:
        return 0.0, False
    if p < q:
        if buffer[p] != 101 and buffer[p] != 69:
            return 0.0, False
        p += 1
        minus = False
        if p < q and (buffer[p] == 45 or buffer[p] == 43):
            minus = buffer[p] == 45
            p += 1
        if p >= q:
            return 0.0, False
        power = np.int64(0)
        while p < q:
            if buffer[p] < 48 or buffer[p] > 57:
                return 0.0, False
            power = min(power * 10 + (np.int64(buffer[p]) - 48), np.int64(9999))
            p += 1
        exponent += -power if minus else power
    value = float(mantissa)
    if mantissa:
        # Powers of ten up to 22 are exact in double precision: dividing by one rounds only once.
        if -22 <= exponent < 0:
            value = value / 10.0 ** (-exponent)
        elif exponent < -22:
            value = value / 1e22 * 10.0 ** max(exponent + 22, -400)
        elif exponent > 0:
            value = value * 10.0 ** min(exponent, 400)
    return (-value if negative else value), np.isfinite(value)


@njit(cache=True, nogil=True)
def parse(
    buffer: Any, begin: int, stop: int, state: Any, rows: Any, hashes: Any, codes_of: Any, limits: Any,
    codes: Any, starts: Any, ends: Any, reverse: Any, values: Any,
) -> Any:  # fmt: skip
    """Parse whole lines from ``begin`` on and return where to go on.

    It comes back at ``stop``, when the output columns are full, or before a row whose chromosome the table lacks.

    Args:
        buffer: uint8, text; ``buffer[stop - 1]`` is a newline.
        begin: Where a line begins.
        stop: Where the last line ends.
        state: int64 [STATE].
        rows: int64, rows on each chromosome with windows, added to.
        hashes: uint64, hash of a name or 0, in slots; a power of two.
        codes_of: int32, code of the name of a slot.
        limits: int64, length of the chromosome of a slot.
        codes: int32, output: chromosome.
        starts: int32, output.
        ends: int32, output.
        reverse: uint8, output: strand.
        values: float64, output.
    """
    mask = np.uint64(len(hashes) - 1)
    filled, capacity = state[FILLED], len(codes)
    strand_column, value_column = state[STRAND_COLUMN], state[VALUE_COLUMN]
    last_read = max(3, strand_column, value_column)
    last_hash, code, limit = np.uint64(0), np.int32(0), np.int64(0)
    state[NEW_NAME_END] = -1
    position = begin
    while position < stop and filled < capacity:
        p = position
        while buffer[p] == _SPACE or buffer[p] == _TAB or buffer[p] == _RETURN:
            p += 1
        if buffer[p] == NEWLINE or _header(buffer, position):
            while buffer[p] != NEWLINE:
                p += 1
            position = p + 1
            state[LINE] += 1
            continue
        if state[COLUMNS] == 0:
            q = position
            while buffer[q] != NEWLINE and buffer[q] != _TAB:
                q += 1
            state[SPACES] = 0 if buffer[q] == _TAB else 1
        spaces = state[SPACES] == 1

        p = position
        h = np.uint64(_HASH_BEGIN)
        while True:
            c = buffer[p]
            if c <= _SPACE and (c in (_TAB, NEWLINE, _RETURN) or (spaces and c == _SPACE)):
                break
            h = (h ^ np.uint64(c)) * np.uint64(_HASH_FACTOR)
            p += 1
        if h == 0:
            h = np.uint64(1)
        if h != last_hash:
            slot = h & mask
            while hashes[slot] != h and hashes[slot] != 0:
                slot = (slot + np.uint64(1)) & mask
            if hashes[slot] == 0:
                state[NEW_NAME_END] = p
                break
            last_hash, code, limit = h, codes_of[slot], limits[slot]

        good: Any
        reason, columns = 0, 1
        start, end, value, strand = np.int64(0), np.int64(0), 1.0, 2
        while buffer[p] != NEWLINE:
            # At the character that ends a column.
            if spaces:
                while buffer[p] == _SPACE or buffer[p] == _TAB:
                    p += 1
                if buffer[p] == NEWLINE:
                    break
            elif buffer[p] == _TAB:
                p += 1
            if buffer[p] == _RETURN:
                q = p
                while buffer[q] == _RETURN:
                    q += 1
                if buffer[q] == NEWLINE:
                    if not spaces and buffer[p - 1] == _TAB:
                        columns += 1
                    p = q
                    break
            columns += 1
            if columns > last_read and not spaces:
                # Nothing is read from here on: count the tabs that are left.
                columns -= 1
                p -= 1
                c = buffer[p]
                while c != NEWLINE:
                    columns += c == _TAB
                    p += 1
                    c = buffer[p]
                break
            field = p
            if columns <= 3:
                number = np.int64(0)
                c = buffer[p]
                while 48 <= c <= 57:
                    number = number * 10 + (np.int64(c) - 48)
                    p += 1
                    c = buffer[p]
                # With more than 18 digits the number has overflowed.
                good = p > field and p - field <= 18 and number <= _MAXIMUM
                good = good and (c in (_TAB, NEWLINE, _RETURN) or (spaces and c == _SPACE))
                if columns == 2:
                    start = number
                    if not good and reason == 0:
                        reason = BAD_START
                else:
                    end = number
                    if not good and reason == 0:
                        reason = BAD_END
            while True:
                c = buffer[p]
                if c <= _SPACE and (c in (_TAB, NEWLINE) or (spaces and c == _SPACE)):
                    break
                if c == _RETURN and buffer[p + 1] == NEWLINE:
                    break
                p += 1
            if columns == strand_column:
                if p == field + 1 and buffer[field] == 43:
                    strand = 0
                elif p == field + 1 and buffer[field] == 45:
                    strand = 1
                elif reason == 0:
                    reason = BAD_STRAND
            if columns == value_column:
                value, good = _number(buffer, field, p)
                if not good and reason == 0:
                    reason = BAD_VALUE
        if state[COLUMNS] == 0 and columns >= last_read:
            state[COLUMNS] = columns
        if columns != state[COLUMNS]:
            reason = WRONG_COLUMNS
        elif reason in (0, BAD_VALUE, BAD_STRAND):
            if start >= end:
                reason = EMPTY
            elif code == -2:
                reason = UNKNOWN_NAME
            elif end > limit:
                reason = BEYOND

        state[LINE] += 1
        if reason:
            if state[INVALID] == 0:
                state[FIRST_LINE], state[FIRST_REASON] = state[LINE], reason
                state[FIRST_BEGIN], state[FIRST_END] = position, p
            state[INVALID] += 1
        else:
            state[VALID] += 1
            if code >= 0:
                codes[filled], starts[filled], ends[filled] = code, start, end
                reverse[filled], values[filled] = strand, value
                rows[code] += 1
                filled += 1
        position = p + 1
    state[FILLED] = filled
    return position
