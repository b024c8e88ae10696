"""`regulome sample`: new text from a model of genomes."""

from __future__ import annotations

from typing import Annotated

import typer

from regulome.cli.options import Device, Out, Overwrite, RunPath

PANEL = "From datasets to answers"


def command(
    run: RunPath,
    out: Out,
    length: Annotated[int, typer.Option(help="Letters of each sequence.")],
    count: Annotated[int, typer.Option(help="Number of sequences.")] = 1,
    temperature: Annotated[
        float, typer.Option(help="1: as the model has learned; lower: likelier letters; 0: always the likeliest.")
    ] = 1.0,
    prompt: Annotated[str, typer.Option(help="Letters that the text goes on from; they are not written.")] = "",
    seed: Annotated[int, typer.Option(help="The same seed draws the same letters.")] = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Draw new sequences, letter by letter, from a run of the line `language`, and write them as FASTA."""
    from regulome.training import sample_text

    sample_text(
        run,
        out,
        length=length,
        count=count,
        temperature=temperature,
        prompt=prompt,
        seed=seed,
        device=device,
        overwrite=overwrite,
    )
    print(out)


command.__name__ = "sample"
