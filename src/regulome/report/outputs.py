"""What a page on a run of many outputs needs: metrics of each, means over them, and counts of positives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulome.datasets.dataset import Dataset
from regulome.errors import InputError
from regulome.report.figures.scores import RELIABILITY_BINS, reliability_of, reliability_sums
from regulome.training.multilabel import FEATURE_COLUMNS, multilabel
from regulome.training.runs import FEATURES, METRICS, Run
from regulome.training.scores import described

#: Rows of labels and probabilities that are read together.
_ROWS = 8192


@dataclass(frozen=True)
class Outputs:
    """Many outputs of a run on its test part.

    Attributes:
        metrics: Means over the outputs with intervals, as :func:`regulome.training.evaluate` returns them.
        features: One row per output: name, cell, assay, treatment, group, each metric with ``_low`` and ``_high``; of a
            classification also n, positives, prevalence and scorable.
        pooled: Reliability of all outputs together; None where the labels cannot be read, or outputs are values.
    """

    metrics: Mapping[str, Any]
    features: pl.DataFrame
    pooled: pl.DataFrame | None


def gather_outputs(run: Run, dataset: Dataset | None) -> Outputs:
    """Collect what is known of each output of a run.

    Memory: some thousand rows at a time where outputs are many; all of them where they are few.

    Args:
        run: The run.
        dataset: Its dataset; labels of many outputs lie there.
    """
    table = run.predictions().filter(pl.col("split") == "test")
    names = run.info.target_names
    if not len(table):
        raise InputError(
            "holds no predictions of labelled test windows", file=run.path, cure="train it with a test split"
        )
    if run.info.task != "classification":
        metrics = run.metrics()
        return Outputs(metrics, _values(run, metrics), None)
    if (run.path / FEATURES).exists():
        features = pl.read_csv(run.path / FEATURES, separator="\t", infer_schema_length=None)
        features = features.with_columns(pl.col(FEATURE_COLUMNS).cast(pl.String).fill_null(""))
        return Outputs(run.metrics(), features, None if dataset is None else _pooled(run, dataset))
    truth = table.select(f"{name}_true" for name in names).to_numpy()
    scores = table.select(names).to_numpy().astype(np.float32)
    found = multilabel(scores, truth, described(run.info))
    pooled = reliability_of(*reliability_sums(truth.ravel(), scores.ravel()))
    return Outputs(found.summary(), found.table(), pooled)


def _values(run: Run, metrics: Mapping[str, Any]) -> pl.DataFrame:
    """Metrics of outputs that are values, from what the run says of each."""
    if "outputs" not in metrics:
        raise InputError("does not say how well each output is predicted", file=run.path / METRICS, cure="train again")
    about = described(run.info)
    rows = []
    for name in run.info.target_names:
        of = {key: entry for key, entry in metrics["outputs"].get(name, {}).items() if isinstance(entry, dict)}
        rows.append(
            {key + end: entry[part] for key, entry in of.items() for part, end in zip(_PARTS, _ENDS, strict=True)}
        )
    empty = [pl.lit("").alias(name) for name in FEATURE_COLUMNS if name not in about.columns]
    about = about.with_columns(empty).select(FEATURE_COLUMNS)
    return pl.concat([about, pl.DataFrame(rows, infer_schema_length=None)], how="horizontal")


_PARTS, _ENDS = ("value", "low", "high"), ("", "_low", "_high")


def _pooled(run: Run, dataset: Dataset) -> pl.DataFrame | None:
    table, scores = run.scores()
    chosen = np.flatnonzero((table["split"] == "test").to_numpy())
    place = dataset.regions.select("id").with_row_index("row")
    found = table.select("id")[chosen].join(place, on="id", how="left", maintain_order="left")["row"]
    if found.null_count() or dataset.targets.shape[1] != scores.shape[1]:
        return None
    rows = found.to_numpy().astype(np.int64)
    sums = np.zeros((3, RELIABILITY_BINS))
    for start in range(0, len(rows), _ROWS):
        part = slice(start, start + _ROWS)
        truth = np.asarray(dataset.targets[rows[part]] > 0, np.float64)
        sums += reliability_sums(truth.ravel(), np.asarray(scores[chosen[part]], np.float64).ravel())
    return reliability_of(*sums)


def count_positives(run: Run, dataset: Dataset) -> pl.DataFrame:
    """Count the positives of each feature in each part: name, cell, assay, treatment, group, train, valid, test."""
    parts = dataset.regions.select("id").join(run.splits, on="id", how="left", maintain_order="left")["split"]
    counts: dict[str, NDArray[np.int64]] = {}
    masks = {part: (parts == part).fill_null(False).to_numpy() for part in ("train", "valid", "test")}
    for part, mask in masks.items():
        counts[part] = np.zeros(len(dataset.target_names), np.int64)
        for start in range(0, len(dataset), _ROWS):
            rows = slice(start, start + _ROWS)
            if mask[rows].any():
                counts[part] += (dataset.targets[rows][mask[rows]] > 0).sum(axis=0, dtype=np.int64)
    return dataset.features.select(FEATURE_COLUMNS).with_columns(pl.Series(part, n) for part, n in counts.items())
