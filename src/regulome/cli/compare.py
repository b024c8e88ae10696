"""`regulome compare`: paired differences between runs on the same examples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regulome.cli.options import AsJson, Runs, Split

PANEL = "From datasets to answers"


def command(
    runs: Runs,
    split: Split = "test",
    as_json: AsJson = False,
    figure: Annotated[Path | None, typer.Option(help="Also draw the differences, to .svg, .png or .pdf.")] = None,
) -> None:
    """Compare runs on the same examples: paired differences with 95 % intervals; of many features also on how many."""
    import json

    from regulome.cli.evaluate import show_metrics
    from regulome.cli.tables import interval, show
    from regulome.report import comparison_figure, save_figure
    from regulome.storage import new_file
    from regulome.training import compare

    found = compare(runs, split=split)
    if figure is not None:
        with new_file(figure) as temporary:
            save_figure(comparison_figure(found.table), temporary)
    if as_json:
        print(json.dumps(found.to_json(), indent=2, allow_nan=False))
        return
    show_metrics({name: {"n": found.n, **metrics} for name, metrics in found.metrics.items()})
    show(
        ["metric", "difference of", "and", "difference [95 %]", "p", "better"],
        [
            (
                row["metric"],
                row["a"],
                row["b"],
                interval(row | {"value": row["difference"]}, digits=4),
                _chance(row["p"]),
                row["better"],
            )
            for row in found.table.iter_rows(named=True)
            if row["difference"] is not None
        ],
    )
    if not found.features.is_empty():
        show(
            ["metric", "of features", "first better", "second better", "first", "second"],
            [
                (
                    row["metric"],
                    f"{row['features']:,}",
                    f"{row['better_a']:,}",
                    f"{row['better_b']:,}",
                    row["a"],
                    row["b"],
                )
                for row in found.wins().iter_rows(named=True)
            ],
            right=["of features", "first better", "second better"],
        )


def _chance(p: float | None) -> str | None:
    if p is None:
        return None
    return "<0.001" if p < 0.0005 else f"{p:.3f}"


command.__name__ = "compare"
