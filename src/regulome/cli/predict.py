"""`regulome predict`: a table of predictions from a run or from published weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regulome.cli.options import Device, Out, Overwrite

PANEL = "From datasets to answers"


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN|WEIGHTS", help="A run folder, or a file of published weights.")],
    out: Out,
    dataset: Annotated[
        Path | None, typer.Argument(metavar="[DATASET]", help="A dataset folder; the run's own when not given.")
    ] = None,
    split: Annotated[str, typer.Option(help="Part of the dataset: train, valid, test or all.")] = "test",
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Predict examples: region, id, then for each output its value and, where known, the truth."""
    from regulome.catalog import predict
    from regulome.storage import check_target
    from regulome.training import write_table

    check_target(out, overwrite=overwrite)
    table = predict(run, dataset, split, device=device)
    write_table(table, out, overwrite=overwrite)
    print(out)


command.__name__ = "predict"
