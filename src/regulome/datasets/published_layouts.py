"""How published tables are laid out, and what is wrong with a line that is not so."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from regulome.errors import InputError
from regulome.genome.text import read_pieces

#: The marks of DeepChrome's tables, in their order.
DEEPCHROME_MARKS = ("H3K27me3", "H3K36me3", "H3K4me1", "H3K4me3", "H3K9me3")


@dataclass(frozen=True)
class Layout:
    """How a published table is laid out (CSV without a header).

    Attributes:
        name: Its name.
        bins: Rows of each gene, consecutive and in order.
        marks: The marks in the order of the columns; None where the file decides how many there are.
        labelled: Whether the last column is the label, 0 or 1, the same in all rows of a gene.
        bin_column: Whether the second column is the number of the bin (1 …); otherwise the id ends in ``_BIN``.
    """

    name: str
    bins: int
    marks: tuple[str, ...] | None
    labelled: bool
    bin_column: bool

    def columns(self, marks: int) -> list[str]:
        """Names of the columns of a table with so many marks."""
        counts = [f"count_{i}" for i in range(marks)]
        return ["id", *["bin"] * self.bin_column, *counts, *["label"] * self.labelled]

    def count_marks(self, path: str | os.PathLike[str]) -> int:
        """Find by the first line how many marks a table has.

        Raises:
            InputError: It has too few columns, or does not begin with bin 1.
        """
        first = next(read_pieces(path, 1 << 16)).split(b"\n", 1)[0]
        marks = first.count(b",") + 1 - len(self.columns(0))
        if marks < 1 or (self.marks is not None and marks != len(self.marks)):
            wanted = "at least 1 mark" if self.marks is None else f"the {len(self.marks)} marks {', '.join(self.marks)}"
            names = ", ".join(self.columns(0)[: 1 + self.bin_column] + ["counts"] + ["label"] * self.labelled)
            raise InputError(
                f"has {first.count(b',') + 1} columns, the layout {self.name!r} has {names} with {wanted}",
                file=path,
                record=1,
                cure="choose the right --published layout",
            )
        number = first.split(b",")[1].strip(b'"').decode("utf-8", "replace")
        if self.bin_column and _is_number(number) and float(number) != 1:
            raise InputError(
                f"begins with bin {number} in column 2, expected 1",
                file=path,
                record=1,
                cure="is it another --published layout?",
            )
        return marks


LAYOUTS = {
    "deepchrome": Layout("deepchrome", 100, None, labelled=True, bin_column=True),
    "deepdiff": Layout(
        "deepdiff",
        200,
        ("H3K4me1", "H3K4me3", "H3K9me3", "H3K27me3", "H3K36me3"),
        labelled=False,
        bin_column=False,
    ),
}


def explain(text: bytes, layout: Layout, marks: int, line: int, path: str | os.PathLike[str]) -> None:
    """Find the first line that does not belong where it is; slow, for tables that could not be parsed.

    Args:
        text: Lines of the table, beginning with the first line of a gene.
        layout: The layout.
        marks: Number of marks.
        line: 1-based number of the first line.
        path: Named in the error.

    Raises:
        InputError: Always when a line is wrong or the last gene is not whole.
    """
    gene, label, row = "", "", 0
    number = line
    for number, content in enumerate(text.decode("utf-8", "replace").splitlines(), start=line):
        if row == 0 and not content.strip():
            continue
        fields = content.split(",")
        problem = _wrong_fields(fields, layout, marks)
        if problem:
            first = number == 1 and len(fields) > 1 and not any(_is_number(field) for field in fields)
            cure = "the tables have no header: remove it" if first else "mend the line, or download the table again"
            raise InputError(problem, file=path, record=number, cure=cure)
        name, _, end = fields[0].rpartition("_")
        found, name = (fields[1], fields[0]) if layout.bin_column else (end, name)
        name = name.split("_")[0] if layout.bin_column else name
        cure = f"every gene has the bins 1 to {layout.bins}, in order"
        if row and name != gene:
            problem = f"the gene {gene} has {row} bins, expected {layout.bins}"
        elif not name:
            problem, cure = "has no gene id", "mend the line"
        elif not _is_number(found) or float(found) != row + 1:
            problem = f"bin {found} of the gene {name} where bin {row + 1} belongs"
        elif layout.labelled and float(fields[-1]) not in (0.0, 1.0):
            problem, cure = f"the label is {fields[-1]}, expected 0 or 1", "mend the line"
        elif layout.labelled and row and float(fields[-1]) != float(label):
            problem = f"the label is {fields[-1]}, in the first row of the gene {gene} it is {label}"
            cure = "all rows of a gene have one label"
        if problem:
            raise InputError(problem, file=path, record=number, cure=cure)
        gene, label, row = name, fields[-1], (row + 1) % layout.bins
    if row:
        raise InputError(
            f"the gene {gene} has {row} bins, expected {layout.bins}",
            file=path,
            record=number,
            cure="the table is cut off: download it again",
        )


def _wrong_fields(fields: list[str], layout: Layout, marks: int) -> str:
    expected = len(layout.columns(marks))
    if fields == [""]:
        return "is blank"
    if len(fields) != expected:
        return f"has {len(fields)} columns, expected {expected}"
    for column, field in enumerate(fields[1:], start=2):
        if not _is_number(field):
            return f"column {column} is {field!r}, expected a number"
    return ""


def _is_number(field: str) -> bool:
    try:
        return math.isfinite(float(field)) and field == field.strip() and "_" not in field
    except ValueError:
        return False
