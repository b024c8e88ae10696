"""A small genome with enhancers that touch promoters, in several cells, in which it is known what moves expression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome.datasets.simulated_world import READ_LENGTH, Floats, Integers, Reads, World, background_reads, lay_out

CELLS = ("E900", "E901", "E902")
MARKS = ("H3K27ac", "H3K27me3", "H3K4me1", "H3K4me3")
#: Half of the promoter window: what lies further from a start site is seen by contacts only.
REACH = 20_000
#: Bases from one start site to the next; the middle of the gap belongs to no promoter window.
_PITCH, _JITTER = 60_000, 1_500
_FRAGMENT = (2_000, 5_000)
#: Distance from the start site of enhancers inside of the window, and of how many genes of ten each side has one.
_NEAR, _NEAR_SHARE = (4_500, 17_000), 0.7
#: Distance at which the effect of an enhancer is that of its activity alone; it falls with the square root from there.
HALF = 30_000
#: Standard deviation of each part of the score that expression follows; the squares add up to 1.
PARTS = {"promoter": 0.5, "near": 0.35, "distal": 0.72, "noise": 0.33}
_BACKGROUND = 0.002
#: Reads of a peak, the spread of their logarithm, and half the width of the peak in bases.
_PEAKS = {
    "H3K27ac": (60.0, 0.4, 350),
    "H3K27me3": (50.0, 0.8, 1_500),
    "H3K4me1": (45.0, 0.4, 500),
    "H3K4me3": (60.0, 0.8, 350),
}
_ACTIVE = 0.5


@dataclass(frozen=True)
class ContactWorld:
    """The genome, its enhancers, and what each does in each cell.

    Attributes:
        world: Chromosomes and genes; amounts, score and expression are those of the first cell.
        enhancers: One row each: ``chrom, code, start, end`` (of the peak), ``middle``.
        links: Which enhancer moves which gene: ``gene, enhancer`` (row numbers), ``distance`` from the start site in
            bases, ``effect`` of an active one, and ``score`` of the contact (null inside of the window).
        contacts: The table of contacts: ``chrom1, start1, end1, chrom2, start2, end2, score``.
        promoters: float64 [gene, cell], how strong the promoter is, standard normal.
        active: bool [enhancer, cell].
        parts: float64 [gene, cell, part], promoter, near, distal and noise, which add up to the score.
        expression: float64 [gene, cell], RPKM.
    """

    world: World
    enhancers: pl.DataFrame
    links: pl.DataFrame
    contacts: pl.DataFrame
    promoters: Floats
    active: npt.NDArray[np.bool_]
    parts: Floats
    expression: Floats


def make_contact_world(n_coding: int, seed: int) -> ContactWorld:
    """Lay out genes, enhancers and contacts, and draw what is active in each cell.

    Args:
        n_coding: Protein-coding genes; about a seventh as many non-coding ones come on top.
        seed: The same seed gives the same world.
    """
    rng = np.random.default_rng([seed, 0])
    sizes, genes = lay_out(rng, n_coding, _PITCH, _JITTER)
    code, tss = genes["code"].to_numpy(), genes["tss"].to_numpy()
    fragments = _fragments(rng, np.array(list(sizes.values())))
    distal, decoys = _gap_fragments(rng, fragments, genes)
    near = _near(rng, code, tss)
    enhancers = pl.concat(
        [_peaks(near["code"], near["middle"], sizes), _peaks(distal["code"], distal["middle"], sizes)]
    )
    far = _reach(rng, distal, genes).with_columns(enhancer=pl.col("distal") + near.height)
    links = pl.concat(
        [
            near.select("gene", enhancer=pl.int_range(pl.len()), distance="distance", score=pl.lit(None, pl.Float64)),
            far.select("gene", "enhancer", "distance", "score"),
        ]
    ).with_columns(effect=(HALF / pl.col("distance").abs().clip(lower_bound=1)).sqrt())
    contacts = _contacts(rng, sizes, genes, fragments, far.join(distal, on="distal"), decoys)
    promoters = rng.standard_normal((genes.height, len(CELLS)))
    active = rng.random((enhancers.height, len(CELLS))) < _ACTIVE
    parts = _parts(rng, promoters, active, links)
    expression = np.round(np.maximum(np.exp2(1.5 + 2.2 * parts.sum(2)) - 0.5, 0.0), 3)
    nothing = np.empty((genes.height, 0))
    world = World(sizes, genes, nothing, parts[:, 0].sum(1), expression[:, 0])
    return ContactWorld(world, enhancers, links, contacts, promoters, active, parts, expression)


def make_mark_reads(made: ContactWorld, mark: str, cell: int, seed: int) -> Reads:
    """Draw the reads of a mark in a cell: a background everywhere, peaks at promoters and enhancers.

    Active enhancers have H3K27ac; seven of ten, active or not, have H3K4me1. Promoters have H3K4me3 by their strength,
    some H3K27ac, and H3K27me3 without any effect.

    Args:
        made: The world.
        mark: One of ``MARKS``.
        cell: Index into ``CELLS``.
        seed: The world's seed.
    """
    rng = np.random.default_rng([seed, 1, MARKS.index(mark), cell])
    sizes = np.array(list(made.world.sizes.values()))
    genes, enhancers = made.world.genes, made.enhancers
    median, spread, width = _PEAKS[mark]
    primed = rng.random(enhancers.height) < 0.7
    at_promoters = {"H3K4me3": 1.0, "H3K27me3": 1.0, "H3K27ac": 0.5, "H3K4me1": 0.0}[mark]
    at_enhancers = {"H3K27ac": made.active[:, cell] * 1.0, "H3K4me1": primed * 1.0}.get(mark, np.zeros(len(primed)))
    level = rng.standard_normal(genes.height + enhancers.height)
    if mark == "H3K4me3":
        level[: genes.height] = made.promoters[:, cell]
    share = np.concatenate([np.full(genes.height, at_promoters), at_enhancers])
    n_reads = rng.poisson(median * share * np.exp(spread * level))
    site = np.repeat(np.arange(len(n_reads)), n_reads)
    middles = np.concatenate([genes["tss"].to_numpy(), enhancers["middle"].to_numpy()])
    codes = np.concatenate([genes["code"].to_numpy(), enhancers["code"].to_numpy()])
    offset = np.clip(rng.normal(0.0, width, len(site)), -2 * width, 2 * width).astype(np.int64)
    code, middle = background_reads(rng, sizes, _BACKGROUND)
    code, middle = np.concatenate([code, codes[site]]), np.concatenate([middle, middles[site] + offset])
    start = np.clip(middle - READ_LENGTH // 2, 0, sizes[code] - READ_LENGTH)
    order = np.lexsort((start, code))
    in_domain = n_reads[: genes.height].astype(np.int64)
    return Reads(code[order], start[order], rng.random(len(start)) < 0.5, in_domain)


def _fragments(rng: np.random.Generator, sizes: Integers) -> pl.DataFrame:
    """Cut every chromosome into fragments: ``code, start, end``."""
    tables = []
    for code, size in enumerate(sizes.tolist()):
        edges = np.concatenate([[0], rng.integers(*_FRAGMENT, size // _FRAGMENT[0] + 1).cumsum()])
        edges = np.append(edges[edges < size - _FRAGMENT[0]], size)
        tables.append(pl.DataFrame({"code": np.full(len(edges) - 1, code), "start": edges[:-1], "end": edges[1:]}))
    return pl.concat(tables)


def _gap_fragments(
    rng: np.random.Generator, fragments: pl.DataFrame, genes: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Choose two fragments with an enhancer in every gap between promoter windows; the others there are decoys.

    Returns:
        Enhancers ``distal`` (number), ``code``, ``gap`` (of the chromosome), ``start, end, middle``; decoys the same.
    """
    first = genes.group_by("code", maintain_order=True).agg(pl.col("tss").first())["tss"].to_numpy()
    code, start, end = (fragments[name].to_numpy() for name in ("code", "start", "end"))
    # The gap before the first gene is number 0. Start sites are a pitch apart, give or take the jitter.
    gap = np.rint((start - first[code]) / _PITCH + 0.5).astype(np.int64)
    middle = first[code] + (gap - 0.5) * _PITCH
    room = _PITCH / 2 - REACH - 2 * _JITTER
    inside = (start >= middle - room) & (end <= middle + room)
    count = genes.group_by("code", maintain_order=True).len()["len"].to_numpy()
    inside &= (gap >= 0) & (gap <= count[code])
    table = fragments.with_columns(gap=pl.Series(gap), middle=(pl.col("start") + pl.col("end")) // 2)
    table = table.filter(pl.Series(inside)).with_columns(draw=pl.Series(rng.random(int(inside.sum()))))
    table = table.with_columns(rank=pl.col("draw").rank("ordinal").over("code", "gap"))
    chosen = table.filter(pl.col("rank") <= 2).with_columns(distal=pl.int_range(pl.len()))
    columns = ("code", "gap", "start", "end", "middle")
    return chosen.select("distal", *columns), table.filter(pl.col("rank") > 2).select(columns)


def _near(rng: np.random.Generator, code: Integers, tss: Integers) -> pl.DataFrame:
    """Place enhancers inside of the windows: ``gene, code, middle, distance``."""
    gene = np.repeat(np.arange(len(tss)), 2)
    side = np.tile([-1, 1], len(tss))
    distance = side * rng.integers(*_NEAR, len(gene))
    kept = rng.random(len(gene)) < _NEAR_SHARE
    middle = tss[gene] + distance
    return pl.DataFrame({"gene": gene, "code": code[gene], "middle": middle, "distance": distance}).filter(
        pl.Series(kept)
    )


def _peaks(code: pl.Series, middle: pl.Series, sizes: dict[str, int]) -> pl.DataFrame:
    half = _PEAKS["H3K27ac"][2] * 2
    table = pl.DataFrame({"code": code, "middle": middle})
    return table.select(
        chrom=pl.Series(list(sizes)).gather(code), code="code", start=pl.col("middle") - half,
        end=pl.col("middle") + half, middle="middle",
    )  # fmt: skip


def _reach(rng: np.random.Generator, distal: pl.DataFrame, genes: pl.DataFrame) -> pl.DataFrame:
    """Give each gene an enhancer of the gap on either side, and one of a gap further away on either side.

    Returns:
        ``gene, distal, distance, score``.
    """
    place = genes.select("code", "tss", gene=pl.int_range(pl.len()), slot=pl.int_range(pl.len()).over("code"))
    n = genes.height
    steps = [np.zeros(n, np.int64), np.ones(n, np.int64), -1 - rng.integers(0, 2, n), 2 + rng.integers(0, 2, n)]
    wanted = pl.concat([place.with_columns(gap=pl.col("slot") + pl.Series(step)) for step in steps])
    # Of the two enhancers of a gap each gene takes one; gaps beyond the ends of a chromosome have none.
    pairs = wanted.join(distal, on=["code", "gap"]).sort("gene", "gap", "distal")
    pairs = pairs.with_columns(draw=pl.Series(rng.random(pairs.height)))
    taken = pairs.filter(pl.col("draw") == pl.col("draw").max().over("gene", "gap"))
    noise = pl.Series(rng.uniform(0.8, 1.2, taken.height))
    distance = pl.col("middle") - pl.col("tss")
    return taken.select("gene", "distal", distance=distance, score=(2 + 6 * noise * HALF / distance.abs()).round(3))


def _contacts(
    rng: np.random.Generator,
    sizes: dict[str, int],
    genes: pl.DataFrame,
    fragments: pl.DataFrame,
    far: pl.DataFrame,
    decoys: pl.DataFrame,
) -> pl.DataFrame:
    """Make the table: contacts that matter, contacts with empty fragments, and many that are too weak to count."""
    own = genes.select("code", "tss", gene=pl.int_range(pl.len()).cast(pl.Int64)).sort("code", "tss")
    own = own.join_asof(
        fragments.sort("code", "start"),
        left_on="tss",
        right_on="start",
        by="code",
        coalesce=False,
        check_sortedness=False,
    )
    own = own.select("gene", "code", start1="start", end1="end")
    some = own.join(decoys, on="code").with_columns(distance=(pl.col("middle") - pl.col("start1")).abs())
    some = some.filter(pl.col("distance") < 4 * _PITCH).sort("gene", "start")
    some = some.with_columns(draw=pl.Series(rng.random(some.height)))
    some = some.with_columns(rank=pl.col("draw").rank("ordinal").over("gene")).filter(pl.col("rank") <= 5)
    noise = pl.Series(rng.uniform(0.8, 1.2, some.height))
    strong = 2 + 6 * noise * HALF / pl.col("distance")
    weak = 1.5 * (noise - 0.5)
    columns = ("code", "start1", "end1", "start", "end", "score")
    empty = some.with_columns(score=pl.when(pl.col("rank") <= 2).then(strong).otherwise(weak).round(3)).select(columns)
    table = pl.concat([far.join(own, on=["gene", "code"]).select(columns), empty]).sort("code", "start1", "start")
    name = pl.Series(list(sizes)).gather(table["code"])
    return table.select(
        chrom1=name, start1="start1", end1="end1", chrom2=name, start2="start", end2="end", score="score"
    )


def _parts(rng: np.random.Generator, promoters: Floats, active: npt.NDArray[np.bool_], links: pl.DataFrame) -> Floats:
    """Add up what moves each gene in each cell, each part with its own standard deviation: [gene, cell, part]."""
    gene, enhancer, effect = (links[name].to_numpy() for name in ("gene", "enhancer", "effect"))
    distal = links["score"].is_not_null().to_numpy()
    sums = np.zeros((2, *promoters.shape))
    for number, chosen in enumerate((~distal, distal)):
        np.add.at(sums[number], gene[chosen], effect[chosen, None] * active[enhancer[chosen]])
    raw = [promoters, *(part - part.mean() for part in sums), rng.standard_normal(promoters.shape)]
    return np.stack([part / part.std() * spread for part, spread in zip(raw, PARTS.values(), strict=True)], axis=2)
