"""Searches from request to run: what is left, what is kept, and that an interruption changes nothing."""

import importlib
import json
import logging
import os
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from regulome.errors import InputError
from regulome.recipes import load_recipe
from regulome.training import fit as fit_module
from regulome.training import open_run, open_search, search, train
from regulome.training.search_trials import kept_score

SPLIT = {"test_chromosomes": ["chr1"], "valid_chromosomes": ["chr2"]}
SETTINGS = {
    "training.epochs": 2,
    "training.learning_rate": 0.02,
    "training.batch_size": 32,
    "model.hyperparameters.detectors": 8,
    "model.hyperparameters.detector_length": 7,
    "model.hyperparameters.hidden": 8,
}
SPACE = {
    "training.learning_rate": {"low": 0.001, "high": 0.1, "log": True},
    "model.hyperparameters.dropout": {"choices": [0.0, 0.3]},
    "model.hyperparameters.detectors": {"low": 4, "high": 8},
}
OPTIONS = {"space": SPACE, "set": SETTINGS, "trials": 4, "candidates": 2, "device": "cpu", **SPLIT}


@pytest.fixture(scope="module")
def found(sequences, tmp_path_factory):
    return search("deepbind", sequences, tmp_path_factory.mktemp("search") / "out", **OPTIONS)


def without_time(trials):
    return trials.drop("seconds")


def assert_identical(one, other):
    assert without_time(one.trials).equals(without_time(other.trials))
    assert one.info.candidates == other.info.candidates
    assert one.info.seed == other.info.seed
    assert (one.path / "best.toml").read_text() == (other.path / "best.toml").read_text()
    weights, others = (load_file(each.path / "best" / "weights.safetensors") for each in (one, other))
    for name, tensor in others.items():
        assert torch.equal(weights[name], tensor), name
    assert one.run.predictions().equals(other.run.predictions())


def test_the_folder(found):
    assert sorted(path.name for path in found.path.iterdir()) == ["best", "best.toml", "search.json", "trials.tsv"]
    table = pl.read_csv(found.path / "trials.tsv", separator="\t")
    assert table.columns == ["number", "state", "score", *SPACE, "seconds", "note"]
    assert table["number"].to_list() == [1, 2, 3, 4]
    assert table["state"].unique().to_list() == ["complete"]
    assert table["score"].to_list() == found.trials["score"].to_list()
    assert found.best.number == table["score"].arg_max() + 1
    content = json.loads((found.path / "search.json").read_text())
    assert (content["format"], content["schema"], content["status"]) == ("regulome-search", 1, "complete")
    again = open_search(found.path)
    assert again.info == found.info
    assert again.study().best_value == found.best.score


def test_a_trial_scores_what_training_would(found, sequences, tmp_path):
    trial = found.info.trials[2]
    run = train(
        "deepbind", sequences, tmp_path / "run", set={**SETTINGS, **trial.settings}, seed=0, device="cpu", **SPLIT
    )
    assert run.history()["valid_auroc"].max() == trial.score


def test_the_kept_run_is_the_best_candidate_and_its_recipe_trains_it(found, sequences, tmp_path):
    scores = {candidate.seed: candidate.score for candidate in found.info.candidates}
    assert list(scores) == [0, 1]
    # The first candidate has the seed of the trials.
    assert scores[0] == found.best.score
    assert found.info.seed == max(scores, key=scores.get)
    recipe = found.recipe
    assert recipe.name == "deepbind-best"
    assert recipe.training.seed == found.info.seed
    assert recipe.training.learning_rate == found.best.settings["training.learning_rate"]
    assert recipe.model.hyperparameters["detector_length"] == 7
    assert "The best of 4 settings (random search, valid_auroc" in recipe.differences
    run = train(found.path / "best.toml", sequences, tmp_path / "run", device="cpu", **SPLIT)
    assert run.predictions().equals(found.run.predictions())
    assert found.run.recipe == recipe
    assert open_run(found.path / "best").metrics()["n"] == 200


def test_the_same_seed_searches_the_same(found, sequences, tmp_path):
    assert_identical(search("deepbind", sequences, tmp_path / "same", **OPTIONS), found)
    other = search("deepbind", sequences, tmp_path / "other", **{**OPTIONS, "seed": 1, "trials": 1, "candidates": 1})
    assert other.info.trials[0].settings != found.info.trials[0].settings
    assert other.recipe.training.seed == 1


def test_folds_leave_the_validation_part_to_the_candidates(sequences, tmp_path):
    options = {**OPTIONS, "trials": 2, "folds": 2, "metric": "valid_loss", "sampler": "tpe"}
    found = search("deepbind", sequences, tmp_path / "out", **options)
    table = found.trials
    assert table.columns[-4:] == ["fold_1", "fold_2", "seconds", "note"]
    np.testing.assert_allclose(table["score"], (table["fold_1"] + table["fold_2"]) / 2, rtol=1e-12)
    assert found.best.number == table["score"].arg_min() + 1
    # Chromosomes 3 to 6 train: each fold has two of them, and is scored by what the others taught.
    split = pl.DataFrame({"id": sequences.regions["id"], "chrom": sequences.regions["chrom"]}).with_columns(
        split=pl.col("chrom").replace_strict(
            {"chr3": "valid", "chr5": "valid", "chr4": "train", "chr6": "train", "chr1": "test", "chr2": ""}
        )
    )
    split.select("id", "split").write_csv(tmp_path / "split.tsv", separator="\t")
    trial = found.info.trials[0]
    settings = {**SETTINGS, **trial.settings}
    run = train("deepbind", sequences, tmp_path / "run", set=settings, device="cpu", split=str(tmp_path / "split.tsv"))
    history = run.history()
    kept = history.filter(pl.col("valid_auroc") == history["valid_auroc"].max())["valid_loss"][0]
    assert kept == trial.folds[0]


def test_marks_grid_and_baselines(world, values, small, tmp_path):
    space = {
        "training.learning_rate": {"choices": [0.001, 0.01]},
        "model.hyperparameters.hidden": {"choices": [[4], [8]]},
    }
    options = {"sampler": "grid", "candidates": 1, "device": "cpu", **SPLIT}
    settings = {**small, "training.epochs": 1}
    found = search("deepchrome", world, tmp_path / "marks", space=space, set=settings, **options)
    rates = found.trials["training.learning_rate"].to_list()
    assert (rates, found.trials["model.hyperparameters.hidden"].to_list()) == (
        [0.001, 0.001, 0.01, 0.01],
        ["[4]", "[8]", "[4]", "[8]"],
    )
    assert found.recipe.model.hyperparameters["hidden"] == found.best.settings["model.hyperparameters.hidden"]
    few = search("deepchrome", values, tmp_path / "few", space=space, set=settings, trials=3, **options)
    assert len(few.trials) == 3
    assert few.best.score == few.run.history()["valid_pearson"].max()
    forest = {"model.hyperparameters.min_samples_leaf": {"choices": [2, 40]}}
    trees = {"model.hyperparameters.trees": 5}
    found = search("random-forest", world, tmp_path / "forest", space=forest, set=trees, **options)
    assert found.run.metrics()["n"] == 50


@pytest.fixture
def stop_after(monkeypatch):
    """Make training end with an exception after so many steps, as Ctrl-C does."""

    def arm(steps, error):
        taken = 0
        original = fit_module.Schedule.rate

        def rate(self, step, samples):
            nonlocal taken
            taken += 1
            if taken > steps:
                raise error
            return original(self, step, samples)

        monkeypatch.setattr(fit_module.Schedule, "rate", rate)

    return arm


# 25 steps of an epoch without folds, 50 of a trial: in the first trial, between trials, in a candidate.
@pytest.mark.parametrize("steps", [10, 30, 50, 130, 200, 240, 270])
def test_ctrl_c_at_any_time_changes_nothing(found, sequences, tmp_path, stop_after, monkeypatch, steps):
    out = tmp_path / "out"
    stop_after(steps, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        search("deepbind", sequences, out, **OPTIONS)
    monkeypatch.undo()
    assert not out.exists()
    with pytest.raises(InputError, match=r"unfinished work .*--resume.*--overwrite"):
        search("deepbind", sequences, out, **OPTIONS)
    with pytest.raises(InputError, match=r"is not finished .*search … --resume"):
        open_search(out)
    done = steps // 50
    trained = count_fits(monkeypatch)
    assert_identical(search("deepbind", sequences, out, resume=True, **OPTIONS), found)
    assert len(trained) == 6 - done
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def count_fits(monkeypatch):
    fits, original = [], fit_module.fit
    from regulome.training import trainer

    def counted(fabric, job):
        fits.append(job)
        return original(fabric, job)

    monkeypatch.setattr(trainer, "fit", counted)
    return fits


def test_folds_that_are_done_are_not_done_again(sequences, tmp_path, stop_after, monkeypatch):
    options = {**OPTIONS, "folds": 3, "trials": 2, "candidates": 1}
    whole = search("deepbind", sequences, tmp_path / "whole", **options)
    # Of four chromosomes with 200 windows each, two or three train: 13 or 19 steps of an epoch.
    trial = 2 * (13 + 19 + 19)
    stop_after(trial + 2 * 13 + 5, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        search("deepbind", sequences, tmp_path / "out", **options)
    monkeypatch.undo()
    fits = count_fits(monkeypatch)
    assert_identical(search("deepbind", sequences, tmp_path / "out", resume=True, **options), whole)
    assert [job.title for job in fits] == ["trial 2 of 2 · fold 2 of 3 · ", "trial 2 of 2 · fold 3 of 3 · ", ""]


@pytest.mark.parametrize("place", ["search_trials.finish", "storage.replace", "hyperparameter_search.write_text"])
def test_an_end_that_is_cut_off_is_made_up_for(found, sequences, tmp_path, monkeypatch, place):
    module, name = place.split(".")
    owner = importlib.import_module(f"regulome.{module}" if module == "storage" else f"regulome.training.{module}")
    original = getattr(owner, name)

    def interrupted(*arguments):
        if name != "replace" or arguments[1].name == "out":
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(owner, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        search("deepbind", sequences, tmp_path / "out", **OPTIONS)
    monkeypatch.undo()
    assert not (tmp_path / "out").exists()
    fits = count_fits(monkeypatch)
    assert_identical(search("deepbind", sequences, tmp_path / "out", resume=True, **OPTIONS), found)
    assert fits == []
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        path.name for path in found.path.iterdir()
    )


PROGRAM = """
import json, sys
from regulome.training import search
dataset, out, options = sys.argv[1:]
search("deepbind", dataset, out, **json.loads(options))
"""


def test_killed_and_resumed_ends_the_same(sequences, tmp_path):
    options = {
        **OPTIONS,
        "sampler": "tpe",
        "trials": 12,
        "candidates": 1,
        "set": {**SETTINGS, "training.checkpoint_minutes": 0.0, "training.epochs": 1},
    }
    out = tmp_path / "out"
    arguments = [sys.executable, "-c", PROGRAM, str(sequences.path), str(out), json.dumps(options)]
    with subprocess.Popen(arguments, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            # TPE has proposed from trials that ended, and one is under way.
            if (tmp_path / "out.partial" / "trial-12-1.pt").exists():
                break
            time.sleep(0.002)
        assert process.poll() is None, process.stderr.read()
        process.send_signal(signal.SIGKILL)
        process.wait()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        killed = search("deepbind", sequences, out, resume=True, **options)
        assert_identical(killed, search("deepbind", sequences, tmp_path / "whole", **options))
    finally:
        torch.set_num_threads(threads)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole"]


def test_a_resumed_search_may_go_further_but_not_elsewhere(found, sequences, tmp_path, stop_after, monkeypatch, caplog):
    out = tmp_path / "out"
    stop_after(75, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        search("deepbind", sequences, out, **{**OPTIONS, "trials": 2})
    monkeypatch.undo()
    wrong = [
        ({"set": {**SETTINGS, "training.epochs": 9}}, r"another recipe training epochs \(2, now 9\)"),
        ({"seed": 5}, "another "),
        ({"metric": "valid_loss"}, r"another metric \(valid_auroc, now valid_loss\)"),
        ({"folds": 3}, r"another folds \(0, now 3\)"),
        ({"sampler": "tpe"}, r"another sampler \(random, now tpe\)"),
        ({"space": {"training.epochs": {"choices": [1]}}}, "another space"),
        ({"test_chromosomes": ["chr3"]}, "another split"),
    ]
    for options, message in wrong:
        with pytest.raises(InputError, match=message):
            search("deepbind", sequences, out, resume=True, **{**OPTIONS, **options})
    assert_identical(search("deepbind", sequences, out, resume=True, **OPTIONS), found)
    with caplog.at_level(logging.INFO, "regulome"):
        again = search("deepbind", sequences, out, resume=True, **OPTIONS)
    assert "is complete with 4 trials: nothing to resume" in caplog.text
    assert again.info == open_search(out).info
    with pytest.raises(InputError, match="exists already"):
        search("deepbind", sequences, out, **OPTIONS)


def test_settings_that_fail_are_noted_and_the_search_goes_on(sequences, tmp_path, caplog):
    space = {"training.learning_rate": {"choices": [1e25, 0.02]}}
    settings = {**SETTINGS, "training.optimizer": "sgd", "training.schedule": "constant", "training.gradient_clip": 0.0}
    options = {**OPTIONS, "space": space, "sampler": "grid", "trials": None, "candidates": 1, "set": settings}
    with caplog.at_level(logging.INFO, "regulome"):
        found = search("deepbind", sequences, tmp_path / "out", **options)
    assert found.trials["state"].to_list() == ["failed", "complete"]
    assert "not" in found.trials["note"][0]
    assert "finite number" in found.trials["note"][0]
    assert "trial 1 of 2 failed: " in caplog.text
    assert "trial 2 of 2: validation AUROC" in caplog.text
    assert "epoch 1 of" not in caplog.text[: caplog.text.index("training the best setting")]
    space = {"training.learning_rate": {"choices": [1e25]}}
    with pytest.raises(InputError, match=r"none of the 1 settings could be trained; the first: .*finite"):
        search("deepbind", sequences, tmp_path / "none", **{**options, "space": space})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_what_cannot_be_is_told_before_any_work(sequences, world, tmp_path):
    (tmp_path / "space.toml").write_text("[space]\nmodel.hyperparameters.detectors = {low = 0, high = 8}\n")
    wrong = [
        ({"space": tmp_path / "space.toml"}, r"space\.toml: model\.hyperparameters\.detectors: .*at least 1.*0"),
        ({"space": {"training.epochs": {"low": 1.5, "high": 3}}}, r"training\.epochs: expected .*integer.*1\.5"),
        ({"space": {"training.optimizer": {"choices": ["sdg"]}}}, r"training\.optimizer: expected 'sgd'.* got \"sdg\""),
        (
            {"space": {"training.learning_rate": {"low": 0, "high": 1}}},
            r"training\.learning_rate: expected greater than 0",
        ),
        ({"space": SPACE, "sampler": "grid"}, r"training\.learning_rate: a grid needs values that can be counted"),
        ({"sampler": "tpee"}, r"unknown sampler 'tpee' \(did you mean tpe"),
        ({"metric": "auroc"}, r"unknown metric 'auroc' \(did you mean valid_auroc"),
        ({"trials": 0}, "trials must be at least 1, got 0"),
        ({"folds": 1}, "folds must be 0 or at least 2, got 1"),
        ({"candidates": 0}, "candidates must be at least 1, got 0"),
        ({"folds": 5000}, "too few for 5000 folds"),
    ]
    for options, message in wrong:
        with pytest.raises(InputError, match=message):
            search("deepbind", sequences, tmp_path / "out", **{**OPTIONS, **options})
    with pytest.raises(InputError, match="dataset of the line 'expression'"):
        search("deepbind", world, tmp_path / "out", **OPTIONS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["space.toml"]


def test_a_foreign_folder_is_left_alone(sequences, tmp_path):
    folder = tmp_path / "out.partial"
    folder.mkdir()
    (folder / "run.json").write_text("{}")
    with pytest.raises(InputError, match=r"is not a search: it has no search\.json"):
        search("deepbind", sequences, tmp_path / "out", resume=True, **OPTIONS)
    assert (folder / "run.json").exists()
    with pytest.raises(InputError, match="no such search"):
        open_search(tmp_path / "none")


def test_the_score_is_that_of_the_kept_epoch():
    rows = [
        {"valid_loss": 0.5, "valid_auroc": 0.7, "valid_auprc": 0.9, "valid_pearson": None},
        {"valid_loss": 0.6, "valid_auroc": 0.8, "valid_auprc": 0.6, "valid_pearson": None},
        {"valid_loss": 0.4, "valid_auroc": 0.8, "valid_auprc": 0.5, "valid_pearson": None},
    ]
    recipe = load_recipe("deepbind")
    assert kept_score(rows, recipe, "classification", "valid_auprc") == 0.6
    assert kept_score(rows, recipe, "classification", "valid_loss") == 0.6
    last = load_recipe("deepbind", {"training.select": "last"})
    assert kept_score(rows, last, "classification", "valid_auprc") == 0.5
    lowest = load_recipe("deepbind", {"training.select": "valid_loss"})
    assert kept_score(rows[:2], lowest, "classification", "valid_auroc") == 0.7
    with pytest.raises(InputError, match="valid_auroc is not defined"):
        kept_score([{**rows[0], "valid_auroc": None}], recipe, "classification", "valid_auroc")
    values = [{"valid_loss": 0.5, "valid_auroc": None, "valid_auprc": None, "valid_pearson": 0.3}]
    assert kept_score(values, recipe, "regression", "valid_auroc") == 0.3
