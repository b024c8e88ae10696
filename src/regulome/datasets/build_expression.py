"""Build a dataset of the expression line: signals around the starts of genes, and how strongly they are transcribed."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from regulome import storage
from regulome.datasets.chromosome_folds import in_order
from regulome.datasets.dataset import Dataset, open_dataset
from regulome.datasets.writer import DatasetWriter, write_dataset
from regulome.errors import InputError, blame
from regulome.genome.chromosomes import key
from regulome.genome.expression import Expression, read_expression
from regulome.genome.genes import Genes, read_genes
from regulome.genome.signals import detect_kind, read_signal
from regulome.genome.targets import make_target
from regulome.genome.windows import Windows

logger = logging.getLogger(__name__)

#: What a file can hold, and how it can be summed up over a bin.
STATISTICS = {"reads": (), "track": ("mean", "max", "sum"), "peaks": ("max", "sum", "presence")}


def prepare_expression(
    genes: str | os.PathLike[str],
    expression: str | os.PathLike[str],
    sample: str | None,
    tracks: Mapping[str, str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    window: int = 10_000,
    bin: int = 100,
    target: str = "median",
    tss: str = "gene",
    biotype: str | Sequence[str] | None = "protein_coding",
    chromosomes: Sequence[str] = (),
    exclude_chromosomes: Sequence[str] = (),
    kinds: Mapping[str, str] | None = None,
    statistic: str | None = None,
    uncovered: str = "zero",
    count: str = "overlap",
    extend: int | None = None,
    min_mapq: int = 0,
    keep_duplicates: bool = False,
    value: str | None = None,
    skip_invalid: bool = False,
    overwrite: bool = False,
) -> Dataset:
    """Bin signal files around the starts of genes and join them with expression.

    Every input is opened and checked before the long work begins. The examples are the genes that both the annotation
    and the expression table have, in genome order (chr2 before chr10, then by start site). Windows are centred on the
    start site, run along the forward strand, and may leave their chromosome: bins outside are 0. The threshold or
    scale of a target is that of the whole column of the expression table. Memory: one mark at a time.

    Args:
        genes: GTF, BED or TSV; see :func:`regulome.genome.genes.read_genes`.
        expression: Table of genes × samples; see :func:`regulome.genome.expression.read_expression`.
        sample: Its column; None where it has one only.
        tracks: Name of each mark → its file: reads (tagAlign, BED, BAM), bigWig, bedGraph, or peaks.
        out: The dataset folder to make.
        window: Base pairs around the start site, a multiple of ``bin``.
        bin: Base pairs per bin.
        target: ``median``, ``quantile:Q``, ``log2``, ``zscore``, ``minmax`` or ``raw``; see
            :func:`regulome.genome.targets.make_target`.
        tss: The start site of a gene with several.
        biotype: Keep genes of this biotype or these; None keeps all.
        chromosomes: Keep genes on these chromosomes only; empty keeps all.
        exclude_chromosomes: Leave out genes on these.
        kinds: ``reads``, ``track`` or ``peaks`` for marks whose file does not tell by itself.
        statistic: Value of a bin: ``mean``, ``max`` or ``sum`` of tracks, ``max``, ``sum`` or ``presence`` of peaks;
            None takes the mean of tracks and the maximum of peaks.
        uncovered: What bases without a value are in a mean: ``zero``, or ``ignore`` to leave them out.
        count: Reads in every bin they ``overlap``, or by their ``five_prime`` end.
        extend: Extend reads to this many base pairs.
        min_mapq: Least mapping quality (BAM).
        keep_duplicates: Count reads that are marked as duplicates (BAM).
        value: Value of a peak: ``signalValue``, ``score`` or ``presence``; None goes by the format.
        skip_invalid: Leave invalid rows out and count them in the record, instead of refusing the file.
        overwrite: Replace an existing dataset.

    Returns:
        The dataset, opened.

    Raises:
        InputError: An input is wrong or does not fit the others; it names file and line.
        OSError: The disk is full.
    """
    files = {mark: storage.existing_file(file) for mark, file in tracks.items()}
    found_kinds = check_tracks(files, kinds or {}, statistic)
    if statistic == "presence":
        statistic, value = "max", "presence"
    storage.check_target(out, overwrite=overwrite)
    annotation = read_genes(genes, tss=tss, biotype=biotype, skip_invalid=skip_invalid)
    levels = read_expression(expression, sample, skip_invalid=skip_invalid)
    examples = choose_chromosomes(
        join_expression(annotation, levels, genes, expression), chromosomes, exclude_chromosomes, genes
    )
    windows = Windows.around(examples["chrom"], examples["tss"].to_numpy(), window=window, bin=bin)
    with blame(expression, f"sample {sample}" if sample else None):
        labels = make_target(examples["expression"].to_numpy(), target, reference=levels.table["value"].to_numpy())
    regions = examples.with_columns(start=pl.Series(windows.starts), end=pl.Series(windows.ends)).select(
        "id", "chrom", "start", "end", "strand", "symbol", "tss", "expression", "expression_row"
    )
    options = {
        "statistic": statistic,
        "uncovered": uncovered,
        "count": count,
        "extend": extend,
        "min_mapq": min_mapq,
        "keep_duplicates": keep_duplicates,
        "value": value,
        "skip_invalid": skip_invalid,
    }
    with (
        write_dataset(out, line="expression", task=labels.task, regions=regions, overwrite=overwrite) as writer,
        ThreadPoolExecutor(1) as hasher,
    ):
        # Checksums are computed beside the reading, from the same pages of the disk's cache.
        sums = [hasher.submit(storage.source, file) for file in (genes, expression, *files.values())]
        try:
            records = _fill(writer, files, found_kinds, windows, options)
        except BaseException:
            hasher.shutdown(wait=False, cancel_futures=True)
            raise
        writer.set_targets(labels.values[:, None], ["expression"], labels.record)
        roles = ["genes", "expression", *(f"track:{mark}" for mark in files)]
        for role, known, record in zip(roles, sums, [annotation.record, levels.record, *records], strict=True):
            writer.sources.append({"role": role, **known.result(), **record})
        writer.parameters.update(
            window=window,
            bin=bin,
            target=target,
            tss=tss,
            biotype=biotype if biotype is None or isinstance(biotype, str) else list(biotype),
            chromosomes=list(chromosomes),
            exclude_chromosomes=list(exclude_chromosomes),
            mark_kinds=found_kinds,
            **options,
            genes_in_annotation=len(annotation),
            genes_in_expression=len(levels),
            windows_before_chromosome_start=int((windows.starts < 0).sum()),
        )
    return open_dataset(out)


def check_tracks(files: Mapping[str, Path], kinds: Mapping[str, str], statistic: str | None) -> dict[str, str]:
    """Find the kind of each track, by its name or its first lines, and whether the statistic suits it."""
    if not files:
        raise InputError("no track was given", cure="give at least one: --track H3K4me3=H3K4me3.bigWig")
    marks: dict[Path, str] = {}
    for mark, file in files.items():
        if not mark.strip():
            raise InputError("a track has no name", file=file, cure="write --track MARK=FILE")
        other = marks.setdefault(file.resolve(), mark)
        if other != mark:
            logger.warning("%s is the file of both %s and %s", file, other, mark)
    for mark, kind in kinds.items():
        if mark not in files:
            raise InputError(f"a kind is given for {mark!r}, which is no track", cure=f"tracks are {', '.join(files)}")
        if kind not in STATISTICS:
            raise InputError(f"unknown kind {kind!r} of {mark}", cure=f"give one of {', '.join(STATISTICS)}")
    found = {mark: kinds.get(mark) or detect_kind(file) for mark, file in files.items()}
    for mark, kind in found.items():
        if statistic is not None and STATISTICS[kind] and statistic not in STATISTICS[kind]:
            raise InputError(
                f"{mark} is a file of kind {kind!r}, which has no {statistic!r}",
                file=files[mark],
                cure=f"give one of {', '.join(STATISTICS[kind])}",
            )
    return found


def join_expression(
    annotation: Genes, levels: Expression, genes: str | os.PathLike[str], expression: str | os.PathLike[str]
) -> pl.DataFrame:
    """Keep the genes that have both a start site and an expression."""
    values = levels.table.rename({"value": "expression"}).with_row_index("expression_row")
    joined = annotation.table.join(values.with_columns(pl.col("expression_row").cast(pl.Int64)), on="id", how="inner")
    if joined.is_empty():
        raise InputError(
            f"shares no gene with {genes}: its ids look like {levels.table['id'][0]!r}, those of the annotation like "
            f"{annotation.table['id'][0]!r}",
            file=expression,
            cure="use the same kind of gene ids in both",
        )
    logger.info(
        "%s genes have a start site and an expression (%s in the annotation, %s in the expression table)",
        f"{joined.height:,}",
        f"{len(annotation):,}",
        f"{len(levels):,}",
    )
    return joined


def choose_chromosomes(
    examples: pl.DataFrame, include: Sequence[str], exclude: Sequence[str], genes: str | os.PathLike[str]
) -> pl.DataFrame:
    """Keep the genes on the wanted chromosomes, in genome order."""
    names = in_order(examples["chrom"].unique().to_list())
    known = {key(name) for name in names}
    for name in (*include, *exclude):
        if key(name) not in known:
            raise InputError(f"has no genes on chromosome {name!r}", file=genes, cure=f"it has {', '.join(names)}")
    wanted, unwanted = {key(name) for name in include}, {key(name) for name in exclude}
    kept = [name for name in names if (not wanted or key(name) in wanted) and key(name) not in unwanted]
    if not kept:
        raise InputError("no chromosome is left", file=genes, cure="exclude fewer chromosomes")
    rank = pl.col("chrom").replace_strict(names, range(len(names)), return_dtype=pl.Int64)
    return examples.filter(pl.col("chrom").is_in(kept)).sort(rank, "tss", "id")


def _fill(
    writer: DatasetWriter,
    files: Mapping[str, Path],
    kinds: Mapping[str, str],
    windows: Windows,
    options: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Read one mark after the other into the input ``marks``, and return what is to be known about each."""
    counts = all(kind == "reads" for kind in kinds.values())
    array = writer.add_input(
        "marks",
        axes=["example", "mark", "bin"],
        shape=(len(windows), len(files), windows.n_bins),
        dtype=np.int32 if counts else np.float32,
        mark=list(files),
        bin_size=windows.bin,
        unit="reads" if counts else "signal",
    )
    records = []
    for place, (mark, file) in enumerate(files.items()):
        signal = read_signal(file, windows, kind=kinds[mark], **options)
        array[:, place] = signal.values
        if not signal.values.any():
            logger.warning("%s: %s has no signal in any window", file, mark)
        records.append(signal.record)
    writer.narrow("marks")
    return records
