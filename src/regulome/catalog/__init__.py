"""Public data and weights: what there is, and how published weights become networks."""

from regulome.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "DEEPCHROME_MARKS": "weights",
        "Weights": "weights",
        "evaluate": "from_weights",
        "load_weights": "weights",
        "open_weights": "weights",
        "predict": "from_weights",
    },
)
