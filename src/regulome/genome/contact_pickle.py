"""Contacts in pickle files, read without running anything that the file asks for.

A pickle is a program for a small machine. Nearly all of it only builds numbers, texts, lists and dictionaries; what is
dangerous are the instructions that look up a function by name and call it. Here every such name is refused, except for
a few that stand for plain containers and numbers, and even these are answered with our own stand-ins.
"""

from __future__ import annotations

import io
import os
import pickle
import struct
from collections.abc import Iterable, Iterator
from typing import Any

from regulome.errors import InputError
from regulome.genome.text import read_pieces

#: Letters of numpy's plain number types → those of ``struct``.
_NUMBERS = {"f8": "d", "f4": "f", "f2": "e", "i8": "q", "i4": "i", "i2": "h", "u8": "Q", "u4": "I", "u2": "H"}
_CURE = "save the contacts as text: chrom1, start1, end1, chrom2, start2, end2, score"

Pair = tuple[str, str, float]


class _NumberType:
    """Stands for ``numpy.dtype`` of a plain number."""

    def __init__(self, name: object, *_: object) -> None:
        if name not in _NUMBERS:
            raise pickle.UnpicklingError(f"the number type {name!r}")
        self.layout = "<" + _NUMBERS[str(name)]

    def __setstate__(self, state: tuple[object, ...]) -> None:
        if len(state) > 1 and state[1] == ">":
            self.layout = ">" + self.layout[1:]


def _number(kind: object, data: object) -> float:
    """Stands for numpy's own way to make a number of its bytes."""
    if not isinstance(kind, _NumberType) or not isinstance(data, bytes):
        raise pickle.UnpicklingError("a number of numpy that is none")
    return float(struct.unpack(kind.layout, data)[0])


def _mapping(*_: object) -> dict[Any, Any]:
    """Stands for dictionaries of other kinds, which are filled afterwards."""
    return {}


def _encoded(text: object, encoding: object = "latin1") -> bytes:
    """Stands for the way in which old protocols write bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("bytes that are none")
    return text.encode("latin1")


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _mapping,
    ("collections", "defaultdict"): _mapping,
    ("builtins", "dict"): dict,
    ("builtins", "list"): list,
    ("builtins", "float"): float,
    ("builtins", "int"): int,
    ("_codecs", "encode"): _encoded,
    ("numpy", "dtype"): _NumberType,
    ("numpy.core.multiarray", "scalar"): _number,
    ("numpy._core.multiarray", "scalar"): _number,
}


class _Reader(pickle.Unpickler):
    """Knows no names but those of :data:`_KNOWN`."""

    def find_class(self, module: str, name: str) -> Any:
        known = _KNOWN.get((module.replace("__builtin__", "builtins"), name))
        if known is None:
            raise pickle.UnpicklingError(f"{module}.{name}"[:80])
        return known


def read_pickled_contacts(path: str | os.PathLike[str]) -> list[Pair]:
    """Read fragment, fragment and score of each contact.

    The pickle may hold ``{fragment: {fragment: score}}``, ``{fragment: [(fragment, score), …]}`` or
    ``{(fragment, fragment): score}``; fragments are texts.

    Args:
        path: The file, plain or gzipped.

    Raises:
        InputError: It is damaged, asks for anything else than plain containers, texts and numbers, or holds something
            else than contacts.
    """
    data = b"".join(read_pieces(path))
    try:
        content = _Reader(io.BytesIO(data)).load()
    except pickle.UnpicklingError as error:
        problem = f"is no pickle of plain containers, texts and numbers: {error}".replace("\n", " ")
        raise InputError(problem[:200], file=path, cure=_CURE) from None
    except Exception as error:  # a hostile or damaged file can make the machine fail in any way
        problem = f"is no pickle of plain containers, texts and numbers: {type(error).__name__}"
        raise InputError(problem, file=path, cure=_CURE) from None
    pairs: list[Pair] = []
    for pair in _pairs(content, path):
        pairs.append(pair)
        # A pickle may name one dictionary many times: a small file must not become a large table.
        if len(pairs) > len(data):
            raise InputError("holds more contacts than a file of its size can", file=path, cure=_CURE)
    if not pairs:
        raise InputError("holds no contacts", file=path, cure=_CURE)
    return pairs


def _pairs(content: object, path: str | os.PathLike[str]) -> Iterator[Pair]:
    if not isinstance(content, dict):
        raise _wrong(content, path)
    for first, rest in content.items():
        if isinstance(first, tuple) and len(first) == 2:
            yield _pair(first[0], first[1], rest, path)
            continue
        items: Iterable[object]
        if isinstance(rest, dict):
            items = rest.items()
        elif isinstance(rest, list | tuple):
            items = rest
        else:
            raise _wrong(rest, path)
        for item in items:
            if not isinstance(item, list | tuple) or len(item) != 2:
                raise _wrong(item, path)
            yield _pair(first, item[0], item[1], path)


def _pair(first: object, second: object, score: object, path: str | os.PathLike[str]) -> Pair:
    if not isinstance(first, str) or not isinstance(second, str):
        raise _wrong(second if isinstance(first, str) else first, path)
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise _wrong(score, path)
    try:
        return first, second, float(score)
    except OverflowError:
        raise _wrong("a score of hundreds of digits", path) from None


def _wrong(found: object, path: str | os.PathLike[str]) -> InputError:
    what = repr(found)[:40] if isinstance(found, str | int | float) else f"a {type(found).__name__}"
    expected = "{fragment: {fragment: score}}, {fragment: [(fragment, score), …]} or {(fragment, fragment): score}"
    return InputError(f"holds {what}, expected {expected}", file=path, cure=_CURE)
