"""The networks: one file per published network, torch only, knowing neither files nor datasets."""

from typing import Any

from regulome.lazy import lazy

_public, __dir__, __all__ = lazy(
    __name__,
    {
        "ModelInfo": "registry",
        "Paper": "registry",
        "Predictor": "preprocess",
        "Preprocess": "preprocess",
        "create": "registry",
        "list_models": "registry",
        "lstm_many": "recurrent",
        "register": "registry",
    },
)


def __getattr__(name: str) -> Any:
    """Import a public name on first use; ``models.list`` is the short name of :func:`list_models`."""
    return _public("list_models" if name == "list" else name)
