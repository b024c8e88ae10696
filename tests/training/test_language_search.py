"""Searches over a text: networks and windows vary, low perplexity is good, the test part chooses nothing."""

import math

import numpy as np
import polars as pl
import pytest
import torch

from regulome.datasets import prepare_language
from regulome.errors import InputError
from regulome.models import create
from regulome.recipes.load import load_recipe, with_settings
from regulome.recipes.search_space import load_space
from regulome.training import open_search, search, search_trials

SPACE = {
    "model.name": {"choices": ["char-rnn", "char-gru"]},
    "input.length": {"choices": [10, 25]},
    "training.learning_rate": {"choices": [0.0001, 0.03]},
}
OPTIONS = {
    "space": SPACE,
    "sampler": "grid",
    "set": {"model.hyperparameters.hidden": 4, "model.hyperparameters.layers": 1, "training.epochs": 1},
    "candidates": 1,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    letters = np.random.default_rng(0).choice(list("ACGT"), 1500, p=[0.6, 0.2, 0.1, 0.1])
    (folder / "text.fa").write_text(">one\n" + "".join(letters) + "\n")
    return prepare_language([folder / "text.fa"], folder / "data", length=20, block=100, validation=0.1)


@pytest.fixture(scope="module")
def found(text, tmp_path_factory):
    return search("char-grid-published", text, tmp_path_factory.mktemp("search") / "out", **OPTIONS)


def test_a_row_per_combination_with_validation_and_test(found):
    table = pl.read_csv(found.path / "trials.tsv", separator="\t")
    scores = ["valid_perplexity", "valid_bits", "test_perplexity", "test_bits"]
    assert table.columns == ["number", "state", "score", *SPACE, *scores, "seconds", "note"]
    assert table.select(*SPACE).rows() == [
        (name, length, rate) for name in ("char-rnn", "char-gru") for length in (10, 25) for rate in (0.0001, 0.03)
    ]
    assert table["valid_perplexity"].to_list() == pytest.approx(table["score"].to_list())
    for part in ("valid", "test"):
        np.testing.assert_allclose(2 ** table[f"{part}_bits"], table[f"{part}_perplexity"])
        assert table[f"{part}_perplexity"].is_between(1, 8).all()
    # A network that hardly learned knows nothing yet.
    assert table.filter(pl.col("training.learning_rate") == 0.0001)["score"].min() > table["score"].min() + 0.1


def test_the_lowest_perplexity_wins_and_is_tested(found):
    table = found.trials
    assert found.info.metric == "valid_perplexity"
    assert found.best.number == table["score"].arg_min() + 1
    assert found.study().best_value == found.best.score
    # The one candidate has the seed of the trials: training and evaluating it gives the trial's numbers.
    run = found.run
    assert run.info.model == found.best.settings["model.name"]
    assert run.recipe.input.length == found.best.settings["input.length"]
    assert run.metrics()["perplexity"]["value"] == pytest.approx(found.best.test, rel=1e-9)
    assert math.exp(run.history()["valid_loss"][-1]) == pytest.approx(found.best.score, rel=1e-9)


def test_the_loss_orders_the_same(text, found, tmp_path):
    other = search("char-grid-published", text, tmp_path / "out", **{**OPTIONS, "metric": "valid_loss", "trials": 2})
    assert np.exp(other.trials["score"]).to_list() == pytest.approx(found.trials["score"][:2].to_list())
    columns = ["valid_perplexity", "valid_bits", "test_perplexity"]
    for column in columns:
        assert other.trials[column].to_list() == pytest.approx(found.trials[column][:2].to_list())


def test_an_interrupted_grid_is_finished(text, found, tmp_path, monkeypatch):
    fit_job, calls = search_trials.fit_job, []

    def stopped(*given):
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit_job(*given)

    monkeypatch.setattr(search_trials, "fit_job", stopped)
    with pytest.raises(KeyboardInterrupt):
        search("char-grid-published", text, tmp_path / "out", **OPTIONS, trials=3)
    monkeypatch.setattr(search_trials, "fit_job", fit_job)
    search("char-grid-published", text, tmp_path / "out", **OPTIONS, trials=3, resume=True)
    again = open_search(tmp_path / "out")
    assert again.trials.drop("seconds").equals(found.trials[:3].drop("seconds"))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"metric": "valid_auroc"}, "valid_auroc is of labels: a text has none"),
        ({"folds": 3}, "a text is not divided into folds"),
        ({"space": {"model.name": {"choices": ["char-gru", "danq"]}}}, "model.name: danq has no hyperparameter"),
        ({"space": {"input.length": {"choices": [50, -1]}}}, "input.length: expected greater than or equal to 0"),
    ],
)
def test_requests_that_cannot_be(text, tmp_path, changed, message):
    with pytest.raises(InputError, match=message):
        search("char-grid-published", text, tmp_path / "out", **{**OPTIONS, **changed})
    assert not list(tmp_path.iterdir())


def test_perplexity_is_of_texts(world, tmp_path):
    with pytest.raises(InputError, match="valid_perplexity is searched by over texts"):
        search("deepchrome", world, tmp_path / "out", metric="valid_perplexity", test_chromosomes=["chr1"])


def test_the_published_grid_has_96_points_that_can_be_made():
    recipe = load_recipe("char-grid-published")
    space = load_space(None, recipe)
    assert space.name == "char-grid-published"
    assert space.combinations() == 96
    points = [space.combination(number) for number in range(96)]
    assert len({tuple(point.values()) for point in points}) == 96
    made = set()
    for point in points:
        chosen = with_settings(recipe, point)
        key = (chosen.model.name, chosen.model.hyperparameters["layers"])
        if key not in made:
            with torch.device("meta"):
                create(chosen.model.name, **chosen.model.hyperparameters)
            made.add(key)
    assert len(made) == 8
