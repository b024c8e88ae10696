"""Examples: the on-disk format, splits, batches, and the builders that make datasets from files."""

from regulome.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Batch": "batches",
        "Batches": "batches",
        "Dataset": "dataset",
        "DatasetWriter": "writer",
        "assign_split": "splits",
        "describe_split": "splits",
        "open_dataset": "dataset",
        "prepare_expression": "build_expression",
        "prepare_published": "published",
        "simulate_expression": "simulation",
        "write_dataset": "writer",
    },
)
