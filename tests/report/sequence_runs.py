"""Runs of the line of sequences that cost nothing: predictions are made up, files are as a training leaves them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl

from regulome.datasets import Dataset
from regulome.recipes import load_recipe, to_toml
from regulome.training import Run, evaluate, open_run
from regulome.training.multilabel import MANY
from regulome.training.runs import RunInfo
from regulome.training.scores import keep_features

PARTS = {"chr1": "test", "chr2": "valid"}


def made_up_run(path: Path, dataset: Dataset, *, skill: float, seed: int = 0, recipe: str = "deepsea") -> Run:
    """A run whose scores are its labels, blurred: the more skill, the less."""
    rng = np.random.default_rng(seed)
    path.mkdir()
    names, task = dataset.target_names, dataset.task
    info = RunInfo(
        recipe=recipe,
        model=recipe,
        line="sequence",
        task=task,
        length=dataset.length,
        features=dataset.features.to_dicts(),
        target_names=names,
        dataset={"path": str(dataset.path), "checksum": dataset.checksum},
        split="by chromosome",
        members=[seed],
        hyperparameters=[{}],
        parameters=1234,
        status="complete",
    )
    parts = dataset.regions["chrom"].replace_strict(PARTS, default="train")
    splits = dataset.regions.select("id").with_columns(parts.alias("split"))
    splits.write_parquet(path / "splits.parquet")
    valid, test = (np.flatnonzero((parts == part).to_numpy()) for part in ("valid", "test"))
    rows = np.r_[valid, test]
    values = skill * np.asarray(dataset.targets[rows], np.float64) + rng.normal(size=(len(rows), len(names))) - 1
    if task == "classification":
        values = 1 / (1 + np.exp(-values))
    values = values.astype(np.float32)
    table = dataset.regions.select("chrom", "start", "end", "strand", "id")[rows].with_columns(split=parts[rows])
    (path / "run.json").write_text(info.to_json())
    (path / "recipe.toml").write_text(to_toml(load_recipe(recipe)))
    (path / "history.csv").write_text(
        "member,epoch,step,train_loss,valid_loss,valid_auroc,valid_auprc,valid_pearson,learning_rate,seconds\n"
        "0,1,10,0.7,0.8,0.6,0.2,0.3,0.1,1\n0,2,20,0.6,0.7,0.7,0.3,0.4,0.1,1\n"
    )
    if len(names) >= MANY:
        table.write_parquet(path / "predictions.parquet")
        np.save(path / "predictions.npy", values)
        keep_features(path, info, dataset.targets, values, valid, test)
    else:
        columns = []
        for place, name in enumerate(names):
            columns += [
                pl.Series(name, values[:, place]),
                pl.Series(f"{name}_true", np.asarray(dataset.targets[rows, place], np.float32)),
            ]
        table.with_columns(columns).write_parquet(path / "predictions.parquet")
    run = open_run(path)
    (path / "metrics.json").write_text(json.dumps(evaluate(run, replicates=50)))
    return run
