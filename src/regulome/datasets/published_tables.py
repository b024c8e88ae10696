"""Read the tables that DeepChrome and DeepDiff published: one row per gene and bin, read counts of marks in columns."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome.datasets.published_layouts import Layout, explain
from regulome.datasets.published_parser import parse_genes
from regulome.errors import InputError
from regulome.genome.text import read_pieces

#: Bytes of a table that are parsed at a time.
PIECE = 4 << 20


@dataclass(frozen=True)
class Genes:
    """Some genes of a table.

    Attributes:
        ids: Gene ids ``[genes]``, without what follows the first ``_``.
        symbols: What followed it, null where nothing did ``[genes]``.
        lines: 1-based line of each gene's first row ``[genes]``.
        values: float32 ``[genes, marks, bins]``.
        labels: float32 ``[genes]``; None in layouts without labels.
    """

    ids: pl.Series
    symbols: pl.Series
    lines: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    labels: npt.NDArray[np.float32] | None


def count_genes(path: str | os.PathLike[str], layout: Layout) -> int:
    """Count the genes of a table by its lines; an upper bound where lines are missing."""
    lines, last = 0, b""
    for piece in read_pieces(path, PIECE):
        lines += piece.count(b"\n")
        last = piece
    lines += not last.endswith(b"\n")
    return -(-lines // layout.bins)


def read_table(path: str | os.PathLike[str], layout: Layout, marks: int) -> Iterator[Genes]:
    """Read a table in pieces of whole genes, bounded memory.

    Raises:
        InputError: The file is damaged, or a line has the wrong number of columns, no number where one is expected, a
            missing or misplaced bin, or a label that differs within its gene.
    """
    rest, line = b"", 1
    for piece in read_pieces(path, PIECE):
        rest += piece.removeprefix(b"\xef\xbb\xbf") if line == 1 and not rest else piece
        if not rest.endswith(b"\n"):
            rest += b"\n"
        rest = rest.replace(b'"', b"")
        genes, used, lines = _parse(rest, layout, marks, line, path)
        if len(genes.ids):
            yield genes
        line += lines
        rest = rest[used:]
    if rest.strip():
        explain(rest, layout, marks, line, path)


def _parse(text: bytes, layout: Layout, marks: int, line: int, path: str | os.PathLike[str]) -> tuple[Genes, int, int]:
    """Parse the whole genes at the start of some text, and return how many bytes and lines they take."""
    # Every column takes two bytes at least, with what ends it.
    room = len(text) // (2 * len(layout.columns(marks)) * layout.bins)
    values = np.empty((room + 1, marks, layout.bins), np.float32)
    labels, lines = np.empty(room + 1, np.float32), np.empty(room + 1, np.int64)
    ids = np.empty(len(text) + 1, np.uint8)
    n, used, used_lines, written, wrong = parse_genes(
        np.frombuffer(text, np.uint8), layout.bins, layout.bin_column, layout.labelled, values, labels, lines, ids
    )
    if wrong >= 0:
        explain(text, layout, marks, line, path)
        raise InputError("cannot be read", file=path, record=line + wrong, cure="download the table again")
    try:
        names = pl.Series("id", ids[:written].tobytes().decode().split("\n")[:-1], pl.String)
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", file=path, cure="save it as UTF-8") from None
    if not layout.bin_column:
        names = names.str.strip_suffix("_1")
    parts = names.str.splitn("_", 2).struct
    genes = Genes(
        ids=parts.field("field_0"),
        symbols=parts.field("field_1"),
        lines=line + lines[:n],
        values=values[:n],
        labels=labels[:n] if layout.labelled else None,
    )
    return genes, used, used_lines
