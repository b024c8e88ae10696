"""Examples: the on-disk format, splits, batches, and the builders that make datasets from files."""

from regulome.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Batch": "batches",
        "Batches": "batches",
        "Dataset": "dataset",
        "DatasetWriter": "writer",
        "LanguageBatches": "language_batches",
        "RegionBatches": "region_batches",
        "RegionTable": "regions",
        "SequenceBatches": "sequence_batches",
        "SequenceWindows": "sequence_windows",
        "SequenceWriter": "sequence_writer",
        "Text": "language_text",
        "View": "views",
        "assign_split": "splits",
        "choose_view": "views",
        "deepsea_features": "feature_table",
        "describe_split": "splits",
        "new_sequence_dataset": "sequence_writer",
        "export_contacts": "build_published_contacts",
        "open_dataset": "dataset",
        "prepare_contacts": "build_contacts",
        "prepare_expression": "build_expression",
        "prepare_language": "build_language",
        "prepare_published": "published",
        "prepare_published_sequence": "published_sequence",
        "prepare_sequence": "build_sequence",
        "simulate_expression": "simulation",
        "simulate_language": "language_simulation",
        "simulate_sequence": "sequence_simulation",
        "window_codes": "sequence_windows",
        "write_dataset": "writer",
    },
)
