"""Fills pages from the program itself, so that they cannot grow stale (hooks of MkDocs)."""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from regulome.models import list_models
from regulome.recipes import field_docs, list_recipes

VERBS = [
    [],
    ["models"],
    ["recipes"],
    ["check"],
    ["simulate", "expression"],
    ["simulate", "contacts"],
    ["simulate", "sequence"],
    ["simulate", "language"],
    ["prepare", "expression"],
    ["prepare", "contacts"],
    ["prepare", "sequence"],
    ["prepare", "language"],
    ["train"],
    ["search"],
    ["grid"],
    ["evaluate"],
    ["compare"],
    ["predict"],
    ["sample"],
    ["variants"],
    ["explain"],
    ["mutate"],
    ["perturb"],
    ["profile"],
    ["report"],
    ["demo"],
]


def command_line() -> str:
    """Return the help of every verb."""
    environment = {**os.environ, "COLUMNS": "110", "NO_COLOR": "1", "TERM": "dumb"}
    parts = []
    for verb in VERBS:
        line = [sys.executable, "-c", "from regulome.cli import main; main()", *verb, "--help"]
        text = subprocess.run(line, capture_output=True, text=True, check=True, env=environment).stdout
        parts.append(f"\n## `{' '.join(['regulome', *verb])}`\n\n```text\n{text.strip()}\n```\n")
    return "".join(parts)


def recipe_keys() -> str:
    """Return every key of a recipe with its default and its sentence."""
    rows = [
        f"| `{doc.key}` | {f'`{doc.default}`' if doc.default else ''} | {doc.description} |" for doc in field_docs()
    ]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows]) + "\n"


def systems() -> str:
    """Return the networks with their papers, and what each recipe does otherwise than its paper."""
    models = [
        f"| `{model.name}` | {model.title} | {model.parameters:,} | {_sizes(model.sizes)} | {model.paper} |"
        for model in list_models()
    ]
    recipes = [f"| `{recipe.name}` | {recipe.description} | {recipe.differences} |" for recipe in list_recipes()]
    return "\n".join(
        [
            "\n## The networks\n",
            "| name | what | parameters | at | paper |",
            "|---|---|---|---|---|",
            *models,
            "\n## The recipes\n",
            "| recipe | what | differs from the paper |",
            "|---|---|---|",
            *recipes,
            "",
        ]
    )


def _sizes(sizes: Mapping[str, int]) -> str:
    if not sizes:
        return "any text"
    if "marks" in sizes:
        return f"{sizes['marks']} marks" + (f" × {sizes['bins']} bins" if "bins" in sizes else "")
    return f"{sizes['length']:,} bp, {sizes['targets']} feature" + ("s" if sizes["targets"] > 1 else "")


PAGES = {"reference/cli.md": command_line, "tutorials/recipes.md": recipe_keys, "systems.md": systems}


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Append what a page takes from the program."""
    write = PAGES.get(page.file.src_uri)
    return markdown if write is None else markdown + write()
