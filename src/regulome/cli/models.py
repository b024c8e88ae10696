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
            f"{m.parameters:,} ({' × '.join(_size(of, n) for of, n in m.sizes.items()) or 'any text'})",
            f"{m.paper.short}, {m.paper.venue}",
        )
        for m in list_models()
    ]
    show(["model", "what", "line", "inputs", "parameters", "paper"], rows, right=["parameters"])


def _size(of: str, count: int) -> str:
    """Say a size in words: ``1,000 bp``, ``1 feature``, ``5 marks``."""
    if of == "length":
        return f"{count:,} bp"
    word = "features" if of == "targets" else of
    return f"{count:,} {word.removesuffix('s') if count == 1 else word}"


command.__name__ = "models"
