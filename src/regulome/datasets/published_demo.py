"""The Deep Motif Dashboard's FASTA: a line with the label (``>1`` or ``>0``), then a line with the sequence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from regulome.datasets.published_part import Bytes, Part, carve, encode_rows, feature_names, held, read_bounds
from regulome.errors import InputError
from regulome.genome.text import read_lines


def open_demo(files: Mapping[str, Path], *, seed: int, fraction: float) -> list[Part]:
    """Read the files of a set; see :func:`regulome.datasets.prepare_published_sequence`.

    Memory: the sequences, one byte per letter.

    Raises:
        InputError: A file is damaged or not of the layout, its sequences differ in length, or all are of one kind.
    """
    features = feature_names(["bound"])
    parts = []
    for split, file in files.items():
        codes, labels = _read(file)
        if split == "train" and "valid" not in files:
            ids = pl.Series([f"train_{i + 1}" for i in range(len(codes))])
            valid = np.zeros(len(codes), bool)
            for label in (0, 1):
                rows = np.flatnonzero(labels[:, 0] == label)
                valid[rows] = carve(ids.gather(rows), fraction, seed)
            record = {"valid_fraction": fraction, "valid_seed": seed}
            for name, rows in (("train", ~valid), ("valid", valid)):
                parts.append(held(name, file, codes[rows], labels[rows], features, ids=ids.filter(rows), record=record))
        else:
            parts.append(held(split, file, codes, labels, features))
    return parts


def _read(file: Path) -> tuple[Bytes, Bytes]:
    lines = pl.concat(list(read_lines(file))).with_columns(
        pl.col("text").str.strip_chars(), label=pl.col("text").str.starts_with(">")
    )
    turn = lines["label"].to_numpy()
    wrong = np.flatnonzero(turn != (np.arange(len(turn)) % 2 == 0))
    if len(wrong) or len(turn) % 2:
        at = int(wrong[0]) if len(wrong) else len(turn) - 1
        expected, cure = (
            ("a line with a label, such as >1", "is it another --published layout? Write each sequence in one line")
            if len(wrong) and not turn[at]
            else ("a line with a sequence after each label", "mend the line")
        )
        raise InputError(f"expected {expected}", file=file, record=int(lines["line"][at]), cure=cure)
    if lines.is_empty():
        raise InputError("has no sequences", file=file, cure="download it again")
    heads, rows = lines[::2], lines[1::2]
    labels = read_bounds(heads["text"].str.slice(1), heads["line"], file, "the label")
    codes = encode_rows(rows["text"], rows["line"], file)
    if labels.min() == labels.max():
        kinds = "negatives" if labels[0, 0] else "positives"
        raise InputError(
            f"has no {kinds}: all labels are {labels[0, 0]}", file=file, cure="give both kinds in one file"
        )
    return codes, labels
