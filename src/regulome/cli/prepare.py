"""`regulome prepare`: genomic files or published tables → dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer

from regulome.cli.options import Out, Overwrite, SkipInvalid, pairs, words
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


def _needed(value: T | None, option: str) -> T:
    if value is None:
        raise InputError(f"{option} is missing", cure="see regulome prepare expression --help")
    return value
