"""Features of the genome from files of peaks: what each is called, what is told of it, and where its peaks lie."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome import storage
from regulome.datasets.sequence_layout import FEATURE_COLUMNS
from regulome.errors import InputError
from regulome.genome.chromosomes import Names, key
from regulome.genome.rows import Rows, first_rows
from regulome.progress import progress

logger = logging.getLogger(__name__)

#: Endings that are no part of a feature's name.
_ENDING = re.compile(r"(\.(gz|bgz|bed|narrowPeak|broadPeak|gappedPeak|regionPeak|bed\d\d?|txt))+$", re.IGNORECASE)
#: Column of narrowPeak (from 1) with the summit, counted from the start; -1 where it is not known.
_SUMMIT, _NARROW_COLUMNS = 10, 10

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Feature:
    """A column of the targets.

    Attributes:
        name: Its name.
        files: Its peaks; several files are one feature.
    """

    name: str
    files: tuple[Path, ...]


@dataclass
class Peaks:
    """The peaks of one feature, or of all features, on one chromosome.

    Attributes:
        starts: int32 [n], 0-based.
        ends: int32 [n], exclusive.
        summits: int32 [n], position of each summit: column 10 of narrowPeak, elsewhere the middle.
        features: int32 [n], number of each peak's feature.
    """

    starts: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    summits: npt.NDArray[np.int32]
    features: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.starts)


@dataclass
class PeakFiles:
    """What was read from files of rows on a genome.

    Attributes:
        spelled: Chromosome of the genome → its name in the first file that has it.
        records: For each file what a dataset remembers of it.
        blocks: For each chromosome of the genome the peaks of each file.
    """

    spelled: dict[str, str] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    blocks: dict[str, list[Peaks]] = field(default_factory=dict)

    def on(self, chromosome: str) -> Peaks:
        """Return all peaks on a chromosome of the genome."""
        blocks = self.blocks.get(chromosome, [])
        names = ("starts", "ends", "summits", "features")
        none = np.empty(0, np.int32)
        return Peaks(*(np.concatenate([none, *(getattr(block, name) for block in blocks)]) for name in names))


def name_features(peaks: Iterable[str | os.PathLike[str]]) -> list[Feature]:
    """Tell features and their files from ``FILE`` or ``NAME=FILE``; the files of one name are one feature.

    Args:
        peaks: Files; without a name, a feature is called as its file without ``.narrowPeak.gz`` and the like.

    Raises:
        InputError: A file is missing or named twice, a name is empty, or two files without names have the same one.
    """
    found: dict[str, list[Path]] = {}
    unnamed: dict[str, Path] = {}
    seen: set[Path] = set()
    for item in peaks:
        text = os.fspath(item)
        name, equals, rest = text.partition("=")
        # A path may have an equals sign of its own, and a name may have a slash: what exists decides.
        named = bool(equals) and not _exists(text) and (os.sep not in name or _exists(rest))
        if named and not rest:
            raise InputError(f"--peaks {text}: no file follows the name", cure="write --peaks NAME=FILE")
        path = storage.existing_file(rest if named else text)
        if named and not name.strip():
            raise InputError("a feature has no name", file=path, cure="write --peaks NAME=FILE")
        if not (name if named else path.name).isprintable():
            problem = f"the name {(name if named else path.name)!r} has a tab, line break or other invisible character"
            raise InputError(problem, file=path, cure="write --peaks NAME=FILE with a plain name: tables would break")
        name = name.strip() if named else _ENDING.sub("", path.name) or path.name
        if path.resolve() in seen:
            raise InputError("is named twice", file=path, cure="name each file of peaks once")
        seen.add(path.resolve())
        if (other := unnamed.get(name)) or (not named and name in found):
            cure = f"write --peaks {name}=FILE for each to make them one feature, or give them two names"
            raise InputError(f"would be called {name}, as {other or found[name][0]}", file=path, cure=cure)
        if not named:
            unnamed[name] = path
        found.setdefault(name, []).append(path)
    if not found:
        raise InputError("no file of peaks was given", cure="give at least one: --peaks CTCF.narrowPeak")
    return [Feature(name, tuple(files)) for name, files in found.items()]


def _exists(path: str) -> bool:
    return os.path.exists(path)  # noqa: PTH110 -- Path.exists fails on a name that is too long for a file


def describe_features(features: Sequence[Feature], metadata: str | os.PathLike[str] | None) -> pl.DataFrame:
    """Tell what is known of each feature.

    Args:
        features: The features.
        metadata: A table (TSV, or CSV by its name) with a column ``name`` and any of ``cell``, ``assay``,
            ``treatment``, ``group``; rows of other features are passed over.

    Returns:
        ``name, cell, assay, treatment, group``, one row per feature, empty where nothing is known.

    Raises:
        InputError: The table cannot be read, has no ``name``, or tells of a feature twice, or of none.
    """
    names = pl.DataFrame({"name": [feature.name for feature in features]}, schema={"name": pl.String})
    if metadata is None:
        return names.with_columns(pl.lit("").alias(column) for column in FEATURE_COLUMNS[1:])
    path = storage.existing_file(metadata)
    separator = "," if ".csv" in [suffix.lower() for suffix in path.suffixes] else "\t"
    try:
        table = pl.read_csv(path, separator=separator, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        problem, cure = f"is no table: {str(error).splitlines()[0]}", "give a TSV with the column name"
        if "utf-8" in problem:
            problem, cure = "is not UTF-8 text", "save it as UTF-8"
        elif "more fields" in problem:
            problem, cure = "has a row with more cells than the header", "give each row a cell per column"
        raise InputError(problem, file=path, cure=cure) from None
    table = table.rename({column: column.strip().lower() for column in table.columns})
    if "name" not in table.columns:
        columns = ", ".join(table.columns[:5])
        cure = "add one with the features' names"
        if len(table.columns) == 1 and re.search("[,; ]", columns):
            cure = "separate the columns by tabs, or by commas in a file that ends in .csv"
        raise InputError(f"has no column name, only {columns}", file=path, cure=cure)
    told = [column for column in FEATURE_COLUMNS if column in table.columns]
    table = table.select(pl.col(column).fill_null("").str.strip_chars() for column in told)
    table = table.filter(pl.col("name").is_in(names["name"].implode()))
    repeated = table.filter(pl.col("name").is_duplicated())
    if not repeated.is_empty():
        raise InputError(f"tells of {repeated['name'][0]} twice", file=path, cure="keep one row per feature")
    if table.is_empty():
        cure = "use the names of the features, which are those of the files unless NAME=FILE says otherwise"
        raise InputError(f"tells of none of the features ({names['name'][0]}, …)", file=path, cure=cure)
    if table.height < names.height:
        missing = names.join(table, on="name", how="anti")["name"]
        logger.warning("%s: nothing on %s of %s features, the first is %s", path, len(missing), len(names), missing[0])
    joined = names.join(table, on="name", how="left", maintain_order="left")
    absent = [pl.lit("").alias(column) for column in FEATURE_COLUMNS if column not in told]
    return joined.with_columns(absent).select(pl.col(column).fill_null("") for column in FEATURE_COLUMNS)


def read_peaks(
    files: Sequence[tuple[int, Path]],
    sizes: Mapping[str, int],
    *,
    summits: bool = False,
    skip_invalid: bool = False,
    what: str = "peaks",
) -> PeakFiles:
    """Read BED, narrowPeak or broadPeak files that lie on one genome.

    Rows on chromosomes that the genome lacks are left out; how many is said once for all files, and which files have
    nothing else. Memory: 16 bytes per peak.

    Args:
        files: Number of the feature, and file.
        sizes: Chromosome → bases of the genome.
        summits: Read the summits of narrowPeak; otherwise the middle stands for them.
        skip_invalid: Leave invalid rows out and count them instead of refusing the file.
        what: What the rows are, for messages.

    Raises:
        InputError: A file or a row of it is wrong, or no file has a chromosome of the genome.
    """
    by_key: dict[str, str] = {}
    for name in sizes:
        by_key.setdefault(key(name), name)
    wanted = list(by_key.values())
    peaks = PeakFiles()
    elsewhere: dict[str, int] = {}
    strangers: list[tuple[Path, list[str]]] = []
    with progress(f"reading {what}", len(files), "files") as advance:
        for feature, path in files:
            names = Names(wanted, sizes={name: sizes[name] for name in wanted}, whole=False, file=path)
            summit = _SUMMIT if summits and len(first_rows(path, 1)[0]) == _NARROW_COLUMNS else 0
            rows = Rows(path, names, value=summit, skip_invalid=skip_invalid)
            for block in rows:
                _keep(peaks, wanted, feature, block.codes, block.starts, block.ends, block.values, summit)
            if not names.found:
                strangers.append((path, list(names.present)))
            for name, spelled in names.found.items():
                peaks.spelled.setdefault(name, spelled)
            left = rows.tally.records - int(rows.tally.rows.sum())
            if left and names.found:
                elsewhere[path.name] = left
            if rows.tally.skipped:
                first = rows.tally.record()["first_skipped"]
                logger.warning(f"{path.name}: {rows.tally.skipped:,} invalid rows left out, the first: {first}")
            differ = {name: spelled for name, spelled in names.found.items() if name != spelled}
            peaks.records.append({**rows.tally.record(), "n_elsewhere": left, "aliases": differ})
            advance(1)
    if files and len(strangers) == len(files):
        problem = f"none of its chromosomes ({_some(strangers[0][1])}) is in the genome ({_some(wanted)})"
        raise InputError(problem, file=strangers[0][0], cure="use files of the same species and assembly")
    for path, present in strangers:
        logger.warning(f"{path.name}: none of its chromosomes ({_some(present)}) is in the genome ({_some(wanted)})")
    _say(peaks, elsewhere, what)
    return peaks


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + ", …" * (len(names) > 3)


def _keep(
    peaks: PeakFiles,
    wanted: Sequence[str],
    feature: int,
    codes: npt.NDArray[np.int32],
    starts: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
    offsets: npt.NDArray[np.float64],
    summit: int,
) -> None:
    """Store the rows of a block by chromosome."""
    order = np.argsort(codes, kind="stable")
    codes, starts, ends = codes[order], starts[order], ends[order]
    summits = starts + (ends - starts) // 2
    if summit:
        told = offsets[order]
        inside = (told >= 0) & (told < ends - starts)
        summits = np.where(inside, starts + np.where(inside, told, 0).astype(np.int32), summits)
    edges = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1], True]) if len(codes) else np.empty(0, np.int64)
    for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = slice(first, last)
        same = np.full(last - first, feature, np.int32)
        block = Peaks(starts[part].copy(), ends[part].copy(), summits[part].astype(np.int32), same)
        peaks.blocks.setdefault(wanted[codes[first]], []).append(block)


def _say(peaks: PeakFiles, elsewhere: Mapping[str, int], what: str) -> None:
    differ = {name: spelled for name, spelled in peaks.spelled.items() if name != spelled}
    if differ:
        name, spelled = next(iter(differ.items()))
        more = f" and {len(differ) - 1} more alike" if len(differ) > 1 else ""
        logger.info(f"{what}: chromosome {spelled} = {name} of the genome{more}")
    if elsewhere:
        files = f"{len(elsewhere)} files" if len(elsewhere) > 1 else next(iter(elsewhere))
        logger.info(f"{files}: {sum(elsewhere.values()):,} {what} on chromosomes that the genome lacks are left out")
