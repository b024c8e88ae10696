"""A setting is one thing: the option of a verb and the argument of its function have one name and one default."""

import importlib
import inspect
from typing import get_args

import pytest

from regulome.cli import (
    check,
    compare,
    evaluate,
    explain,
    grid,
    mutate,
    perturb,
    predict,
    prepare,
    profile,
    report,
    sample,
    search,
    simulate,
    train,
    variants,
)

#: Verb → the function behind it.
FUNCTIONS = {
    check.command: "genome.check_files",
    compare.command: "training.compare",
    evaluate.command: "catalog.evaluate",
    explain.command: "explain.explain",
    grid.command: "training.grid",
    mutate.command: "explain.mutate",
    perturb.command: "explain.perturb",
    predict.command: "catalog.predict",
    prepare.contacts: "datasets.prepare_contacts",
    prepare.expression: "datasets.prepare_expression",
    prepare.language: "datasets.prepare_language",
    prepare.sequence: "datasets.prepare_sequence",
    profile.command: "explain.profile",
    report.command: "report.report",
    sample.command: "training.sample_text",
    search.command: "training.search",
    simulate.contacts: "datasets.simulate_contacts",
    simulate.expression: "datasets.simulate_expression",
    simulate.language: "datasets.simulate_language",
    simulate.sequence: "datasets.simulate_sequence",
    train.command: "training.train",
    variants.command: "explain.score_variants",
}
#: Options whose text is turned into something else on the way (lists, `all`), or which only the command line has.
TURNED = {"biotype", "out"}

#: Text of the command line → what it is turned into.
DEFAULTS = {(variants.command, "shifts"): (0,), (prepare.contacts, "resolutions"): (2000, 500, 100)}
#: What the functions that have no verb of their own share with one.
MORE = {
    "training.predict_regions": predict.command,
    "training.predict_tracks": predict.command,
    "training.predict_surprise": predict.command,
    "training.predict_text": predict.command,
    "datasets.prepare_published_sequence": prepare.sequence,
    "explain.expression_effects": variants.command,
}


def plain(default):
    """Empty words, lists and tuples all say: nothing was given."""
    return None if default in ("", [], (), {}) else default


@pytest.mark.parametrize("verb", FUNCTIONS, ids=lambda verb: f"{verb.__module__.split('.')[-1]}.{verb.__name__}")
def test_names_and_defaults_agree(verb):
    room, name = FUNCTIONS[verb].split(".")
    function = getattr(importlib.import_module(f"regulome.{room}"), name)
    arguments = inspect.signature(function).parameters
    shared = 0
    for option, parameter in inspect.signature(verb).parameters.items():
        argument = arguments.get(option.removesuffix("_"))
        if argument is None or option in TURNED or argument.default is inspect.Parameter.empty:
            continue
        default = DEFAULTS.get((verb, option), parameter.default)
        assert plain(default) == plain(argument.default), option
        shared += 1
    assert shared or verb is check.command


@pytest.mark.parametrize("verb", FUNCTIONS, ids=lambda verb: f"{verb.__module__.split('.')[-1]}.{verb.__name__}")
def test_every_option_has_a_sentence(verb):
    for option, parameter in inspect.signature(verb, eval_str=True).parameters.items():
        told = get_args(parameter.annotation)[1].help
        assert told, option
        assert told[0].isupper() or not told[0].isalpha() or told.split()[0].rstrip(",:") in ALLOWED, told


#: Words that a sentence may begin with in lower case, because they are what is typed.
ALLOWED = {"auto", "median", "published", "truth.json"}


@pytest.mark.parametrize("name", MORE)
def test_other_functions_behind_a_verb_agree(name):
    room, function = name.split(".")
    arguments = inspect.signature(getattr(importlib.import_module(f"regulome.{room}"), function)).parameters
    options = inspect.signature(MORE[name]).parameters
    shared = [option for option in options if option in arguments and option not in TURNED]
    for option in shared:
        if arguments[option].default is not inspect.Parameter.empty:
            assert plain(options[option].default) == plain(arguments[option].default), option
    assert len(shared) > 3
