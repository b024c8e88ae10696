"""The inner loop of reading published tables: bytes of a CSV to counts, one gene after the other."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

_COMMA, _NEWLINE, _RETURN, _UNDERSCORE = 44, 10, 13, 95
_ZERO, _NINE, _DOT, _MINUS, _PLUS = 48, 57, 46, 45, 43
_EXPONENT = (69, 101)


@numba.njit(cache=True, nogil=True)
def _number(buffer: npt.NDArray[np.uint8], p: int, end: int) -> tuple[float, bool]:
    """Parse ``[+-]digits[.digits][e[+-]digits]`` in ``buffer[p:end]``; false when it is anything else."""
    negative = p < end and buffer[p] == _MINUS
    if p < end and (buffer[p] == _MINUS or buffer[p] == _PLUS):
        p += 1
    value, digits, exponent = 0.0, 0, 0
    while p < end and _ZERO <= buffer[p] <= _NINE:
        value = value * 10.0 + (buffer[p] - _ZERO)
        digits += 1
        p += 1
    if p < end and buffer[p] == _DOT:
        p += 1
        while p < end and _ZERO <= buffer[p] <= _NINE:
            value = value * 10.0 + (buffer[p] - _ZERO)
            digits += 1
            exponent -= 1
            p += 1
    if digits > 0 and p < end and (buffer[p] == _EXPONENT[0] or buffer[p] == _EXPONENT[1]):
        p += 1
        down = p < end and buffer[p] == _MINUS
        if p < end and (buffer[p] == _MINUS or buffer[p] == _PLUS):
            p += 1
        power, first = 0, p
        while p < end and _ZERO <= buffer[p] <= _NINE and power < 1000:
            power = power * 10 + (buffer[p] - _ZERO)
            p += 1
        if p == first:
            return 0.0, False
        exponent += -power if down else power
    if exponent != 0:
        value *= 10.0**exponent
    return -value if negative else value, digits > 0 and p == end and np.isfinite(value)


@numba.njit(cache=True, nogil=True)
def parse_genes(
    buffer: npt.NDArray[np.uint8],
    bins: int,
    bin_column: bool,
    labelled: bool,
    values: npt.NDArray[np.float32],
    labels: npt.NDArray[np.float32],
    lines: npt.NDArray[np.int64],
    ids: npt.NDArray[np.uint8],
) -> tuple[int, int, int, int, int]:
    """Parse whole genes from the start of ``buffer``.

    Rows are ``ID[_ANYTHING],BIN,COUNT…`` or ``NAME_BIN,COUNT…``, then the label where there is one. Blank lines are
    passed over between genes only.

    Args:
        buffer: Lines of the table, each with its newline, the first one the first of a gene.
        bins: Rows of each gene.
        bin_column: Whether the bin has a column of its own.
        labelled: Whether the last column is a label, 0 or 1.
        values: Filled with the counts ``[genes, marks, bins]``.
        labels: Filled with the labels ``[genes]``.
        lines: Filled with the 0-based line of each gene's first row ``[genes]``.
        ids: Filled with the first field of each gene's first row, each with a newline.

    Returns:
        Number of whole genes, the bytes and lines that they take, bytes of ``ids``, and the 0-based line that does not
        belong where it is, or -1.
    """
    size, marks = len(buffer), values.shape[1]
    columns = marks + labelled + bin_column
    gene = used = used_lines = p = line = row = 0
    written = kept = first = first_end = start_line = 0
    label = 0.0
    while p < size:
        if row == 0 and (buffer[p] == _NEWLINE or (buffer[p] == _RETURN and buffer[p + 1] == _NEWLINE)):
            p += 1 + (buffer[p] == _RETURN)
            line += 1
            continue
        # The id: up to its first underscore where the bin has a column, else up to its last.
        begin, cut = p, -1
        while p < size and buffer[p] != _COMMA and buffer[p] != _NEWLINE:
            if buffer[p] == _UNDERSCORE and (cut < 0 or not bin_column):
                cut = p
            p += 1
        if p >= size:
            break
        if buffer[p] == _NEWLINE:
            return gene, used, used_lines, kept, line
        end = p
        if cut < 0:
            if not bin_column:
                return gene, used, used_lines, kept, line
            cut = end
        if row == 0:
            if cut == begin:
                return gene, used, used_lines, kept, line
            first, first_end = begin, cut
            start_line = line
            for q in range(begin, end):
                ids[written] = buffer[q]
                written += 1
            ids[written] = _NEWLINE
            written += 1
        else:
            if cut - begin != first_end - first:
                return gene, used, used_lines, kept, line
            for q in range(cut - begin):
                if buffer[begin + q] != buffer[first + q]:
                    return gene, used, used_lines, kept, line
        if not bin_column:
            found, good = _number(buffer, cut + 1, end)
            if not good or found != row + 1:
                return gene, used, used_lines, kept, line
        for column in range(columns):
            p += 1
            begin = p
            value = 0.0
            while p < size and _ZERO <= buffer[p] <= _NINE:
                value = value * 10.0 + (buffer[p] - _ZERO)
                p += 1
            if p >= size:
                break
            stop = _NEWLINE if column == columns - 1 else _COMMA
            if buffer[p] != stop or p == begin:
                while p < size and buffer[p] != _COMMA and buffer[p] != _NEWLINE:
                    p += 1
                if p >= size:
                    break
                end = p - 1 if buffer[p] == _NEWLINE and buffer[p - 1] == _RETURN else p
                value, good = _number(buffer, begin, end)
                if not good or buffer[p] != stop:
                    return gene, used, used_lines, kept, line
            if bin_column and column == 0:
                if value != row + 1:
                    return gene, used, used_lines, kept, line
            elif labelled and column == columns - 1:
                if row == 0:
                    label = value
                if value != label or (value != 0.0 and value != 1.0):
                    return gene, used, used_lines, kept, line
            else:
                values[gene, column - bin_column, row] = value
        if p >= size:
            break
        p += 1
        line += 1
        row += 1
        if row == bins:
            labels[gene], lines[gene] = label, start_line
            gene += 1
            row, used, used_lines, kept = 0, p, line, written
    return gene, used, used_lines, kept, -1
