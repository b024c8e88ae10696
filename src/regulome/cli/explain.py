"""`regulome explain`: which marks and bins a run looks at."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from regulome.cli.options import DatasetOption, Device, Out, Overwrite, RunPath, Split

PANEL = "From answers to people"


def command(
    method: Annotated[Literal["attention", "class-map", "gradient"], typer.Argument(help="How to look inside.")],
    run: RunPath,
    out: Out,
    dataset: DatasetOption = None,
    split: Split = "test",
    limit: Annotated[int | None, typer.Option(help="Explain at most so many examples.")] = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Attributions of a run's predictions to marks and bins: arrays and tables."""
    from regulome.explain import explain

    print(explain(method, run, dataset, split=split, out=out, limit=limit, device=device, overwrite=overwrite).path)


command.__name__ = "explain"
