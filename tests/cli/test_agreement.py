"""A setting is one thing: the option of a verb and the argument of its function have one name and one default."""

import importlib
import inspect
from typing import get_args

import pytest

from regulome.cli import check, compare, evaluate, explain, predict, prepare, report, search, simulate, train

#: Verb → the function behind it.
FUNCTIONS = {
    check.command: "genome.check_files",
    compare.command: "training.compare",
    evaluate.command: "catalog.evaluate",
    explain.command: "explain.explain",
    predict.command: "catalog.predict",
    prepare.expression: "datasets.prepare_expression",
    report.command: "report.report",
    search.command: "training.search",
    simulate.expression: "datasets.simulate_expression",
    train.command: "training.train",
}
#: Options whose text is turned into something else on the way (lists, `all`), or which only the command line has.
TURNED = {"biotype", "out"}


def plain(default):
    """Empty words, lists and tuples all say: nothing was given."""
    return None if default in ("", [], (), {}) else default


@pytest.mark.parametrize("verb", FUNCTIONS, ids=lambda verb: f"{verb.__module__.split('.')[-1]}")
def test_names_and_defaults_agree(verb):
    room, name = FUNCTIONS[verb].split(".")
    function = getattr(importlib.import_module(f"regulome.{room}"), name)
    arguments = inspect.signature(function).parameters
    shared = 0
    for option, parameter in inspect.signature(verb).parameters.items():
        argument = arguments.get(option.removesuffix("_"))
        if argument is None or option in TURNED or argument.default is inspect.Parameter.empty:
            continue
        assert plain(parameter.default) == plain(argument.default), option
        shared += 1
    assert shared or verb is check.command


@pytest.mark.parametrize("verb", FUNCTIONS, ids=lambda verb: f"{verb.__module__.split('.')[-1]}")
def test_every_option_has_a_sentence(verb):
    for option, parameter in inspect.signature(verb, eval_str=True).parameters.items():
        told = get_args(parameter.annotation)[1].help
        assert told, option
        assert told[0].isupper() or not told[0].isalpha() or told.split()[0].rstrip(",:") in ALLOWED, told


#: Words that a sentence may begin with in lower case, because they are what is typed.
ALLOWED = {"auto", "median", "published", "truth.json"}
