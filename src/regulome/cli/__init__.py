"""The command line: a file per verb, thin: parse, call, print."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and end the process with its exit code."""
    from regulome.cli.app import run

    sys.exit(run(sys.argv[1:]))
