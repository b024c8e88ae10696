"""Turn published sets of sequences into a dataset: DeepSEA's, DeepBind's, the Deep Motif Dashboard's, Basset's."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome import storage
from regulome.datasets.dataset import UNKNOWN_CHROMOSOME, Dataset, open_dataset
from regulome.datasets.published_basset import open_basset
from regulome.datasets.published_deepbind import open_deepbind
from regulome.datasets.published_deepsea import open_deepsea
from regulome.datasets.published_demo import open_demo
from regulome.datasets.published_part import Part
from regulome.datasets.sequence_writer import SequenceWriter, new_sequence_dataset
from regulome.errors import InputError
from regulome.progress import progress

logger = logging.getLogger(__name__)

#: The layouts that are known.
SEQUENCE_LAYOUTS = ("deepsea", "deepbind", "demo", "basset")

FilePath = str | os.PathLike[str]


def prepare_published_sequence(
    layout: str,
    train: FilePath | None,
    valid: FilePath | None,
    test: FilePath | None,
    out: FilePath,
    *,
    seed: int = 0,
    negatives_per_positive: int = 1,
    valid_fraction: float = 0.1,
    overwrite: bool = False,
) -> Dataset:
    """Read published sequences with their labels and write a dataset with their own split.

    Layouts:

    * ``"deepsea"``: ``train.mat`` (MATLAB v7.3: ``trainxdata`` stored as (L, 4, N), ``traindata`` as (features, N)),
      ``valid.mat`` and ``test.mat`` (MATLAB v5: ``validxdata`` (N, 4, L), ``validdata`` (N, features)); each may be of
      either kind. Channels A, G, C, T. With 919 features they are DeepSEA's
      (:func:`regulome.datasets.deepsea_features`), otherwise ``feature1`` …. The training file holds reverse
      complements as examples of their own: their number is recorded.
    * ``"deepbind"``: tables ``FoldID EventID seq Bound``. A table in which all are bound (``_AC``) gets as negatives
      shuffles that keep the dinucleotides; others (``_B``) are taken as they are.
    * ``"demo"``: FASTA of the Deep Motif Dashboard: ``>1`` or ``>0``, then the sequence in one line.
    * ``"basset"``: HDF5 with ``train_in`` (n, 4, 1, L) or (n, 4, L), ``train_out``, …, ``target_labels``; one file,
      given as ``train``, holds all parts.

    A column of zeros (or of four quarters) of a one-hot array is an unknown letter. Where the sequences lie is not in
    these files: ``chrom`` is ``"."``, ``start`` and ``end`` are -1. Examples are called ``train_1`` …, or by their
    EventID. For ``"deepbind"`` and ``"demo"`` without ``valid``, a part of the training file validates: whole positives
    with their shuffles, as far as EventIDs tell.

    Memory: below 1 GB for DeepSEA's 4.4 million windows, whatever the chunks of the file. Where a file holds all
    examples of a position together, a temporary file of one byte per letter lies beside ``out`` meanwhile.

    Args:
        layout: One of the above.
        train: File of the training examples; None where there is none, as for the others.
        valid: File of the validation examples.
        test: File of the test examples.
        out: The dataset folder to make.
        seed: Makes the shuffles and chooses what validates.
        negatives_per_positive: Shuffles of each positive, for ``"deepbind"``.
        valid_fraction: The share of the training file that validates where there is no ``valid``.
        overwrite: Replace an existing dataset.

    Raises:
        InputError: A file is missing, damaged or not of the layout, sequences differ in length, a column is not
            one-hot, a label is not 0 or 1, or nothing is positive.
    """
    if layout not in SEQUENCE_LAYOUTS:
        raise InputError(f"unknown layout {layout!r}", cure=f"give one of {', '.join(SEQUENCE_LAYOUTS)}")
    if negatives_per_positive < 1:
        raise InputError(f"{negatives_per_positive} negatives per positive", cure="give at least 1")
    if not 0 < valid_fraction < 1:
        raise InputError(f"a validation share of {valid_fraction:g}", cure="give a share between 0 and 1")
    if seed < 0:
        raise InputError(f"seed {seed} is negative", cure="choose a whole number from 0")
    files = {
        split: storage.existing_file(file)
        for split, file in (("train", train), ("valid", valid), ("test", test))
        if file is not None
    }
    if not files:
        raise InputError("no file was given", cure="give --train, --valid and --test")
    if layout != "basset":  # whose file has a part of each name
        _check_different(files)
    storage.check_target(out, overwrite=overwrite)
    if layout == "deepsea":
        parts = open_deepsea(files)
    elif layout == "deepbind":
        parts = open_deepbind(files, seed=seed, negatives=negatives_per_positive, fraction=valid_fraction)
    elif layout == "demo":
        parts = open_demo(files, seed=seed, fraction=valid_fraction)
    else:
        parts = open_basset(files)
    _agree(parts)
    # In a function of its own: the table of examples that the writer holds is gone before it is read again.
    _convert(layout, files, parts, Path(out), seed, overwrite)
    return open_dataset(out)


def _convert(layout: str, files: Mapping[str, Path], parts: list[Part], out: Path, seed: int, overwrite: bool) -> None:
    with new_sequence_dataset(out, length=parts[0].length, overwrite=overwrite) as writer:
        _write(writer, parts, out.absolute().parent)
        writer.finish(
            regions=_regions(parts),
            target_names=parts[0].features["name"].to_list(),
            features=parts[0].features,
            rule={"rule": "the labels of the published files"},
            sources=_sources(files, parts),
            parameters={
                "published": layout,
                "length": parts[0].length,
                "seed": seed,
                "parts": [{"split": part.split, "examples": part.examples, **part.record} for part in parts],
            },
        )


def _check_different(files: Mapping[str, Path]) -> None:
    """Refuse one file for two parts: what trained would be tested."""
    seen: dict[Path, str] = {}
    for split, file in files.items():
        other = seen.setdefault(file.resolve(), split)
        if other != split:
            raise InputError(f"is given as --{other} and as --{split}", file=file, cure="give each part its own file")


def _agree(parts: list[Part]) -> None:
    """Refuse parts of different lengths or features."""
    first = parts[0]
    for part in parts[1:]:
        if part.length != first.length:
            raise InputError(
                f"its sequences have {part.length:,} letters, those of {first.file} {first.length:,}",
                file=part.file,
                cure="give files of one set",
            )
        if not part.features.equals(first.features):
            number, other = part.features.height, first.features.height
            problem = f"has {number:,} features, {first.file} has {other:,}" if number != other else "other features"
            raise InputError(problem, file=part.file, cure="give files of one set")


def _write(writer: SequenceWriter, parts: list[Part], scratch: Path) -> None:
    """Copy all examples, and tell what is positive nowhere."""
    positives: npt.NDArray[np.int64] = np.zeros(parts[0].features.height, np.int64)
    with progress("reading published sequences", sum(part.examples for part in parts), "examples") as advance:
        for part in parts:
            seen = 0
            for codes, labels in part.chunks(scratch):
                writer.add_codes(codes)
                writer.add_targets(labels)
                positives += labels.sum(axis=0, dtype=np.int64)
                seen += len(codes)
                advance(len(codes))
            if seen != part.examples:
                raise InputError(f"{seen:,} of {part.examples:,} examples found", file=part.file, cure="make it again")
    if not positives.any():
        raise InputError("has no positives: all labels are 0", file=parts[0].file, cure="give a file with both labels")
    never = np.flatnonzero(positives == 0)
    if len(never):
        name = parts[0].features["name"][int(never[0])]
        logger.warning("%s features have no positives, the first is %s", f"{len(never):,}", name)


def _regions(parts: list[Part]) -> pl.DataFrame:
    ids = [_ids(part) for part in parts]
    split = [pl.repeat(part.split, part.examples, eager=True) for part in parts]
    table = pl.DataFrame({"id": pl.concat(ids), "split": pl.concat(split)})
    if any(part.ids is not None for part in parts) and table["id"].is_duplicated().any():
        table = table.with_columns(id=pl.format("{}_{}", "split", "id"))
    return table.with_columns(chrom=pl.lit(UNKNOWN_CHROMOSOME), start=pl.lit(-1), end=pl.lit(-1), strand=pl.lit("."))


def _ids(part: Part) -> pl.Series:
    if part.ids is not None:
        return part.ids.alias("id")
    number = pl.int_range(1, part.examples + 1)
    return pl.select(id=pl.format("{}_{}", pl.lit(part.split), number)).to_series()


def _sources(files: Mapping[str, Path], parts: list[Part]) -> list[dict[str, object]]:
    records = {part.file: part.record for part in parts}
    return [{"role": split, **storage.source(file), **records[file]} for split, file in files.items()]
