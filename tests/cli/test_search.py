"""`regulome search` from the words to what is printed."""

import json

from tests.cli.tiny_world import SPLIT

SMALL = ["--set", "training.epochs=1", "--set", "model.hyperparameters.filters=4", "--device", "cpu"]


def test_search_prints_the_best_setting_and_leaves_a_run(regulome, dataset, tmp_path):
    out = tmp_path / "out"
    words = ["search", "deepchrome", dataset, "--out", out, *SPLIT, *SMALL, "--trials", 2, "--candidates", 1]
    answer = regulome(*words)
    assert answer.code == 0, answer.err
    assert "trial 2 of 2: validation AUROC" in answer.err
    assert "(space default)" in answer.err
    best = json.loads((out / "search.json").read_text())["best"]
    assert f"best of 2 trials: number {best}" in answer.last_line
    assert "training.learning_rate" in answer.out
    assert "auroc" in answer.out
    assert regulome("evaluate", out / "best").code == 0
    again = regulome(*words, "--resume")
    assert again.code == 0
    assert "is complete with 2 trials" in again.err
    assert regulome(*words).last_line.endswith("exists already (choose another --out, or give --overwrite)")
    assert regulome("train", out / "best.toml", dataset, "--out", tmp_path / "run", *SPLIT).code == 0


def test_a_wrong_space_is_one_line(regulome, dataset, tmp_path):
    space = tmp_path / "space.toml"
    space.write_text("[space]\ntraining.learnin_rate = { low = 0.1, high = 0.2 }\n")
    answer = regulome("search", "deepchrome", dataset, "--out", tmp_path / "out", *SPLIT, "--space", space)
    assert answer.code == 2
    assert answer.last_line.startswith(f"regulome: {space}: training.learnin_rate: is no key of a recipe")
    assert "did you mean training.learning_rate" in answer.last_line
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()
