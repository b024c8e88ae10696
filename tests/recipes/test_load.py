import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regulome.errors import InputError
from regulome.recipes import Recipe, field_docs, list_recipes, load_recipe, recipe_names, to_toml


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_valid_documented_and_survives_the_trip(name, tmp_path):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description.strip()
    assert recipe.paper.strip()
    assert recipe.differences.strip()
    file = tmp_path / "recipe.toml"
    file.write_text(to_toml(recipe))
    assert load_recipe(file) == recipe


def test_the_names_of_the_contract_are_there():
    expected = {"deepchrome", "deepchrome-published", "attentivechrome", "attentivechrome-published", "lstm"}
    assert expected | {"logistic-regression", "linear-svm", "random-forest"} <= set(recipe_names())
    assert [recipe.name for recipe in list_recipes()] == recipe_names()


def test_the_published_protocols():
    training = load_recipe("deepchrome-published").training
    assert (training.optimizer, training.learning_rate, training.batch_size) == ("sgd", 1e-3, 1)
    assert (training.schedule, training.schedule_factor, training.momentum) == ("inverse", 1e-7, 0)
    assert (training.weight_decay, training.epochs, training.select) == (0, 100, "valid_auroc")
    recipe = load_recipe("attentivechrome-published")
    assert (recipe.training.optimizer, recipe.training.learning_rate, recipe.training.batch_size) == ("adam", 2e-4, 16)
    assert recipe.training.gradient_clip == 1.0
    for name in ("deepchrome-published", "attentivechrome-published"):
        inputs = load_recipe(name).input
        assert (inputs.transform, inputs.scale, inputs.orient) == ("none", "none", False)


def test_the_published_protocols_of_chromexpress():
    for name, transform, window, bin_size, batch in (
        ("chromexpress-published", "log1p", 6000, 100, 64),
        ("chromexpress-bigwig-published", "arcsinh", 10_000, 25, 128),
    ):
        recipe = load_recipe(name)
        inputs, training = recipe.input, recipe.training
        assert (inputs.transform, inputs.scale, inputs.window, inputs.bin) == (transform, "none", window, bin_size)
        assert (training.optimizer, training.learning_rate, training.epsilon) == ("adam", 1e-3, 1e-7)
        # Three epochs without improvement lower the rate.
        assert (training.schedule, training.schedule_factor, training.schedule_epochs) == ("plateau", 0.2, 2)
        assert (training.batch_size, training.epochs, training.early_stopping) == (batch, 100, 12)
        assert training.select == "valid_loss"
        assert not recipe.model.hyperparameters


def test_names_are_a_list_or_joined_by_commas():
    for names in (["H3K4me3", "H3K27ac"], "H3K4me3, H3K27ac"):
        assert load_recipe("deepchrome", {"input.marks": names}).input.marks == ["H3K4me3", "H3K27ac"]
    assert load_recipe("deepchrome", ["input.marks=H3K4me3"]).input.marks == ["H3K4me3"]
    with pytest.raises(InputError, match=r"input\.marks"):
        load_recipe("deepchrome", {"input.marks": 5})


def test_the_published_protocols_of_sequences():
    training = load_recipe("deepsea-published").training
    assert (training.optimizer, training.momentum, training.weight_decay) == ("sgd", 0.9, 5e-7)
    assert (training.max_norm, training.max_norm_layers, training.l1) == (0.9, "last-hidden", 1e-8)
    training = load_recipe("danq-published").training
    assert (training.optimizer, training.batch_size, training.epochs) == ("rmsprop", 100, 60)
    for name in ("demo-cnn", "demo-rnn", "demo-cnn-rnn"):
        training = load_recipe(f"{name}-published").training
        assert (training.optimizer, training.learning_rate, training.batch_size) == ("adam", 1e-2, 256)
        assert (training.schedule, training.schedule_factor, training.schedule_epochs) == ("step", 0.5, 10)
        assert (training.gradient_clamp, training.epochs) == (5.0, 50)
    training = load_recipe("bigru-published").training
    assert (training.optimizer, training.learning_rate, training.epochs) == ("adam", 1e-3, 61)
    sequences = {recipe.name for recipe in list_recipes() if recipe.line == "sequence"}
    assert {"deepsea", "danq", "danq-jaspar", "basset", "deepbind", "gru", "clockwork-rnn"} <= sequences
    assert "kmer-logistic-regression" in sequences


def test_the_published_protocols_of_texts():
    for cell in ("rnn", "lstm", "gru", "clockwork"):
        recipe = load_recipe(f"char-{cell}-published")
        training = recipe.training
        assert (recipe.line, recipe.model.name, recipe.input.carry_state) == ("language", f"char-{cell}", False)
        assert (training.optimizer, training.schedule, training.batch_size) == ("adam", "constant", 50)
        assert (training.learning_rate, training.epochs, training.letters) == (0.002, 10, 0)
        assert (training.gradient_clip, training.gradient_clamp, training.weight_decay) == (0, 0, 0)
        hyperparameters = recipe.model.hyperparameters
        assert (hyperparameters["layers"], hyperparameters["hidden"]) == (2, 128)
        assert hyperparameters.get("dropout", 0) == 0
        ours = load_recipe(f"char-{cell}")
        assert (ours.input.carry_state, ours.training.select) == (True, "valid_loss")


def test_settings_replace_the_recipes():
    recipe = load_recipe(
        "deepchrome", ["training.epochs=5", "training.optimizer=sgd", "model.hyperparameters.hidden=[20, 10]"]
    )
    assert recipe.training.epochs == 5
    assert recipe.training.optimizer == "sgd"
    assert recipe.model.hyperparameters["hidden"] == [20, 10]
    assert load_recipe("deepchrome", {"training.seed": 3}).training.seed == 3


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("training.epoch=5", ["unknown key training.epoch", "did you mean training.epochs"]),
        ("epochs=5", ["unknown key epochs", "training.epochs"]),
        ("training.epochs=five", ["training.epochs", "valid integer", '"five"', "passes over"]),
        ("training.epochs=2.5", ["training.epochs", "valid integer", "2.5"]),
        ("training.epochs=0", ["training.epochs", "greater than or equal to 1"]),
        ("training.optimizer=adan", ["training.optimizer", "'adamw'", '"adan"']),
        ("training.positive_weight=true", ["training.positive_weight", "balanced", "true"]),
        ("training.positive_weight=heavy", ["training.positive_weight", "'balanced'", "number"]),
        ("training=5", ["training"]),
        ("training.epochs.more=5", ["training.epochs.more"]),
        ("training.epochs", ["key=value"]),
        ("name.x=1", ["name"]),
    ],
)
def test_wrong_settings_are_told_in_one_line(setting, words):
    with pytest.raises(InputError) as caught:
        load_recipe("deepchrome", [setting])
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_wrong_files_name_the_file(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\nsystem = "x"\n')
    with pytest.raises(InputError, match=r"mine\.toml: model: missing"):
        load_recipe(file)
    file.write_text("name = ")
    with pytest.raises(InputError, match=r"mine\.toml: is not TOML"):
        load_recipe(file)
    file.write_text('name = "mine"\nsystem = "x"\n[model]\nname = "lstm"\nhyperparameter = {}\n')
    with pytest.raises(InputError, match=r"mine\.toml: unknown key model\.hyperparameter .*model\.hyperparameters"):
        load_recipe(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a text file"):
        load_recipe(file)


def test_unknown_names_show_the_near_ones(tmp_path):
    with pytest.raises(InputError, match=r"no recipe is named 'deepcrome' \(did you mean deepchrome"):
        load_recipe("deepcrome")
    with pytest.raises(InputError, match="no such file"):
        load_recipe(tmp_path / "absent.toml")


def test_every_field_is_described():
    docs = field_docs()
    assert {"model.name", "training.epochs", "input.orient", "baseline.costs"} <= {doc.key for doc in docs}
    assert all(doc.description for doc in docs)


text = st.text(st.characters(blacklist_categories=["Cs"]), max_size=30)
values = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), text)


@settings(deadline=None)
@given(text, st.dictionaries(text, st.one_of(values, st.lists(st.integers(0, 9))), max_size=4))
def test_toml_survives_any_text_and_numbers(description, hyperparameters):
    model = {"name": "lstm", "hyperparameters": hyperparameters}
    recipe = Recipe.model_validate({"name": "x", "system": "y", "description": description, "model": model})
    assert Recipe.model_validate(tomllib.loads(to_toml(recipe))) == recipe


def test_a_key_of_another_line_is_refused():
    with pytest.raises(InputError, match=r"^input.scale belongs to the line 'expression': the recipe is of 'sequence'"):
        load_recipe("deepsea", ["input.scale=none"])
    with pytest.raises(InputError, match=r"^input.shift belongs to the line 'sequence'"):
        load_recipe("deepchrome", ["input.shift=3"])
    with pytest.raises(InputError, match=r"^input.length belongs to the line 'language'"):
        load_recipe("deepsea", ["input.length=3"])
    with pytest.raises(InputError, match=r"^training.letters belongs to the line 'language'"):
        load_recipe("deepchrome", ["training.letters=3"])


def test_toml_leaves_out_what_the_line_does_not_have():
    assert set(tomllib.loads(to_toml(load_recipe("deepsea")))["input"]) == {
        "reverse_complement",
        "shift",
        "both_strands",
    }
    assert set(tomllib.loads(to_toml(load_recipe("char-gru")))["input"]) == {"length", "carry_state"}
    assert "baseline" not in tomllib.loads(to_toml(load_recipe("deepchrome")))
    assert "baseline" in tomllib.loads(to_toml(load_recipe("kmer-logistic-regression")))
