"""What variants do: the predictions of a sequence run with and without each allele of a VCF file."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from regulome.errors import InputError
from regulome.explain.variant_background import Background
from regulome.explain.variant_comparison import Comparer
from regulome.explain.variant_tables import SKIPPED, VCF_ENDINGS, new_effects, skipped_alleles, wrong_rows
from regulome.genome.alleles import REASONS, Placer
from regulome.genome.sequence import Genome, open_genome
from regulome.genome.vcf import Variants, read_variants
from regulome.progress import progress
from regulome.storage import check_target
from regulome.training.feature_choice import choose_features
from regulome.training.runs import Run
from regulome.training.scorer import BATCH_SIZE, Scorer
from regulome.training.table_stream import new_table, table_ending

logger = logging.getLogger(__name__)

#: What VCF lets names of INFO fields be.
_INFO_NAME = re.compile(r"[A-Za-z_][0-9A-Za-z_.]*")
#: Records whose alleles are scored together: more where there are few features, because tables like long columns.
_RECORDS = 512
_MORE = 1 << 21


@dataclass(frozen=True)
class VariantScores:
    """What was scored.

    Attributes:
        out: The file with the effects.
        skipped_file: The list of what was left out.
        records: Records of the VCF file.
        alleles: Alternative alleles in them.
        scored: Alleles that were scored.
        skipped: Reason → number of alleles that were not scored.
        invalid: Rows that are no records, left out.
        background: Alleles of the background; 0 without one.
    """

    out: Path
    skipped_file: Path
    records: int
    alleles: int
    scored: int
    skipped: dict[str, int]
    invalid: int
    background: int


def score_variants(
    run: Run | Scorer | str | os.PathLike[str],
    vcf: str | os.PathLike[str],
    genome: Genome | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    background: str | os.PathLike[str] | None = None,
    background_size: int = 100_000,
    features: Sequence[str] | str | None = None,
    shifts: Sequence[int] = (0,),
    both_strands: bool = True,
    batch_size: int = BATCH_SIZE,
    device: str = "auto",
    info_prefix: str = "RG",
    seed: int = 0,
    skip_invalid: bool = False,
    overwrite: bool = False,
) -> VariantScores:
    """Score every alternative allele of a VCF file: SNVs, substitutions, insertions and deletions.

    For each feature: the probability (or value) of the reference, of the alternative allele, their difference, and the
    difference of log odds; with a background also the E-value, the share of background alleles whose |difference| is
    at least as large. Over the features: ``score``, the largest |difference|, and with a background the mean of
    −log10 E-value. Probabilities are means over members, both strands and shifts, and odds are those of the mean.

    The reference and the alternative window are both as long as the run takes, with what the allele changes in the
    middle (:mod:`regulome.genome.alleles` says exactly how). A change written in several ways is scored alike; of an
    indel in a repeat, however, the place counts that the VCF gives: left-align it first.

    Memory and device: a few hundred records at a time, whatever the size of the VCF, and 4 bytes × features ×
    ``background_size``. The VCF is read twice: all of it is checked before anything is scored. The windows of
    neighbouring alleles that share a reference are scored once; where a network begins with convolutions, of an SNV's
    window only what the SNV changes is computed (:mod:`regulome.explain.substitutions`).

    Args:
        run: The run, its folder, or a scorer (then ``both_strands``, ``batch_size`` and ``device`` are the scorer's).
        vcf: The variants; plain, gzip or bgzip. Chromosomes are matched by name (``20`` = ``chr20``).
        genome: FASTA or 2bit, or an opened genome.
        out: ``.vcf`` or ``.vcf.gz`` (the records as they came, with INFO fields of one value for each allele, ``.``
            where it was not scored), ``.tsv``, ``.csv`` (also ``.gz``) or ``.parquet`` (a row for each scored allele).
        background: A VCF file of variants that as a rule do little, such as common ones.
        background_size: At most so many of its alleles are scored, drawn at random.
        features: Names or patterns of the features to tell; all by default.
        shifts: The windows are moved to the right by each of these numbers of bases, and predictions averaged.
        both_strands: Average over both strands.
        batch_size: Windows at a time.
        device: "auto", "cpu" or "cuda".
        info_prefix: What the names of INFO fields begin with.
        seed: Of the draw from the background.
        skip_invalid: Leave rows that are no VCF records out instead of refusing the file.
        overwrite: Replace existing files.

    Returns:
        Counts. What could not be scored is listed in ``OUT.skipped.tsv``, with the reason.

    Raises:
        InputError: The VCF is damaged, empty or of another assembly, there is no such feature, the run does not read
            DNA, or ``out`` exists.

    Source: Zhou & Troyanskaya 2015, "Functional SNP prioritization", for differences, odds and E-values.
    """
    table_ending(out, others=VCF_ENDINGS)
    if seed < 0:
        raise InputError(f"seed {seed} is negative", cure="give 0 or more")
    if not _INFO_NAME.fullmatch(info_prefix):
        cure = "begin with a letter or _, and go on with letters, digits, _ and ."
        raise InputError(f"no name of an INFO field can begin with {info_prefix!r}", cure=cure)
    skipped_file = Path(f"{os.fspath(out)}.skipped.tsv")
    for path in (Path(out), skipped_file):
        check_target(path, overwrite=overwrite)
    scorer = run
    if not isinstance(scorer, Scorer):
        scorer = Scorer.from_run(scorer, device=device, both_strands=both_strands, batch_size=batch_size)
    chosen = choose_features(scorer.target_names, features)
    genome = genome if isinstance(genome, Genome) else open_genome(genome)
    variants = read_variants(vcf, skip_invalid=skip_invalid)
    placer = Placer(genome, vcf, length=scorer.length, shifts=shifts)
    records, counts = inspect_variants(variants, placer)
    alleles = sum(counts.values())
    comparer = Comparer(scorer, placer, chosen)
    if background is not None:
        rare = _score_background(comparer, background, background_size, seed, skip_invalid)
        comparer = Comparer(scorer, placer, chosen, rare)
    model = run.name if isinstance(run, Run) else type(scorer.models[0]).__name__
    if isinstance(run, str | os.PathLike):
        model = Path(run).name
    with ExitStack() as stack:
        note = stack.enter_context(new_table(skipped_file, SKIPPED, overwrite=overwrite))
        save = stack.enter_context(
            new_effects(out, variants, comparer.empty(), prefix=info_prefix, model=model, overwrite=overwrite)
        )
        advance = stack.enter_context(progress("scoring", alleles, "alleles"))
        for sites in variants:
            note(wrong_rows(sites))
            for part in sites.parts(max(_RECORDS, _MORE // len(chosen))):
                placed = placer.place(part)
                scored = np.flatnonzero(placed.reason == 0)
                save(placed, scored, comparer.effects(placed.take(scored)))
                note(skipped_alleles(placed, placer))
                advance(len(placed))
    skipped = {reason: placer.counts[reason] for reason in REASONS[1:] if placer.counts[reason]}
    scores = VariantScores(
        out=Path(out),
        skipped_file=skipped_file,
        records=records,
        alleles=alleles,
        scored=placer.counts[""],
        skipped=skipped,
        invalid=variants.invalid.count,
        background=0 if comparer.background is None else len(comparer.background),
    )
    _tell(scores)
    return scores


def inspect_variants(variants: Variants, placer: Placer) -> tuple[int, Counter[str]]:
    """Read a VCF file once to the end, so that what is wrong with it is told before the long work.

    Returns:
        Number of records, and of alleles by the reason why they cannot be scored (``""`` where they can).

    Raises:
        InputError: It is damaged, has no records, or is of another assembly than the genome.
    """
    placer.counts.clear()
    records = 0
    for sites in variants:
        records += len(sites)
        placer.place(sites)
    if not records:
        raise InputError("has no records", file=variants.path, cure="make or download it again")
    placer.check_assembly()
    counts = Counter(placer.counts)
    placer.counts.clear()
    return records, counts


def _score_background(
    comparer: Comparer, vcf: str | os.PathLike[str], size: int, seed: int, skip_invalid: bool
) -> Background:
    """Score at most ``size`` alleles of a background, drawn at random."""
    if size < 1:
        raise InputError(f"background_size must be at least 1, got {size}")
    variants = read_variants(vcf, skip_invalid=skip_invalid)
    comparer = comparer.on(vcf)
    placer = comparer.placer
    present = inspect_variants(variants, placer)[1][""]
    if not present:
        raise InputError("none of its alleles can be scored", file=vcf, cure="name a VCF on the same genome")
    size = min(size, present)
    drawn = np.zeros(present, bool)
    drawn[np.random.default_rng(seed).choice(present, size, replace=False, shuffle=False)] = True
    background = Background(len(comparer.names), size)
    done = 0
    with progress("scoring the background", size, "alleles") as advance:
        for sites in variants:
            placed = placer.place(sites)
            good = np.flatnonzero(placed.reason == 0)
            rows = good[drawn[done : done + len(good)]]
            done += len(good)
            for begin in range(0, len(rows), 4 * _RECORDS):
                some = placed.take(rows[begin : begin + 4 * _RECORDS])
                background.add(comparer.effects(some).columns["difference"])
                advance(len(some))
    logger.info(f"background: {size:,} of {present:,} alleles of {Path(vcf).name}")
    return background


def _tell(scores: VariantScores) -> None:
    """Say how many alleles were scored and why others were not."""
    logger.info(f"scored {scores.scored:,} of {scores.alleles:,} alleles of {scores.records:,} records: {scores.out}")
    reasons = [f"{count:,}: {reason}" for reason, count in scores.skipped.items()]
    reasons += [f"{scores.invalid:,}: rows that are no VCF records"] if scores.invalid else []
    if reasons:
        say = logger.info if scores.scored else logger.warning
        say(f"not scored: {'; '.join(reasons)}; listed in {scores.skipped_file}")
