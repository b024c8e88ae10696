"""`regulome models`: the networks that there are."""

from __future__ import annotations

PANEL = "What there is"


def command() -> None:
    """List the models: paper, inputs, number of parameters."""
    from regulome.cli.tables import show
    from regulome.models import list_models

    rows = [
        (
            m.name,
            m.title,
            m.line,
            m.inputs,
            f"{m.parameters:,} ({' × '.join(f'{n} {of}' for of, n in m.sizes.items())})",
            f"{m.paper.short}, {m.paper.venue}",
        )
        for m in list_models()
    ]
    show(["model", "what", "line", "inputs", "parameters", "paper"], rows, right=["parameters"])


command.__name__ = "models"
