"""Training, runs, metrics and comparison."""

from regulome.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Comparison": "feature_comparison",
        "Grid": "grid_record",
        "Run": "runs",
        "RunInfo": "runs",
        "Scorer": "scorer",
        "Search": "search_record",
        "choose_device": "device",
        "compare": "comparison",
        "evaluate": "evaluation",
        "grid": "grids",
        "open_grid": "grid_record",
        "open_run": "runs",
        "open_search": "search_record",
        "plan_grid": "grid_plan",
        "predict": "prediction",
        "predict_dataset": "prediction",
        "predict_regions": "region_predictions",
        "predict_surprise": "surprise",
        "predict_text": "surprise",
        "predict_tracks": "track_predictions",
        "prediction_table": "prediction",
        "sample_text": "sampling",
        "search": "hyperparameter_search",
        "train": "trainer",
        "write_table": "prediction",
    },
)
