"""`regulome mutate`: what every single substitution in a region does."""

from __future__ import annotations

from typing import Annotated

import typer

from regulome.cli.options import BothStrands, Device, Fasta, Features, Genome, Out, Overwrite, Region, RunPath, words

PANEL = "From answers to people"


def command(
    run: RunPath,
    out: Out,
    region: Region = [],  # noqa: B006
    genome: Genome = None,
    fasta: Fasta = None,
    features: Features = "",
    tile: Annotated[
        int | None, typer.Option(help="Bases mutated in one window, at most; default: half a window in long regions.")
    ] = None,
    both_strands: BothStrands = None,
    batch_size: Annotated[int | None, typer.Option(help="Mutants at a time; default: what suits the network.")] = None,
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="Draw logos over heat maps, or not.")] = True,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """In-silico saturation mutagenesis of a region or of sequences: table, arrays and figures.

    Without --features the ten most likely features are kept; `*` keeps all.
    """
    from regulome.explain import mutate

    found = mutate(
        run,
        region=region or None,
        genome=genome,
        fasta=fasta,
        out=out,
        features=words(features) or None,
        tile=tile,
        both_strands=both_strands,
        device=device,
        batch_size=batch_size,
        overwrite=overwrite,
    )
    if figures:
        from regulome.report import mutation_figures

        mutation_figures(found)
    print(out)


command.__name__ = "mutate"
