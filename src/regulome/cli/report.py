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
    truth: Annotated[
        Path | None, typer.Option(help="truth.json of a simulated world: score the explanations against it.")
    ] = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Write one self-contained HTML page on a run, or on several side by side."""
    from regulome.report import report

    print(report(runs, out, truth=truth, device=device, overwrite=overwrite))


command.__name__ = "report"
