"""Who learns, who is watched, who is tested: the ways to divide a dataset into train, valid and test."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from regulome.datasets.chromosome_folds import balanced_folds, fold_chromosomes, in_order
from regulome.datasets.dataset import UNKNOWN_CHROMOSOME, Dataset
from regulome.datasets.published_folds import published_fold
from regulome.datasets.split_file import PARTS, Assignment, read_split
from regulome.errors import InputError
from regulome.genome.chromosomes import match_names

logger = logging.getLogger(__name__)

#: Blocks along the genome of the split "blocks", and how many of them validate and test.
BLOCKS, VALID_BLOCKS, TEST_BLOCKS = 40, 6, 6
#: Folds of the split that is taken when nothing was asked for.
DEFAULT_FOLDS = 5
#: Chromosomes that a message names: a draft may have very many records.
_LISTED = 30


def assign_split(
    dataset: Dataset,
    split: str | os.PathLike[str] | None = None,
    *,
    test_chromosomes: Sequence[str] = (),
    valid_chromosomes: Sequence[str] = (),
    seed: int = 0,
) -> Assignment:
    """Assign every example to a part.

    Args:
        dataset: The dataset.
        split: How:

            * ``"chromosomes"``: by ``test_chromosomes`` and ``valid_chromosomes``; all others train. Without
              ``valid_chromosomes``, the validation chromosomes are chosen so that they hold about as many examples as
              the test chromosomes.
            * ``"fold:I/K"``: whole chromosomes in K folds of about equal size; fold I (1 … K) tests, the next one
              validates; with ``:half`` or ``:0.3`` behind it other chromosomes do, see
              :func:`regulome.datasets.chromosome_folds.fold_chromosomes`.
            * ``"published"``: what the published files say; for texts the parts that they were prepared with (the last
              letters are held out); for other datasets of genes the first, second and last third in the order of the
              expression table (DeepChrome's 6,601, 6,601 and 6,600 genes).
            * ``"published:K"``: fold K of a table that came with folds, see
              :func:`regulome.datasets.published_folds.published_fold`.
            * ``"blocks"``: 40 blocks along the genome, 6 for validation and 6 for test by ``seed``; between blocks of
              different parts, examples are left out so that a gap as wide as the widest window remains on both sides
              (the blocks of a text do not overlap, and need none).
            * a file: a table with the columns ``id`` and ``split`` (TSV, or the ``splits.parquet`` of a run), one row
              per example; an empty split leaves an example out.
            * None: ``"chromosomes"`` when chromosomes are given; else ``"published"`` for texts, and where the tables
              came with a split; else ``"fold:1/5"``, with fewer folds where there are three or four chromosomes, and
              ``"blocks"`` where there are one or two.
        test_chromosomes: Chromosomes of the test part; ``chr1`` and ``1`` are the same.
        valid_chromosomes: Chromosomes of the validation part.
        seed: Chooses the blocks of the split ``"blocks"``; the other splits do not depend on it.

    Returns:
        ``"train"``, ``"valid"``, ``"test"`` or ``""`` for each example, ``[examples]``.

    Raises:
        InputError: An unknown split or chromosome, a chromosome in two parts, or a part without examples.
    """
    name = _default(dataset, test_chromosomes, valid_chromosomes) if split is None else os.fspath(split)
    if name != "chromosomes" and (test_chromosomes or valid_chromosomes):
        raise InputError(
            f"chromosomes were given together with the split {name!r}",
            cure="give either --split or --test-chromosomes and --valid-chromosomes",
        )
    if name == "chromosomes":
        parts = _by_chromosomes(dataset, test_chromosomes, valid_chromosomes)
    elif name.startswith("fold:"):
        parts = _fold(dataset, name)
    elif name.startswith("published:"):
        parts = published_fold(dataset, name)
    elif name in _NAMED:
        parts = _NAMED[name](dataset, seed)
    elif Path(name).is_file():
        parts = read_split(dataset, Path(name))
    else:
        raise InputError(
            f"unknown split {name!r}, and no such file",
            cure=f"give one of chromosomes, fold:I/K, {', '.join(_NAMED)}, or a TSV of id and split",
        )
    for part in PARTS:
        if not (parts == part).any():
            raise InputError(f"the split {name!r} leaves no examples for {part}", file=dataset.path, cure=_CURE)
    _tell_mixed(dataset, parts, name)
    return parts


_CURE = "give other chromosomes, or another --split"


def describe_split(dataset: Dataset, parts: Assignment) -> str:
    """Say a split in one line: examples per part, and chromosomes where the parts do not share any."""
    chromosomes = dataset.regions["chrom"].to_numpy()
    apart = not mixed_chromosomes(dataset, parts)
    words = []
    for part in PARTS:
        rows = parts == part
        names = in_order(set(chromosomes[rows]))
        where = f" ({', '.join(names)})" if apart and len(names) <= 8 else f" ({len(names)} chromosomes)" * apart
        words.append(f"{part} {rows.sum():,}{where}")
    left = int((parts == "").sum())
    return ", ".join(words) + (f", left out {left:,}" if left else "")


def _default(dataset: Dataset, test: Sequence[str], valid: Sequence[str]) -> str:
    if test or valid:
        return "chromosomes"
    if _has_published(dataset):
        return "published"
    chromosomes = dataset.regions["chrom"].unique().to_list()
    known = len(chromosomes) - (UNKNOWN_CHROMOSOME in chromosomes)
    if known in (1, 2):
        logger.info("no split was asked for, and there are too few chromosomes for folds: taking blocks along them")
        return "blocks"
    folds = max(3, min(DEFAULT_FOLDS, known))
    logger.info("no split was asked for: taking whole chromosomes, fold:1/%d", folds)
    return f"fold:1/{folds}"


def _has_published(dataset: Dataset) -> bool:
    return dataset.regions["split"].null_count() < len(dataset)


def _counts(dataset: Dataset) -> dict[str, int]:
    """Examples per chromosome, in natural order of the names; those of unknown chromosome belong to no part."""
    counts = dict(dataset.regions["chrom"].value_counts().iter_rows())
    unknown = counts.pop(UNKNOWN_CHROMOSOME, 0)
    if not counts:
        raise InputError(
            f"the chromosomes of its {unknown:,} examples are not known",
            file=dataset.path,
            cure="use --split published, or a file of ids and splits",
        )
    if unknown:
        logger.warning("left out %s examples whose chromosome is not known", f"{unknown:,}")
    return {name: counts[name] for name in in_order(counts)}


def _listed(names: Collection[str]) -> str:
    """Name the first of many chromosomes, and count the others."""
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return ", ".join(list(names)[:_LISTED]) + more


def _by_chromosomes(dataset: Dataset, test: Sequence[str], valid: Sequence[str]) -> Assignment:
    counts = _counts(dataset)
    if not test:
        raise InputError(
            "no test chromosomes were given",
            cure=f"give --test-chromosomes; the dataset has {_listed(counts)}",
        )
    tests, valids = _resolve(dataset, test, counts), _resolve(dataset, valid, counts)
    both = [name for name in counts if name in tests and name in valids]
    if both:
        raise InputError(f"{both[0]} is asked for in test and in valid", cure="give each chromosome to one part")
    if not valids:
        rest = {name: n for name, n in counts.items() if name not in tests}
        size = sum(counts[name] for name in tests)
        folds = min(len(rest), max(2, round(sum(rest.values()) / size)))
        valids = set(balanced_folds(rest, folds)[0]) if len(rest) > 1 else set()
        logger.info("validation chromosomes, chosen by size: %s", _listed(in_order(valids)) or "none are left")
    return _by_name(dataset, tests, valids)


def _resolve(dataset: Dataset, wanted: Sequence[str], counts: Mapping[str, int]) -> set[str]:
    """Find the chromosomes that the user means among those of the dataset."""
    cure = f"the dataset has {_listed(counts)}"
    try:
        found = match_names(wanted, counts, file=dataset.path) if wanted else {}
    except InputError:
        found = {}
    for name in wanted:
        if name not in found:
            raise InputError(f"unknown chromosome {name!r}", file=dataset.path, cure=cure)
    differ = [f"{name} = {found[name]}" for name in wanted if found[name] != name]
    if differ:
        logger.info("matched %s", ", ".join(differ))
    return set(found.values())


def _by_name(dataset: Dataset, tests: set[str], valids: set[str]) -> Assignment:
    # Looked up, not compared one by one: a draft has as many records as examples.
    part_of = dict.fromkeys(valids, "valid") | dict.fromkeys(tests, "test") | {UNKNOWN_CHROMOSOME: ""}
    parts = dataset.regions["chrom"].replace_strict(part_of, default="train", return_dtype=pl.String)
    return parts.to_numpy().astype("<U5")


def _fold(dataset: Dataset, name: str) -> Assignment:
    return _by_name(dataset, *fold_chromosomes(name, _counts(dataset), file=dataset.path))


def _published(dataset: Dataset, seed: int) -> Assignment:
    if _has_published(dataset):
        return dataset.regions["split"].fill_null("").to_numpy().astype("<U5")
    if dataset.line != "expression":
        raise InputError(
            "has no published split", file=dataset.path, cure="give --split blocks, fold:I/K, or --test-chromosomes"
        )
    order = np.arange(len(dataset))
    if "expression_row" in dataset.regions.columns:
        order = np.argsort(dataset.regions["expression_row"].to_numpy(), kind="stable")
    parts = np.empty(len(dataset), dtype="<U5")
    for part, rows in zip(PARTS, np.array_split(order, 3), strict=True):
        parts[rows] = part
    return parts


def _blocks(dataset: Dataset, seed: int) -> Assignment:
    names = list(_counts(dataset))
    known = np.flatnonzero((dataset.regions["chrom"] != UNKNOWN_CHROMOSOME).to_numpy())
    regions = dataset.regions[known]
    codes = regions["chrom"].replace_strict(names, range(len(names)), return_dtype=pl.Int64).to_numpy()
    starts, ends = regions["start"].to_numpy(), regions["end"].to_numpy()
    order = np.lexsort((starts, codes))
    blocks = min(BLOCKS, len(known))
    scale = blocks / BLOCKS
    valid, test = max(1, round(VALID_BLOCKS * scale)), max(1, round(TEST_BLOCKS * scale))
    kinds = np.full(blocks, "train", dtype="<U5")
    chosen = np.random.default_rng(seed).permutation(blocks)
    kinds[chosen[:valid]] = "valid"
    kinds[chosen[valid : valid + test]] = "test"
    parts = np.empty(len(known), dtype="<U5")
    parts[order] = kinds[np.arange(len(known)) * blocks // len(known)]
    everyone = np.full(len(dataset), "", dtype="<U5")
    if dataset.line == "language":  # the blocks of a text never overlap
        everyone[known] = parts
        return everyone

    # Where the part changes within a chromosome, nothing may come within half a window's width of the change.
    width = int((ends - starts).max())
    half = (width + 1) // 2
    changes = np.flatnonzero((parts[order][1:] != parts[order][:-1]) & (codes[order][1:] == codes[order][:-1]))
    stride = int(ends.max()) + 2 * width + 1
    marks = np.sort(codes[order][changes + 1] * stride + starts[order][changes + 1])
    low = np.searchsorted(marks, codes * stride + starts - half, side="right")
    high = np.searchsorted(marks, codes * stride + ends + half, side="left")
    parts[high > low] = ""
    everyone[known] = parts
    return everyone


_NAMED: dict[str, Callable[[Dataset, int], Assignment]] = {"published": _published, "blocks": _blocks}


def mixed_chromosomes(dataset: Dataset, parts: Assignment) -> list[str]:
    """Return the chromosomes that are in more than one part; those that are not known count as one."""
    used = pl.DataFrame({"chrom": dataset.regions["chrom"], "part": parts}).filter(pl.col("part") != "").unique()
    return in_order(used.filter(pl.col("chrom").is_duplicated())["chrom"].unique())


def _tell_mixed(dataset: Dataset, parts: Assignment, name: str) -> None:
    # Blocks of a text never share a letter.
    if dataset.line == "language" or not mixed_chromosomes(dataset, parts):
        return
    known = dataset.regions["chrom"] != UNKNOWN_CHROMOSOME
    if not known.any():
        logger.info("where the examples lie is not known: that parts do not overlap is taken from the files")
    elif name == "blocks":
        logger.info("the split 'blocks' divides chromosomes; windows of different parts are a window's width apart")
    else:
        logger.warning(
            "the split %r has chromosomes in more than one part: overlapping windows can be on both sides, and scores "
            "can be too good",
            name,
        )
