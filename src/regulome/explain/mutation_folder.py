"""The folder that saturation mutagenesis leaves."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulome.errors import InputError
from regulome.records import read_record

FORMAT = "regulome-mutagenesis"
SCHEMA = 1
INFO, TABLE = "mutagenesis.json", "mutagenesis.tsv"
#: Columns of the table.
COLUMNS = {
    "region": pl.String,
    "chrom": pl.String,
    "position": pl.Int64,
    "ref": pl.String,
    "alt": pl.String,
    "feature": pl.String,
    "reference": pl.Float32,
    "alternative": pl.Float32,
    "difference": pl.Float32,
    "log_odds": pl.Float32,
}


@dataclass(frozen=True)
class Part:
    """One mutated stretch inside the arrays of a folder.

    Attributes:
        name: What people call it.
        chrom: Chromosome or record.
        start: First base, 0-based.
        end: One behind the last.
        offset: Where it begins on the last axis of the arrays.
    """

    name: str
    chrom: str
    start: int
    end: int
    offset: int

    @property
    def columns(self) -> slice:
        """Where it lies on the last axis of the arrays."""
        return slice(self.offset, self.offset + self.end - self.start)


@dataclass(frozen=True)
class Mutagenesis:
    """Saturation mutagenesis on disk; arrays are mapped, not read.

    Attributes:
        path: The folder.
        manifest: What ``mutagenesis.json`` says: run, features, regions, strands, windows, arrays.
    """

    path: Path
    manifest: dict[str, Any]

    @property
    def features(self) -> list[str]:
        """Names of the features, the first axis of the arrays."""
        return [str(one["name"]) for one in self.manifest["features"]]

    @property
    def parts(self) -> list[Part]:
        """The mutated stretches, in order."""
        return [Part(**{key: one[key] for key in Part.__dataclass_fields__}) for one in self.manifest["regions"]]

    @property
    def task(self) -> str:
        """What the outputs are: "classification" or "regression"."""
        return str(self.manifest["task"])

    def array(self, name: str) -> NDArray[Any]:
        """Map an array.

        Args:
            name: ``effects`` float32 [feature, 4, base]: change of the log odds (of the value, for regression) when the
                base is replaced by A, C, G, T; ``difference``: the same of the probability; ``reference`` float32
                [feature, base]: what is predicted for the unmutated window in which the base was mutated;
                ``codes`` uint8 [base]: the sequence itself.

        Raises:
            InputError: There is no such array.
        """
        if name not in self.manifest["arrays"]:
            raise InputError(
                f"holds no array {name!r}", file=self.path, cure=f"it has {', '.join(self.manifest['arrays'])}"
            )
        array: NDArray[Any] = np.load(self.path / self.manifest["arrays"][name]["file"], mmap_mode="r")
        return array

    def table(self) -> pl.DataFrame:
        """Read ``mutagenesis.tsv``: a row per substitution and feature."""
        return pl.read_csv(self.path / TABLE, separator="\t", schema_overrides=COLUMNS)

    def __str__(self) -> str:
        """Say in one line what is where."""
        bases = sum(part.end - part.start for part in self.parts)
        count = len(self.features)
        return f"{bases:,} bases mutated, {count:,} feature{'s' * (count != 1)}: {self.path}"


def open_mutagenesis(path: str | PathLike[str]) -> Mutagenesis:
    """Open the folder that :func:`regulome.explain.mutate` left.

    Raises:
        InputError: It is not one, or of another schema version.
    """
    folder = Path(path)
    file = folder / INFO
    if not file.is_file():
        raise InputError(f"is no mutagenesis: it has no {INFO}", file=folder, cure="run regulome mutate")
    again = "run regulome mutate again"
    manifest = read_record(file, format=FORMAT, schema=SCHEMA, what="mutagenesis", again=again)
    return Mutagenesis(folder, manifest)
