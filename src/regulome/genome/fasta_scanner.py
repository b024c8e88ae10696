"""The compiled part of :mod:`regulome.genome.fasta`: text to codes, names and where records begin.

``scan`` keeps what outlives a call in one int64 array, ``state``, at the indices named here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from regulome.genome.letters import CODE_OF, INVALID, UNKNOWN, translate

# Where things are in ``state``.
MODE = 0
LINE = 1  # of the byte that comes next, from 1
RECORDS = 2  # so far
LENGTH = 3  # letters of the record so far
WIDTH, ENDING = 4, 5  # letters of the last whole line, and bytes of its end: LF 1, CR LF 2
STRAY_LINE = 6  # the first line of text before the first record; 0 if there is none, -1 once it was told
MARKED = 7  # the last record that has a wrong letter
CODES, NAMES, BEGINS, WRONG = 8, 9, 10, 11  # filled by this call; WRONG counts beyond what the table holds
STATE = 12

# Modes: what the next byte is.
START, STRAY, BEFORE_NAME, NAME, DESCRIPTION, LINE_START, LETTERS = 0, 1, 2, 3, 4, 5, 6

_NEWLINE, _RETURN, _TAB, _SPACE, _RECORD = 10, 13, 9, 32, 62
#: Letters of a long line that are translated at a time.
_RUN = 256


def new_state() -> npt.NDArray[np.int64]:
    """Make the state before the first byte."""
    state = np.zeros(STATE, dtype=np.int64)
    state[LINE] = 1
    state[MARKED] = -1
    return state


@njit(cache=True, nogil=True)
def scan(text: Any, stop: Any, state: Any, codes: Any, names: Any, begins: Any, wrong: Any) -> None:
    """Read ``text[:stop]``, the next piece of the file.

    Args:
        text: uint8.
        stop: Bytes of the piece.
        state: int64 [STATE].
        codes: uint8, output: letters; wrong ones as unknown.
        names: uint8, output: names, each followed by a newline; the last may go on in the next piece.
        begins: int64, output: index into ``codes`` of each record that begins here.
        wrong: int64 [., 4], output: record, line, position and byte of the first wrong letter of a record.
    """
    mode, line, records, length = state[MODE], state[LINE], state[RECORDS], state[LENGTH]
    n_codes, n_names, n_begins, n_wrong = 0, 0, 0, 0
    p = 0
    at_first = line == 1 and mode == START and stop >= 3
    if at_first and text[0] == 0xEF and text[1] == 0xBB and text[2] == 0xBF:
        p = 3  # the byte order mark of UTF-8
    while p < stop:
        c = text[p]
        if mode in (LINE_START, START):
            if c == _RECORD:
                begins[n_begins] = n_codes
                n_begins += 1
                records += 1
                length = 0
                mode = BEFORE_NAME
                p += 1
                continue
            if mode == START:
                if c == _NEWLINE:
                    line += 1
                elif c not in (_SPACE, _TAB, _RETURN):
                    if state[STRAY_LINE] == 0:
                        state[STRAY_LINE] = line
                    mode = STRAY
                p += 1
                continue
            mode = LETTERS
            # A line as long as the last one, of ACGTUN alone, goes in one go.
            width, ending = state[WIDTH], state[ENDING]
            end = p + width + ending
            alike = width > 0 and end <= stop and text[end - 1] == _NEWLINE
            alike = alike and (ending == 1 or text[end - 2] == _RETURN)
            if alike and translate(text, p, p + width, codes, n_codes):
                n_codes += width
                length += width
                line += 1
                p = end
                mode = LINE_START
                continue
        if mode == LETTERS:
            first, at = p, n_codes
            while p < stop:
                if p - first >= _RUN and stop - p >= _RUN and translate(text, p, p + _RUN, codes, n_codes):
                    p += _RUN
                    n_codes += _RUN
                    continue
                c = text[p]
                code = CODE_OF[c]
                if code != INVALID:
                    codes[n_codes] = code
                    n_codes += 1
                elif c == _NEWLINE:
                    break
                elif c not in (_SPACE, _TAB, _RETURN):
                    codes[n_codes] = UNKNOWN
                    n_codes += 1
                    if state[MARKED] != records - 1:
                        state[MARKED] = records - 1
                        if n_wrong < len(wrong):
                            wrong[n_wrong, 0], wrong[n_wrong, 1] = records - 1, line
                            wrong[n_wrong, 2], wrong[n_wrong, 3] = length + n_codes - at, c
                        n_wrong += 1
                p += 1
            length += n_codes - at
            if p < stop:
                ending = p + 1 - first - (n_codes - at)
                # Lines with blanks inside are never taken as a measure.
                state[WIDTH], state[ENDING] = n_codes - at if ending <= 2 else 0, ending
                line += 1
                mode = LINE_START
                p += 1
            continue
        if c == _NEWLINE:
            if mode in (NAME, BEFORE_NAME):
                names[n_names] = _NEWLINE
                n_names += 1
            line += 1
            mode = START if mode == STRAY else LINE_START
        elif mode in (NAME, BEFORE_NAME):
            if c in (_SPACE, _TAB, _RETURN):
                if mode == NAME:
                    names[n_names] = _NEWLINE
                    n_names += 1
                    mode = DESCRIPTION
            else:
                names[n_names] = c
                n_names += 1
                mode = NAME
        p += 1
    state[MODE], state[LINE], state[RECORDS], state[LENGTH] = mode, line, records, length
    state[CODES], state[NAMES], state[BEGINS], state[WRONG] = n_codes, n_names, n_begins, n_wrong
