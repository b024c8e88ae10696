"""Compiled loops over alleles: what each changes of the reference, and windows with and without it."""

from __future__ import annotations

from typing import Any

from numba import njit

from regulome.genome.letters import UNKNOWN

#: Why an allele cannot be scored: places in ``REASONS`` of :mod:`regulome.genome.alleles`.
BEYOND, DIFFERS, GENOME_UNKNOWN, LETTERS, SAME, TOO_LONG = range(6, 12)


@njit(cache=True, nogil=True)
def place(
    text: Any, ends: Any, positions: Any, code_of: Any, codes: Any, record: Any, rows: Any, length: Any, least: Any,
    most: Any, start: Any, removed: Any, letters: Any, reason: Any,
) -> None:  # fmt: skip
    """Compare the alleles in ``rows`` with a chromosome and reduce them to what they change."""
    half = length // 2
    for row in rows:
        site = record[row]
        first, last = ends[site, 2] + 1, ends[site, 3]
        begin, end = letters[row, 0], letters[row, 1]
        position = positions[site]
        if position < 0 or position + last - first > len(codes):
            reason[row] = BEYOND
            continue
        problem = 0
        for p in range(first, last):
            letter, there = code_of[text[p]], codes[position + p - first]
            if letter == UNKNOWN:
                problem = LETTERS
                break
            if there == UNKNOWN:
                problem = GENOME_UNKNOWN
            elif letter != there:
                problem = DIFFERS
                break
        if problem == 0:
            for p in range(begin, end):
                if code_of[text[p]] == UNKNOWN:
                    problem = LETTERS
        while problem == 0 and last > first and end > begin and code_of[text[last - 1]] == code_of[text[end - 1]]:
            last, end = last - 1, end - 1
        while problem == 0 and last > first and end > begin and code_of[text[first]] == code_of[text[begin]]:
            first, begin, position = first + 1, begin + 1, position + 1
        gone, put = last - first, end - begin
        if problem == 0 and gone == 0 and put == 0:
            problem = SAME
        if problem == 0:
            for size in (gone, put):
                if half - size // 2 - most < 0 or half - size // 2 - least + size > length:
                    problem = TOO_LONG
        reason[row] = problem
        start[row], removed[row], letters[row, 0], letters[row, 1] = position, gone, begin, end


@njit(cache=True, nogil=True)
def cut(
    text: Any, code_of: Any, codes: Any, rows: Any, start: Any, removed: Any, letters: Any, before: Any, windows: Any
) -> None:
    """Fill windows with a chromosome's letters, the removed bases replaced; beyond its ends all is unknown."""
    for row in rows:
        first, last = letters[row, 0], letters[row, 1]
        begin = min(max(before[row], 0), windows.shape[1])
        end = min(max(before[row] + last - first, 0), windows.shape[1])
        _copy(codes, start[row] - before[row], windows[row, :begin])
        for i in range(begin, end):
            windows[row, i] = code_of[text[first + i - before[row]]]
        _copy(codes, start[row] + removed[row] + end - before[row] - (last - first), windows[row, end:])


@njit(cache=True, nogil=True)
def _copy(codes: Any, start: Any, out: Any) -> None:
    """Fill ``out`` with the letters from ``start`` on."""
    low = min(max(-start, 0), len(out))
    high = max(min(len(codes) - start, len(out)), low)
    out[:low] = UNKNOWN
    out[low:high] = codes[start + low : start + high]
    out[high:] = UNKNOWN
