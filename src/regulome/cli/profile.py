"""`regulome profile`: all features of a sequence, sorted by probability."""

from __future__ import annotations

from typing import Annotated

import typer

from regulome.cli.options import BothStrands, Device, Fasta, Genome, Out, Overwrite, Region, RunPath

PANEL = "From answers to people"
_ENDINGS = (".tsv", ".csv", ".parquet", ".html", ".pdf")


def command(
    run: RunPath,
    out: Out,
    region: Region = [],  # noqa: B006
    genome: Genome = None,
    fasta: Fasta = None,
    both_strands: BothStrands = None,
    title: Annotated[str, typer.Option(help="Heading of the page or PDF; default: the sequence's name.")] = "",
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """The probability table of a sequence: every feature with cell, assay and treatment, most likely first.

    --out ends in .tsv, .csv, .parquet, .html or .pdf.
    """
    from regulome.errors import InputError
    from regulome.explain import profile
    from regulome.report import write_probability_table
    from regulome.storage import check_target

    if out.suffix.lower() not in _ENDINGS:
        raise InputError("has no ending that says how to write it", file=out, cure=f"choose from {', '.join(_ENDINGS)}")
    check_target(out, overwrite=overwrite)
    table = profile(run, region=region or None, genome=genome, fasta=fasta, both_strands=both_strands, device=device)
    print(write_probability_table(table, out, title=title, overwrite=overwrite))


command.__name__ = "profile"
