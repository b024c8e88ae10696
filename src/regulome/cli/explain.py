"""`regulome explain`: which marks and bins a run looks at."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from regulome.cli.options import DatasetOption, Device, Out, Overwrite, RunPath, Split, number, pairs

PANEL = "From answers to people"


def command(
    method: Annotated[Literal["attention", "class-map", "gradient"], typer.Argument(help="How to look inside.")],
    run: RunPath,
    out: Out,
    dataset: DatasetOption = None,
    split: Split = "test",
    limit: Annotated[int | None, typer.Option(help="Explain at most so many examples.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draw, and of the starts of class maps.")] = 0,
    set_: Annotated[
        list[str],
        typer.Option("--set", help="Parameter of the method. class-map: penalty, learning_rate, steps, restarts."),
    ] = [],  # noqa: B006
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Attributions of a run's predictions to marks and bins: arrays and tables. For DNA: mutate, profile, variants."""
    from regulome.explain import explain

    explanation = explain(
        method,
        run,
        dataset,
        split=split,
        out=out,
        limit=limit,
        device=device,
        seed=seed,
        overwrite=overwrite,
        **{name: number(value, name) for name, value in pairs(set_, "--set", "steps=500").items()},
    )
    print(explanation.path)


command.__name__ = "explain"
