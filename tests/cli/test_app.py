"""The frame around every verb."""

import json
import logging
import signal
import subprocess
import sys

import pytest

from regulome import __version__

VERBS = ["check", "compare", "demo", "evaluate", "explain", "models", "predict", "prepare", "recipes", "report"]
VERBS += ["simulate", "train"]
HEAVY = {"torch", "lightning", "polars", "numba", "numpy", "matplotlib", "sklearn", "scipy", "pysam", "pybigtools"}


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(words):
    loaded = python(
        f"import sys; from regulome.cli.app import run; assert run({words}) == 0; print(); print(*sys.modules)"
    )
    assert not HEAVY & set(loaded.splitlines()[-1].split())


def test_importing_regulome_imports_nothing_heavy():
    assert not HEAVY & set(python("import sys, regulome; print(*sys.modules)").split())


def test_version(regulome):
    assert regulome("--version").out.strip() == f"regulome {__version__}"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_a_sentence(verb, regulome):
    answer = regulome(verb, "--help")
    assert answer.code == 0
    assert verb in answer.out
    assert len(answer.out.splitlines()) > 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian"], "trian"),
        (["train"], "recipe"),
        (["train", "deepchrome", "x", "--out", "y", "--epochs", "3"], "--epochs"),
        (["prepare", "expression", "--out", "x", "--bin", "ten"], "--bin"),
    ],
)
def test_a_wrong_command_line_is_one_line(words, said, regulome):
    answer = regulome(*words)
    assert answer.code == 2
    assert len(answer.err.splitlines()) == 1
    assert said in answer.err


def test_debug_shows_where_an_error_came_from(regulome, tmp_path):
    answer = regulome("--debug", "evaluate", tmp_path / "nothing")
    assert answer.code == 2
    assert "Traceback" in answer.err


def test_parameters_of_a_method_reach_it(trained, tmp_path, regulome):
    out = tmp_path / "x"
    answer = regulome("explain", "class-map", trained, "--set", "steps=3", "--set", "restarts=2", "--out", out)
    assert answer.code == 0, answer.err
    told = json.loads((out / "explanation.json").read_text())
    assert told["parameters"]["steps"] == 3
    assert told["parameters"]["restarts"] == 2


@pytest.mark.parametrize(("setting", "said"), [("steps=many", "many"), ("stepps=3", "steps"), ("steps", "NAME=VALUE")])
def test_a_wrong_parameter_of_a_method_is_one_line(setting, said, trained, tmp_path, regulome):
    answer = regulome("explain", "class-map", trained, "--set", setting, "--out", tmp_path / "x")
    assert answer.code == 2
    assert said in answer.last_line
    assert not (tmp_path / "x").exists()


def test_logging_and_signals_are_left_as_they_were_found(regulome, tmp_path):

    logger = logging.getLogger("regulome")
    before = logger.handlers[:], logger.propagate, logger.level, signal.getsignal(signal.SIGTERM)
    assert regulome("evaluate", tmp_path / "nothing").code == 2
    assert (logger.handlers, logger.propagate, logger.level, signal.getsignal(signal.SIGTERM)) == before
