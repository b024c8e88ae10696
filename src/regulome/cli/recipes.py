"""`regulome recipes`: the recipes that there are, and one in full."""

from __future__ import annotations

from typing import Annotated

import typer

PANEL = "What there is"


def command(
    name: Annotated[str | None, typer.Argument(help="A recipe's name, to print it in full as TOML.")] = None,
) -> None:
    """List the recipes, or print one in full as TOML to start your own from."""
    from regulome.cli.tables import show
    from regulome.recipes import list_recipes, load_recipe, to_toml

    if name is not None:
        print(to_toml(load_recipe(name)), end="")
        return
    rows = [(r.name, r.model.name, r.line, r.description) for r in list_recipes()]
    show(["recipe", "model", "line", "description"], rows)


command.__name__ = "recipes"
