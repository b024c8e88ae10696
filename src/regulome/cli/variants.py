"""`regulome variants`: what the variants of a VCF do to every chromatin feature, and to the expression of genes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regulome.cli.options import Device, Features, Out, Overwrite, RunPath, SkipInvalid, pairs, words
from regulome.errors import InputError

PANEL = "From datasets to answers"


def command(
    run: RunPath,
    vcf: Annotated[Path, typer.Option(help="The variants: VCF, plain, gzip or bgzip.")],
    genome: Annotated[Path, typer.Option(help="FASTA or 2bit of the assembly that the VCF is on.")],
    out: Out,
    background: Annotated[
        Path | None, typer.Option(help="VCF of variants that do little, such as common ones: gives E-values.")
    ] = None,
    background_size: Annotated[int, typer.Option(help="Draw at most so many alleles of the background.")] = 100_000,
    features: Features = "",
    shifts: Annotated[
        str, typer.Option(help="Move the windows by these numbers of bases and average: -50,0,50.")
    ] = "0",
    both_strands: Annotated[
        bool, typer.Option("--both-strands/--one-strand", help="Average both strands, or not.")
    ] = True,
    batch_size: Annotated[int, typer.Option(help="Windows at a time.")] = 256,
    expression: Annotated[
        Path | None, typer.Option(help="Carry the marks on to genes: a run that was trained on marks around genes.")
    ] = None,
    dataset: Annotated[
        Path | None, typer.Option(help="With --expression: the dataset with the genes' marks; default: that run's own.")
    ] = None,
    genes: Annotated[
        Path | None, typer.Option(help="With --expression: GTF, BED or TSV of start sites; default: the dataset's.")
    ] = None,
    marks: Annotated[
        str,
        typer.Option(help="With --expression: which feature is which mark: H3K4me3=HepG2.H3K4me3,…; default: by name."),
    ] = "",
    pseudo: Annotated[
        float, typer.Option(help="With --expression: added to a mark of both alleles before the ratio is taken.")
    ] = 0.01,
    max_ratio: Annotated[
        float, typer.Option(help="With --expression: the signal of a bin changes at most by this factor.")
    ] = 10.0,
    floor: Annotated[
        float, typer.Option(help="With --expression: gains count from at least so many times a mark's mean signal.")
    ] = 0.0,
    info_prefix: Annotated[str, typer.Option(help="What names of INFO fields begin with, in a VCF.")] = "RG",
    seed: Annotated[int, typer.Option(help="Seed of the draw from the background.")] = 0,
    device: Device = "auto",
    skip_invalid: SkipInvalid = False,
    overwrite: Overwrite = False,
) -> None:
    """Score variants: probabilities of both alleles, their difference, log odds, and E-values.

    --out ends in .vcf, .vcf.gz, .tsv, .csv or .parquet. Alleles that cannot be scored, because REF differs from the
    genome for example, are listed in OUT.skipped.tsv.

    With --expression a row for each allele and gene that it reaches, in .tsv, .csv or .parquet: the strongest effect on
    a feature, the change of each mark, and the predicted expression with both alleles.
    """
    from regulome.explain import expression_effects, score_variants

    if expression is not None:
        if background is not None or _whole(shifts) != [0] or info_prefix != "RG":
            cure = "leave them out, or score the features by themselves, without --expression"
            raise InputError("--background, --shifts and --info-prefix do not go with --expression", cure=cure)
        carried = expression_effects(
            run,
            expression,
            vcf,
            genome,
            out,
            dataset=dataset,
            genes=genes,
            marks=pairs(words(marks), "--marks", "H3K4me3=HepG2.H3K4me3") or None,
            features=words(features) or None,
            pseudo=pseudo,
            max_ratio=max_ratio,
            floor=floor,
            both_strands=both_strands,
            batch_size=batch_size,
            device=device,
            skip_invalid=skip_invalid,
            overwrite=overwrite,
        )
        print(carried.out)
        return
    given = {"--dataset": dataset, "--genes": genes, "--marks": marks}
    if any(given.values()):
        named = " and ".join(name for name, value in given.items() if value)
        raise InputError(f"{named}: only with --expression", cure="name the expression run: --expression RUN")
    found = score_variants(
        run,
        vcf,
        genome,
        out,
        background=background,
        background_size=background_size,
        features=words(features) or None,
        shifts=_whole(shifts),
        both_strands=both_strands,
        batch_size=batch_size,
        device=device,
        info_prefix=info_prefix,
        seed=seed,
        skip_invalid=skip_invalid,
        overwrite=overwrite,
    )
    print(found.out)


def _whole(text: str) -> list[int]:
    try:
        return [int(word) for word in words(text)]
    except ValueError:
        raise InputError(f"--shifts {text}: expected whole numbers, for example -50,0,50") from None


command.__name__ = "variants"
