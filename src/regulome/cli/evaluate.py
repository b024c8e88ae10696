"""`regulome evaluate`: metrics of a run with 95 % intervals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from regulome.cli.options import AsJson, DatasetOption, Device, RunPath, Split

PANEL = "From datasets to answers"


def command(
    run: RunPath,
    dataset: DatasetOption = None,
    split: Split = "test",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Metrics of a run on a part of a dataset, with 95 % bootstrap intervals."""
    from regulome.training import evaluate

    metrics = evaluate(run, dataset, split=split, device=device)
    if as_json:
        print(json.dumps(metrics, indent=2, allow_nan=False))
    else:
        show_metrics({str(run): metrics})


def show_metrics(metrics: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the metrics of several runs, a row each."""
    from regulome.cli.tables import interval, show

    names = list(dict.fromkeys(name for row in metrics.values() for name in row if isinstance(row[name], dict)))
    rows = [[run, row["n"], *(interval(row.get(name)) for name in names)] for run, row in metrics.items()]
    show(["run", "n", *names], rows, right=["n"])


command.__name__ = "evaluate"
