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
    """Compare runs on the same examples: paired differences with 95 % intervals."""
    from regulome.training import compare

    print(compare(runs, split=split))


command.__name__ = "compare"
