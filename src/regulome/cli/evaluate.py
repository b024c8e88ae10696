"""`regulome evaluate`: metrics of a run with 95 % intervals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from regulome.cli.options import AsJson, DatasetOption, Device, Split

PANEL = "From datasets to answers"
#: Keys of metrics that hold metrics of their own.
_NESTED = ("groups", "outputs")


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN|WEIGHTS", help="A run folder, or a file of published weights.")],
    dataset: DatasetOption = None,
    split: Split = "test",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Metrics of a run on a part of a dataset, with 95 % intervals: of many outputs means, and by group."""
    from regulome.catalog import evaluate

    metrics = evaluate(run, dataset, split=split, device=device)
    if as_json:
        print(json.dumps(metrics, indent=2, allow_nan=False))
    else:
        show_metrics({str(run): metrics})


def show_metrics(metrics: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the metrics of runs: a row per metric, a column per run; of many outputs also by group, or each."""
    from regulome.cli.tables import interval, show

    runs = list(metrics.values())
    names = list(
        dict.fromkeys(name for row in runs for name in row if isinstance(row[name], dict) and name not in _NESTED)
    )
    texts = all("letters" in row for row in runs)
    rows = [["blocks" if texts else "n", *(f"{row['n']:,}" for row in runs)]]
    if texts:
        rows.append(["letters", *(f"{row['letters']:,}" for row in runs)])
    if any("features" in row for row in runs):
        rows.append(["features, of them scored", *(f"{row['features']:,}, {row['scorable']:,}" for row in runs)])
    # Means over outputs are called so; beside the mean stands the median where there is one.
    many = any("features" in row or "outputs" in row for row in runs)
    for name in names:
        # Perplexity is no mean: it is exp of one.
        label = f"mean {name}" if many and name != "perplexity" else name
        rows.append([label, *(interval(row.get(name)) or "–" for row in runs)])
        if any((row.get(name) or {}).get("median") is not None for row in runs):
            rows.append([f"median {name}", *(_plain((row.get(name) or {}).get("median")) for row in runs)])
    show(["", *metrics], rows)
    for nested, heading in (("groups", "group"), ("outputs", "output")):
        parts = list(dict.fromkeys(part for row in runs for part in row.get(nested, {})))
        if parts:
            _show_parts(metrics, nested, heading, parts)


def _show_parts(metrics: Mapping[str, Mapping[str, Any]], nested: str, heading: str, parts: list[str]) -> None:
    """Print the first metrics of groups or outputs: a row for each part and run."""
    from regulome.cli.tables import interval, show

    first = next(row[nested][part] for row in metrics.values() for part in parts if part in row.get(nested, {}))
    shown = [name for name in ("auroc", "auprc", "pearson", "r2") if name in first]
    counted = "features" in first
    rows = []
    for part in parts:
        for run, row in metrics.items():
            of = row.get(nested, {}).get(part, {})
            cells = [part, *([run] if len(metrics) > 1 else [])]
            cells += [f"{of.get('features', 0):,}", f"{of.get('scorable', 0):,}"] if counted else []
            rows.append([*cells, *(interval(of.get(name)) for name in shown)])
    mean = "mean " if counted else ""
    headings = [heading, *(["run"] if len(metrics) > 1 else []), *(["features", "scored"] if counted else [])]
    show([*headings, *(mean + name for name in shown)], rows, right=["features", "scored"])


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


command.__name__ = "evaluate"
