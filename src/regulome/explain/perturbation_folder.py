"""The folder that ``regulome perturb`` leaves."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import polars as pl

from regulome.errors import InputError
from regulome.records import read_record

FORMAT = "regulome-perturbation"
SCHEMA = 1
INFO, EFFECTS, PROFILE = "perturbation.json", "effects.parquet", "profile.tsv"
TOP, ENRICHMENT = "top.tsv", "enrichment.tsv"
#: Columns of the effects.
COLUMNS = {
    "id": pl.String,
    "mark": pl.String,
    "place": pl.String,
    "from": pl.Float32,
    "to": pl.Float32,
    "chrom": pl.String,
    "start": pl.Int64,
    "end": pl.Int64,
    "distance": pl.Float32,
    "frequency": pl.Float32,
    "signal": pl.Float32,
    "factor": pl.Float32,
    "original": pl.Float32,
    "prediction": pl.Float32,
    "difference": pl.Float32,
    "change": pl.Float32,
    "runs": pl.Int32,
}


@dataclass(frozen=True)
class Perturbation:
    """In-silico perturbations on disk.

    Attributes:
        path: The folder.
        manifest: What ``perturbation.json`` says: runs, dataset, genes, marks, region, action, factors, places.
    """

    path: Path
    manifest: dict[str, Any]

    @property
    def marks(self) -> list[str]:
        """Names of the sets of marks, each perturbed by itself."""
        return list(self.manifest["marks"])

    @property
    def factors(self) -> list[float]:
        """What was left of the signal, strongest perturbation last."""
        return list(self.manifest["factors"])

    def effects(self) -> pl.LazyFrame:
        """Scan ``effects.parquet``: a row per gene, set of marks, place and factor."""
        return pl.scan_parquet(self.path / EFFECTS)

    def profile(self) -> pl.DataFrame:
        """Read ``profile.tsv``: mean effect per set of marks, place, factor and group of genes."""
        return _read(self.path / PROFILE)

    def top(self) -> pl.DataFrame | None:
        """Read ``top.tsv``: the places whose perturbation changes most; None where there is one place to a gene."""
        return _read(self.path / TOP) if (self.path / TOP).exists() else None

    def enrichment(self) -> pl.DataFrame | None:
        """Read ``enrichment.tsv``; None where no loci were given."""
        return _read(self.path / ENRICHMENT) if (self.path / ENRICHMENT).exists() else None

    def __str__(self) -> str:
        """Say in one line what is where."""
        n, marks = self.manifest["examples"], len(self.marks)
        return f"{n:,} genes, {marks} mark{'s' * (marks != 1)}, {self.manifest['region']}: {self.path}"


def open_perturbation(path: str | PathLike[str]) -> Perturbation:
    """Open the folder that :func:`regulome.explain.perturb` left.

    Raises:
        InputError: It is not one, or of another schema version.
    """
    folder = Path(path)
    file = folder / INFO
    if not file.is_file():
        raise InputError(f"is no perturbation: it has no {INFO}", file=folder, cure="run regulome perturb")
    manifest = read_record(file, format=FORMAT, schema=SCHEMA, what="perturbation", again="run regulome perturb again")
    return Perturbation(folder, manifest)


def _read(file: Path) -> pl.DataFrame:
    # Columns that are empty in this folder have their types all the same.
    kinds = {**dict.fromkeys(("difference", "low", "high", "change"), pl.Float64), **COLUMNS, "loci": pl.String}
    return pl.read_csv(file, separator="\t", schema_overrides=kinds, infer_schema_length=None)
