"""A small world in which it is known which histone marks move expression, where, and which way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: Bases per read, as in Roadmap's tagAlign files.
READ_LENGTH = 36
#: Every gene has this many bases for itself, so that no gene's marks reach into another gene's 10-kb window.
PITCH = 20_000
_JITTER = 1_500
_GENE_LENGTH = (6_000, 9_000)
_CHROMOSOME_SHARES = np.array([1.3, 1.2, 1.1, 1.0, 0.95, 0.9, 0.8, 0.75])
#: Background reads per base, on average; each 10-kb block has its own factor.
BACKGROUND = 0.004
_BLOCK = 10_000


@dataclass(frozen=True)
class Mark:
    """How one histone mark behaves.

    Attributes:
        name: Its name.
        domain: Where it lies, in bases from the TSS in the direction of transcription; the end is exclusive.
        reads: Median number of reads in the domain beyond the background.
        spread: Standard deviation over genes of the natural logarithm of that number.
        effect: What one standard deviation of that logarithm adds to the score that expression follows; 0 for a decoy.
        hollow: Half-width around the TSS that the mark leaves out.
    """

    name: str
    domain: tuple[int, int]
    reads: float
    spread: float
    effect: float
    hollow: int = 0

    def bins(self, window: int = 10_000, bin: int = 100) -> tuple[int, int]:
        """Return the first and last bin of the domain in a window around the TSS that is oriented 5'→3'."""
        return (self.domain[0] + window // 2) // bin, (self.domain[1] + window // 2) // bin - 1

    @property
    def symmetric(self) -> bool:
        """Say whether the domain looks the same on both strands."""
        return self.domain[0] == -self.domain[1]


#: In the order of DeepChrome's tables.
MARKS = (
    Mark("H3K27me3", (-2_000, 2_000), 50.0, 0.8, -0.75),
    Mark("H3K36me3", (1_000, 5_000), 45.0, 0.8, 0.75),
    Mark("H3K4me1", (-3_000, 3_000), 50.0, 0.7, 0.0, hollow=1_000),
    Mark("H3K4me3", (-1_000, 1_000), 50.0, 0.9, 1.0),
    Mark("H3K9me3", (-5_000, 5_000), 60.0, 0.6, 0.0),
)
#: Standard deviation of what no mark explains, beside effects whose squares add up to 2.1.
NOISE = 0.62


@dataclass(frozen=True)
class World:
    """A genome with genes, and how much of each mark each gene has.

    Attributes:
        sizes: Chromosome to its length.
        genes: One row per gene, by position: ``id``, ``symbol``, ``biotype``, ``chrom``, ``code`` (index of the
            chromosome), ``start``, ``end`` (0-based, half-open), ``strand``, ``tss`` (0-based).
        amounts: float64 [gene, mark], standard normal: the logarithm of the mark's reads at the gene, standardised.
        score: float64 [gene], the sum of effects × amounts.
        expression: float64 [gene], RPKM in the simulated cell.
    """

    sizes: dict[str, int]
    genes: pl.DataFrame
    amounts: Floats
    score: Floats
    expression: Floats


def make_world(n_coding: int, seed: int) -> World:
    """Lay out chromosomes and genes and draw how much of each mark and how much expression each gene has.

    Args:
        n_coding: Protein-coding genes; about a seventh as many non-coding ones come on top.
        seed: The same seed gives the same world.
    """
    rng = np.random.default_rng([seed, 0])
    sizes, genes = lay_out(rng, n_coding, PITCH, _JITTER)
    amounts = rng.standard_normal((genes.height, len(MARKS)))
    score = amounts @ np.array([mark.effect for mark in MARKS])
    expression = rpkm(score + rng.normal(0.0, NOISE, genes.height))
    return World(sizes, genes, amounts, score, expression)


def lay_out(rng: np.random.Generator, n_coding: int, pitch: int, jitter: int) -> tuple[dict[str, int], pl.DataFrame]:
    """Draw chromosomes, and genes in a row on each.

    Args:
        rng: The generator.
        n_coding: Protein-coding genes; about a seventh as many non-coding ones come on top.
        pitch: Bases from one start site to the next, on average; as many lie before the first and behind the last.
        jitter: Bases that a start site lies off its place, at most.

    Returns:
        Chromosome to its length, and the genes, see :class:`World`.
    """
    n = n_coding + n_coding * 3 // 20
    shares = _CHROMOSOME_SHARES / _CHROMOSOME_SHARES.sum()
    borders: Integers = np.round(np.concatenate([[0.0], shares.cumsum()]) * n).astype(np.int64)
    per_chromosome = borders[1:] - borders[:-1]
    names = [f"chr{i + 1}" for i in range(len(per_chromosome))]
    ends = (per_chromosome + 1) * pitch + rng.integers(0, 5_000, len(names))
    code = np.repeat(np.arange(len(names)), per_chromosome)
    slot = np.arange(n) - np.repeat(per_chromosome.cumsum() - per_chromosome, per_chromosome)
    tss = (slot + 1) * pitch + rng.integers(-jitter, jitter + 1, n)
    plus = rng.random(n) < 0.5
    length = rng.integers(*_GENE_LENGTH, n)
    coding = np.zeros(n, dtype=bool)
    coding[rng.permutation(n)[:n_coding]] = True
    number = rng.permutation(n) + 1
    chrom = pl.Series(names).gather(code)
    genes = pl.DataFrame({"number": number, "chrom": chrom, "code": code, "coding": coding, "plus": plus}).select(
        id=pl.format("ENSG{}.{}", (pl.col("number") + 900_000).cast(pl.String).str.zfill(11), pl.col("number") % 9 + 1),
        symbol=pl.format("SIM{}", "number"),
        biotype=pl.when("coding")
        .then(pl.lit("protein_coding"))
        .otherwise(pl.when(pl.col("number") % 3 == 0).then(pl.lit("pseudogene")).otherwise(pl.lit("lincRNA"))),
        chrom="chrom",
        code="code",
        start=pl.Series(np.where(plus, tss, tss + 1 - length)),
        end=pl.Series(np.where(plus, tss + length, tss + 1)),
        strand=pl.when("plus").then(pl.lit("+")).otherwise(pl.lit("-")),
        tss=pl.Series(tss),
    )
    return dict(zip(names, ends.tolist(), strict=True)), genes


def rpkm(activity: Floats) -> Floats:
    """Turn an activity into RPKM as a table shows it: skewed, three decimals, zero for about a seventh of the genes."""
    logarithm = 1.5 + 2.2 * activity / np.hypot(np.linalg.norm([mark.effect for mark in MARKS]), NOISE)
    value: Floats = np.round(np.maximum(np.exp2(logarithm) - 0.5, 0.0), 3)
    return value


@dataclass(frozen=True)
class Reads:
    """The reads of one mark, sorted by chromosome and start.

    Attributes:
        code: int64 [n], index of the chromosome.
        start: int64 [n], 0-based; a read ends ``READ_LENGTH`` bases later.
        reverse: bool [n], whether it lies on the reverse strand.
        in_domain: int64 [gene], how many reads have their middle in the gene's domain, background included.
    """

    code: Integers
    start: Integers
    reverse: npt.NDArray[np.bool_]
    in_domain: Integers


def make_reads(world: World, index: int, seed: int) -> Reads:
    """Draw the reads of a mark: a background everywhere, and its domain at every gene.

    Args:
        world: The genome and the amounts.
        index: Which of ``MARKS``.
        seed: The world's seed.
    """
    rng = np.random.default_rng([seed, 1, index])
    mark, sizes = MARKS[index], np.array(list(world.sizes.values()))
    background_code, background = background_reads(rng, sizes, BACKGROUND)
    expected = mark.reads * np.exp(mark.spread * world.amounts[:, index])
    n_reads = rng.poisson(np.minimum(expected, 12 * mark.reads))
    gene = np.repeat(np.arange(len(n_reads)), n_reads)
    offset = _offsets(rng, mark, gene, len(n_reads))
    code, tss = world.genes["code"].to_numpy(), world.genes["tss"].to_numpy()
    direction = np.where(world.genes["strand"].to_numpy() == "+", 1, -1)
    signal = tss[gene] + direction[gene] * offset
    codes = np.concatenate([background_code, code[gene]])
    middle = np.concatenate([background, signal])
    start = np.clip(middle - READ_LENGTH // 2, 0, sizes[codes] - READ_LENGTH)
    order = np.lexsort((start, codes))
    codes, start = codes[order], start[order]
    return Reads(codes, start, rng.random(len(start)) < 0.5, _in_domain(world, mark, codes, start))


def background_reads(rng: np.random.Generator, sizes: Integers, rate: float) -> tuple[Integers, Integers]:
    """Draw reads everywhere, with a rate that differs from block to block as copy number and mappability do.

    Args:
        rng: The generator.
        sizes: Lengths of the chromosomes.
        rate: Reads per base, on average.

    Returns:
        Chromosome and middle of each read.
    """
    blocks = -(-sizes // _BLOCK)
    code = np.repeat(np.arange(len(sizes)), blocks)
    first = (np.arange(blocks.sum()) - np.repeat(blocks.cumsum() - blocks, blocks)) * _BLOCK
    width = np.minimum(first + _BLOCK, sizes[code]) - first
    n_reads = rng.poisson(rate * width * rng.gamma(12.0, 1 / 12.0, len(code)))
    which = np.repeat(np.arange(len(code)), n_reads)
    return code[which], first[which] + (rng.random(len(which)) * width[which]).astype(np.int64)


def _offsets(rng: np.random.Generator, mark: Mark, gene: Integers, n_genes: int) -> Integers:
    """Draw where in the domain each read lies, in bases from the TSS in the direction of transcription."""
    low, high = mark.domain
    if mark.symmetric and high <= 1_000:  # a sharp peak, not quite at the same place in every gene
        centre = rng.normal(0.0, 150.0, n_genes)
        offset = rng.normal(centre[gene], 350.0)
        return np.clip(offset, low, high - 1).astype(np.int64)
    offset = low + rng.random(len(gene)) * (high - low)
    if mark.hollow:
        side = np.where(offset < 0, -1, 1)
        offset = side * (mark.hollow + np.abs(offset) * (high - mark.hollow) / high)
    return offset.astype(np.int64)


def _in_domain(world: World, mark: Mark, code: Integers, start: Integers) -> Integers:
    """Count the reads whose middle lies in each gene's domain."""
    longest = max(world.sizes.values()) + 1
    place = code * longest + start + READ_LENGTH // 2
    plus = world.genes["strand"].to_numpy() == "+"
    tss = world.genes["tss"].to_numpy() + world.genes["code"].to_numpy() * longest
    low, high = mark.domain
    begin = np.where(plus, tss + low, tss - high + 1)
    count: Integers = np.searchsorted(place, begin + high - low) - np.searchsorted(place, begin)
    return count
