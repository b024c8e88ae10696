import logging

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from regulome.datasets import open_dataset, write_dataset
from regulome.errors import InputError
from regulome.models.registry import inputs_of
from regulome.recipes import list_recipes, load_recipe
from regulome.training import open_run, train

REGIONS = ["chrom", "start", "end", "strand", "id", "split"]


@pytest.fixture(scope="module")
def run(world, tmp_path_factory):
    settings = {
        "training.epochs": 8,
        "training.batch_size": 16,
        "training.learning_rate": 0.01,
        "model.hyperparameters.filters": 8,
        "model.hyperparameters.hidden": [8],
        "model.hyperparameters.kernel": 5,
    }
    out = tmp_path_factory.mktemp("trainer") / "run"
    return train(
        "deepchrome",
        world,
        out,
        device="cpu",
        test_chromosomes=["1"],
        valid_chromosomes=["2"],
        set=settings,
    )


def test_the_folder_has_everything(run, world):
    names = {path.name for path in run.path.iterdir()}
    assert names == {
        *("run.json", "recipe.toml", "splits.parquet", "weights.safetensors"),
        *("history.csv", "predictions.parquet", "metrics.json"),
    }
    assert not run.path.with_name("run.partial").exists()
    assert run.info.dataset.checksum == world.checksum
    assert (run.info.task, run.info.marks, run.info.bins) == ("classification", ["A", "B", "C"], 20)
    assert run.info.versions["torch"] == torch.__version__
    assert run.splits["split"].value_counts().sort("split")["count"].to_list() == [50, 200, 50]
    assert run.recipe.training.epochs == 8


def test_it_learns_the_planted_rule(run):
    assert run.metrics()["auroc"]["value"] > 0.85
    assert run.metrics()["auroc"]["low"] < run.metrics()["auroc"]["value"] < run.metrics()["auroc"]["high"]


def test_predictions_are_those_of_the_stored_model(run, world):
    table = run.predictions()
    assert table.columns == [*REGIONS, "expression", "expression_true"]
    assert table["split"].value_counts().sort("split").rows() == [("test", 50), ("valid", 50)]
    rows = [world.regions["id"].to_list().index(i) for i in table["id"]]
    inputs = np.array(world.inputs["marks"][rows])
    minus = (world.regions["strand"][rows] == "-").to_numpy()
    inputs[minus] = inputs[minus][:, :, ::-1]
    (model,) = run.models()
    with torch.no_grad():
        expected = torch.sigmoid(model(torch.from_numpy(inputs)))[:, 0].numpy()
    np.testing.assert_allclose(table["expression"].to_numpy(), expected, rtol=1e-5)
    np.testing.assert_array_equal(table["expression_true"].to_numpy(), world.targets[rows, 0])


def test_the_kept_epoch_is_the_best_on_validation(run):
    from regulome.training import evaluate

    history = run.history()
    assert evaluate(run, split="valid")["auroc"]["value"] == pytest.approx(history["valid_auroc"].max(), abs=1e-9)
    assert history["step"].to_list() == [13 * epoch for epoch in history["epoch"]]
    assert history["valid_pearson"].null_count() == len(history)


def test_the_first_line_says_device_dataset_and_sizes(world, small, split, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "regulome"):
        train("deepchrome", world, tmp_path / "run", set={**small, "training.epochs": 1}, device="cpu", **split)
    first = caplog.records[0].getMessage()
    for words in ("device cpu (", "no CUDA device", "dataset data: 300 genes × 3 marks × 20 bins"):
        assert words in first
    for words in ("train 200", "valid 50 (chr2)", "test 50 (chr1)", "model deepchrome, ", " parameters"):
        assert words in first
    assert "epoch 1 of 1: train loss" in caplog.text
    assert "test AUROC" in caplog.records[-1].getMessage()


def test_a_seed_gives_the_same_numbers_and_leaves_the_callers_alone(world, small, split, tmp_path):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    runs = [
        train("deepchrome", world, tmp_path / str(i), set=small, seed=seed, device="cpu", **split)
        for i, seed in enumerate((4, 4, 5))
    ]
    assert torch.equal(torch.get_rng_state(), before)
    first, second, third = (load_file(run.path / "weights.safetensors") for run in runs)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], third[name]) for name in first)


def test_members_of_an_ensemble_are_single_runs_of_their_seeds(world, small, split, tmp_path):
    options = {"set": small, "device": "cpu", **split}
    both = train("deepchrome", world, tmp_path / "both", seed=3, ensemble=2, **options)
    single = [train("deepchrome", world, tmp_path / str(seed), seed=seed, **options) for seed in (3, 4)]
    assert both.info.members == [3, 4]
    mean = (single[0].predictions()["expression"] + single[1].predictions()["expression"]) / 2
    np.testing.assert_allclose(both.predictions()["expression"].to_numpy(), mean.to_numpy(), rtol=1e-5)
    assert both.history()["member"].to_list() == [0, 0, 0, 1, 1, 1]


def test_values_are_learned_too(values, split, tmp_path):
    settings = {
        "training.epochs": 10,
        "training.learning_rate": 0.01,
        "training.batch_size": 16,
        "model.hyperparameters.hidden": [16],
    }
    run = train("deepchrome", values, tmp_path / "run", set=settings, device="cpu", **split)
    assert run.metrics()["pearson"]["value"] > 0.6
    assert run.history()["valid_pearson"].max() > 0.6
    assert run.history()["valid_auroc"].null_count() == len(run.history())


GRADIENT = [recipe for recipe in list_recipes() if recipe.training.method == "gradient"]


# Recipes of networks that take regions need a dataset with contacts: tests/training/test_region_runs.py.
MARKS = [r.name for r in GRADIENT if r.line == "expression" and inputs_of(r.model.name) == "marks"]


@pytest.mark.parametrize("name", MARKS)
def test_every_recipe_trains(name, world, split, tmp_path):
    settings = {"training.epochs": 1, "training.batch_size": 100, "training.learning_rate": 1e-3}
    # All of the small world's window, which is narrower than what some recipes look at.
    settings |= {"input.window": 0, "input.bin": 0}
    run = train(name, world, tmp_path / "run", set=settings, device="cpu", **split)
    assert run.info.model == load_recipe(name).model.name
    assert run.metrics()["n"] == 50


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
@pytest.mark.parametrize("select", ["valid_loss", "last"])
def test_optimisers_and_ways_to_select(optimizer, select, world, small, split, tmp_path):
    settings = {
        **small,
        "training.optimizer": optimizer,
        "training.select": select,
        "training.momentum": 0.5,
        "training.positive_weight": "balanced",
        "training.label_smoothing": 0.1,
        "training.precision": "bf16-mixed",
    }
    run = train("deepchrome", world, tmp_path / "run", set=settings, device="cpu", **split)
    assert len(run.history()) == 3


def test_early_stopping(world, small, split, tmp_path, caplog):
    settings = {**small, "training.epochs": 30, "training.early_stopping": 2, "training.learning_rate": 1e-9}
    with caplog.at_level(logging.INFO, "regulome"):
        run = train("deepchrome", world, tmp_path / "run", set=settings, device="cpu", **split)
    history = run.history()
    assert len(history) < 30
    assert history["valid_auroc"].arg_max() == len(history) - 3
    assert "no better epoch in 2: stopped" in caplog.text


def test_a_loss_that_explodes_is_told(values, small, split, tmp_path):
    settings = {**small, "training.learning_rate": 1e30, "training.optimizer": "sgd", "training.gradient_clip": 0.0}
    settings |= {"training.schedule": "constant"}
    with pytest.raises(InputError, match=r"not (a )?finite number.*learning_rate"):
        train("deepchrome", values, tmp_path / "run", set=settings, device="cpu", **split)
    assert not list(tmp_path.iterdir())


def relabelled(world, path, labels):
    with write_dataset(path, line=world.line, task=world.task, regions=world.regions) as writer:
        about = {"mark": world.marks, "bin_size": world.bin_size, "unit": "reads"}
        shape = world.inputs["marks"].shape
        array = writer.add_input("marks", axes=["example", "mark", "bin"], shape=shape, dtype="float32", **about)
        array[:] = world.inputs["marks"]
        writer.set_targets(labels, ["expression"], {})
    return open_dataset(path)


@pytest.mark.parametrize(("chromosome", "part"), [("chr2", "valid"), ("chr1", "train")])
def test_equal_labels_are_refused(world, split, tmp_path, chromosome, part):
    labels = np.array(world.targets)
    where = (world.regions["chrom"] == chromosome).to_numpy()
    labels[where if part == "valid" else ~where] = 1.0
    if part == "train":
        labels[(world.regions["chrom"] == "chr2").to_numpy()] = world.targets[
            (world.regions["chrom"] == "chr2").to_numpy()
        ]
    data = relabelled(world, tmp_path / "data", labels)
    with pytest.raises(InputError, match=f"all .* {part} examples have the same expression: 1"):
        train("deepchrome", data, tmp_path / "run", device="cpu", **split)
    assert not list(tmp_path.glob("run*"))


def test_one_class_in_the_test_part_is_not_defined_rather_than_an_error(world, small, split, tmp_path, caplog):
    labels = np.array(world.targets)
    labels[(world.regions["chrom"] == "chr1").to_numpy()] = 0.0
    data = relabelled(world, tmp_path / "data", labels)
    with caplog.at_level(logging.INFO, "regulome"):
        run = train("deepchrome", data, tmp_path / "run", set=small, device="cpu", **split)
    assert run.metrics()["auroc"] == {
        "value": None,
        "low": None,
        "high": None,
        "reason": "needs examples of both classes",
    }
    assert "test AUROC is not defined: it needs examples of both classes" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recipe": "deepcrome"}, "did you mean deepchrome"),
        ({"set": ["training.epoch=1"]}, "unknown key training.epoch"),
        ({"set": ["model.hyperparameters.filter=1"]}, "no hyperparameter 'filter'"),
        ({"set": ["model.name=nothing"]}, "no model 'nothing'"),
        ({"set": ["line=sequence"]}, "is a dataset of the line 'expression'"),
        ({"test_chromosomes": ["chr77"]}, "unknown chromosome"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"device": "cuda"}, "no CUDA device"),
        ({"devices": 0}, "devices must be at least 1"),
        ({"ensemble": 0}, "ensemble must be at least 1"),
        ({"recipe": "logistic-regression", "devices": 2}, "fitted on one device"),
        ({"set": ["training.method=scikit-learn"]}, "cannot fit deepchrome"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(world, split, tmp_path, options, message):
    if options.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    recipe = options.pop("recipe", "deepchrome") if "recipe" in options else "deepchrome"
    with pytest.raises(InputError, match=message):
        train(recipe, world, tmp_path / "run", **{"device": "cpu", **split, **options})
    assert not (tmp_path / "run").exists()


def test_an_existing_run_is_not_overwritten_unasked(world, small, split, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious").touch()
    with pytest.raises(InputError, match=r"exists already .*--overwrite"):
        train("deepchrome", world, tmp_path / "run", set=small, device="cpu", **split)
    assert (tmp_path / "run" / "precious").exists()
    run = train("deepchrome", world, tmp_path / "run", set=small, device="cpu", overwrite=True, **split)
    assert open_run(run.path).info.status == "complete"
    assert not (run.path / "precious").exists()


def test_a_recipe_can_be_an_object(world, small, split, tmp_path):
    recipe = load_recipe("deepchrome", small)
    run = train(recipe, world.path, tmp_path / "run", device="cpu", **split)
    assert run.recipe == recipe
    with pytest.raises(InputError, match="not of a Recipe"):
        train(recipe, world, tmp_path / "other", set=small, device="cpu", **split)


def test_history_reads_as_numbers(run):
    assert run.history().schema["valid_pearson"] == pl.Float64
    assert run.info.seconds > 0
