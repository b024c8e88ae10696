"""`regulome check`: everything wrong with a set of inputs, before any work."""

from __future__ import annotations

from typing import Annotated

import typer

PANEL = "From files to datasets"


def command(
    files: Annotated[
        list[str], typer.Argument(metavar="FILES...", help="Any mix of inputs of `prepare`; MARK=FILE names a mark.")
    ],
    sample: Annotated[str | None, typer.Option(help="Column of the expression table; all when not given.")] = None,
) -> None:
    """Report everything wrong with a set of input files, and how to mend it; exit code 2 if anything is."""
    from regulome.genome import check_files

    findings = check_files(files, sample=sample)
    for finding in findings:
        print(finding)
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(2)


command.__name__ = "check"
