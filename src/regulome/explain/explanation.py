"""The folder that an explanation leaves: what it is, its arrays, its tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from regulome.errors import InputError

FORMAT = "regulome-explanation"
SCHEMA = 1


@dataclass(frozen=True)
class Explanation:
    """An explanation on disk; arrays are mapped, not read.

    Attributes:
        path: Its folder.
        manifest: What ``explanation.json`` says: method, parameters, run, dataset, split, number of examples, groups,
            marks, bin positions in bp from the TSS, axis direction, arrays.
        summary: ``summary.tsv``: quantity, mark, bin, from, to (bp from the TSS), group, value; the mean maps. Rows of
            whole marks (beta) have no bin.
    """

    path: Path
    manifest: dict[str, Any]
    summary: pl.DataFrame

    @property
    def method(self) -> str:
        """The method: attention, class-map or gradient."""
        return str(self.manifest["method"])

    @property
    def marks(self) -> list[str]:
        """Names of the rows of the maps."""
        return list(self.manifest["marks"])

    @property
    def edges(self) -> NDArray[np.float64]:
        """Borders of the bins in bp from the TSS, float64 [T' + 1]."""
        return np.array([*self.manifest["bins"]["from"], self.manifest["bins"]["to"][-1]], np.float64)

    def array(self, name: str) -> NDArray[np.float32]:
        """Map one of the arrays, for example ``"alpha"``."""
        if name not in self.manifest["arrays"]:
            raise InputError(
                f"holds no array {name!r}", file=self.path, cure=f"there are {', '.join(self.manifest['arrays'])}"
            )
        array: NDArray[np.float32] = np.load(self.path / self.manifest["arrays"][name]["file"], mmap_mode="r")
        return array

    def quantities(self) -> list[str]:
        """Names of the mean maps, for example ``["alpha", "beta"]``."""
        return self.summary["quantity"].unique(maintain_order=True).to_list()

    def mean(self, quantity: str, group: str) -> NDArray[np.float64]:
        """Return a mean map as float64 [M, T'], or [M] for a quantity of whole marks.

        Args:
            quantity: One of :meth:`quantities`.
            group: "high", "low" or "all"; for class maps "high" or "low".
        """
        rows = self.summary.filter((pl.col("quantity") == quantity) & (pl.col("group") == group))
        values = rows["value"].to_numpy().astype(np.float64)
        if not len(values):
            raise InputError(f"holds no {quantity} of group {group}", file=self.path)
        if rows["bin"].null_count() == len(rows):
            return values
        return values.reshape(-1, rows["bin"].n_unique())

    def __str__(self) -> str:
        """Say in one line what is where."""
        n = self.manifest["examples"]
        return f"{self.method} of {n:,} genes: {self.path}" if n else f"{self.method}: {self.path}"


def open_explanation(path: str | PathLike[str]) -> Explanation:
    """Open an explanation folder.

    Raises:
        InputError: It is not one, or of another schema version.
    """
    path = Path(path)
    file = path / "explanation.json"
    if not file.is_file():
        raise InputError("is not an explanation: it has no explanation.json", file=path, cure="run regulome explain")
    try:
        manifest = json.loads(file.read_text())
    except ValueError as error:
        raise InputError(f"is not JSON: {error}", file=file, cure="run regulome explain again") from None
    if manifest.get("format") != FORMAT or manifest.get("schema") != SCHEMA:
        raise InputError(
            f"expected {FORMAT} schema {SCHEMA}, but got {manifest.get('format')} schema {manifest.get('schema')}",
            file=file,
            cure="run regulome explain again",
        )
    table = pl.read_csv(path / "summary.tsv", separator="\t", schema_overrides=_SCHEMA)
    return Explanation(path, manifest, table)


_SCHEMA = {
    "quantity": pl.String,
    "mark": pl.String,
    "bin": pl.Int64,
    "from": pl.Float64,
    "to": pl.Float64,
    "group": pl.String,
    "value": pl.Float64,
}


def summarize(
    means: Mapping[str, Mapping[str, NDArray[Any]]],
    marks: Sequence[str],
    starts: ArrayLike,
    ends: ArrayLike,
) -> pl.DataFrame:
    """Lay mean maps out as a long table.

    Args:
        means: Quantity → group → map [M, T'] or, for whole marks, [M].
        marks: Names of the rows.
        starts: Where each bin begins, bp from the TSS.
        ends: Where each bin ends.

    Returns:
        Columns quantity, mark, bin (1-based), from, to, group, value.
    """
    parts = []
    for quantity, groups in means.items():
        for group, values in groups.items():
            names = list(marks) if len(values) == len(marks) else ["all marks"]
            bins = values[0].size
            table = pl.DataFrame({"mark": [name for name in names for _ in range(bins)], "value": values.reshape(-1)})
            place = {"bin": range(1, bins + 1), "from": starts, "to": ends}
            table = table.with_columns(
                pl.Series(column, np.tile(np.asarray(one, np.float64), len(names)))
                if values.ndim == 2
                else pl.lit(None).alias(column)
                for column, one in place.items()
            )
            table = table.with_columns(quantity=pl.lit(quantity), group=pl.lit(group))
            parts.append(table.select(pl.col(column).cast(kind) for column, kind in _SCHEMA.items()))
    return pl.concat(parts)
