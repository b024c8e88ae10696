"""`regulome check`: everything wrong with a set of inputs, before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PANEL = "From files to datasets"


def command(
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Any mix of inputs of `prepare`.")],
) -> None:
    """Report everything wrong with a set of input files, and how to mend it."""
    from regulome.genome import check_files

    findings = check_files(files)
    for finding in findings:
        print(finding)
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(2)


command.__name__ = "check"
