"""Spaces of a search: what they may say, and how a wrong word is told."""

import pytest

from regulome.errors import InputError
from regulome.recipes import load_recipe, load_space, recipe_names, space_names
from regulome.recipes.search_space import Dimension

RATE = "training.learning_rate"
HIDDEN = "model.hyperparameters.hidden"


@pytest.fixture(scope="module")
def deepbind():
    return load_recipe("deepbind")


def test_every_space_is_that_of_a_recipe_and_fits_it():
    assert {"deepbind", "deepbind-published", "default"} <= set(space_names())
    for name in set(space_names()) - {"default"}:
        space = load_space(None, load_recipe(name))
        assert (space.name, space.file) == (name, None)
    assert set(space_names()) - {"default"} <= set(recipe_names())


def test_the_published_calibration_has_the_released_ranges():
    space = load_space(None, load_recipe("deepbind-published")).record()
    assert space[RATE] == {"low": 0.0005, "high": 0.05, "log": True}
    assert space["training.momentum"] == {"low": 0.95, "high": 0.99, "power": 0.5}
    assert space["model.hyperparameters.dropout"] == {"choices": [0.0, 0.0, 0.25, 0.5]}
    assert space[HIDDEN] == {"choices": [0, 32]}
    assert space["model.hyperparameters.detector_std"] == {"low": 1e-7, "high": 1e-3, "log": True}
    assert space["model.hyperparameters.weight_std"] == {"low": 1e-5, "high": 1e-2, "log": True}


def test_networks_without_a_space_take_the_default_and_baselines_none():
    space = load_space(None, load_recipe("demo-cnn"))
    assert space.name == "default"
    assert [dimension.key for dimension in space.dimensions] == [RATE, "training.weight_decay", "training.batch_size"]
    with pytest.raises(InputError, match=r"random-forest has no space to search \(give --space FILE\)"):
        load_space(None, load_recipe("random-forest"))
    forest = {"model.hyperparameters.min_samples_leaf": {"choices": [3, 10]}}
    assert load_space(forest, load_recipe("random-forest")).record() == forest


def test_dotted_and_quoted_keys_of_a_file_are_the_same(deepbind, tmp_path):
    (tmp_path / "a.toml").write_text(
        "[space]\ntraining.learning_rate = {low = 0, high = 1}\nmodel.hyperparameters.hidden = {low = 8, high = 64}\n"
    )
    (tmp_path / "b.toml").write_text(
        'description = "x"\n[space]\n"training.learning_rate" = {low = 0.0, high = 1.0}\n'
        "[space.model.hyperparameters]\nhidden = {low = 8, high = 64}\n"
    )
    first, second = (load_space(tmp_path / name, deepbind) for name in ("a.toml", "b.toml"))
    assert first.dimensions == second.dimensions
    rate, hidden = first.dimensions
    assert (rate.whole, rate.low, hidden.whole, hidden.ends()) == (False, 0.0, True, [8, 64])
    # What was read is written as it was read.
    assert load_space(first.record(), deepbind).dimensions == first.dimensions


def test_a_grid_has_every_combination_once(deepbind):
    space = load_space(
        {
            RATE: {"low": 0.1, "high": 0.4, "step": 0.1},
            HIDDEN: {"low": 8, "high": 10},
            "model.hyperparameters.pooling": {"choices": ["max", "max-and-mean"]},
        },
        deepbind,
    )
    assert space.combinations() == 4 * 3 * 2
    found = [tuple(space.combination(number).values()) for number in range(24)]
    expected = [
        (rate, hidden, pooling)
        for rate in (0.1, 0.2, 0.3, 0.4)
        for hidden in (8, 9, 10)
        for pooling in ("max", "max-and-mean")
    ]
    assert found == expected
    assert list(space.combination(0)) == [RATE, HIDDEN, "model.hyperparameters.pooling"]
    with pytest.raises(InputError, match=r"^training\.learning_rate: a grid needs values that can be counted"):
        load_space({RATE: {"low": 0.1, "high": 0.4}}, deepbind).combinations()
    assert Dimension(RATE, low=2.0, high=2.0).points() == [2.0]


WRONG = [
    (
        {"training.learning_rat": {"choices": [1.0]}},
        r"training\.learning_rat: .* \(did you mean training\.learning_rate",
    ),
    (
        {"model.hyperparameters.detectrs": {"choices": [1]}},
        r"deepbind has no hyperparameter 'detectrs' \(did you mean det",
    ),
    ({"name": {"choices": ["danq"]}}, r"name: is no key of a recipe that can be searched over"),
    ({"model.name": {"low": 1, "high": 2}}, r"model\.name: expected choices among the names of networks"),
    ({"model.name": {"choices": ["danqq"]}}, r"model\.name: there is no model 'danqq' \(did you mean danq"),
    (
        {"model.name": {"choices": ["deepbind", "danq"]}, "model.hyperparameters.detectors": {"choices": [1]}},
        r"danq has no hyperparameter 'detectors'",
    ),
    ({"training.seed": {"low": 0, "high": 9}}, r"training\.seed: is not searched over \(leave it away: --set"),
    ({RATE: {"low": 0.1, "hihg": 0.4}}, r"learning_rate: unknown key 'hihg' \(did you mean high"),
    ({RATE: {"low": 0.1}}, r"learning_rate: high is missing"),
    ({RATE: 0.1}, r"learning_rate: expected choices or a range, got 0\.1"),
    ({RATE: {"low": 0.5, "high": 0.1}}, r"low 0\.5 is above high 0\.1"),
    ({RATE: {"low": 0, "high": 0.1, "log": True}}, r"a logarithmic range begins above 0, not at 0"),
    ({RATE: {"low": 0.1, "high": 0.4, "log": "yes"}}, r"log: expected true or false, got 'yes'"),
    ({RATE: {"low": "0.1", "high": 0.4}}, r"low: expected a number, got '0\.1'"),
    ({RATE: {"low": 0.1, "high": 0.4, "log": True, "step": 0.1}}, r"log, step and power exclude each other"),
    ({RATE: {"low": 0.1, "high": 0.4, "step": 0}}, r"step and power are above 0"),
    ({RATE: {"choices": []}}, r"choices: expected a list of values, got \[\]"),
    ({RATE: {"choices": [0.1], "log": True}}, r"choices stand alone"),
    ({}, r"the space is empty"),
]


@pytest.mark.parametrize(("table", "message"), WRONG)
def test_a_wrong_word_is_told_in_one_line(table, message, deepbind):
    with pytest.raises(InputError, match=message) as caught:
        load_space(table, deepbind)
    assert "\n" not in str(caught.value)


def test_the_file_is_named(deepbind, tmp_path):
    file = tmp_path / "mine.toml"
    for text, message in [
        (
            "[space]\ntraining.epoch = {choices = [1]}\n",
            r"mine\.toml: training\.epoch: .*did you mean training\.epochs",
        ),
        ("[space\n", r"mine\.toml: is not TOML"),
        ("[spaces]\n", r"mine\.toml: unknown key spaces"),
        ("description = 'x'\n", r"mine\.toml: has no table \[space\]"),
        (
            "training.epochs = {choices = [1]}\n",
            r"mine\.toml: unknown key training \(the keys of the recipe stand under",
        ),
    ]:
        file.write_text(text)
        with pytest.raises(InputError, match=message):
            load_space(file, deepbind)
    with pytest.raises(InputError, match=r"gone\.toml: no such file"):
        load_space(tmp_path / "gone.toml", deepbind)
    with pytest.raises(InputError, match=r"no space is named 'deepbnd' \(did you mean deepbind"):
        load_space("deepbnd", deepbind)
