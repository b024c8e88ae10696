"""Where stretches of a text lie that are looked at: within its parts and records, evenly spread."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome.datasets.dataset import Dataset
from regulome.errors import InputError

Places = npt.NDArray[np.int64]


def text_spans(dataset: Dataset, rows: npt.ArrayLike) -> Places:
    """Join blocks that follow each other within one record.

    Args:
        dataset: A dataset of the line ``"language"``.
        rows: Its blocks.

    Returns:
        int64 [spans, 2]: the first letter of each in the text and one past its last, ascending.
    """
    chosen = np.unique(np.asarray(rows, np.int64))
    blocks = np.asarray(dataset.inputs["block"], np.int64)[chosen]
    record = dataset.regions["chrom"].cast(pl.Categorical).to_physical().to_numpy()[chosen]
    new = np.flatnonzero(np.r_[True, (blocks[1:, 0] != blocks[:-1, 1]) | (record[1:] != record[:-1])][: len(blocks)])
    ends = np.r_[new[1:], len(blocks)] - 1
    return np.stack([blocks[new, 0], blocks[ends, 1]], axis=1) if len(blocks) else np.empty((0, 2), np.int64)


def even_places(spans: Places, length: int, count: int) -> Places:
    """Choose stretches of one length at even distances; they overlap where there is little room.

    Args:
        spans: What :func:`text_spans` returns.
        length: Letters of a stretch; every one lies within a span.
        count: How many, at most: one for each possible place.

    Returns:
        int64 [stretches], the first letter of each, ascending.

    Raises:
        InputError: No span is so long.
    """
    wide = spans[spans[:, 1] - spans[:, 0] >= length]
    if not len(wide):
        raise InputError(f"no stretch of the text has {length:,} letters", cure="ask for shorter ones")
    room = wide[:, 1] - wide[:, 0] - length + 1
    last = np.cumsum(room)
    count = int(min(count, last[-1]))
    chosen = (2 * np.arange(count) + 1) * int(last[-1]) // (2 * count)
    span = np.searchsorted(last, chosen, side="right")
    places: Places = wide[span, 0] + chosen - (last - room)[span]
    return places
