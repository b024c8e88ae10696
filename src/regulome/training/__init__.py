"""Training, runs, metrics and comparison."""

from regulome.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Comparison": "comparison",
        "Run": "runs",
        "RunInfo": "runs",
        "Scorer": "scorer",
        "choose_device": "device",
        "compare": "comparison",
        "evaluate": "evaluation",
        "open_run": "runs",
        "predict": "prediction",
        "predict_dataset": "prediction",
        "prediction_table": "prediction",
        "train": "trainer",
        "write_table": "prediction",
    },
)
