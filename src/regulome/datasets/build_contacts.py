"""Build a dataset of promoters and of the distal regions that touch them in three dimensions."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from regulome import storage
from regulome.datasets.build_expression import check_tracks, choose_chromosomes, join_expression
from regulome.datasets.build_published_contacts import prepare_published_contacts
from regulome.datasets.dataset import Dataset, open_dataset
from regulome.datasets.region_writer import Numbered, add_regions, check_widths, number_regions
from regulome.datasets.writer import DatasetWriter, write_dataset
from regulome.errors import InputError, blame
from regulome.genome.contact_ranks import rank_contacts
from regulome.genome.contacts import contacts_of_sites, read_contacts
from regulome.genome.expression import read_expression
from regulome.genome.gene_sites import all_start_sites
from regulome.genome.genes import read_genes
from regulome.genome.region_bins import bin_means
from regulome.genome.region_depth import sum_depth
from regulome.genome.targets import make_target

logger = logging.getLogger(__name__)

Path_ = str | os.PathLike[str]


def prepare_contacts(
    genes: Path_,
    expression: Path_ | None,
    sample: str | None,
    tracks: Mapping[str, Path_],
    contacts: Path_ | None,
    out: Path_,
    *,
    window: int = 40_000,
    resolutions: Sequence[int] = (2000, 500, 100),
    threshold: float = 1.5,
    top: int = 8,
    max_region: int = 40_000,
    target: str = "median",
    tss: str = "gene",
    biotype: str | Sequence[str] | None = "protein_coding",
    chromosomes: Sequence[str] = (),
    exclude_chromosomes: Sequence[str] = (),
    kinds: Mapping[str, str] | None = None,
    reads: int | None = None,
    trim: int | None = None,
    extend: int | None = None,
    min_mapq: int = 0,
    keep_duplicates: bool = False,
    seed: int = 0,
    published: Path_ | None = None,
    marks: Sequence[str] = (),
    skip_invalid: bool = False,
    overwrite: bool = False,
) -> Dataset:
    """Bin the depth of signal files over promoters and the distal regions (pCREs) that touch them.

    Each file is read once, for all regions and all widths of bins, and each region is stored once however many genes
    share it. Genes and targets are those of :func:`regulome.datasets.prepare_expression`. The pCREs of a gene are the
    fragments that touch a fragment in which one of its start sites lies (all of its transcripts' sites), the ``top``
    best by score. Memory: one mark at a time, 8 bytes for each of the finest bins.

    Args:
        genes: GTF, BED or TSV; see :func:`regulome.genome.genes.read_genes`. With ``published`` the published table of
            genes.
        expression: Table of genes × samples; see :func:`regulome.genome.expression.read_expression`.
        sample: Its column; None where it has one only. With ``published`` the cell (``eid``).
        tracks: Name of each mark → its file: reads (tagAlign, BED, BAM), bigWig or bedGraph.
        contacts: Pairs of fragments with scores; see :func:`regulome.genome.contacts.read_contacts`. None makes a
            dataset without pCREs.
        out: The dataset folder to make.
        window: Bases around the start site, a multiple of every resolution.
        resolutions: Widths of bins.
        threshold: Scores of contacts must be larger.
        top: At most so many pCREs of a gene.
        max_region: Longer fragments are no pCREs.
        target: ``median``, ``quantile:Q``, ``log2``, ``zscore``, ``minmax`` or ``raw``; see
            :func:`regulome.genome.targets.make_target`.
        tss: The start site of a gene with several, around which its promoter lies.
        biotype: Keep genes of this biotype or these; None keeps all.
        chromosomes: Keep genes on these chromosomes only; empty keeps all.
        exclude_chromosomes: Leave out genes on these.
        kinds: ``reads`` or ``track`` for marks whose file does not tell by itself.
        reads: Take so many reads of each file at random, where it has more.
        trim: Cut reads to this many bases from their 5' end, where they are longer.
        extend: Make every read this many bases long, from its 5' end.
        min_mapq: Least mapping quality (BAM).
        keep_duplicates: Count reads that are marked as duplicates (BAM).
        seed: Seed of the sample of reads.
        published: Folder of ``chrom:start-end.npy`` of Chromoformer's published layout, in place of ``expression``,
            ``tracks`` and ``contacts``; see
            :func:`regulome.datasets.build_published_contacts.prepare_published_contacts`.
        marks: With ``published``: names of the rows of these files; empty takes the published seven.
        skip_invalid: Leave invalid rows out and count them in the record, instead of refusing the file.
        overwrite: Replace an existing dataset.

    Returns:
        The dataset, opened.

    Raises:
        InputError: An input is wrong or does not fit the others; it names file and line.
        OSError: The disk is full.
    """
    shared: dict[str, Any] = {
        "window": window,
        "resolutions": resolutions,
        "threshold": threshold,
        "top": top,
        "max_region": max_region,
        "target": target,
        "skip_invalid": skip_invalid,
        "overwrite": overwrite,
    }
    if not math.isfinite(threshold):
        raise InputError(f"a threshold of {threshold}", cure="give --threshold a number")
    if top < 0:
        raise InputError(f"{top} pCREs of a gene", cure="give --top 0 or more")
    if published is not None:
        given = {"--expression": expression, "--track": tracks, "--contacts": contacts}
        for option, value in given.items():
            if value:
                raise InputError(f"{option} goes without --published", cure="leave one of them away")
        return prepare_published_contacts(genes, published, out, sample=sample, marks=marks, **shared)
    if marks:
        raise InputError("--marks goes with --published", cure="name the marks with --track MARK=FILE")
    if expression is None:
        raise InputError("--expression is missing", cure="give a table of genes × samples, or --published")
    widths = check_widths(resolutions, window, max_region)
    files = {mark: storage.existing_file(file) for mark, file in tracks.items()}
    found_kinds = check_tracks(files, kinds or {}, None)
    storage.check_target(out, overwrite=overwrite)
    annotation = read_genes(genes, tss=tss, biotype=biotype, skip_invalid=skip_invalid)
    levels = read_expression(expression, sample, skip_invalid=skip_invalid)
    joined = join_expression(annotation, levels, genes, expression)
    examples = choose_chromosomes(joined, chromosomes, exclude_chromosomes, genes)
    examples = examples.with_columns(start=pl.col("tss") - window // 2, end=pl.col("tss") - window // 2 + window)
    with blame(expression, f"sample {sample}" if sample else None):
        labels = make_target(examples["expression"].to_numpy(), target, reference=levels.table["value"].to_numpy())
    ranked, contact_record = _contacts(genes, examples, contacts, threshold, top, max_region, skip_invalid)
    numbered = number_regions(examples, ranked)
    options: dict[str, Any] = {
        "reads": reads,
        "trim": trim,
        "extend": extend,
        "min_mapq": min_mapq,
        "keep_duplicates": keep_duplicates,
        "skip_invalid": skip_invalid,
        "seed": seed,
    }
    columns = ("id", "chrom", "start", "end", "strand", "symbol", "tss", "expression", "expression_row")
    with (
        write_dataset(
            out, line="expression", task=labels.task, regions=examples.select(columns), overwrite=overwrite
        ) as writer,
        ThreadPoolExecutor(1) as hasher,
    ):
        named = [genes, expression, *([] if contacts is None else [contacts]), *files.values()]
        # Checksums are computed beside the reading, from the same pages of the disk's cache.
        sums = [hasher.submit(storage.source, file) for file in named]
        try:
            records = _fill(writer, numbered, files, found_kinds, options, window, max_region, widths)
            _check_chromosomes(numbered, annotation.table["chrom"].unique().to_list(), records, contacts)
        except BaseException:
            hasher.shutdown(wait=False, cancel_futures=True)
            raise
        writer.set_targets(labels.values[:, None], ["expression"], labels.record)
        before = [("genes", annotation.record), ("expression", levels.record)]
        before += [] if contacts is None else [("contacts", contact_record)]
        told = [*before, *((f"track:{mark}", record) for mark, record in zip(files, records, strict=True))]
        for (role, record), known in zip(told, sums, strict=True):
            writer.sources.append({"role": role, **known.result(), **record})
        writer.parameters.update(
            {name: value for name, value in shared.items() if name != "overwrite"},
            resolutions=list(widths),
            tss=tss,
            biotype=biotype if biotype is None or isinstance(biotype, str) else list(biotype),
            chromosomes=list(chromosomes),
            exclude_chromosomes=list(exclude_chromosomes),
            mark_kinds=found_kinds,
            **options,
            genes_in_annotation=len(annotation),
            genes_in_expression=len(levels),
            windows_before_chromosome_start=int((examples["start"] < 0).sum()),
        )
    return open_dataset(out)


def _contacts(
    genes: Path_,
    examples: pl.DataFrame,
    contacts: Path_ | None,
    threshold: float,
    top: int,
    max_region: int,
    skip_invalid: bool,
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Return the ranked contacts of the examples, and what is to be known about them."""
    if contacts is None:
        schema = {"example": pl.Int64, "chrom": pl.String, "start": pl.Int64, "end": pl.Int64, "score": pl.Float64}
        logger.warning("no contacts were given: there are promoters only")
        return pl.DataFrame(schema=schema), {}
    table = read_contacts(contacts, skip_invalid=skip_invalid)
    near, found = contacts_of_sites(all_start_sites(genes, examples), table, threshold=threshold, max_region=max_region)
    if found["n_sites_without_fragment"] == found["n_sites"]:
        raise InputError(
            "no start site of a gene lies in any of its fragments",
            file=contacts,
            cure="use genes and contacts of the same genome assembly",
        )
    if longer := found["n_longer_than_max_region"]:
        logger.info("%s: left out %s fragments of more than %s bases", contacts, f"{longer:,}", f"{max_region:,}")
    if near.is_empty():
        raise InputError(
            f"no gene has a contact with a score above {threshold:g} and at most {max_region:,} bases",
            file=contacts,
            cure="give a lower --threshold, a larger --max-region, or leave --contacts out",
        )
    ranked = rank_contacts(near, threshold=threshold, top=top)
    some = ranked["example"].n_unique()
    logger.info(
        "%s of %s genes have %s contacts with a score above %g",
        f"{some:,}", f"{examples.height:,}", f"{ranked.height:,}", threshold,
    )  # fmt: skip
    return ranked, {**table.record, **found, "n_genes_with_contacts": some, "n_contacts": ranked.height}


def _fill(
    writer: DatasetWriter,
    numbered: Numbered,
    files: Mapping[str, Path],
    kinds: Mapping[str, str],
    options: Mapping[str, Any],
    window: int,
    max_region: int,
    widths: Sequence[int],
) -> list[dict[str, Any]]:
    """Read one mark after the other, and return what is to be known about each."""
    regions, fine = numbered.regions, math.gcd(*widths)
    signals = add_regions(writer, numbered, window=window, max_region=max_region, resolutions=widths, marks=list(files))
    records = []
    for place, (mark, file) in enumerate(files.items()):
        sums, record = sum_depth(file, regions, fine, kind=kinds[mark], **options)
        if not np.any(sums):
            logger.warning("%s: %s has no signal in any region", file, mark)
        for width, signal in signals.items():
            signal[:, place] = bin_means(sums, regions, fine, width)
        records.append(record)
    return records


def _check_chromosomes(
    numbered: Numbered, annotated: Collection[str], records: Sequence[Mapping[str, Any]], contacts: Path_ | None
) -> None:
    """Refuse contacts with a chromosome that neither the genes nor any signal file has.

    Raises:
        InputError: There are some.
    """
    regions, touched = numbered.regions, numbered.contact[:, 1]
    for code, name in enumerate(regions.chromosomes):
        if name in annotated or not all(name in record["missing_chromosomes"] for record in records):
            continue
        n, first = int((regions.codes[touched] == code).sum()), int(np.flatnonzero(regions.codes == code)[0])
        raise InputError(
            f"{n:,} contacts are with the unknown chromosome {name}, the first with "
            f"{name}:{regions.starts[first]}-{regions.ends[first]}; neither the genes nor a signal file have it",
            file=contacts,
            cure="use files of one assembly, or take these lines out",
        )
