"""Runs of the line of sequences, from recipe to metrics."""

import logging

import numpy as np
import polars as pl
import pytest
import torch

from regulome.datasets import open_dataset
from regulome.datasets.sequence_writer import new_sequence_dataset
from regulome.errors import InputError
from regulome.recipes import list_recipes
from regulome.training import compare, evaluate, open_run, prediction_table, train
from regulome.training.strands import reverse_complement

SPLIT = {"test_chromosomes": ["chr1"], "valid_chromosomes": ["chr2"]}
#: Of each network a version that trains in a moment.
TINY = {
    "deepsea": {"filters": [8, 8, 8], "kernels": [4, 3, 3], "pool": 2, "hidden": 8},
    "danq": {"filters": 8, "kernel": 5, "pool": 3, "units": 4, "hidden": 8},
    "danq-jaspar": {"filters": 8, "kernel": 5, "pool": 3, "units": 4, "hidden": 8},
    "basset": {"filters": [8, 8, 8], "kernels": [5, 3, 3], "pools": [2, 2, 2], "hidden": [8, 8]},
    "deepbind": {"detectors": 4, "detector_length": 7},
    "demo-cnn": {"filters": [8, 8, 8]},
    "demo-rnn": {"hidden": 4},
    "demo-cnn-rnn": {"filters": 8, "hidden": 4},
    "bigru": {"hidden": 4},
    "gru": {"hidden": 4},
    "clockwork-rnn": {"hidden": 8},
    "kmer-logistic-regression": {"k_max": 3},
}
LEARNS = {
    "training.epochs": 12,
    "training.batch_size": 32,
    "training.learning_rate": 0.01,
    "model.hyperparameters.filters": [24, 16, 16],
    "model.hyperparameters.dropout": 0.2,
}
QUICK = {"training.epochs": 2, "training.batch_size": 64, "model.hyperparameters.filters": [8, 8, 8]}


@pytest.fixture(scope="module")
def run(sequences, tmp_path_factory):
    return train("demo-cnn", sequences, tmp_path_factory.mktemp("one") / "run", set=LEARNS, device="cpu", **SPLIT)


@pytest.fixture(scope="module")
def wide(many, tmp_path_factory):
    return train("demo-cnn", many, tmp_path_factory.mktemp("many") / "run", set=QUICK, device="cpu", **SPLIT)


def outputs(run, dataset, rows):
    """What the stored network says of both strands."""
    from regulome.datasets.sequence_windows import window_codes

    codes = torch.from_numpy(window_codes(dataset, rows))
    (model,) = run.models()
    with torch.no_grad():
        return ((torch.sigmoid(model(codes)) + torch.sigmoid(model(reverse_complement(codes)))) / 2).numpy()


def rows_of(dataset, table):
    place = {name: row for row, name in enumerate(dataset.regions["id"])}
    return np.array([place[name] for name in table["id"]])


def test_it_learns_a_planted_motif_on_either_strand(run, sequences):
    metrics = run.metrics()
    assert metrics["auroc"]["value"] > 0.85
    assert metrics["perplexity"]["low"] < metrics["perplexity"]["value"] < 2
    assert (run.info.length, run.info.marks, run.info.bins) == (40, [], 0)
    assert run.info.features == sequences.features.to_dicts()
    table = run.predictions()
    rows = rows_of(sequences, table)
    np.testing.assert_allclose(
        table[run.info.target_names[0]], outputs(run, sequences, rows)[:, 0], rtol=1e-4, atol=1e-6
    )
    ids, scores = run.scores()
    assert ids.columns == ["chrom", "start", "end", "strand", "id", "split"]
    np.testing.assert_array_equal(scores[:, 0], table[run.info.target_names[0]].to_numpy())


def test_the_kept_epoch_is_the_best_on_both_strands_of_validation(run, wide):
    for one in (run, wide):
        best = one.history()["valid_auroc"].max()
        assert evaluate(one, split="valid")["auroc"]["value"] == pytest.approx(best, abs=1e-9)
        assert one.history()["valid_auprc"].null_count() == 0


def test_the_folder_of_many_outputs(wide, many):
    names = {path.name for path in wide.path.iterdir()}
    assert {"predictions.npy", "predictions.parquet", "features.tsv", "metrics.json"} <= names
    rows, scores = wide.scores()
    assert isinstance(scores, np.memmap)
    assert (scores.dtype, scores.shape) == (np.float32, (400, 40))
    assert rows.equals(wide.predictions())
    np.testing.assert_allclose(scores, outputs(wide, many, rows_of(many, rows)), rtol=1e-4, atol=1e-6)
    features = pl.read_csv(wide.path / "features.tsv", separator="\t")
    assert features["name"].to_list() == many.target_names
    assert features["group"].to_list() == many.features["group"].to_list()
    metrics = wide.metrics()
    assert (metrics["n"], metrics["features"]) == (200, 40)
    assert metrics["scorable"] == features["scorable"].sum()
    assert metrics["auroc"]["value"] == pytest.approx(features["auroc"].mean())
    assert list(metrics["groups"]) == ["TF", "DNase", "histone"]
    assert metrics["groups"]["TF"]["f1_tuned"]["value"] == pytest.approx(
        features.filter(pl.col("group") == "TF")["f1_tuned"].mean()
    )


def test_many_outputs_are_evaluated_from_what_is_stored_or_anew(wide, many, tmp_path):
    stored = evaluate(wide)
    assert stored == wide.metrics()
    (wide.path / "predictions.npy").rename(tmp_path / "kept.npy")
    try:
        anew = evaluate(wide, many)
    finally:
        (tmp_path / "kept.npy").rename(wide.path / "predictions.npy")
    assert anew["auroc"]["value"] == pytest.approx(stored["auroc"]["value"], abs=1e-9)
    assert anew["f1_tuned"] == stored["f1_tuned"]
    assert evaluate(wide, split="train")["n"] == 800
    assert "f1_tuned" not in evaluate(wide, split="valid")
    table = prediction_table(wide, split="test")
    assert table.shape == (200, 6 + 2 * 40)


def test_a_dataset_that_does_not_fit_is_told(wide, sequences, world, many, tmp_path):
    with pytest.raises(InputError, match="has not the 40 targets of the run"):
        evaluate(wide, sequences)
    with pytest.raises(InputError, match="line 'expression', the run takes 'sequence'"):
        evaluate(wide, world)
    with new_sequence_dataset(tmp_path / "short", length=30) as writer:
        writer.add_codes(np.zeros((10, 30), np.uint8))
        writer.add_targets(np.zeros((10, 40), np.uint8))
        writer.finish(regions=many.regions[:10], target_names=many.target_names)
    with pytest.raises(InputError, match=r"windows of 30 bp, the run takes 40 bp .*--length 40"):
        prediction_table(wide, open_dataset(tmp_path / "short"), "all")


@pytest.mark.parametrize("recipe", [r for r in list_recipes() if r.line == "sequence"], ids=lambda recipe: recipe.name)
def test_every_recipe_trains(recipe, sequences, many, tmp_path):
    tiny = {f"model.hyperparameters.{key}": value for key, value in TINY[recipe.model.name].items()}
    if recipe.training.method == "gradient":
        tiny |= {"training.epochs": 1}
    found = train(recipe.name, sequences, tmp_path / "one", set=tiny, device="cpu", **SPLIT)
    assert found.metrics()["n"] == 200
    assert open_run(found.path).models()[0].network.training is False
    if recipe.training.method != "gradient" or recipe.name in ("deepsea-published", "danq"):
        assert train(recipe.name, many, tmp_path / "many", set=tiny, device="cpu", **SPLIT).metrics()["features"] == 40


def test_strands_and_shifts_and_every_limit_together(many, tmp_path):
    settings = {
        **QUICK,
        "input.reverse_complement": "both",
        "input.shift": 3,
        "training.max_norm": 0.5,
        "training.l1": 1e-4,
        "training.gradient_clamp": 0.1,
        "training.gradient_clip": 1.0,
        "training.optimizer": "rmsprop",
        "training.rmsprop_decay": 0.9,
        "training.positive_weight": "balanced",
        "training.precision": "bf16-mixed",
        "training.select": "valid_auprc",
    }
    found = train("demo-cnn", many, tmp_path / "run", set=settings, device="cpu", ensemble=2, **SPLIT)
    # 800 windows, both strands, batches of 64.
    assert found.history()["step"].to_list() == [25, 50, 25, 50]
    for model in found.models():
        layers = [layer for layer in model.modules() if isinstance(layer, torch.nn.Conv1d)]
        assert layers[-1].weight.flatten(1).norm(dim=1).max() <= 0.5 + 1e-5


def test_values_are_learned_too(tmp_path):
    from tests.training.sequence_world import make_sequences

    for targets in (2, 35):
        data = make_sequences(tmp_path / f"data{targets}", n=300, targets=targets, task="regression")
        found = train("demo-cnn", data, tmp_path / f"run{targets}", set=QUICK, device="cpu", **SPLIT)
        assert len(found.metrics()["outputs"]) == targets
        assert found.metrics()["mse"]["value"] > 0
        assert found.history()["valid_auprc"].null_count() == 2


def test_features_that_teach_nothing_are_named(many, tmp_path, caplog):
    labels = np.array(many.targets)
    labels[(many.regions["chrom"] == "chr2").to_numpy(), 3] = 0
    data = relabelled(many, tmp_path / "data", labels)
    with caplog.at_level(logging.WARNING, "regulome"):
        train("demo-cnn", data, tmp_path / "run", set=QUICK, device="cpu", **SPLIT)
    assert "have one value in all 200 valid examples: " in caplog.text
    assert many.target_names[3] in caplog.text
    with pytest.raises(InputError, match="all 800 train examples have the same"):
        train("demo-cnn", relabelled(many, tmp_path / "none", 0 * labels), tmp_path / "no", device="cpu", **SPLIT)


def relabelled(dataset, path, labels):
    from regulome.datasets.sequence_windows import window_codes

    with new_sequence_dataset(path, length=dataset.length) as writer:
        writer.add_codes(window_codes(dataset, np.arange(len(dataset))))
        writer.add_targets(labels)
        writer.finish(regions=dataset.regions, target_names=dataset.target_names, features=dataset.features)
    return open_dataset(path)


def test_runs_of_many_outputs_are_compared(wide, many, tmp_path):
    other = train("demo-cnn", many, tmp_path / "other", set=QUICK, seed=5, device="cpu", **SPLIT)
    found = compare([wide, other])
    row = found.table.filter(pl.col("metric") == "auroc").row(0, named=True)
    values = [evaluate(run)["auroc"]["value"] for run in (wide, other)]
    assert [row["value_a"], row["value_b"]] == pytest.approx(values)
    assert row["low"] < row["difference"] < row["high"]
    assert 0 < row["p"] <= 1
    wins = found.wins().filter(pl.col("metric") == "auroc").row(0, named=True)
    assert wins["features"] == wide.metrics()["scorable"]
    assert found.to_json()["features"]
    same = compare([wide, wide.path])
    assert same.table["difference"].drop_nulls().to_list() == [0.0] * same.table["difference"].drop_nulls().len()


def test_an_interrupted_run_goes_on(many, tmp_path, monkeypatch):
    from regulome.training import fit as fit_module

    whole = train("demo-cnn", many, tmp_path / "whole", set=QUICK, device="cpu", **SPLIT)
    rate, steps = fit_module.Schedule.rate, iter(range(10_000))

    def stopping(self, step, samples):
        if next(steps) == 17:
            raise KeyboardInterrupt
        return rate(self, step, samples)

    monkeypatch.setattr(fit_module.Schedule, "rate", stopping)
    settings = {**QUICK, "training.checkpoint_minutes": 0.0}
    with pytest.raises(KeyboardInterrupt):
        train("demo-cnn", many, tmp_path / "cut", set=settings, device="cpu", **SPLIT)
    monkeypatch.setattr(fit_module.Schedule, "rate", rate)
    cut = train("demo-cnn", many, tmp_path / "cut", set=settings, device="cpu", resume=True, **SPLIT)
    np.testing.assert_array_equal(cut.scores()[1], whole.scores()[1])
