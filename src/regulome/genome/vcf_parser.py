"""The compiled part of :mod:`regulome.genome.vcf`: records to columns and alleles, without objects."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_NEWLINE, _RETURN, _TAB, _COMMENT, _COMMA = 10, 13, 9, 35, 44
_DOT, _STAR, _LESS, _OPEN, _CLOSE = 46, 42, 60, 91, 93
_HASH_BEGIN, _HASH_FACTOR = np.uint64(14695981039346656037), np.uint64(1099511628211)  # FNV-1a, 64 bits
_MAXIMUM = 2**31 - 1

#: Columns whose ends are kept: CHROM POS ID REF ALT QUAL FILTER INFO.
FIXED = 8

# Why a row is wrong.
WRONG_COLUMNS, NO_CHROMOSOME, BAD_POSITION, BAD_REF, BAD_ALT = 1, 2, 3, 4, 5

# What an alternative allele is.
LETTERS, MISSING, STAR, SYMBOLIC, BREAKEND, WRONG = 0, 1, 2, 3, 4, 5


@njit(cache=True, nogil=True)
def kind(text: Any, begin: Any, end: Any, code_of: Any) -> Any:
    """Say what the alternative allele ``text[begin:end]`` is."""
    if begin >= end:
        return WRONG
    if end - begin == 1:
        if text[begin] == _DOT:
            return MISSING
        if text[begin] == _STAR:
            return STAR
    letters, symbolic = True, False
    for p in range(begin, end):
        if text[p] == _OPEN or text[p] == _CLOSE:
            return BREAKEND
        symbolic |= text[p] == _LESS
        letters &= code_of[text[p]] <= 4
    if letters:
        return LETTERS
    if symbolic:
        return SYMBOLIC
    # A single breakend is a sequence with a dot before or after it.
    first, last = text[begin] == _DOT, text[end - 1] == _DOT
    if first != last:
        for p in range(begin + first, end - last):
            if code_of[text[p]] > 4:
                return WRONG
        return BREAKEND
    return WRONG


@njit(cache=True, nogil=True)
def _why(text: Any, begin: Any, ends: Any, columns: Any, expected: Any, code_of: Any) -> Any:
    """Return the position, from 0, of a row and why the row is wrong (0: it is not)."""
    if columns != expected:
        return 0, WRONG_COLUMNS
    if ends[0] == begin:
        return 0, NO_CHROMOSOME
    first = ends[0] + 1
    if ends[1] == first or ends[1] - first > 10:
        return 0, BAD_POSITION
    position: Any = 0
    for p in range(first, ends[1]):
        digit = np.int64(text[p]) - 48
        if digit < 0 or digit > 9:
            return 0, BAD_POSITION
        position = 10 * position + digit
    if position > _MAXIMUM:
        return 0, BAD_POSITION
    if ends[2] + 1 == ends[3]:
        return 0, BAD_REF
    for p in range(ends[2] + 1, ends[3]):
        if code_of[text[p]] > 4:
            return 0, BAD_REF
    first = ends[3] + 1
    for p in range(first, ends[4] + 1):
        if p == ends[4] or text[p] == _COMMA:
            if kind(text, first, p, code_of) == WRONG:
                return 0, BAD_ALT
            first = p + 1
    return position - 1, 0


@njit(cache=True, nogil=True)
def split(
    text: Any, begin: Any, stop: Any, line: Any, expected: Any, code_of: Any,
    begins: Any, ends: Any, lines: Any, positions: Any, hashes: Any, reasons: Any,
) -> Any:  # fmt: skip
    """Split lines into columns until the text or the output ends.

    Args:
        text: uint8, whole lines; the last may lack its newline.
        begin: Where the first line begins.
        stop: Where the last line ends.
        line: Lines before the first.
        expected: How many columns a row should have.
        code_of: uint8 [256], code of a letter, above 4 for what is no letter of DNA.
        begins: Output int64 [m], where rows begin.
        ends: Output int64 [m, 9], where the first eight columns end, and the row.
        lines: Output int64 [m], 1-based.
        positions: Output int64 [m], 0-based; -1 is the telomere (POS 0).
        hashes: Output uint64 [m], of the chromosome's name.
        reasons: Output uint8 [m], 0 for rows that are right.

    Returns:
        Rows, where the next line begins, and lines so far.
    """
    p: Any
    n, p = 0, begin
    while p < stop and n < len(begins):
        first, columns, value = p, 1, _HASH_BEGIN
        while p < stop and text[p] != _NEWLINE:
            if text[p] == _TAB:
                if columns <= FIXED:
                    ends[n, columns - 1] = p
                columns += 1
            elif columns == 1:
                value = (value ^ np.uint64(text[p])) * _HASH_FACTOR
            p += 1
        last = p - 1 if p > first and text[p - 1] == _RETURN else p
        line += 1
        p += 1
        if last == first or text[first] == _COMMENT:
            continue
        if columns <= FIXED:
            ends[n, columns - 1] = last
        ends[n, FIXED] = last
        begins[n], lines[n], hashes[n] = first, line, value
        positions[n], reasons[n] = _why(text, first, ends[n], columns, expected, code_of)
        n += 1
    return n, min(p, stop), line


@njit(cache=True, nogil=True)
def alternatives(text: Any, ends: Any, code_of: Any, out: Any) -> Any:
    """List the alternative alleles of records.

    Args:
        text: uint8.
        ends: As :func:`split` gives them, of records that are right.
        code_of: uint8 [256].
        out: int64 [m, 5]: record, number from 1, where it begins and ends in the text, kind; may be too short.

    Returns:
        How many alleles there are.
    """
    n = 0
    for i in range(len(ends)):
        first, number = ends[i, 3] + 1, 1
        for p in range(first, ends[i, 4] + 1):
            if p == ends[i, 4] or text[p] == _COMMA:
                if n < len(out):
                    out[n, 0], out[n, 1], out[n, 2], out[n, 3] = i, number, first, p
                    out[n, 4] = kind(text, first, p, code_of)
                n += 1
                number += 1
                first = p + 1
    return n
