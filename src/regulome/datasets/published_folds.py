"""Folds that published tables of genes come with: whole chromosomes, numbered in the column ``fold``."""

from __future__ import annotations

import numpy as np
import polars as pl

from regulome.datasets.chromosome_folds import halved, in_order
from regulome.datasets.dataset import Dataset
from regulome.datasets.split_file import Assignment
from regulome.errors import InputError

#: The column of a dataset's table of regions.
COLUMN = "fold"


def published_folds(dataset: Dataset) -> list[int]:
    """Return the numbers of the folds that a dataset's table came with.

    Raises:
        InputError: It came with none.
    """
    known = dataset.regions[COLUMN].drop_nulls() if COLUMN in dataset.regions.columns else pl.Series([], dtype=pl.Int64)
    if known.is_empty():
        raise InputError("has no published folds", file=dataset.path, cure="take folds by chromosome, fold:1/4")
    return [int(number) for number in known.unique().sort()]


def published_fold(dataset: Dataset, name: str) -> Assignment:
    """Hold one published fold out; the others train.

    The first half of its chromosomes (chr2 before chr10) chooses the epoch, the second half tests (Murphy et al. 2024).
    Chromoformer's authors stop on the genes that they test (Lee et al. 2022), which is not done here.

    Args:
        dataset: The dataset.
        name: ``"published:K"``.

    Raises:
        InputError: There is no such fold, or it has one chromosome only.
    """
    folds, number = published_folds(dataset), name.partition(":")[2]
    if number not in map(str, folds):
        raise InputError(f"there is no {name!r}", file=dataset.path, cure=f"its folds are {', '.join(map(str, folds))}")
    held = (dataset.regions[COLUMN] == int(number)).fill_null(False)
    chromosomes = in_order(dataset.regions["chrom"].filter(held).unique())
    if len(chromosomes) < 2:
        raise InputError(
            f"fold {number} has genes of {chromosomes[0]} alone: nothing is left to choose the epoch on",
            file=dataset.path,
            cure="take folds by chromosome, fold:1/3",
        )
    watched = dataset.regions["chrom"].is_in(halved(chromosomes)[0])
    parts = np.full(len(dataset), "train", dtype="<U5")
    parts[dataset.regions[COLUMN].is_null().to_numpy()] = ""
    parts[(held & watched).to_numpy()] = "valid"
    parts[(held & ~watched).to_numpy()] = "test"
    return parts
