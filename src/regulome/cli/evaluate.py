"""`regulome evaluate`: metrics of a run with 95 % intervals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from regulome.cli.options import AsJson, DatasetOption, Device, Split

PANEL = "From datasets to answers"


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN|WEIGHTS", help="A run folder, or a file of published weights.")],
    dataset: DatasetOption = None,
    split: Split = "test",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Metrics of a run on a part of a dataset, with 95 % bootstrap intervals."""
    from regulome.catalog import evaluate

    metrics = evaluate(run, dataset, split=split, device=device)
    if as_json:
        print(json.dumps(metrics, indent=2, allow_nan=False))
    else:
        show_metrics({str(run): metrics})


def show_metrics(metrics: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the metrics of runs: a row per metric, a column per run."""
    from regulome.cli.tables import interval, show

    names = list(dict.fromkeys(name for row in metrics.values() for name in row if isinstance(row[name], dict)))
    rows = [["n", *(f"{row['n']:,}" for row in metrics.values())]]
    rows += [[name, *(interval(row.get(name)) or "–" for row in metrics.values())] for name in names]
    show(["", *metrics], rows)


command.__name__ = "evaluate"
