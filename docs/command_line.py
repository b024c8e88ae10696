"""Puts the help of every verb into the reference, so that the page cannot grow stale."""

import os
import subprocess
import sys
from typing import Any

PAGE = "reference/cli.md"
VERBS = [
    [],
    ["models"],
    ["recipes"],
    ["check"],
    ["simulate", "expression"],
    ["prepare", "expression"],
    ["train"],
    ["evaluate"],
    ["compare"],
    ["predict"],
    ["explain"],
    ["report"],
    ["demo"],
]


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Append the help of every verb to the page of the command line (a hook of MkDocs)."""
    if page.file.src_uri != PAGE:
        return markdown
    environment = {**os.environ, "COLUMNS": "110", "NO_COLOR": "1", "TERM": "dumb"}
    for verb in VERBS:
        line = [sys.executable, "-c", "from regulome.cli import main; main()", *verb, "--help"]
        text = subprocess.run(line, capture_output=True, text=True, check=True, env=environment).stdout
        title = " ".join(["regulome", *verb])
        markdown += f"\n## `{title}`\n\n```text\n{text.strip()}\n```\n"
    return markdown
