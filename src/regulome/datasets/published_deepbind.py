"""DeepBind's ``.seq.gz`` tables: ``FoldID EventID seq Bound``, separated by tabs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from regulome.datasets.published_part import Bytes, Part, carve, encode_rows, feature_names, held, read_bounds
from regulome.errors import InputError
from regulome.genome.shuffle import shuffle_dinucleotides
from regulome.genome.text import read_lines

logger = logging.getLogger(__name__)

_COLUMNS = ("EventID", "seq", "Bound")
_CURE = "is it another --published layout?"


@dataclass(frozen=True)
class _Table:
    """A table with negatives: codes [n, length], labels [n, 1], and per row id and group (a positive, its shuffles)."""

    codes: Bytes
    labels: Bytes
    ids: pl.Series
    groups: pl.Series
    record: dict[str, Any]

    def take(self, rows: Any) -> tuple[Bytes, Bytes, pl.Series]:
        """Return codes, labels and ids of some rows."""
        return self.codes[rows], self.labels[rows], self.ids.filter(rows)


def open_deepbind(files: Mapping[str, Path], *, seed: int, negatives: int, fraction: float) -> list[Part]:
    """Read the tables of a set; see :func:`regulome.datasets.prepare_published_sequence`.

    Memory: the sequences, one byte per letter.

    Raises:
        InputError: A table is damaged or not of the layout, its sequences differ in length, or none is bound.
    """
    features = feature_names(["bound"])
    parts = []
    for number, (split, file) in enumerate(files.items()):
        table = _read(file, negatives, [seed, number])
        if split == "train" and "valid" not in files:
            valid = carve(table.groups, fraction, seed)
            if valid.all():
                raise InputError("has a single positive, too few to validate", file=file, cure="give a valid file, too")
            record = {**table.record, "valid_fraction": fraction, "valid_seed": seed}
            for name, rows in (("train", ~valid), ("valid", valid)):
                codes, labels, ids = table.take(rows)
                parts.append(held(name, file, codes, labels, features, ids=ids, record=record))
        else:
            parts.append(held(split, file, table.codes, table.labels, features, ids=table.ids, record=table.record))
    return parts


def _read(file: Path, negatives: int, seed: list[int]) -> _Table:
    rows = _rows(file)
    codes = encode_rows(rows["seq"], rows["line"], file)
    labels = read_bounds(rows["bound"], rows["line"], file, "Bound")
    ids = rows["id"]
    if ids.is_duplicated().any():
        again = int((~ids.is_first_distinct()).arg_true()[0])
        raise InputError(
            f"the EventID {ids[again]!r} occurs twice", file=file, record=int(rows["line"][again]), cure="rename one"
        )
    positives = int(labels.sum())
    if not positives:
        raise InputError("has no positives (Bound = 1)", file=file, cure="give the table with the bound sequences")
    record: dict[str, Any] = {"positives": positives, "negatives": len(labels) - positives}
    if positives < len(labels):
        return _Table(codes, labels, ids, ids.str.replace(r"_[^_]*$", ""), {**record, "made": 0})
    made = shuffle_dinucleotides(
        np.repeat(codes, negatives, axis=0), seed=int(np.random.SeedSequence(seed).generate_state(1)[0])
    )
    same = int((made == np.repeat(codes, negatives, axis=0)).all(axis=1).sum())
    logger.info(
        "%s: %s positives only; %s shuffles of them with the same dinucleotides are the negatives",
        file.name,
        f"{positives:,}",
        f"{len(made):,}",
    )
    if same:
        logger.warning("%s: %s sequences have no other order: their shuffles are themselves", file.name, f"{same:,}")
    shuffled = pl.select(
        pl.format("{}_shuffle{}", pl.lit(ids).repeat_by(negatives).explode(), pl.lit(_numbers(positives, negatives)))
    ).to_series()
    return _Table(
        np.concatenate([codes, made]),
        np.concatenate([labels, np.zeros((len(made), 1), np.uint8)]),
        pl.concat([ids, shuffled]).alias("id"),
        pl.concat([ids, pl.select(pl.lit(ids).repeat_by(negatives).explode()).to_series()]),
        {**record, "made": len(made), "made_unchanged": same, "made_by": "dinucleotide shuffle", "seed": seed[0]},
    )


def _numbers(positives: int, negatives: int) -> pl.Series:
    return pl.Series("number", np.tile(np.arange(1, negatives + 1), positives))


def _rows(file: Path) -> pl.DataFrame:
    """Read ``line, id, seq, bound`` of a table."""
    frames: list[pl.DataFrame] = []
    places: list[int] = []
    for lines in read_lines(file):
        cells = lines.with_columns(cell=pl.col("text").str.split("\t"))
        if not places and cells.height:
            places = _places(cells["cell"][0].to_list(), file, int(cells["line"][0]))
            cells = cells[1:]
        short = cells.filter(pl.col("cell").list.len() <= max(places, default=0))
        if short.height:
            raise InputError(
                f"has {len(short['cell'][0])} columns, the header has {max(places) + 1}",
                file=file,
                record=int(short["line"][0]),
                cure="mend the line; columns are separated by tabs",
            )
        names = ("id", "seq", "bound")
        frames.append(
            cells.select(
                "line",
                *(pl.col("cell").list.get(i).str.strip_chars().alias(n) for n, i in zip(names, places, strict=True)),
            )
        )
    rows = pl.concat(frames)
    if rows.is_empty():
        raise InputError("has a header and no sequences", file=file, cure="download it again")
    return rows


def _places(header: list[str], file: Path, line: int) -> list[int]:
    known = {name.strip().lower(): place for place, name in enumerate(header)}
    for name in _COLUMNS:
        if name.lower() not in known:
            shown = ", ".join(header)[:80]
            raise InputError(f"has no column {name!r}, the header is {shown!r}", file=file, record=line, cure=_CURE)
    return [known[name.lower()] for name in _COLUMNS]
