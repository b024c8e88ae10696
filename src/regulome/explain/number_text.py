"""Many numbers as text at once, for files that hold them as KEY=VALUE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

#: Significant digits.
DIGITS = 6
#: Bytes that a number may take: sign, digits, point, zeros before them or an exponent; and the comma after it.
_WIDTH = DIGITS + 8
_ZERO, _POINT, _MINUS, _COMMA, _SEMICOLON = 48, 46, 45, 44, 59


def key_values(
    keys: Sequence[str],
    values: npt.NDArray[np.float32],
    record: npt.NDArray[np.int64],
    place: npt.NDArray[np.int64],
    records: int,
) -> list[str]:
    """Write ``KEY=v,v;KEY=v,v`` for each record, with a number per allele.

    Args:
        keys: [k].
        values: float32 [n, k], finite.
        record: int64 [alleles], record of each allele, ascending from 0 without a gap.
        place: int64 [alleles], row of its values, or -1: then a dot stands for each.
        records: Number of records.

    Returns:
        A text for each record. Numbers have six significant digits, as ``%g`` writes them.

    Example:
        >>> one = np.zeros(1, np.int64)
        >>> key_values(["A", "B"], np.array([[0.25, -1e-7]], np.float32), one, one, 1)
        ['A=0.25;B=-1e-07']
    """
    begins = np.searchsorted(record, np.arange(records + 1)).astype(np.int64)
    bare = np.frombuffer("".join(f"{key}=" for key in keys).encode(), np.uint8)
    widths = np.cumsum([0] + [len(key.encode()) + 1 for key in keys]).astype(np.int64)
    texts = []
    # A record at a time, so that the buffer holds one; its thousands of numbers are written by the kernel.
    buffer = np.empty(0, np.uint8)
    for first, last in zip(begins[:-1].tolist(), begins[1:].tolist(), strict=True):
        size = len(bare) + len(keys) * (_WIDTH * (last - first) + 1)
        buffer = np.empty(size, np.uint8) if size > len(buffer) else buffer
        end = _write(bare, widths, values, place[first:last], buffer)
        texts.append(buffer[: max(0, end - 1)].tobytes().decode())
    return texts


@njit(cache=True, nogil=True)
def _write(bare: Any, widths: Any, values: Any, place: Any, out: Any) -> Any:
    """Write a record and return its end, a semicolon included."""
    at: Any = 0
    for k in range(len(widths) - 1):
        for i in range(widths[k], widths[k + 1]):
            out[at] = bare[i]
            at += 1
        for row in place:
            if row < 0:
                out[at] = _POINT
                at += 1
            else:
                at = _number(np.float64(values[row, k]), out, at)
            out[at] = _COMMA
            at += 1
        out[at - 1] = _SEMICOLON
    return at


@njit(cache=True, nogil=True)
def _number(value: Any, out: Any, at: Any) -> Any:
    """Write one number at ``out[at:]`` and return where it ends."""
    if value < 0:
        out[at] = _MINUS
        at += 1
        value = -value
    if value == 0:
        out[at] = _ZERO
        return at + 1
    exponent = int(np.floor(np.log10(value)))
    shift = DIGITS - 1 - exponent
    whole = np.int64(np.rint(value * 10.0**shift if shift >= 0 else value / 10.0**-shift))
    if whole >= 10**DIGITS:
        whole, exponent = whole // 10, exponent + 1
    elif whole < 10 ** (DIGITS - 1):
        # log10 rounded up: the digits were cut one short.
        shift += 1
        exponent -= 1
        whole = np.int64(np.rint(value * 10.0**shift if shift >= 0 else value / 10.0**-shift))
    count = DIGITS
    while count > 1 and whole % 10 == 0:
        whole, count = whole // 10, count - 1
    scientific = exponent < -4 or exponent >= DIGITS
    if not scientific and exponent < 0:
        out[at] = _ZERO
        out[at + 1] = _POINT
        for i in range(-exponent - 1):
            out[at + 2 + i] = _ZERO
        at += 1 - exponent
        before = count
    else:
        before = 1 if scientific else exponent + 1
    # Digits from the last to the first, with a point after `before` of them where there are more.
    point = count > before
    for i in range(count - 1, -1, -1):
        out[at + i + (1 if point and i >= before else 0)] = _ZERO + whole % 10
        whole //= 10
    if point:
        out[at + before] = _POINT
    at += count + (1 if point else 0)
    for _ in range(before - count):
        out[at] = _ZERO
        at += 1
    if scientific:
        out[at] = 101
        out[at + 1] = _MINUS if exponent < 0 else 43
        size = abs(exponent)
        out[at + 2], out[at + 3] = _ZERO + size // 10, _ZERO + size % 10
        at += 4
    return at
