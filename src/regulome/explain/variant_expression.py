"""The chain: what variants do to the DNA's predicted marks, carried into the predicted expression of genes nearby.

What is assumed, because neither run was trained on variants:

- A bin of a gene has the mark that the sequence run predicts for the window of DNA with the bin in its middle.
- Where the prediction changes, the observed signal of the bin changes in proportion: it is multiplied by
  (alternative + ``pseudo``) / (reference + ``pseudo``), within 1 / ``max_ratio`` and ``max_ratio``. Where the run sees
  no mark with either allele nothing changes, therefore; nor does a bin without any signal: what an allele makes where
  nothing was shows in ``MARK_ratio`` alone. With ``floor`` such a gain counts: a bin gains as if its signal were at
  least ``floor`` times the mean of the mark over all genes and bins.
- Insertions and deletions move no bin.
- An allele reaches the genes that have a bin whose window of DNA holds what it changes; what it does from further
  away is not told.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from regulome.datasets.dataset import Dataset
from regulome.errors import InputError
from regulome.explain.gene_expression import GeneExpression
from regulome.explain.gene_rows import GeneRows
from regulome.explain.mark_changes import MarkScorer
from regulome.explain.variant_comparison import Comparer
from regulome.explain.variant_effects import inspect_variants
from regulome.explain.variant_genes import Reached, place_genes
from regulome.explain.variant_marks import match_features
from regulome.explain.variant_tables import SKIPPED, allele_table, skipped_alleles, wrong_rows
from regulome.genome.alleles import REASONS, Placer
from regulome.genome.sequence import Genome, open_genome
from regulome.genome.vcf import read_variants
from regulome.progress import progress
from regulome.storage import check_target
from regulome.training.feature_choice import choose_features
from regulome.training.runs import Run, open_run
from regulome.training.scorer import BATCH_SIZE, Scorer
from regulome.training.table_stream import new_table, table_ending

logger = logging.getLogger(__name__)

#: Records that are looked at together.
_RECORDS = 2048
#: Pairs of an allele and a gene are computed together up to about this many bytes.
_BYTES = 1 << 27
_NO_GENE = "no gene within reach"


@dataclass(frozen=True)
class ExpressionScores:
    """What was carried to genes.

    Attributes:
        out: The table.
        skipped_file: The list of what was left out.
        records: Records of the VCF file.
        alleles: Alternative alleles in them.
        scored: Alleles that reach a gene.
        genes: Genes that are reached.
        pairs: Rows of the table: pairs of an allele and a gene.
        skipped: Reason → number of alleles without a row.
        invalid: Rows that are no records, left out.
        marks: Mark → the features of the sequence run that stand for it.
    """

    out: Path
    skipped_file: Path
    records: int
    alleles: int
    scored: int
    genes: int
    pairs: int
    skipped: dict[str, int]
    invalid: int
    marks: dict[str, list[str]]


def expression_effects(
    run: Run | Scorer | str | os.PathLike[str],
    expression: Run | str | os.PathLike[str],
    vcf: str | os.PathLike[str],
    genome: Genome | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    dataset: Dataset | str | os.PathLike[str] | None = None,
    genes: str | os.PathLike[str] | None = None,
    marks: Mapping[str, str] | None = None,
    features: Sequence[str] | str | None = None,
    pseudo: float = 0.01,
    max_ratio: float = 10.0,
    floor: float = 0.0,
    both_strands: bool = True,
    batch_size: int = BATCH_SIZE,
    device: str = "auto",
    skip_invalid: bool = False,
    overwrite: bool = False,
) -> ExpressionScores:
    """Carry the predicted mark changes of every allele of a VCF file into the expression of the genes it reaches.

    The sequence run is asked about every bin of a gene whose window of DNA holds what the allele changes, with and
    without the allele; the gene's observed signal is multiplied by the ratio of the two, and the expression run is
    asked about the signal as observed and as changed. :mod:`regulome.explain.variant_expression` says what this
    assumes. One row per allele and gene: the allele (``chrom, pos, id, ref, alt, allele``), the gene (``gene, symbol``,
    ``tss_distance`` in bp, below 0 upstream), ``sequence_effect``, the largest absolute difference over the features
    with the allele in the middle of the window (``score`` of ``variants``) and the feature ``sequence_feature``; for
    each mark, ``MARK_ref`` and ``MARK_alt``, the predicted mark in the bin where it changes most, ``MARK_distance`` of
    that bin's middle from the start site, ``MARK_ratio`` of the signal there, and ``MARK_change``, the change of the
    observed signal summed over the gene's bins; then ``expression_ref``, ``expression_alt``, ``expression_change`` and
    for probabilities ``expression_log_odds``.

    Memory and device: some thousand records at a time, and pairs of alleles and genes by about 128 MB, whatever the
    size of the VCF and the number of genes. The VCF is read twice.

    Args:
        run: The sequence run, its folder, or a scorer (then ``both_strands``, ``batch_size`` and ``device`` are the
            scorer's).
        expression: The expression run, or its folder; its network reads marks in bins around the start site.
        vcf: The variants; plain, gzip or bgzip. Chromosomes are matched by name (``20`` = ``chr20``).
        genome: FASTA or 2bit, or an opened genome.
        out: ``.tsv``, ``.csv`` (also ``.gz``) or ``.parquet``.
        dataset: The dataset with the observed marks of the genes; the expression run's own when not given.
        genes: GTF, BED or TSV with start sites of these genes, where the dataset does not know them, or to look at
            some of them only.
        marks: Mark of the expression run → name or pattern of the features that stand for it. None finds them by
            name or assay (:func:`regulome.explain.variant_marks.match_features`).
        features: Names or patterns of the features for ``sequence_effect``; all by default.
        pseudo: Added to the predicted mark of both alleles before their ratio is taken.
        max_ratio: The signal of a bin becomes at most so many times as strong, or weak.
        floor: Where the mark grows, a bin's signal counts as at least so many times the mark's mean; 0 multiplies what
            was observed.
        both_strands: Average the sequence run over both strands.
        batch_size: Windows of DNA at a time.
        device: "auto", "cpu" or "cuda".
        skip_invalid: Leave rows that are no VCF records out instead of refusing the file.
        overwrite: Replace existing files.

    Returns:
        Counts. Alleles without a row are listed in ``OUT.skipped.tsv``, with the reason.

    Raises:
        InputError: The VCF is damaged, empty or of another assembly; the genes lie on another genome, or nobody knows
            where; no feature stands for a mark, or several could; a run is of another line; or ``out`` exists.
    """
    table_ending(out)
    if floor < 0:
        raise InputError(f"floor {floor} is negative", cure="give 0 or more, for example 1")
    skipped_file = Path(f"{os.fspath(out)}.skipped.tsv")
    for path in (Path(out), skipped_file):
        check_target(path, overwrite=overwrite)
    assays: list[str] = []
    scorer = run
    if not isinstance(scorer, Scorer):
        opened = open_run(scorer)
        scorer = Scorer.from_run(opened, device=device, both_strands=both_strands, batch_size=batch_size)
        assays = [feature.get("assay", "") for feature in opened.info.features]
    model = GeneExpression(expression, dataset, scorer.device)
    found = match_features(model.view.marks, scorer.target_names, assays, marks)
    chosen = choose_features(scorer.target_names, features)
    genome = genome if isinstance(genome, Genome) else open_genome(genome)
    variants = read_variants(vcf, skip_invalid=skip_invalid)
    placer = Placer(genome, vcf, length=scorer.length)
    records, counts = inspect_variants(variants, placer)
    windows = place_genes(model.dataset, model.view, genome, scorer.length, genes)
    teller = MarkScorer(scorer, placer, genome, windows, list(found.values()), pseudo=pseudo, max_ratio=max_ratio)
    rows = GeneRows(model, windows, teller, list(found), floor)
    comparer = Comparer(scorer, placer, chosen)
    touched = np.zeros(len(windows), bool)
    pairs = reaching = 0
    with ExitStack() as stack:
        note = stack.enter_context(new_table(skipped_file, SKIPPED, overwrite=overwrite))
        save = stack.enter_context(new_table(out, rows.schema(), overwrite=overwrite))
        advance = stack.enter_context(progress("carrying to genes", sum(counts.values()), "alleles"))
        for sites in variants:
            note(wrong_rows(sites))
            for part in sites.parts(_RECORDS):
                placed = placer.place(part)
                note(skipped_alleles(placed, placer))
                good = np.flatnonzero(placed.reason == 0)
                reached = windows.reached(placed.take(good))
                near = np.unique(reached.allele)
                far = np.setdiff1d(good, good[near], assume_unique=True)
                note(allele_table(placed, far).with_columns(reason=pl.lit(_NO_GENE)))
                some = placed.take(good[near])
                effects = comparer.effects(some)
                here = Reached(np.searchsorted(near, reached.allele), reached.gene, reached.first, reached.last)
                for block in here.blocks(rows.costs(here), _BYTES):
                    save(rows.table(some, block, effects))
                touched[reached.gene] = True
                pairs, reaching = pairs + len(reached), reaching + len(near)
                advance(len(placed))
    skipped = {reason: placer.counts[reason] for reason in REASONS[1:] if placer.counts[reason]}
    if placer.counts[""] > reaching:
        skipped[_NO_GENE] = placer.counts[""] - reaching
    scores = ExpressionScores(
        out=Path(out),
        skipped_file=skipped_file,
        records=records,
        alleles=sum(counts.values()),
        scored=reaching,
        genes=int(touched.sum()),
        pairs=pairs,
        skipped=skipped,
        invalid=variants.invalid.count,
        marks={mark: [scorer.target_names[place] for place in places] for mark, places in found.items()},
    )
    _tell(scores)
    return scores


def _tell(scores: ExpressionScores) -> None:
    """Say how many alleles reach genes and why others do not."""
    logger.info(
        f"carried {scores.scored:,} of {scores.alleles:,} alleles of {scores.records:,} records to {scores.genes:,} "
        f"genes ({scores.pairs:,} rows): {scores.out}"
    )
    reasons = [f"{count:,}: {reason}" for reason, count in scores.skipped.items()]
    reasons += [f"{scores.invalid:,}: rows that are no VCF records"] if scores.invalid else []
    if reasons:
        say = logger.info if scores.scored else logger.warning
        say(f"not carried: {'; '.join(reasons)}; listed in {scores.skipped_file}")
