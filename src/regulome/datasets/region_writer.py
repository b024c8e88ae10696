"""Number the regions of a dataset, and write what says where they lie and what touches what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome.datasets.chromosome_folds import in_order
from regulome.datasets.region_layout import SIGNAL
from regulome.datasets.writer import DatasetWriter
from regulome.errors import InputError
from regulome.genome.region_bins import Regions

_PLACE = ("chrom", "start", "end")


@dataclass(frozen=True)
class Numbered:
    """Regions, each once however many genes have it, and the genes' part in them.

    Attributes:
        regions: In genome order.
        promoter: int64 [examples], region of each.
        contact: int64 [contacts, 2], example and region.
        frequency: float32 [contacts].
    """

    regions: Regions
    promoter: npt.NDArray[np.int64]
    contact: npt.NDArray[np.int64]
    frequency: npt.NDArray[np.float32]


def number_regions(examples: pl.DataFrame, contacts: pl.DataFrame) -> Numbered:
    """Give each distinct region a number.

    Args:
        examples: ``chrom``, ``start``, ``end`` of each promoter.
        contacts: ``example``, ``chrom``, ``start``, ``end``, ``score``; those of an example in order of rank.
    """
    places = pl.concat([examples.select(_PLACE), contacts.select(_PLACE)]).unique()
    names = in_order(places["chrom"].unique().to_list())
    rank = pl.col("chrom").replace_strict(names, range(len(names)), return_dtype=pl.Int32)
    places = places.with_columns(code=rank).sort("code", "start", "end").with_row_index("region")
    places = places.with_columns(pl.col("region").cast(pl.Int64))
    promoter = examples.select(_PLACE).join(places, on=_PLACE, how="left", maintain_order="left")["region"]
    touched = contacts.sort("example", maintain_order=True).join(places, on=_PLACE, how="left", maintain_order="left")
    regions = Regions(tuple(names), places["code"].to_numpy(), places["start"].to_numpy(), places["end"].to_numpy())
    return Numbered(
        regions,
        promoter.to_numpy(),
        touched.select(pl.col("example").cast(pl.Int64), "region").to_numpy(),
        touched["score"].cast(pl.Float32).to_numpy(),
    )


def check_widths(resolutions: Sequence[int], window: int, max_region: int) -> tuple[int, ...]:
    """Refuse widths of bins that do not suit the windows.

    Raises:
        InputError: There is none, one is given twice, or a window is no multiple of one.
    """
    widths = tuple(resolutions)
    if not widths or len(set(widths)) < len(widths):
        given = ", ".join(map(str, widths)) or "none"
        raise InputError(f"widths of bins: {given}", cure="give one or more, each once: --resolutions 2000,500,100")
    for width in widths:
        if width < 1 or window < width or window % width:
            raise InputError(
                f"a window of {window} bases cannot be cut into bins of {width}",
                cure="choose a window that is a multiple of every resolution",
            )
    if max_region < 1:
        raise InputError(f"regions of at most {max_region} bases", cure="give a positive --max-region")
    return widths


def add_regions(
    writer: DatasetWriter,
    numbered: Numbered,
    *,
    window: int,
    max_region: int,
    resolutions: Sequence[int],
    marks: Sequence[str],
) -> dict[int, np.memmap[Any, np.dtype[Any]]]:
    """Write regions and contacts, and reserve the signals.

    Returns:
        Width of a bin → float32 [rows, marks], to be filled with mean depths.
    """
    regions = numbered.regions
    edges = np.stack([regions.starts, regions.ends], axis=1)
    writer.add_input("region", axes=["region", "edge"], shape=edges.shape, dtype=np.int64)[:] = edges
    codes = writer.add_input(
        "region_chromosome",
        axes=["region"],
        shape=regions.codes.shape,
        dtype=np.int32,
        names=list(regions.chromosomes),
    )
    codes[:] = regions.codes
    shape = numbered.promoter.shape
    writer.add_input("promoter", axes=["example"], shape=shape, dtype=np.int64, window=window)[:] = numbered.promoter
    # Growing, because there may be no contacts at all.
    about: dict[str, Any] = {"axes": ["contact", "end"], "dtype": np.int64, "row": (2,)}
    writer.grow_input("contact", **about, max_region=max_region).append(numbered.contact.reshape(-1, 2))
    writer.grow_input("frequency", axes=["contact"], dtype=np.float32).append(numbered.frequency)
    return {
        width: writer.add_input(
            SIGNAL.format(width),
            axes=["row", "mark"],
            shape=(int(regions.offsets(width)[-1]), len(marks)),
            dtype=np.float32,
            mark=list(marks),
            bin_size=width,
            unit="signal",
        )
        for width in resolutions
    }
