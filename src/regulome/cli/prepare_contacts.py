"""`regulome prepare contacts`: genomic files or the published layout → dataset of promoters and distal regions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regulome.cli.options import Out, Overwrite, SkipInvalid, pairs, words
from regulome.errors import InputError


def contacts(
    out: Out,
    genes: Annotated[
        Path | None, typer.Option(help="GTF, BED or TSV of the genes' starts; with --published the table of genes.")
    ] = None,
    expression: Annotated[Path | None, typer.Option(help="Expression table: genes × samples.")] = None,
    sample: Annotated[
        str | None, typer.Option(help="Column of the expression table; with --published the cell (eid).")
    ] = None,
    track: Annotated[list[str], typer.Option(help="MARK=FILE: reads, bigWig or bedGraph; once per mark.")] = [],  # noqa: B006
    kind: Annotated[list[str], typer.Option(help="MARK=reads|track, where the file does not tell by itself.")] = [],  # noqa: B006
    contacts: Annotated[
        Path | None,
        typer.Option(
            help="Pairs of fragments with scores: a table (chrom1 start1 end1 chrom2 start2 end2 score), BEDPE, or a "
            "pickle of texts and numbers; without it there are promoters only."
        ),
    ] = None,
    window: Annotated[int, typer.Option(help="Bases around the gene's start.")] = 40_000,
    resolutions: Annotated[str, typer.Option(help="Widths of bins in bases.")] = "2000,500,100",
    threshold: Annotated[float, typer.Option(help="Scores of contacts must be larger.")] = 1.5,
    top: Annotated[int, typer.Option(help="At most so many distal regions of a gene, the best by score.")] = 8,
    max_region: Annotated[int, typer.Option(help="Fragments that are longer are no distal regions.")] = 40_000,
    target: Annotated[
        str, typer.Option(help="median, quantile:Q (high or low), log2, zscore, minmax or raw.")
    ] = "median",
    tss: Annotated[
        str, typer.Option(help="Which start of a gene: gene, first-transcript, longest-transcript, canonical.")
    ] = "gene",
    biotype: Annotated[str, typer.Option(help="Keep genes of this type; `all` keeps every gene.")] = "protein_coding",
    chromosomes: Annotated[str, typer.Option(help="Keep genes on these chromosomes: chr1,chr2.")] = "",
    exclude_chromosomes: Annotated[str, typer.Option(help="Leave out genes on these chromosomes.")] = "",
    reads: Annotated[
        int | None, typer.Option(help="Reads: take so many of each file at random, where it has more.")
    ] = None,
    trim: Annotated[int | None, typer.Option(help="Reads: cut to this many bases from their 5' end.")] = None,
    extend: Annotated[int | None, typer.Option(help="Reads: extend to this fragment length.")] = None,
    min_mapq: Annotated[int, typer.Option(help="BAM: least mapping quality.")] = 0,
    keep_duplicates: Annotated[
        bool, typer.Option("--keep-duplicates", help="BAM: count reads that are marked as duplicates too.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the choice of --reads.")] = 0,
    published: Annotated[
        Path | None, typer.Option(help="Folder of chrom:start-end.npy of Chromoformer's layout, instead of files.")
    ] = None,
    marks: Annotated[str, typer.Option(help="With --published: names of the rows of these files.")] = "",
    skip_invalid: SkipInvalid = False,
    overwrite: Overwrite = False,
) -> None:
    """Histone marks at gene starts and at the regions that touch them in 3D, and how strongly genes are expressed."""
    from regulome.datasets import prepare_contacts

    if genes is None:
        raise InputError("--genes is missing", cure="see regulome prepare contacts --help")
    widths = words(resolutions)
    for width in widths:
        if not width.isdecimal():
            raise InputError(f"--resolutions {resolutions}: {width!r} is no width", cure="write --resolutions 500,100")
    dataset = prepare_contacts(
        genes,
        expression,
        sample,
        {mark: Path(file) for mark, file in pairs(track, "--track", "H3K4me3=H3K4me3.bigWig").items()},
        contacts,
        out,
        window=window,
        resolutions=[int(width) for width in widths],
        threshold=threshold,
        top=top,
        max_region=max_region,
        target=target,
        tss=tss,
        biotype=None if biotype == "all" else biotype,
        chromosomes=words(chromosomes),
        exclude_chromosomes=words(exclude_chromosomes),
        kinds=pairs(kind, "--kind", "H3K4me3=reads"),
        reads=reads,
        trim=trim,
        extend=extend,
        min_mapq=min_mapq,
        keep_duplicates=keep_duplicates,
        seed=seed,
        published=published,
        marks=words(marks),
        skip_invalid=skip_invalid,
        overwrite=overwrite,
    )
    print(dataset.path)
