"""`regulome variants`: what the variants of a VCF do to every chromatin feature."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regulome.cli.options import Device, Features, Out, Overwrite, RunPath, SkipInvalid, words
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
    info_prefix: Annotated[str, typer.Option(help="What names of INFO fields begin with, in a VCF.")] = "RG",
    seed: Annotated[int, typer.Option(help="Seed of the draw from the background.")] = 0,
    device: Device = "auto",
    skip_invalid: SkipInvalid = False,
    overwrite: Overwrite = False,
) -> None:
    """Score variants: probabilities of both alleles, their difference, log odds, and E-values.

    --out ends in .vcf, .vcf.gz, .tsv, .csv or .parquet. Alleles that cannot be scored, because REF differs from the
    genome for example, are listed in OUT.skipped.tsv.
    """
    from regulome.explain import score_variants

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
