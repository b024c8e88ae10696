"""Contacts of the genome in three dimensions: pairs of fragments with scores, and which of them genes have."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome.errors import InputError
from regulome.genome.bytestream import open_bytes
from regulome.genome.chromosomes import key
from regulome.genome.contact_pickle import read_pickled_contacts
from regulome.genome.text import BadRows, count_fields, read_lines

logger = logging.getLogger(__name__)

COLUMNS = ("chrom1", "start1", "end1", "chrom2", "start2", "end2", "score")
_WHOLE = r"^[0-9]{1,10}$"
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_NAME = r"^(.+):([0-9]{1,10})-([0-9]{1,10})$"
_SCHEMA: dict[str, Any] = {"line": pl.Int64, **dict.fromkeys(COLUMNS, pl.String)}


@dataclass(frozen=True)
class Contacts:
    """Pairs of fragments.

    Attributes:
        table: ``chrom1, start1, end1, chrom2, start2, end2`` (0-based, half-open) and ``score``, in file order.
        closed: Fragments are named with their last base included, so that a start site may be at ``end``, too.
        record: How the table was read, for the dataset's own record.
    """

    table: pl.DataFrame
    closed: bool
    record: dict[str, Any]

    def __len__(self) -> int:
        return self.table.height


def read_contacts(path: str | os.PathLike[str], *, skip_invalid: bool = False) -> Contacts:
    """Read contacts.

    Layouts: text with the columns ``chrom1 start1 end1 chrom2 start2 end2 score`` (tabs, commas or spaces; a header is
    optional, and with one of these names the columns may have any order); BEDPE, with the score in column 8; a pickle
    of texts and numbers, see :func:`regulome.genome.contact_pickle.read_pickled_contacts`, with fragments named
    ``chrom:start-end``.

    Args:
        path: The file, plain or gzipped.
        skip_invalid: Leave wrong rows out, counted in the record, instead of refusing the file.

    Raises:
        InputError: The file is damaged or a row is wrong.
    """
    if _is_pickle(path):
        rows, bad, kind = _pickled(path), BadRows(), "pickle"
    else:
        rows, bad, kind = _text(path)
    table = rows.with_columns(
        *[pl.when(pl.col(n).str.contains(_WHOLE)).then(pl.col(n)).cast(pl.Int64).alias(n) for n in _positions()],
        score=pl.when(pl.col("score").str.contains(_NUMBER)).then(pl.col("score")).cast(pl.Float64),
        score_text="score",
    ).with_columns(problem=_problem())
    wrong = table.filter(pl.col("problem").is_not_null())
    bad.add(wrong["line"], wrong["problem"])
    bad.refuse(path, skip_invalid=skip_invalid)
    table = table.filter(pl.col("problem").is_null()).select(COLUMNS)
    if table.is_empty():
        raise InputError("has no contacts", file=path, cure=f"give a table with the columns {', '.join(COLUMNS)}")
    record = {"kind": "contacts", "format": kind, "n_records": table.height, **bad.record()}
    return Contacts(table, kind == "pickle", record)


def _positions() -> list[str]:
    return [name for name in COLUMNS if name.startswith(("start", "end"))]


def _problem() -> pl.Expr:
    cases = [pl.when(pl.col(n) == "").then(pl.lit(f"{n} is empty")) for n in ("chrom1", "chrom2")]
    cases += [
        pl.when(pl.col(n).is_null()).then(pl.lit(f"{n} is not a whole number from 0 to 2^31 - 1")) for n in _positions()
    ]
    for i in ("1", "2"):
        empty = pl.col(f"start{i}") >= pl.col(f"end{i}")
        cases.append(pl.when(empty).then(pl.format(f"start{i} {{}} is not before end{i} {{}}", f"start{i}", f"end{i}")))
        cases.append(pl.when(pl.col(f"end{i}") >= 2**31).then(pl.lit(f"end{i} is larger than 2^31 - 1")))
    no_number = pl.col("score").is_null() | ~pl.col("score").is_finite()
    cases.append(pl.when(no_number).then(pl.format("the score '{}' is no finite number", "score_text")))
    return pl.coalesce(*cases)


def _is_pickle(path: str | os.PathLike[str]) -> bool:
    suffixes = [suffix.lower() for suffix in Path(path).suffixes if suffix.lower() != ".gz"]
    first = bytearray(1)
    with open_bytes(path) as stream:
        stream.readinto(memoryview(first))
    return first == b"\x80" or bool(suffixes and suffixes[-1] in (".pickle", ".pkl"))


def _pickled(path: str | os.PathLike[str]) -> pl.DataFrame:
    pairs = read_pickled_contacts(path)
    first, second, scores = zip(*pairs, strict=True)
    rows = pl.DataFrame({"first": first, "second": second, "number": scores}).with_row_index("line", 1)
    names = pl.concat([rows["first"], rows["second"]]).unique(maintain_order=True)
    strange = names.filter(~names.str.contains(_NAME))
    if len(strange):
        raise InputError(f"the fragment {strange[0]!r} is not named CHROM:START-END", file=path, cure="rename it")
    parts = [
        pl.col(name).str.extract(_NAME, group).alias(f"{column}{i}")
        for i, name in ((1, "first"), (2, "second"))
        for group, column in enumerate(("chrom", "start", "end"), 1)
    ]
    return rows.select(pl.col("line").cast(pl.Int64), *parts, score=pl.col("number").cast(pl.String))


def _text(path: str | os.PathLike[str]) -> tuple[pl.DataFrame, BadRows, str]:
    """Read the columns of a table as text."""
    tables, bad = [pl.DataFrame(schema=_SCHEMA)], BadRows()
    layout: _Layout | None = None
    for lines in read_lines(path):
        lines = lines.filter(~pl.col("text").str.contains(r"^(track|browser)\s"))
        if lines.is_empty():
            continue
        if layout is None:
            layout = _layout(lines, path)
            lines = lines.slice(1) if layout.header else lines
        text = pl.col("text").str.strip_chars(" \r")
        if layout.separator == " ":
            text = text.str.replace_all(r"[ \t]+", " ")
        lines = lines.with_columns(text=text).with_columns(n=count_fields(pl.col("text"), layout.separator))
        ragged = lines.filter(pl.col("n") != layout.width)
        bad.add(ragged["line"], ragged.select(p=pl.format(f"has {{}} columns, expected {layout.width}", "n"))["p"])
        lines = lines.filter(pl.col("n") == layout.width)
        fields = pl.col("text").str.split(layout.separator)
        places = zip(COLUMNS, layout.places, strict=True)
        tables.append(
            lines.with_columns(f=fields).select(
                "line", *[pl.col("f").list.get(place).str.strip_chars(' "').alias(name) for name, place in places]
            )
        )
    return pl.concat(tables), bad, "bedpe" if layout is not None and layout.places[-1] == 7 else "table"


@dataclass(frozen=True)
class _Layout:
    separator: str
    width: int
    places: tuple[int, ...]
    header: bool


def _layout(lines: pl.DataFrame, path: str | os.PathLike[str]) -> _Layout:
    """Find the separator, and where the columns are."""
    first = lines["text"][0].strip(" \r")
    separator = next((s for s in "\t,;" if s in first), " ")
    cells = [cell.strip(' "') for cell in (first.split() if separator == " " else first.split(separator))]
    width = len(cells)
    # A header has no numbers: a first row that is wrong must not pass for one.
    header = width > 2 and not any(re.search(_NUMBER, cell) for cell in cells)
    lower = [cell.lower().removeprefix("#") for cell in cells]
    if header and set(COLUMNS) <= set(lower):
        return _Layout(separator, width, tuple(lower.index(name) for name in COLUMNS), header)
    if width < 7 or (
        header and not lines.slice(1).is_empty() and "score" in lower and lower.index("score") not in (6, 7)
    ):
        problem = f"has {width} columns, expected {', '.join(COLUMNS)}, or BEDPE"
        raise InputError(problem, file=path, record=int(lines["line"][0]), cure="separate the columns by tabs")
    score = 6 if width == 7 else 7
    return _Layout(separator, width, (*range(6), score), header)


def contacts_of_sites(
    sites: pl.DataFrame, contacts: Contacts, *, threshold: float, max_region: int
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Find what touches the fragments in which start sites lie.

    A contact counts from both of its ends; one of a fragment with itself does not.

    Args:
        sites: ``example``, ``chrom``, ``tss``: all start sites of each gene, in the order in which they count.
        contacts: The contacts; chromosomes may be named otherwise (``1`` for ``chr1``).
        threshold: Scores must be larger.
        max_region: Longer fragments are no neighbours.

    Returns:
        ``example``, ``chrom``, ``start``, ``end``, ``score`` in the order of sites and of the file, and what was found.
    """
    spelled = {key(name): name for name in sites["chrom"].unique().to_list()}
    pairs = contacts.table.with_row_index("row").with_columns(
        *[
            pl.col(f"chrom{i}").replace({name: spelled.get(key(name), name) for name in _names(contacts, i)})
            for i in (1, 2)
        ]
    )
    ends = [pairs.select(pl.col(f"{name}{i}").alias(name) for name in _PLACE) for i in (1, 2)]
    fragments = pl.concat(ends).unique(maintain_order=True).with_row_index("fragment")
    # Tables have many contacts that are too weak: only the others are looked at from both ends.
    strong = pairs.filter(pl.col("score") > threshold)
    both = pl.concat([strong.select("row", "score", *_ends(1, 2)), strong.select("row", "score", *_ends(2, 1))])
    site, fragment = _fragments_of(sites, fragments, closed=contacts.closed)
    near = sites.with_row_index("site")[site].with_columns(fragment=pl.Series(fragment, dtype=pl.UInt32))
    length = pl.col("end_other") - pl.col("start_other")
    itself = pl.all_horizontal(pl.col(c) == pl.col(f"{c}_other") for c in _PLACE)
    usable = both.filter((length <= max_region) & ~itself).join(fragments, on=_PLACE, how="left", maintain_order="left")
    found = (
        near.select("example", "site", "fragment").join(usable, on="fragment").sort("site", "row", maintain_order=True)
    )
    record = {
        "n_fragments": fragments.height,
        "n_sites": sites.height,
        "n_sites_without_fragment": sites.height - len(np.unique(site)),
        "n_longer_than_max_region": both.filter(length > max_region).height,
    }
    return found.select("example", *[pl.col(f"{c}_other").alias(c) for c in _PLACE], "score"), record


_PLACE = ("chrom", "start", "end")


def _ends(own: int, other: int) -> list[pl.Expr]:
    """Name the columns of a contact as one of its ends sees them."""
    mine = [pl.col(f"{name}{own}").alias(name) for name in _PLACE]
    return [*mine, *[pl.col(f"{name}{other}").alias(f"{name}_other") for name in _PLACE]]


def _names(contacts: Contacts, end: int) -> list[str]:
    return contacts.table[f"chrom{end}"].unique().to_list()


def _fragments_of(
    sites: pl.DataFrame, fragments: pl.DataFrame, *, closed: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return each pair of a site and a fragment in which it lies."""
    names = {name: code for code, name in enumerate(fragments["chrom"].unique().to_list())}
    # Chromosomes laid end to end, so that one sorted list answers for all.
    lift = np.int64(1) << 32
    code = fragments["chrom"].replace_strict(names, return_dtype=pl.Int64).to_numpy()
    starts, stops = fragments["start"].to_numpy() + code * lift, fragments["end"].to_numpy() + code * lift + int(closed)
    order = np.argsort(starts, kind="stable")
    known = sites["chrom"].replace_strict(names, default=len(names), return_dtype=pl.Int64).to_numpy()
    place = sites["tss"].to_numpy() + known * lift
    reach = int((stops - starts).max())
    first = np.searchsorted(starts[order], place - reach, "left")
    counts = np.searchsorted(starts[order], place, "right") - first
    site = np.repeat(np.arange(len(place)), counts)
    candidate = order[np.arange(len(site)) - np.repeat(np.cumsum(counts) - counts - first, counts)]
    inside = stops[candidate] > place[site]
    return site[inside], candidate[inside]
