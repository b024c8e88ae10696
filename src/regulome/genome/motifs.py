"""Known motifs: MEME's text format and JASPAR's, to matrices of probabilities."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from regulome.errors import InputError
from regulome.genome.bytestream import open_bytes

Floats = npt.NDArray[np.float64]

#: Collections of motifs are some megabytes; what is larger is another kind of file.
_LARGEST = 1 << 28
_KINDS = "expected MEME's text format or JASPAR's"


@dataclass(frozen=True)
class Motif:
    """A motif.

    Attributes:
        id: Its identifier, such as ``MA0139.1``; unique in a file that says so.
        name: Its other name, such as ``CTCF``; the identifier where it has none.
        probabilities: float64 [position, 4]: A, C, G, T; each row sums to 1.
        sites: How many sites it was made of; 0 where the file does not say.
    """

    id: str
    name: str
    probabilities: Floats
    sites: float = 0.0


def read_motifs(path: str | os.PathLike[str]) -> list[Motif]:
    """Read a file of motifs, plain or gzipped.

    Args:
        path: MEME's text format (version 4 or later, DNA), or JASPAR's: ``>ID NAME`` and four rows of counts, either
            ``A [ 4 19 0 ]`` in any order or bare numbers in the order A, C, G, T.

    Returns:
        The motifs in the file's order. Counts become probabilities without pseudocounts.

    Raises:
        InputError: The file is of another kind or has no motif, or a matrix is incomplete, negative or all zeros.

    Example:
        >>> [motif.name for motif in read_motifs("JASPAR2024_CORE.meme")]  # doctest: +SKIP
        ['Arnt', 'Ahr::Arnt', ...]
    """
    lines = _lines(path)
    first = next((text for _, text in lines), "")
    if first.startswith("MEME version"):
        motifs = list(_meme(lines, path))
    elif first.startswith(">"):
        motifs = list(_jaspar(lines, path))
    else:
        raise InputError(f"is no file of motifs: {_KINDS}", file=path)
    if not motifs:
        raise InputError("has no motif", file=path)
    return motifs


Line = tuple[int, str]


def _lines(path: str | os.PathLike[str]) -> list[Line]:
    """Return the lines that are not blank, with their numbers."""
    content, piece = bytearray(), bytearray(1 << 20)
    with open_bytes(path) as stream:
        while count := stream.readinto(memoryview(piece)):
            content += piece[:count]
            if len(content) > _LARGEST:
                raise InputError(f"is too large for a file of motifs: {_KINDS}", file=path)
    text = content.decode("utf-8", errors="replace")
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _meme(lines: list[Line], path: str | os.PathLike[str]) -> Iterator[Motif]:
    named: tuple[int, str, str] | None = None
    here = iter(lines)
    for number, text in here:
        if text.startswith("ALPHABET") and not re.match(r'ALPHABET\s*=\s*ACGT$|ALPHABET\s+"?DNA"?', text):
            raise InputError(f"expected the alphabet ACGT, but got {text!r}", file=path, record=number)
        if text.startswith("MOTIF"):
            if named is not None:
                raise InputError(f"motif {named[1]} has no matrix of probabilities", file=path, record=named[0])
            words = text.split()[1:]
            if not words:
                raise InputError("a motif has no name", file=path, record=number)
            named = (number, words[0], words[1] if len(words) > 1 else words[0])
        elif text.startswith("letter-probability matrix"):
            if named is None:
                raise InputError("a matrix belongs to no motif", file=path, record=number)
            settings = dict(re.findall(r"(\w+)\s*=\s*(\S+)", text))
            rows = [_numbers(*line, path, 4) for line in _take(here, number, settings.get("w", ""), path)]
            values = np.array(rows)
            sites = re.fullmatch(r"[\d.]+", settings.get("nsites", ""))
            yield _motif(named[1], named[2], values, float(sites[0]) if sites else 0.0, number, path)
            named = None
    if named is not None:
        raise InputError(f"motif {named[1]} has no matrix of probabilities", file=path, record=named[0])


def _take(lines: Iterator[Line], number: int, width: str, path: str | os.PathLike[str]) -> Iterator[Line]:
    if not width.isdigit() or int(width) == 0:
        raise InputError(f"expected the matrix's width (w= 8), but got {width!r}", file=path, record=number)
    for _ in range(int(width)):
        line = next(lines, None)
        if line is None:
            raise InputError(f"the file ends in a matrix of {width} rows", file=path, cure="download it again")
        yield line


def _jaspar(lines: list[Line], path: str | os.PathLike[str]) -> Iterator[Motif]:
    starts = [place for place, (_, text) in enumerate(lines) if text.startswith(">")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        number, header = lines[start]
        words = header[1:].split()
        if not words:
            raise InputError("a motif has no name", file=path, record=number)
        rows = lines[start + 1 : end]
        letters = "".join(text[0] for _, text in rows).upper()
        if len(rows) != 4 or (letters.isalpha() and sorted(letters) != list("ACGT")):
            raise InputError(
                f"expected the rows A, C, G and T after {header!r}, but got {len(rows)} rows", file=path, record=number
            )
        counts = [_numbers(n, re.sub(r"^[A-Za-z]|[\[\]]", " ", text), path) for n, text in rows]
        if len({len(row) for row in counts}) != 1:
            raise InputError(f"the four rows of {words[0]} have different lengths", file=path, record=number)
        order = [letters.index(letter) for letter in "ACGT"] if letters.isalpha() else [0, 1, 2, 3]
        values = np.array([counts[row] for row in order]).T
        sites = float(values.sum(axis=1).max())
        yield _motif(words[0], " ".join(words[1:]) or words[0], values, sites, number, path)


def _numbers(number: int, text: str, path: str | os.PathLike[str], count: int | None = None) -> list[float]:
    try:
        values = [float(word) for word in text.split()]
    except ValueError:
        values = []
    if not values or (count is not None and len(values) != count):
        raise InputError(f"expected {count or 'a row of'} numbers, but got {text!r}", file=path, record=number)
    return values


def _motif(id: str, name: str, values: Floats, sites: float, number: int, path: Any) -> Motif:
    totals = values.sum(axis=1, keepdims=True)
    if not np.isfinite(values).all() or (values < 0).any() or (totals <= 0).any():
        raise InputError(
            f"motif {id} has a position without letters, or values that no count can be", file=path, record=number
        )
    return Motif(id, name, values / totals, sites)
