"""`regulome prepare`: genomic files or published tables → dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer

from regulome.cli.options import ManyFiles, Out, Overwrite, SkipInvalid, pairs, words
from regulome.cli.prepare_contacts import contacts
from regulome.errors import InputError

T = TypeVar("T")

app = typer.Typer(name="prepare", help="Turn genomic files or published tables into a dataset.", no_args_is_help=True)


@app.callback()
def _lines() -> None:
    """Turn genomic files or published tables into a dataset."""


@app.command()
def expression(
    out: Out,
    genes: Annotated[Path | None, typer.Option(help="GTF, BED or TSV of the genes' starts.")] = None,
    expression: Annotated[Path | None, typer.Option(help="Expression table: genes × samples.")] = None,
    sample: Annotated[str | None, typer.Option(help="Column of the expression table.")] = None,
    track: Annotated[list[str], typer.Option(help="MARK=FILE: reads, bigWig, bedGraph or peaks; once per mark.")] = [],  # noqa: B006
    kind: Annotated[
        list[str], typer.Option(help="MARK=reads|track|peaks, where the file does not tell by itself.")
    ] = [],  # noqa: B006
    window: Annotated[int, typer.Option(help="Bases around the gene's start.")] = 10_000,
    bin: Annotated[int, typer.Option(help="Bases per bin.")] = 100,
    target: Annotated[
        str, typer.Option(help="median, quantile:Q (high or low), log2, zscore, minmax or raw.")
    ] = "median",
    tss: Annotated[
        str, typer.Option(help="Which start of a gene: gene, first-transcript, longest-transcript, canonical.")
    ] = "gene",
    biotype: Annotated[str, typer.Option(help="Keep genes of this type; `all` keeps every gene.")] = "protein_coding",
    chromosomes: Annotated[str, typer.Option(help="Keep genes on these chromosomes: chr1,chr2.")] = "",
    exclude_chromosomes: Annotated[str, typer.Option(help="Leave out genes on these chromosomes.")] = "",
    statistic: Annotated[
        Literal["mean", "max", "sum", "presence"] | None,
        typer.Option(help="Per bin; default: mean of tracks, max of peaks."),
    ] = None,
    uncovered: Annotated[
        Literal["zero", "ignore"], typer.Option(help="Bases that a track does not cover, in a mean.")
    ] = "zero",
    count: Annotated[
        Literal["overlap", "five_prime"], typer.Option(help="Reads: in each bin they overlap, or by their 5' end.")
    ] = "overlap",
    extend: Annotated[int | None, typer.Option(help="Reads: extend to this fragment length.")] = None,
    min_mapq: Annotated[int, typer.Option(help="BAM: least mapping quality.")] = 0,
    keep_duplicates: Annotated[
        bool, typer.Option("--keep-duplicates", help="BAM: count reads that are marked as duplicates too.")
    ] = False,
    value: Annotated[
        Literal["signalValue", "score", "presence"] | None,
        typer.Option(help="Value of a peak; default: by the number of columns."),
    ] = None,
    published: Annotated[
        Literal["deepchrome", "deepdiff"] | None, typer.Option(help="Read published tables instead of files.")
    ] = None,
    train: Annotated[Path | None, typer.Option(help="With --published: training table.")] = None,
    valid: Annotated[Path | None, typer.Option(help="With --published: validation table.")] = None,
    test: Annotated[Path | None, typer.Option(help="With --published: test table.")] = None,
    bins: Annotated[str | None, typer.Option(help="With --published: keep these bins, FIRST:END.")] = None,
    marks: Annotated[str, typer.Option(help="With --published deepchrome: names of the columns.")] = "",
    skip_invalid: SkipInvalid = False,
    overwrite: Overwrite = False,
) -> None:
    """Histone marks around gene starts, and how strongly the genes are expressed."""
    if published:
        from regulome.datasets import prepare_published

        dataset = prepare_published(
            published,
            train,
            valid,
            test,
            out,
            marks=words(marks) or None,
            expression=expression,
            sample=sample,
            target=target,
            genes=genes,
            bins=bins,
            skip_invalid=skip_invalid,
            overwrite=overwrite,
        )
    else:
        from regulome.datasets import prepare_expression

        dataset = prepare_expression(
            _needed(genes, "--genes"),
            _needed(expression, "--expression"),
            _needed(sample, "--sample"),
            {mark: Path(file) for mark, file in pairs(track, "--track", "H3K4me3=H3K4me3.bigWig").items()},
            out,
            window=window,
            bin=bin,
            target=target,
            tss=tss,
            biotype=None if biotype == "all" else biotype,
            chromosomes=words(chromosomes),
            exclude_chromosomes=words(exclude_chromosomes),
            kinds=pairs(kind, "--kind", "H3K4me3=reads"),
            statistic=statistic,
            uncovered=uncovered,
            count=count,
            extend=extend,
            min_mapq=min_mapq,
            keep_duplicates=keep_duplicates,
            value=value,
            skip_invalid=skip_invalid,
            overwrite=overwrite,
        )
    print(dataset.path)


app.command()(contacts)


@app.command(cls=ManyFiles)
def sequence(
    out: Out,
    genome: Annotated[Path | None, typer.Option(help="FASTA (plain, gzip, bgzip) or 2bit.")] = None,
    peaks: Annotated[
        list[str],
        typer.Option(metavar="FILES...", help="BED, narrowPeak or broadPeak, FILE or NAME=FILE; one feature per name."),
    ] = [],  # noqa: B006
    examples: Annotated[
        Literal["bins", "peaks"], typer.Option(help="DeepSEA's bins, or windows around the peaks' summits.")
    ] = "bins",
    bin: Annotated[int, typer.Option(help="Bases per bin.")] = 200,
    length: Annotated[int, typer.Option(help="Bases per window.")] = 1000,
    overlap: Annotated[float, typer.Option(help="Share of a bin that a peak must cover to label it.")] = 0.5,
    merge_peaks: Annotated[
        bool, typer.Option("--merge-peaks", help="Count what all peaks of a feature cover of a bin together.")
    ] = False,
    metadata: Annotated[
        Path | None, typer.Option(help="Table of the features: name, and any of cell, assay, treatment, group.")
    ] = None,
    group: Annotated[
        str, typer.Option(help="Only features of this group make a window worth keeping; `any` counts all.")
    ] = "TF",
    negatives: Annotated[
        str | None,
        typer.Option(
            help="Examples without labels: none, all, random, gc-matched, shuffle or a BED file; default: none for "
            "bins, shuffle for peaks."
        ),
    ] = None,
    ratio: Annotated[float, typer.Option(help="Negatives per positive.")] = 1.0,
    chromosomes: Annotated[str, typer.Option(help="Use these chromosomes only: chr1,chr2.")] = "",
    exclude_chromosomes: Annotated[str, typer.Option(help="Leave these chromosomes out.")] = "",
    blacklist: Annotated[
        list[Path],
        typer.Option(metavar="FILES...", help="BED of regions; windows that touch one are left out."),
    ] = [],  # noqa: B006
    ends: Annotated[
        Literal["pad", "drop"], typer.Option(help="Windows that leave their chromosome: pad with N, or drop.")
    ] = "pad",
    max_unknown: Annotated[float, typer.Option(help="Leave out windows with a larger share of unknown letters.")] = 0.5,
    margin: Annotated[int, typer.Option(help="Bases stored beside the windows, for shifts in training.")] = 100,
    published: Annotated[
        Literal["deepsea", "deepbind", "demo", "basset"] | None,
        typer.Option(help="Read published files of this layout instead."),
    ] = None,
    train: Annotated[Path | None, typer.Option(help="With --published: training file.")] = None,
    valid: Annotated[Path | None, typer.Option(help="With --published: validation file.")] = None,
    test: Annotated[Path | None, typer.Option(help="With --published: test file.")] = None,
    negatives_per_positive: Annotated[
        int, typer.Option(help="With --published deepbind: shuffles of each positive.")
    ] = 1,
    valid_fraction: Annotated[
        float, typer.Option(help="With --published: share of the training file that validates, without --valid.")
    ] = 0.1,
    seed: Annotated[int, typer.Option(help="Seed of negatives, shuffles and of what validates.")] = 0,
    skip_invalid: SkipInvalid = False,
    overwrite: Overwrite = False,
) -> None:
    """Windows of DNA, and which chromatin features they carry."""
    files: dict[str, object] = {"--train": train, "--valid": valid, "--test": test}
    built: dict[str, object] = {"--genome": genome, "--peaks": peaks, "--metadata": metadata, "--blacklist": blacklist}
    built |= {"--negatives": negatives, "--chromosomes": chromosomes, "--exclude-chromosomes": exclude_chromosomes}
    for option, value in (built if published else files).items():
        if value:
            how = "without" if published else "with"
            raise InputError(f"{option} goes {how} --published", cure="leave one of them away, or see --help")
    if published:
        from regulome.datasets import prepare_published_sequence

        dataset = prepare_published_sequence(
            published,
            train,
            valid,
            test,
            out,
            seed=seed,
            negatives_per_positive=negatives_per_positive,
            valid_fraction=valid_fraction,
            overwrite=overwrite,
        )
    else:
        from regulome.datasets import prepare_sequence

        dataset = prepare_sequence(
            _needed(genome, "--genome", "sequence"),
            _needed(peaks or None, "--peaks", "sequence"),
            out,
            examples=examples,
            bin=bin,
            length=length,
            overlap=overlap,
            merge_peaks=merge_peaks,
            metadata=metadata,
            group=group,
            negatives=negatives,
            ratio=ratio,
            chromosomes=words(chromosomes),
            exclude_chromosomes=words(exclude_chromosomes),
            blacklist=blacklist,
            ends=ends,
            max_unknown=max_unknown,
            margin=margin,
            seed=seed,
            skip_invalid=skip_invalid,
            overwrite=overwrite,
        )
    print(dataset.path)


@app.command(cls=ManyFiles)
def language(
    out: Out,
    fasta: Annotated[
        list[Path],
        typer.Option(metavar="FILES...", help="FASTA (plain, gzip, bgzip) or 2bit; records are read in order."),
    ] = [],  # noqa: B006
    length: Annotated[int, typer.Option(help="Letters that one step of training reads.")] = 100,
    block: Annotated[
        int | None, typer.Option(help="Letters of a block, over which intervals are taken; default: at most 10,000.")
    ] = None,
    held_out: Annotated[float, typer.Option(help="Share of all letters, the last ones, that tests.")] = 0.1,
    validation: Annotated[float, typer.Option(help="Share of all letters, those before, that validates.")] = 0.02,
    strands: Annotated[
        Literal["forward", "both"], typer.Option(help="Train on the text alone, or on its reverse complement too.")
    ] = "forward",
    overwrite: Overwrite = False,
) -> None:
    """The text of a genome in blocks, some of them held out; letters other than A, C, G, T are left out."""
    from regulome.datasets import prepare_language

    dataset = prepare_language(
        _needed(fasta or None, "--fasta", "language"),
        out,
        length=length,
        block=block,
        held_out=held_out,
        validation=validation,
        strands=strands,
        overwrite=overwrite,
    )
    print(dataset.path)


def _needed(value: T | None, option: str, line: str = "expression") -> T:
    if value is None:
        raise InputError(f"{option} is missing", cure=f"see regulome prepare {line} --help")
    return value
