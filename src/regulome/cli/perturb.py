"""`regulome perturb`: what runs predict when marks lose their signal somewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from regulome.cli.options import Device, Out, Overwrite, Runs, SkipInvalid, number, words

PANEL = "From answers to people"


def command(
    runs: Runs,
    out: Out,
    dataset: Annotated[Path | None, typer.Option(help="A dataset folder; the first run's own when not given.")] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Each gene is predicted by the runs that had it in this part: test (default), train, valid or all."
        ),
    ] = None,
    marks: Annotated[
        str, typer.Option(help="Marks, each by itself; A+B together, all = all together. Default: each of the run's.")
    ] = "",
    region: Annotated[
        str, typer.Option(help="Where: promoter, distal (chunk by chunk), FROM:TO in bp from the TSS, or pcre.")
    ] = "promoter",
    action: Annotated[
        str, typer.Option(help="What is done: scale, remove, swap (with --donor), or cut (of pCREs).")
    ] = "scale",
    factors: Annotated[
        str, typer.Option(help="What is left of the signal: 0.5,0; default: 1.0, 0.9 … 0.0 for scale, otherwise 0.")
    ] = "",
    donor: Annotated[
        str, typer.Option(help="What signal is swapped with: mean, high, low, random, or the id of a gene.")
    ] = "mean",
    chunk: Annotated[
        int | None, typer.Option(help="Base pairs of a chunk; default: a twentieth of the window.")
    ] = None,
    promoter: Annotated[
        int | None, typer.Option(help="Base pairs of the promoter; default: three chunks. 0 leaves nothing out.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="The paper's bins, distances and relative change: published.")
    ] = None,
    relative_to: Annotated[
        str | None, typer.Option(help="What the change is relative to: original (default), perturbed, or nothing.")
    ] = None,
    genes: Annotated[
        str, typer.Option(help="Which: all, high, low, top:SHARE, bottom:SHARE, or a file with a name on each line.")
    ] = "all",
    loci: Annotated[
        list[Path],
        typer.Option(help="BED or VCF: are places that matter most enriched for them? May be given several times."),
    ] = [],  # noqa: B006
    top: Annotated[float, typer.Option(help="Share of places that counts as those that matter most.")] = 0.1,
    draws: Annotated[int, typer.Option(help="Random sets of places that the enrichment is compared with.")] = 10_000,
    limit: Annotated[int | None, typer.Option(help="At most so many genes.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Copies that go through a network at once; default: what suits it.")
    ] = None,
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="Draw the figures, or not.")] = True,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="Seed of all draws.")] = 0,
    skip_invalid: SkipInvalid = False,
    overwrite: Overwrite = False,
) -> None:
    """Scale, remove or swap the signal of marks in silico: effects by gene, their profile, and figures."""
    from regulome.explain import perturb

    chosen: Any = action
    named: Any = preset
    relative: Any = relative_to
    found = perturb(
        list(runs),
        out,
        dataset=dataset,
        split=split,
        marks=words(marks),
        region=region,
        action=chosen,
        factors=[number(word, "--factors") for word in words(factors)],
        donor=donor,
        chunk=chunk,
        promoter=promoter,
        preset=named,
        relative_to=relative,
        genes=genes,
        loci=loci,
        top=top,
        draws=draws,
        limit=limit,
        batch_size=batch_size,
        device=device,
        seed=seed,
        skip_invalid=skip_invalid,
        overwrite=overwrite,
    )
    if figures:
        from regulome.report import perturbation_figures

        perturbation_figures(found)
    print(out)


command.__name__ = "perturb"
