"""`regulome models`: the networks that there are."""

from __future__ import annotations

PANEL = "What there is"


def command() -> None:
    """List the models: paper, inputs, number of parameters."""
    from regulome.cli.tables import show
    from regulome.models import list_models

    rows = [(m.name, m.line, m.inputs, f"{m.parameters:,}", m.paper) for m in list_models()]
    show(["model", "line", "inputs", "parameters", "paper"], rows, right=["parameters"])


command.__name__ = "models"
