"""The networks: one file per published network, in torch, knowing neither files nor datasets.

LSTMs on a CPU are compiled by numba, which is imported when the first of them runs.
"""

from typing import Any

from regulome.lazy import lazy

_public, __dir__, __all__ = lazy(
    __name__,
    {
        "ClockworkLayer": "clockwork_layer",
        "KerasLSTM": "bidirectional",
        "ModelInfo": "registry",
        "OneHot": "one_hot",
        "Paper": "registry",
        "Predictor": "preprocess",
        "Preprocess": "preprocess",
        "create": "registry",
        "generate": "generation",
        "generate_pieces": "generation",
        "list_models": "registry",
        "lstm_many": "recurrent",
        "read_both_ways": "bidirectional",
        "register": "registry",
    },
)


def __getattr__(name: str) -> Any:
    """Import a public name on first use; ``models.list`` is the short name of :func:`list_models`."""
    return _public("list_models" if name == "list" else name)
