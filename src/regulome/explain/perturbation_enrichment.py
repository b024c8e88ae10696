"""The places that matter most, and whether loci lie in them more often than in places like them."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from regulome.datasets.dataset import UNKNOWN_CHROMOSOME, Dataset
from regulome.genome.bytestream import open_bytes
from regulome.genome.chromosomes import Names, aliases, none_shared
from regulome.genome.rows import Rows
from regulome.genome.vcf import read_variants

logger = logging.getLogger(__name__)

#: Classes of signal, and of distance where places lie anywhere, in which random places are matched.
CLASSES = 10
_SHOWN = (
    *("mark", "rank", "id", "place", "from", "to"),
    *("chrom", "start", "end", "distance", "frequency", "signal"),
)
_EFFECTS = ("original", "prediction", "difference", "change")


@dataclass(frozen=True)
class Loci:
    """Loci of a file, by chromosome of a dataset.

    Attributes:
        name: Name of the file.
        starts: Chromosome → sorted starts, 0-based.
        ends: Chromosome → sorted ends.
        record: What is kept of the file: path, number of loci, how many lie on chromosomes of the dataset.
    """

    name: str
    starts: dict[str, NDArray[np.int64]]
    ends: dict[str, NDArray[np.int64]]
    record: dict[str, Any]

    def count(self, table: pl.DataFrame) -> NDArray[np.int64]:
        """Count the loci that overlap each row of a table (chrom, start, end); 0 where its place is not known."""
        found = np.zeros(len(table), np.int64)
        chrom = table["chrom"].to_numpy()
        start, end = (table[name].fill_null(-1).to_numpy() for name in ("start", "end"))
        for name, starts in self.starts.items():
            here = np.flatnonzero(chrom == name)
            # Loci that begin before the place ends, without those that end before it begins.
            before = np.searchsorted(starts, end[here], side="left")
            found[here] = before - np.searchsorted(self.ends[name], start[here], side="right")
        return found


def read_loci(path: str | os.PathLike[str], dataset: Dataset, *, skip_invalid: bool = False) -> Loci:
    """Read loci: the rows of a BED file, or the REF of the records of a VCF file.

    Args:
        path: BED (narrowPeak, broadPeak) or VCF, plain or gzip.
        dataset: Its chromosomes are wanted; ``20`` = ``chr20``.
        skip_invalid: Leave invalid rows out instead of refusing the file.

    Raises:
        InputError: The file cannot be read, has invalid rows, or nothing on a chromosome of the dataset.
    """
    wanted = [name for name in dataset.regions["chrom"].unique(maintain_order=True) if name != UNKNOWN_CHROMOSOME]
    names = Names(wanted, file=path)
    parts = _variants(path, names, skip_invalid) if _is_vcf(path) else _rows(path, names, skip_invalid)
    codes, starts, ends = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not names.found:
        raise none_shared(wanted, names.present, path)
    aliases(names.found, path)
    kept = [(name, codes == code) for code, name in enumerate(wanted)]
    inside = int((codes >= 0).sum())
    logger.info("%s: %s loci on chromosomes of the dataset", Path(path).name, f"{inside:,}")
    return Loci(
        Path(path).name,
        {name: np.sort(starts[mask]) for name, mask in kept},
        {name: np.sort(ends[mask]) for name, mask in kept},
        {"path": str(Path(path).resolve()), "on_chromosomes": inside},
    )


def _is_vcf(path: str | os.PathLike[str]) -> bool:
    head = bytearray(12)
    with open_bytes(path) as stream:
        stream.readinto(memoryview(head))
    return bytes(head) == b"##fileformat" or head[:3] == b"BCF"


def _rows(path: str | os.PathLike[str], names: Names, skip_invalid: bool) -> list[tuple[Any, Any, Any]]:
    empty = np.empty(0, np.int64)
    parts = [(empty, empty, empty)]
    for block in Rows(path, names, skip_invalid=skip_invalid):
        # The next block overwrites this one: converting makes a copy.
        parts.append((block.codes.astype(np.int64), block.starts.astype(np.int64), block.ends.astype(np.int64)))
    return parts


def _variants(path: str | os.PathLike[str], names: Names, skip_invalid: bool) -> list[tuple[Any, Any, Any]]:
    empty = np.empty(0, np.int64)
    parts = [(empty, empty, empty)]
    known: dict[str, int] = {}
    for sites in read_variants(path, skip_invalid=skip_invalid):
        for name in sites.names:
            if name not in known:
                known[name] = names.resolve(name)
        codes = np.array([known[name] for name in sites.names], np.int64)[sites.chromosomes]
        length = np.array([len(ref) for ref in sites.column(3)], np.int64)
        parts.append((codes, sites.positions, sites.positions + length))
    return parts


def rank_places(effects: Path, marks: Sequence[str], factor: float, top: float, loci: Sequence[Loci]) -> pl.DataFrame:
    """List the places whose perturbation changes the prediction most, strongest first, for each set of marks.

    Args:
        effects: ``effects.parquet``.
        marks: Names of the sets of marks.
        factor: The factor at which places are compared.
        top: The share of places that is listed, at least one.
        loci: Files whose loci in each place are counted, in columns named after them.
    """
    parts = []
    for mark in marks:
        table = _places(effects, mark, factor)
        # The row number breaks ties, so that the list does not depend on the machine.
        strongest = table.filter(is_top(table["change"].to_numpy(), top))
        order = pl.col("change").abs()
        strongest = strongest.sort(order, descending=True, maintain_order=True).with_row_index("rank", offset=1)
        counts = [pl.Series(one.name, one.count(strongest)) for one in loci]
        parts.append(strongest.select(*_SHOWN, *_EFFECTS, *counts))
    return pl.concat(parts)


def is_top(change: NDArray[np.floating[Any]], share: float) -> NDArray[np.bool_]:
    """Tell which values are among the ``share`` of largest size, ties in order of appearance; NaN never is."""
    size = np.where(np.isfinite(change), np.abs(change), -1.0)
    some = int((size > 0).sum())
    count = min(some, max(1, round(share * int((size >= 0).sum()))))
    found: NDArray[np.bool_] = np.zeros(len(size), bool)
    found[np.argsort(-size, kind="stable")[:count]] = True
    return found


def enrich(
    effects: Path,
    marks: Sequence[str],
    factor: float,
    loci: Sequence[Loci],
    *,
    top: float = 0.1,
    draws: int = 10_000,
    seed: int = 0,
) -> pl.DataFrame:
    """Test whether the places that matter most hold loci more often than random places like them.

    Random sets have as many places as the top has, in every class of distance and tenth of signal. They are drawn from
    all places of the class without putting back, so that under the null hypothesis the top is one of them; the number
    of places with a locus in such a draw is hypergeometric, and is drawn as that.

    Args:
        effects: ``effects.parquet``.
        marks: Names of the sets of marks.
        factor: The factor at which places are compared.
        loci: The loci.
        top: The share of places, by |change|, that is the top.
        draws: Number of random sets.
        seed: Of the draws.

    Returns:
        mark, loci, places, top (their number), observed (places of the top with a locus), expected (mean of the
        random sets), low and high (2.5 and 97.5 %), ratio (observed + 1) / (expected + 1), p (one-sided, one added to
        numerator and denominator), q (Benjamini and Hochberg, over all rows).
    """
    random = np.random.default_rng(seed)
    rows = []
    for mark in marks:
        table = _places(effects, mark, factor)
        chosen = is_top(table["change"].to_numpy(), top)
        strata = _strata(table)
        for one in loci:
            hit = one.count(table) > 0
            observed, null = matched_draws(hit, chosen, strata, draws, random)
            rows.append(
                {
                    "mark": mark,
                    "loci": one.name,
                    "places": len(table),
                    "top": int(chosen.sum()),
                    "observed": observed,
                    "expected": float(null.mean()),
                    "low": float(np.quantile(null, 0.025)),
                    "high": float(np.quantile(null, 0.975)),
                    "ratio": (observed + 1) / (float(null.mean()) + 1),
                    "p": (int((null >= observed).sum()) + 1) / (draws + 1),
                }
            )
    found = pl.DataFrame(rows)
    return found.with_columns(q=pl.Series(false_discovery_control(found["p"].to_numpy())))


def matched_draws(
    hit: NDArray[np.bool_],
    chosen: NDArray[np.bool_],
    strata: NDArray[np.int64],
    draws: int,
    random: np.random.Generator,
) -> tuple[int, NDArray[np.int64]]:
    """Count hits among chosen items, and among random sets with as many items of every stratum.

    Args:
        hit: Which items hold a locus, [items].
        chosen: Which are in the top.
        strata: Class of each item, from 0.
        draws: Number of random sets.
        random: Random numbers.

    Returns:
        Hits among the chosen, and in each random set, int64 [draws].
    """
    count = int(strata.max(initial=0)) + 1
    total, hits, wanted = (np.bincount(strata[mask], minlength=count) for mask in (hit | True, hit, chosen))
    null: NDArray[np.int64] = np.zeros(draws, np.int64)
    for stratum in np.flatnonzero((wanted > 0) & (hits > 0)).tolist():
        null += random.hypergeometric(hits[stratum], total[stratum] - hits[stratum], wanted[stratum], draws)
    return int((hit & chosen).sum()), null


def _places(effects: Path, mark: str, factor: float) -> pl.DataFrame:
    """Read all single places at one factor; those that stand for several, and unknown ones, are left out."""
    rows = pl.scan_parquet(effects).filter(
        (pl.col("mark") == mark) & (pl.col("factor") == pl.lit(factor, pl.Float32)) & (pl.col("place") != "all")
    )
    return rows.collect()


def _strata(table: pl.DataFrame) -> NDArray[np.int64]:
    distance = table["distance"].to_numpy()
    different = np.unique(distance)
    near = np.searchsorted(different, distance) if len(different) <= 100 else _tenths(np.abs(distance))
    both = np.stack([near, _tenths(table["signal"].fill_null(0).to_numpy())])
    return np.unique(both, axis=1, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _tenths(values: NDArray[Any]) -> NDArray[np.int64]:
    """Classes of about equal size; equal values are in one class."""
    edges = np.quantile(values, np.arange(1, CLASSES) / CLASSES) if len(values) else np.empty(0)
    return np.searchsorted(np.unique(edges), values, side="left").astype(np.int64)
