"""Lines of plain or gzipped text files, numbered as an editor shows them, and the rows among them that are wrong."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from regulome.errors import InputError
from regulome.genome.bytestream import open_bytes

#: Text is decompressed and parsed in pieces of about this many bytes, so that memory does not grow with the file.
PIECE = 1 << 25
#: How many wrong rows of a file are kept with their line numbers; the others are only counted.
KEPT_ROWS = 5
ILL_QUOTED = 'has a quote (") that does not enclose a whole field'


@dataclass
class BadRows:
    """The rows of a file that cannot be used: the first few by line, and how many there are."""

    first: list[tuple[int, str]] = field(default_factory=list)
    count: int = 0

    def add(self, lines: pl.Series, problems: pl.Series) -> None:
        """Note more wrong rows.

        Args:
            lines: 1-based line numbers, ascending.
            problems: For each, what is wrong.
        """
        self.count += len(lines)
        together = [*self.first, *zip(lines.head(KEPT_ROWS).to_list(), problems.head(KEPT_ROWS).to_list(), strict=True)]
        self.first = sorted(together)[:KEPT_ROWS]

    def refuse(self, path: str | os.PathLike[str], *, skip_invalid: bool, cure: str = "mend the line") -> None:
        """Raise an error that names the first wrong row and counts the rest.

        Args:
            path: The file.
            skip_invalid: Leave such rows out instead of refusing the file.
            cure: How the first row could be mended.

        Raises:
            InputError: There are wrong rows, and they may not be left out.
        """
        if not self.count or skip_invalid:
            return
        line, problem = self.first[0]
        more = "" if self.count == 1 else f"; {self.count - 1:,} more such line{'s' * (self.count > 2)}"
        raise InputError(problem + more, file=path, record=line, cure=f"{cure}, or leave it out with --skip-invalid")

    def record(self) -> dict[str, object]:
        """Return what a dataset remembers of the rows that were left out."""
        first = None if not self.first else f"line {self.first[0][0]}: {self.first[0][1]}"
        return {"n_skipped": self.count, "first_skipped": first}


def read_pieces(path: str | os.PathLike[str], size: int = PIECE) -> Iterator[bytes]:
    """Read a plain or gzipped file in pieces that end with a line.

    Args:
        path: The file.
        size: About how many bytes a piece has.

    Yields:
        Bytes of whole lines; the last piece may lack the newline.

    Raises:
        InputError: The file is missing, empty, or a damaged gzip file.
    """
    buffer = bytearray(size)
    rest, some = b"", False
    with open_bytes(path) as stream:
        while n := stream.readinto(memoryview(buffer)):
            some = True
            cut = buffer.rfind(b"\n", 0, n) + 1
            if cut:
                yield rest + buffer[:cut]
                rest = bytes(buffer[cut:n])
            else:
                rest += buffer[:n]
    if rest:
        yield rest
    if not some:
        raise InputError("has no content", file=path, cure="make or download it again")


def read_lines(path: str | os.PathLike[str], size: int = PIECE) -> Iterator[pl.DataFrame]:
    """Read the lines of a plain or gzipped UTF-8 text file.

    Args:
        path: The file.
        size: About how many bytes are held at a time.

    Yields:
        Tables with ``line`` (int64, 1-based) and ``text`` (without the line's end), without blank lines and comments
        (``#``), in file order.

    Raises:
        InputError: The file is missing, empty, damaged, or not UTF-8 text.
    """
    number = 1
    for piece in read_pieces(path, size):
        try:
            text = piece.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            line = number + piece.count(b"\n", 0, error.start)
            cure = "save it as UTF-8; is it really a text file?"
            raise InputError("is not UTF-8 text", file=path, record=line, cure=cure) from error
        if "\0" in text:
            line = number + text.count("\n", 0, text.index("\0"))
            raise InputError("holds binary data, expected text", file=path, record=line, cure="name the right file")
        lines = text.replace("\r\n", "\n").split("\n")
        if not lines[-1]:
            lines.pop()
        table = pl.DataFrame({"text": pl.Series(lines, dtype=pl.String)}).with_row_index("line", number)
        number += len(lines)
        kept = (pl.col("text").str.strip_chars() != "") & ~pl.col("text").str.starts_with("#")
        yield table.filter(kept).with_columns(pl.col("line").cast(pl.Int64))


def settle_quotes(lines: pl.DataFrame, separator: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part the lines whose quotes cannot be understood from the others.

    In tables separated by tabs a stray quote is a letter (``5" end``): there such lines lose their quotes and stay.

    Args:
        lines: A table with ``line`` and ``text``.
        separator: One character.

    Returns:
        The lines whose quotes enclose whole fields, and the others.
    """
    if not lines["text"].str.contains('"', literal=True).any():
        return lines, lines.clear()
    cell = rf'(?:"(?:[^"]|"")*"|[^"{separator}]*)'
    well = pl.col("text").str.contains(rf"^{cell}(?:{separator}{cell})*$")
    if separator != "\t":
        return lines.filter(well), lines.filter(~well)
    bare = pl.when(well).then(pl.col("text")).otherwise(pl.col("text").str.replace_all('"', "", literal=True))
    return lines.with_columns(bare), lines.clear()


def read_fields(lines: pl.DataFrame, separator: str) -> pl.DataFrame:
    """Split lines into fields, minding quotes.

    Args:
        lines: A table with ``line`` and ``text``, in which every line has the same number of fields and its quotes are
            settled (:func:`settle_quotes`).
        separator: One character.

    Returns:
        ``line`` and ``column_0``, ``column_1``, …: text, stripped of white space and quotes.
    """
    if lines.is_empty():
        return pl.DataFrame({"line": lines["line"]})
    text = "\n".join(lines["text"].to_list()).encode()
    fields = pl.read_csv(io.BytesIO(text), separator=separator, has_header=False, infer_schema=False, quote_char='"')
    names = [f"column_{i}" for i in range(fields.width)]
    fields = fields.rename(dict(zip(fields.columns, names, strict=True)))
    stripped = fields.select(pl.col(pl.String).fill_null("").str.strip_chars())
    return stripped.insert_column(0, lines["line"])


def count_fields(text: pl.Expr, separator: str) -> pl.Expr:
    """Count the fields of each line; separators inside double quotes do not count."""
    bare = text.str.replace_all(r'"[^"]*"', "")
    return (bare.str.count_matches(separator, literal=True) + 1).cast(pl.Int64)
