"""Build a dataset of the sequence line: windows of a genome, labelled by peaks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome import storage
from regulome.datasets.chromosome_folds import in_order
from regulome.datasets.dataset import Dataset, open_dataset
from regulome.datasets.peak_features import PeakFiles, describe_features, name_features, read_peaks
from regulome.datasets.sequence_builder import SequenceBuilder
from regulome.datasets.sequence_plan import SequencePlan, default_negatives
from regulome.datasets.sequence_writer import new_sequence_dataset
from regulome.errors import InputError
from regulome.genome.chromosomes import key
from regulome.genome.sequence import open_genome
from regulome.progress import progress

AnyPath = str | os.PathLike[str]


def prepare_sequence(
    genome: AnyPath,
    peaks: Sequence[AnyPath],
    out: AnyPath,
    *,
    examples: str = "bins",
    bin: int = 200,
    length: int = 1000,
    overlap: float = 0.5,
    merge_peaks: bool = False,
    metadata: AnyPath | None = None,
    group: str = "TF",
    negatives: AnyPath | None = None,
    ratio: float = 1.0,
    chromosomes: Sequence[str] = (),
    exclude_chromosomes: Sequence[str] = (),
    blacklist: Sequence[AnyPath] = (),
    ends: str = "pad",
    max_unknown: float = 0.5,
    margin: int = 100,
    seed: int = 0,
    skip_invalid: bool = False,
    overwrite: bool = False,
) -> Dataset:
    """Label windows of a genome by the peaks that cover them, one target per feature.

    **Bins** (DeepSEA's rule): each chromosome is cut into bins from its first base; the rest at its end is no bin. A
    feature labels a bin when one of its peaks covers at least half of it. Bins labelled by a counted feature are kept,
    each with the window of ``length`` bases around its centre.

    **Peaks**: a window around the summit of each peak of a counted feature (column 10 of narrowPeak, elsewhere the
    middle); summits at one place are one example. A window is labelled by the features that it is centred on, and by
    those with a peak that covers at least half of the ``bin`` bases around its centre.

    Examples are in genome order (chr2 before chr10, then by place); shuffled negatives follow those of their
    chromosome. They have the place of the positive that they were made from, so that every split by place keeps both
    in one part. Letters of overlapping windows are stored once. Memory: the peaks (16 bytes each), the table of
    examples, and what belongs to one chromosome.

    Args:
        genome: FASTA (plain, gzip, bgzip) or 2bit.
        peaks: BED, narrowPeak or broadPeak files, plain or gzip: ``FILE`` or ``NAME=FILE``; files of one name are one
            feature. Without a name a feature is called as its file, without ``.narrowPeak.gz`` and the like.
        out: The dataset folder to make.
        examples: ``bins`` or ``peaks``.
        bin: Bases per bin.
        length: Bases per window.
        overlap: The share of a bin that a peak must cover.
        merge_peaks: Count what all peaks of a feature cover together. Otherwise one peak alone must cover the share,
            as ``bedtools intersect -f`` has it.
        metadata: Table with the columns ``name`` and any of ``cell``, ``assay``, ``treatment``, ``group`` (``DNase``,
            ``TF``, ``histone``).
        group: Only features of this group make a window worth keeping, the others label it. ``any`` counts all, as
            does a dataset without groups.
        negatives: Examples without labels:

            * ``none``: none (default for bins);
            * ``all``: every bin is kept;
            * ``random``: by chance from the bins that share no base with a peak of any feature; for ``peaks`` from
              windows side by side that share none;
            * ``gc-matched``: the same, with the GC content spread as that of the positives of the chromosome;
            * ``shuffle``: each positive shuffled, exactly keeping its counts of dinucleotides (default for peaks); what
              lies beside the window, in its margin, stays as it is;
            * a BED file: windows centred on its rows.
        ratio: Negatives per positive, for ``random``, ``gc-matched`` and ``shuffle``.
        chromosomes: Use these only; empty takes all that have peaks.
        exclude_chromosomes: Leave these out.
        blacklist: BED files; windows that share a base with one of their rows are left out.
        ends: Windows that leave their chromosome: ``pad`` with unknown letters, or ``drop``.
        max_unknown: Windows with a larger share of unknown letters are left out (1 keeps all).
        margin: Bases stored on both sides of the windows: so far they can be shifted in training.
        seed: Seed of whatever is by chance, 0 or more.
        skip_invalid: Leave invalid rows out and count them in the record, instead of refusing the file.
        overwrite: Replace an existing dataset.

    Returns:
        The dataset, opened.

    Raises:
        InputError: An input is wrong or does not fit the others, or no example, or no label, is left.
        OSError: The disk is full.
    """
    negatives = default_negatives(examples, negatives)
    plan = SequencePlan(
        examples, bin, length, overlap, merge_peaks, group, negatives, ratio, ends, max_unknown, margin, seed
    )
    features = name_features(peaks)
    about = describe_features(features, metadata)
    counted = _counted(about, group, metadata)
    others = [storage.existing_file(file) for file in (genome, *blacklist, *([plan.given] if plan.given else []))]
    storage.check_target(out, overwrite=overwrite)
    with ThreadPoolExecutor(1) as hasher:
        # Checksums are computed beside the reading, from the same pages of the disk's cache.
        numbered = [(number, file) for number, feature in enumerate(features) for file in feature.files]
        sums = [hasher.submit(storage.source, file) for file in (*others, *(file for _, file in numbered))]
        try:
            opened = open_genome(genome)
            plan.check_against(opened.path, max(opened.lengths.values()))
            found = read_peaks(numbered, opened.lengths, summits=examples == "peaks", skip_invalid=skip_invalid)
            never = read_peaks(
                [(0, file) for file in others[1 : 1 + len(blacklist)]],
                opened.lengths,
                skip_invalid=skip_invalid,
                what="blacklisted regions",
            )
            given = read_peaks(
                [(0, file) for file in others[1 + len(blacklist) :]],
                opened.lengths,
                summits=True,
                skip_invalid=skip_invalid,
                what="negatives",
            )
            chosen = _choose(found, chromosomes, exclude_chromosomes)
            with new_sequence_dataset(out, length=length, margin=margin, overwrite=overwrite) as writer:
                builder = SequenceBuilder(plan, opened, writer, counted)
                with progress("labelling windows", sum(opened.lengths[name] for name in chosen), "bases") as advance:
                    for number, name in enumerate(chosen):
                        builder.add(name, found, never, given, np.random.default_rng([seed, number]))
                        advance(opened.lengths[name])
                regions = builder.regions(about["name"].to_list())
                names = about["name"].to_list()
                roles = ["genome", *["blacklist"] * len(blacklist), *["negatives"] * bool(plan.given)]
                roles += [f"peaks:{names[number]}" for number, _ in numbered]
                records = [{}, *never.records, *given.records, *found.records]
                writer.finish(
                    regions=regions,
                    target_names=names,
                    features=about,
                    rule={"rule": plan.rule, "positives": builder.positives.tolist()},
                    sources=[
                        {"role": role, **known.result(), **record}
                        for role, known, record in zip(roles, sums, records, strict=True)
                    ],
                    parameters={
                        **plan.parameters(),
                        "chromosomes": list(chromosomes),
                        "exclude_chromosomes": list(exclude_chromosomes),
                        "skip_invalid": skip_invalid,
                        "left_out": dict(builder.left_out),
                    },
                )
        except BaseException:
            hasher.shutdown(wait=False, cancel_futures=True)
            raise
    return open_dataset(out)


def _counted(about: pl.DataFrame, group: str, metadata: AnyPath | None) -> npt.NDArray[np.bool_]:
    """Say which features make a window worth keeping."""
    groups = [name.lower() for name in about["group"].to_list()]
    if group == "any" or not any(groups):
        return np.ones(len(groups), bool)
    counted = np.array([name == group.lower() for name in groups])
    if not counted.any():
        there = ", ".join(sorted({name for name in about["group"].to_list() if name}))
        cure = f"give --group any, or one of those there: {there}"
        raise InputError(f"no feature is of the group {group!r}", file=metadata, cure=cure)
    return counted


def _choose(found: PeakFiles, include: Sequence[str], exclude: Sequence[str]) -> list[str]:
    """Return the chromosomes to use, as the genome names them, in order of their names in the files of peaks."""
    genome_names = {spelled: name for name, spelled in found.spelled.items()}
    ordered = [genome_names[spelled] for spelled in in_order(genome_names)]
    known = {key(name) for name in ordered}
    for name in (*include, *exclude):
        if key(name) not in known:
            have = ", ".join(found.spelled[name] for name in ordered[:30])
            raise InputError(f"no file has peaks on chromosome {name!r}", cure=f"there are peaks on {have}")
    wanted, unwanted = {key(name) for name in include}, {key(name) for name in exclude}
    kept = [name for name in ordered if (not wanted or key(name) in wanted) and key(name) not in unwanted]
    if not kept:
        raise InputError("no chromosome is left", cure="exclude fewer chromosomes")
    return kept
