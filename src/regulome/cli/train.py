"""`regulome train`: recipe + dataset → run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regulome.cli.options import Device, Out, Overwrite, words

PANEL = "From datasets to answers"


def command(
    recipe: Annotated[str, typer.Argument(help="A recipe's name (see `regulome recipes`), or a TOML file.")],
    dataset: Annotated[Path, typer.Argument(help="A dataset folder.")],
    out: Out,
    test_chromosomes: Annotated[str, typer.Option(help="Chromosomes to test on, for example chr1,chr8.")] = "",
    valid_chromosomes: Annotated[str, typer.Option(help="Chromosomes to choose the best epoch on.")] = "",
    split: Annotated[
        str | None,
        typer.Option(help="published, blocks, fold:I/K, or a table of id and split; default: by chromosome."),
    ] = None,
    set_: Annotated[list[str], typer.Option("--set", help="Override a recipe key: training.epochs=5.")] = [],  # noqa: B006
    seed: Annotated[int | None, typer.Option(help="Seed of everything random; the recipe's when not given.")] = None,
    device: Device = "auto",
    devices: Annotated[int, typer.Option(help="Number of devices to train on together.")] = 1,
    ensemble: Annotated[int, typer.Option(help="Train this many members with seeds seed, seed+1, …")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted training.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Train a model by a recipe, and evaluate it on the test examples."""
    from regulome.cli.evaluate import show_metrics
    from regulome.training import train

    run = train(
        recipe,
        dataset,
        out,
        split=split,
        test_chromosomes=words(test_chromosomes),
        valid_chromosomes=words(valid_chromosomes),
        seed=seed,
        device=device,
        devices=devices,
        ensemble=ensemble,
        resume=resume,
        set=set_,
        overwrite=overwrite,
    )
    show_metrics({str(out): run.metrics()})


command.__name__ = "train"
