"""Which genes an allele can reach: those that have a bin whose window of DNA holds what the allele changes."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome.datasets.dataset import UNKNOWN_CHROMOSOME, Dataset
from regulome.datasets.views import View
from regulome.errors import InputError
from regulome.genome.alleles import Placed
from regulome.genome.chromosomes import check_inside, match_names
from regulome.genome.genes import normalize_ids, read_genes
from regulome.genome.sequence import Genome
from regulome.genome.windows import Windows

logger = logging.getLogger(__name__)

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Reached:
    """Pairs of an allele and a gene that it can reach, by allele, then along the genome.

    Attributes:
        allele: int64 [pairs], index of the allele.
        gene: int64 [pairs], index of the gene.
        first: int64 [pairs], the first bin that the allele can change.
        last: int64 [pairs], the bin after the last one.
    """

    allele: Integers
    gene: Integers
    first: Integers
    last: Integers

    def __len__(self) -> int:
        return len(self.allele)

    def blocks(self, cost: Integers, most: int) -> Iterator[Reached]:
        """Cut the pairs into blocks of which each costs at most about ``most``."""
        block = np.maximum(cost.cumsum() - 1, 0) // most
        edges = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(self)]
        for begin, end in pairwise(edges):
            if end > begin:
                part = slice(begin, end)
                yield Reached(self.allele[part], self.gene[part], self.first[part], self.last[part])


class GeneWindows:
    """The bins of genes on a genome, and the windows of DNA that stand for them.

    A window of ``length`` bases has the middle of the bin at base ``length // 2``. Bins wider than half of that have
    several windows, equally far apart, so that all their motifs lie whole in a window; the mark of the bin is the mean.

    Args:
        table: ``id``, ``symbol``, ``row`` (of the dataset), ``code`` (of the genome's chromosome), ``start`` (where
            the bins begin, perhaps below 0) and ``minus``, sorted by code and start.
        bins: Number of bins.
        bin_size: Width of each.
        length: Bases of a window of DNA.

    Attributes:
        table: See above.
        bins: Number of bins.
        bin_size: Width of each.
        points: Windows of DNA in a bin.
        offsets: int64 [bins × points], where each window begins, from the begin of the gene's bins.
    """

    def __init__(self, table: pl.DataFrame, bins: int, bin_size: int, length: int) -> None:
        self.table = table
        self.bins = bins
        self.bin_size = bin_size
        self.points = -(-2 * bin_size // length)
        middles = (2 * np.arange(bins * self.points) + 1) * bin_size // (2 * self.points)
        self.offsets: Integers = middles - length // 2
        self.rows: Integers = table["row"].to_numpy()
        self.chromosome = table["code"].to_numpy()
        self.starts: Integers = table["start"].to_numpy()
        self.minus: npt.NDArray[np.bool_] = table["minus"].to_numpy()
        self._length = length
        self._keys = self._key(self.chromosome, self.starts)

    def __len__(self) -> int:
        return len(self.rows)

    def reached(self, placed: Placed) -> Reached:
        """Find the genes that alleles can reach, and the bins of them.

        Args:
            placed: Alleles that can be scored.
        """
        # A window from w on holds a change of the bases from s to e where w < e and w + length > s; an insertion, with
        # s = e, lies before base s.
        end = placed.start + placed.removed
        low = self._key(placed.chromosome, placed.start - self._length - self.offsets[-1])
        high = self._key(placed.chromosome, end - self.offsets[0])
        begin, stop = np.searchsorted(self._keys, low, side="right"), np.searchsorted(self._keys, high, side="left")
        count = np.maximum(stop - begin, 0)
        allele = np.repeat(np.arange(len(placed)), count)
        gene = np.arange(len(allele)) + np.repeat(begin - (count.cumsum() - count), count)
        from_gene = placed.start[allele] - self.starts[gene]
        first = np.searchsorted(self.offsets, from_gene - self._length, side="right") // self.points
        last = np.searchsorted(self.offsets, from_gene + placed.removed[allele], side="left")
        last = -(-last // self.points)
        there = first < last
        return Reached(allele[there], gene[there], first[there], last[there])

    def centres(self, gene: Integers, bin: Integers) -> Integers:
        """Return the middle of a bin of each gene."""
        found: Integers = self.starts[gene] + bin * self.bin_size + self.bin_size // 2
        return found

    def distance(self, position: Integers, gene: Integers) -> Integers:
        """Return how far from the start site of each gene a position lies, below 0 upstream."""
        found: Integers = position - (self.starts[gene] + self.bins * self.bin_size // 2)
        return np.where(self.minus[gene], -found, found)

    def _key(self, chromosome: npt.NDArray[np.int32], start: Integers) -> Integers:
        """Make one number of a chromosome and a place that is above -2^31."""
        return (chromosome.astype(np.int64) << 40) + start + (1 << 32)


def place_genes(
    dataset: Dataset, view: View, genome: Genome, length: int, genes: str | os.PathLike[str] | None = None
) -> GeneWindows:
    """Find the bins of a dataset's genes on a genome, and say which genes are left out.

    Args:
        dataset: A dataset of the line expression.
        view: The part of its bins that the run sees.
        genome: The genome.
        length: Bases of a window of DNA.
        genes: GTF, BED or TSV with the start sites, for datasets that do not know them; genes that it lacks are left
            out.

    Raises:
        InputError: It is not known where the genes lie, none is in ``genes``, or they lie on another genome.
    """
    regions = dataset.regions.with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    width = dataset.bins * dataset.bin_size
    if "symbol" not in regions.columns:
        regions = regions.with_columns(symbol=pl.lit(None, pl.String))
    if genes is not None:
        sites = read_genes(genes, biotype=None).table.select("id", "chrom", "strand", start=pl.col("tss") - width // 2)
        ids = regions.select("row", "symbol", id=normalize_ids(pl.col("id")))
        regions = ids.join(sites, on="id", how="inner", maintain_order="left")
        if regions.is_empty():
            raise InputError(
                f"shares no gene with {dataset.path.name}: its ids look like {sites['id'][0]!r}, those of the dataset "
                f"like {ids['id'][0]!r}",
                file=genes,
                cure="name the genes that the dataset was made of",
            )
        logger.info(f"{len(regions):,} of {len(dataset):,} genes have a start site in {Path(genes).name}")
    regions = regions.filter(pl.col("chrom") != UNKNOWN_CHROMOSOME)
    if regions.is_empty():
        cure = "give the start sites: --genes GTF, BED or TSV"
        raise InputError("does not know where its genes lie", file=dataset.path, cure=cure)
    names = regions["chrom"].unique().sort().to_list()
    found = match_names(names, genome.names, file=genome.path)
    if len(found) < len(names):
        missing = ", ".join(name for name in names if name not in found)
        left_out = regions.filter(~pl.col("chrom").is_in(list(found))).height
        logger.warning(f"{genome.path.name} has no {missing}: {left_out:,} genes are left out")
    codes = {name: genome.find(other) for name, other in found.items()}
    table = regions.filter(pl.col("chrom").is_in(list(found))).select(
        "id",
        "symbol",
        "row",
        code=pl.col("chrom").replace_strict(codes, return_dtype=pl.Int32),
        start=pl.col("start") + view.first * dataset.bin_size,
        minus=pl.col("strand") == "-",
    )
    table = table.sort("code", "start", maintain_order=True)
    windows = Windows(genome.names, table["code"].to_numpy(), table["start"].to_numpy(), view.bins, view.bin_size)
    check_inside(windows, genome.lengths, file=genome.path)
    return GeneWindows(table, view.bins, view.bin_size, length)
