"""`regulome simulate`: a small world with planted truth, in the file formats of the real thing."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from regulome.cli.options import Out, Overwrite

app = typer.Typer(name="simulate", help="Make a small world with planted truth.", no_args_is_help=True)


@app.command()
def expression(
    out: Out,
    seed: Annotated[int, typer.Option(help="The same seed makes the same world.")] = 0,
    size: Annotated[Literal["small", "medium"], typer.Option(help="About 2,000 or 10,000 genes.")] = "small",
    overwrite: Overwrite = False,
) -> None:
    """Genes, reads, bigWig, peaks and an expression table with planted rules: which marks, where, which way."""
    from regulome.datasets import simulate_expression

    print(simulate_expression(out, seed=seed, size=size, overwrite=overwrite))


@app.command()
def contacts(
    out: Out,
    seed: Annotated[int, typer.Option(help="The same seed makes the same world.")] = 0,
    size: Annotated[Literal["small", "medium"], typer.Option(help="About 1,000 or 5,000 genes.")] = "small",
    overwrite: Overwrite = False,
) -> None:
    """Three cells with one genome, in which enhancers that touch promoters move expression from afar."""
    from regulome.datasets import simulate_contacts

    print(simulate_contacts(out, seed=seed, size=size, overwrite=overwrite))


@app.command()
def sequence(
    out: Out,
    seed: Annotated[int, typer.Option(help="The same seed makes the same world.")] = 0,
    size: Annotated[Literal["small", "medium"], typer.Option(help="How much genome.")] = "small",
    overwrite: Overwrite = False,
) -> None:
    """A genome, peaks of several features with planted motifs, and variants that break or make them."""
    from regulome.datasets import simulate_sequence

    print(simulate_sequence(out, seed=seed, size=size, overwrite=overwrite))


@app.command()
def language(
    out: Out,
    seed: Annotated[int, typer.Option(help="The same seed makes the same world.")] = 0,
    size: Annotated[Literal["small", "medium"], typer.Option(help="How much genome.")] = "small",
    overwrite: Overwrite = False,
) -> None:
    """Texts whose best possible perplexity is known: a repeat, random letters, and a genome of planted statistics."""
    from regulome.datasets import simulate_language

    print(simulate_language(out, seed=seed, size=size, overwrite=overwrite))


@app.callback()
def _lines() -> None:
    """Make a small world with planted truth."""
