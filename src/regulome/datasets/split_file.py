"""A split that the user wrote down: a table of ids and parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome.datasets.dataset import Dataset
from regulome.errors import InputError

Assignment = npt.NDArray[np.str_]

#: The parts of a split; an example that belongs to none has the empty string.
PARTS = ("train", "valid", "test")


def read_split(dataset: Dataset, path: Path) -> Assignment:
    """Read a table of ids and splits: TSV with or without a header, or the ``splits.parquet`` of a run.

    Returns:
        The part of each example, ``[examples]``.

    Raises:
        InputError: Ids repeat, are not in the dataset or are missing, or a split has another name than the parts.
    """
    table = _read_table(path)
    repeated = table.filter(pl.col("id").is_duplicated())
    if not repeated.is_empty():
        raise InputError(f"the id {repeated['id'][0]!r} occurs twice", file=path, cure="keep one row per example")
    wrong = table.filter(~pl.col("split").is_in([*PARTS, ""]))
    if not wrong.is_empty():
        raise InputError(
            f"{wrong['id'][0]!r} has the split {wrong['split'][0]!r}",
            file=path,
            cure="use train, valid, test or nothing",
        )
    ids = dataset.regions["id"]
    unknown = table.filter(~pl.col("id").is_in(ids.implode()))
    if not unknown.is_empty():
        raise InputError(
            f"{unknown.height:,} ids are not in the dataset, the first is {unknown['id'][0]!r}",
            file=path,
            cure=f"ids of the dataset look like {ids[0]!r}",
        )
    joined = dataset.regions.select("id").join(table, on="id", how="left", maintain_order="left")
    missing = joined.filter(pl.col("split").is_null())
    if not missing.is_empty():
        raise InputError(
            f"{missing.height:,} examples of the dataset have no row, the first is {missing['id'][0]!r}",
            file=path,
            cure="add them, with an empty split to leave them out",
        )
    return joined["split"].to_numpy().astype("<U5")


def _read_table(path: Path) -> pl.DataFrame:
    try:
        if path.suffix == ".parquet":
            table = pl.read_parquet(path)
        else:
            table = pl.read_csv(path, separator="\t", has_header=False, infer_schema=False)
            if table.width == 2:
                table.columns = ["id", "split"]
                if table.row(0)[0] == "id":
                    table = table.slice(1)
    except pl.exceptions.PolarsError as error:
        raise InputError(str(error).splitlines()[0], file=path, cure="give a TSV of id and split") from None
    if not {"id", "split"} <= set(table.columns):
        raise InputError("has no two columns id and split", file=path, cure="separate id and split by a tab")
    return table.select(pl.col("id").cast(pl.String), pl.col("split").cast(pl.String).fill_null("").str.strip_chars())
