"""Simulated histone marks and expression, in real file formats, with the truth beside them."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import rankdata

from regulome.datasets import simulated_files as files
from regulome.datasets.simulated_world import (
    BACKGROUND,
    MARKS,
    READ_LENGTH,
    Floats,
    Integers,
    Reads,
    World,
    make_reads,
    make_world,
    rpkm,
)
from regulome.errors import InputError
from regulome.genome.genes import normalize_ids
from regulome.progress import progress
from regulome.storage import new_folder

logger = logging.getLogger(__name__)

#: Protein-coding genes of each size.
SIZES = {"small": 2_000, "medium": 10_000}
SAMPLE = "E900"
_WINDOW, _BIN = 10_000, 100
_TEST, _VALID = ("chr7", "chr8"), ("chr6",)
#: The marks that come as a file of another kind, too.
_BIG_WIG, _BAM, _PEAKS = "H3K4me3", "H3K27me3", "H3K4me3"

_README = """A simulated world of histone marks and expression
(regulome simulate expression --seed {seed} --size {size})

genes.gtf.gz            {n_genes:,} genes (GENCODE layout) on {n_chromosomes} chromosomes, {n_coding:,} protein-coding
expression.tsv.gz       RPKM in the layout of Roadmap's 57epigenomes.RPKM.pc.gz; {sample} is the simulated cell
MARK.tagAlign.gz        reads of five marks (BED6, {read} bases each, sorted)
{big_wig}.bigWig          the reads of {big_wig} over each base
{bam}.bam, .bai      the reads of {bam}
{peaks}.narrowPeak.gz   where {peaks} stands out
chrom.sizes             lengths of the chromosomes
truth.json              which marks move expression, in which bins, which way, and how well a perfect model can do
truth_genes.tsv.gz      per gene: each mark's amount (standardised logarithm), the score, RPKM

From this folder:

regulome prepare expression --genes genes.gtf.gz --expression expression.tsv.gz --sample {sample} \\
    {tracks} \\
    --out DATASET
regulome train deepchrome DATASET --test-chromosomes {test} --valid-chromosomes {valid} \\
    --set input.orient=true --out RUN

Bins of the rules run 5'→3'. The domain of H3K36me3 lies downstream of the start site only: without input.orient=true it
appears on the left for genes on the reverse strand and on the right for the others.
"""


def simulate_expression(
    out: str | os.PathLike[str], *, seed: int = 0, size: str = "small", overwrite: bool = False
) -> Path:
    """Write a folder with a small world of histone marks and expression, in the formats in which labs publish.

    Five marks have a domain at every gene and a background everywhere. The logarithm of a mark's reads in its domain
    varies from gene to gene; expression is a weighted sum of three of them plus noise, and the other two (decoys) vary
    without effect. The same seed and size give the same bytes with the same versions of the libraries.

    Args:
        out: The folder to make.
        seed: Seed of all random numbers.
        size: ``small`` (2,000 protein-coding genes) or ``medium`` (10,000).
        overwrite: Replace ``out`` if it exists.

    Returns:
        The folder. ``README.txt`` in it names its files and the commands to go on with; ``truth.json`` the planted
        rules, each with ``mark``, ``bins`` (first and last, 0-based, of a 10-kb window of 100-bp bins that runs 5'→3'),
        ``direction`` (``up`` or ``down``) and ``effect``.

    Raises:
        InputError: There is no such size, the seed is negative, or ``out`` exists.
    """
    if size not in SIZES:
        raise InputError(f"no size {size!r}", cure=f"one of {', '.join(SIZES)}")
    if seed < 0:
        raise InputError(f"seed {seed} is negative", cure="choose a whole number from 0")
    with new_folder(out, overwrite=overwrite) as folder, progress("simulating", len(MARKS) + 1, "files") as advance:
        world = make_world(SIZES[size], seed)
        files.write_gtf(folder / "genes.gtf.gz", world)
        sizes = "".join(f"{name}\t{length}\n" for name, length in world.sizes.items())
        (folder / "chrom.sizes").write_text(sizes)
        _write_expression(folder / "expression.tsv.gz", world, seed)
        advance(1)
        counts = []
        for index in range(len(MARKS)):
            reads = make_reads(world, index, seed)
            counts.append(reads.in_domain)
            _write_mark(folder, world, index, reads)
            advance(1)
        _write_truth(folder, world, np.stack(counts, axis=1), seed, size)
        (folder / "README.txt").write_text(_readme(world, seed, size), encoding="utf-8")
    logger.info("%s: %s", out, f"{SIZES[size]:,} protein-coding genes, {len(MARKS)} marks; see README.txt in it")
    return Path(out)


def _write_mark(folder: Path, world: World, index: int, reads: Reads) -> None:
    mark = MARKS[index]
    files.write_tag_align(folder / f"{mark.name}.tagAlign.gz", world, reads)
    if mark.name == _BIG_WIG:
        files.write_big_wig(folder / f"{mark.name}.bigWig", world, reads)
    if mark.name == _BAM:
        files.write_bam(folder / f"{mark.name}.bam", world, reads)
    if mark.name == _PEAKS:
        files.write_narrow_peak(folder / f"{mark.name}.narrowPeak.gz", world, reads, mark)


def _coding(world: World) -> npt.NDArray[np.bool_]:
    return (world.genes["biotype"] == "protein_coding").to_numpy()


def _write_expression(path: Path, world: World, seed: int) -> None:
    """Write the table: not quite every gene of the annotation, and a few that the annotation does not have."""
    rng = np.random.default_rng([seed, 2])
    coding = np.flatnonzero(_coding(world))
    listed = np.sort(rng.permutation(coding)[: round(0.99 * len(coding))])
    known = world.genes.select(normalize_ids(pl.col("id")))["id"].gather(listed)
    n_unknown = len(coding) // 100
    unknown = pl.Series("id", [f"ENSG{990_000 + i:011d}" for i in range(n_unknown)], dtype=pl.String)
    cell = np.concatenate([world.expression[listed], rpkm(rng.normal(0.0, 1.6, n_unknown))])
    # Other cells share some of what the simulated cell expresses.
    shared = np.concatenate([world.score[listed], rng.normal(0.0, 1.5, n_unknown)])
    samples = {"E000": rpkm(0.8 * shared + rng.normal(0.0, 0.9, len(cell))), SAMPLE: cell}
    for other in ("E901", "E902"):
        samples[other] = rpkm(0.5 * shared + rng.normal(0.0, 1.4, len(cell)))
    ids = pl.concat([known, unknown])
    order = ids.arg_sort()
    files.write_expression(path, ids.gather(order), {name: x[order.to_numpy()] for name, x in samples.items()})


def _write_truth(folder: Path, world: World, counts: Integers, seed: int, size: str) -> None:
    coding = _coding(world)
    effects = np.array([mark.effect for mark in MARKS])
    rules: list[dict[str, Any]] = []
    decoys: list[dict[str, Any]] = []
    for mark in MARKS:
        place: dict[str, Any] = {
            "mark": mark.name,
            "bins": list(mark.bins(_WINDOW, _BIN)),
            "bases": list(mark.domain),
            "needs_orientation": not mark.symmetric,
        }
        if mark.effect:
            rules.append({**place, "direction": "up" if mark.effect > 0 else "down", "effect": mark.effect})
        else:
            decoys.append(place)
    high = world.expression >= np.median(world.expression[coding])
    test = coding & world.genes["chrom"].is_in(_TEST).to_numpy()
    from_counts = _score_of_counts(world, counts) @ effects
    truth = {
        "line": "expression",
        "seed": seed,
        "size": size,
        "sample": SAMPLE,
        "window": _WINDOW,
        "bin": _BIN,
        "bins": "first and last bin of the window around the start site, 0-based, both included, running 5' to 3' "
        "(input.orient = true); effect = what one standard deviation of the logarithm of the mark's reads adds to a "
        "score that expression follows",
        "marks": [mark.name for mark in MARKS],
        "rules": rules,
        "decoys": decoys,
        "noise": "label = expression at or above the median; the rest of the score is noise that no file shows",
        "oracle": {
            "auroc": _auroc(world.score[coding], high[coding]),
            "auroc_test": _auroc(world.score[test], high[test]),
            "auroc_from_counts": _auroc(from_counts[coding], high[coding]),
            "auroc_from_counts_test": _auroc(from_counts[test], high[test]),
            "words": "auroc: of the true score, before noise; from_counts: of the best weights on the logarithm of the "
            "reads in the true bins, which is what a perfect model of the files reaches; test: on test_chromosomes",
        },
        "test_chromosomes": list(_TEST),
        "valid_chromosomes": list(_VALID),
        "n_genes": world.genes.height,
        "n_coding": int(coding.sum()),
    }
    (folder / "truth.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")
    amounts = [pl.Series(mark.name, world.amounts[:, i].round(5)) for i, mark in enumerate(MARKS)]
    table = world.genes.select("id", "chrom", "tss", "strand", "biotype").with_columns(
        *amounts, score=pl.Series(world.score.round(5)), rpkm=pl.Series(world.expression)
    )
    files.write_gzip(folder / "truth_genes.tsv.gz", table.write_csv(separator="\t").encode())


def _score_of_counts(world: World, counts: Integers) -> Floats:
    """Estimate each mark's standardised amount from the reads in its domain less the background: [gene, mark]."""
    width = np.array([mark.domain[1] - mark.domain[0] for mark in MARKS])
    spread = np.array([mark.spread for mark in MARKS])
    estimate: Floats = np.log(np.maximum(counts - BACKGROUND * width, 1.0)) / spread
    return estimate


def _auroc(score: Floats, high: npt.NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve, by ranks."""
    n_high, n_low = int(high.sum()), int((~high).sum())
    total = float(rankdata(score)[high].sum()) - n_high * (n_high + 1) / 2
    return round(total / (n_high * n_low), 4)


def _readme(world: World, seed: int, size: str) -> str:
    return _README.format(
        seed=seed,
        size=size,
        n_genes=world.genes.height,
        n_coding=SIZES[size],
        n_chromosomes=len(world.sizes),
        sample=SAMPLE,
        read=READ_LENGTH,
        big_wig=_BIG_WIG,
        bam=_BAM,
        peaks=_PEAKS,
        tracks=" \\\n    ".join(f"--track {mark.name}={mark.name}.tagAlign.gz" for mark in MARKS),
        test=",".join(_TEST),
        valid=",".join(_VALID),
    )
