"""`regulome report`: one page that opens anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regulome.cli.options import Device, Overwrite, Runs

PANEL = "From answers to people"


def command(
    runs: Runs,
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML page to write.")] = Path("report.html"),
    dataset: Annotated[
        Path | None, typer.Option(help="The dataset of the runs, where it is not at the recorded place.")
    ] = None,
    explanations: Annotated[
        list[Path], typer.Option("--explanation", help="An explanation that exists already; may be repeated.")
    ] = [],  # noqa: B006
    limit: Annotated[int, typer.Option(help="Explain at most so many test genes (runs on marks).")] = 2000,
    truth: Annotated[
        Path | None, typer.Option(help="truth.json of a simulated world: score the explanations against it.")
    ] = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Write one self-contained HTML page on a run, or on several side by side."""
    from regulome.report import report

    page = report(
        runs,
        out,
        dataset=dataset,
        truth=truth,
        explanations=explanations,
        limit=limit,
        device=device,
        overwrite=overwrite,
    )
    print(page)


command.__name__ = "report"
