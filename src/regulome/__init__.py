"""regulome: learns the regulatory genome and shows what it learned."""

from regulome.lazy import lazy

__version__ = "0.1.0"

# `regulome.explain` and `regulome.report` are rooms; the verbs of the same name are the functions in them.
__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "check_files": "genome",
        "compare": "training",
        "evaluate": "catalog",
        "open_dataset": "datasets",
        "open_run": "training",
        "predict": "catalog",
        "prepare_expression": "datasets",
        "prepare_language": "datasets",
        "prepare_published": "datasets",
        "prepare_published_sequence": "datasets",
        "prepare_sequence": "datasets",
        "simulate_expression": "datasets",
        "simulate_language": "datasets",
        "simulate_sequence": "datasets",
        "train": "training",
    },
)
