"""Folds of some examples, for cross-validation within a part of a dataset."""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome.datasets.chromosome_folds import balanced_folds
from regulome.datasets.dataset import UNKNOWN_CHROMOSOME, Dataset
from regulome.errors import InputError

logger = logging.getLogger(__name__)

Rows = npt.NDArray[np.int64]


def assign_folds(dataset: Dataset, rows: Rows, folds: int, *, seed: int = 0) -> npt.NDArray[np.int64]:
    """Divide examples into folds of about equal size that do not overlap on the genome.

    Whole chromosomes where there are at least as many as folds; otherwise stretches along the genome, with a gap as
    wide as the widest window between them; where the places are not known, examples drawn by ``seed``, a sequence and
    its shuffles together.

    Args:
        dataset: The dataset.
        rows: The examples, int64 [examples].
        folds: Number of folds, at least 2.
        seed: Seed of the draw.

    Returns:
        Fold of each example, 0 … folds - 1; -1 for examples in a gap. int64 [examples].

    Raises:
        InputError: There are fewer than 2 folds, or a fold has no example.
    """
    if folds < 2:
        raise InputError(f"expected at least 2 folds, got {folds}")
    regions = dataset.regions[rows]
    unknown = int((regions["chrom"] == UNKNOWN_CHROMOSOME).sum())
    if unknown:
        found = _drawn(regions["id"], folds, seed)
    else:
        counts = dict(regions["chrom"].value_counts(sort=True).iter_rows())
        if len(counts) >= folds:
            members = balanced_folds(counts, folds)
            place = {name: fold for fold, names in enumerate(members) for name in names}
            found = regions["chrom"].replace_strict(place, return_dtype=pl.Int64).to_numpy()
        else:
            found = _stretches(regions, folds)
    sizes = np.bincount(found[found >= 0], minlength=folds)
    if sizes.min() == 0:
        raise InputError(f"{len(rows):,} training examples are too few for {folds} folds", file=dataset.path)
    left = f", left out between them {int((found < 0).sum()):,}" if (found < 0).any() else ""
    logger.info("%d folds of the training part: %s examples%s", folds, ", ".join(f"{n:,}" for n in sizes), left)
    return found


def _drawn(ids: pl.Series, folds: int, seed: int) -> npt.NDArray[np.int64]:
    groups = ids.cast(pl.String).str.replace(r"_shuffle\d+$", "").rank("dense").to_numpy().astype(np.int64) - 1
    order = np.random.default_rng(seed).permutation(int(groups.max()) + 1)
    drawn: npt.NDArray[np.int64] = order[groups] % folds
    return drawn


def _stretches(regions: pl.DataFrame, folds: int) -> npt.NDArray[np.int64]:
    chromosomes = regions["chrom"].rank("dense").to_numpy().astype(np.int64)
    starts, ends = regions["start"].to_numpy(), regions["end"].to_numpy()
    order = np.lexsort((starts, chromosomes))
    found = np.empty(len(regions), np.int64)
    found[order] = np.arange(len(regions)) * folds // len(regions)
    # Where the fold changes within a chromosome, nothing may come within half a window's width of the change.
    half = (int((ends - starts).max()) + 1) // 2
    after = order[1:][(np.diff(found[order]) != 0) & (np.diff(chromosomes[order]) == 0)]
    for cut in after:
        near = (chromosomes == chromosomes[cut]) & (starts - half < starts[cut]) & (ends + half > starts[cut])
        found[near] = -1
    return found
