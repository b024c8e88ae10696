"""What is tried next depends on the seed, the number and the trials before, and on nothing else."""

import logging
from collections import Counter

import numpy as np
import optuna
import pytest

from regulome.recipes import load_recipe, load_space
from regulome.training.proposals import propose, study_of
from regulome.training.search_record import Trial

KEYS = {
    "training.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
    "training.momentum": {"low": 0.9, "high": 0.99, "power": 0.5},
    "model.hyperparameters.detectors": {"low": 4, "high": 12, "step": 4},
    "model.hyperparameters.dropout": {"choices": [0.0, 0.0, 0.25]},
    "model.hyperparameters.both_strands": {"choices": [True, False]},
}


@pytest.fixture(scope="module")
def space():
    return load_space(KEYS, load_recipe("deepbind"))


def run(space, sampler, n, *, seed=0, maximize=True):
    """Trials whose score is best at a rate of 0.01; every seventh fails."""
    trials = []
    for number in range(1, n + 1):
        settings, drawn = propose(space, sampler, seed=seed, number=number, before=trials, maximize=maximize)
        score = -abs(np.log10(settings["training.learning_rate"]) + 2) * (1 if maximize else -1)
        failed = number % 7 == 0
        state = "failed" if failed else "complete"
        trials.append(
            Trial(number=number, state=state, score=None if failed else float(score), settings=settings, drawn=drawn)
        )
    return trials


def test_random_draws_have_the_stated_distributions(space):
    settings = [trial.settings for trial in run(space, "random", 1500)]
    assert list(settings[0]) == list(KEYS)
    rates = np.log10([each["training.learning_rate"] for each in settings])
    assert np.mean(rates) == pytest.approx(-2.5, abs=0.1)
    assert rates.min() >= -4
    assert rates.max() <= -1
    # low + (high - low) · sqrt(u) has mean 2/3 of the way, and a share of x² below x.
    momenta = (np.array([each["training.momentum"] for each in settings]) - 0.9) / 0.09
    assert np.mean(momenta) == pytest.approx(2 / 3, abs=0.02)
    assert np.mean(momenta < 0.5) == pytest.approx(0.25, abs=0.04)
    detectors = Counter(each["model.hyperparameters.detectors"] for each in settings)
    assert set(detectors) == {4, 8, 12}
    dropout = Counter(each["model.hyperparameters.dropout"] for each in settings)
    assert dropout[0.0] / 1500 == pytest.approx(2 / 3, abs=0.04)
    assert {each["model.hyperparameters.both_strands"] for each in settings} == {True, False}
    kinds = [float, float, int, float, bool]
    assert [type(value) for value in settings[0].values()] == kinds


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_any_trial_can_be_proposed_anew(space, sampler):
    trials = run(space, sampler, 18)
    for number in (1, 9, 15, 18):
        before = [Trial.model_validate_json(trial.model_dump_json()) for trial in trials[: number - 1]]
        settings, drawn = propose(space, sampler, seed=0, number=number, before=before, maximize=True)
        assert (settings, drawn) == (trials[number - 1].settings, trials[number - 1].drawn)
    assert run(space, sampler, 3)[2].settings != run(space, sampler, 3, seed=1)[2].settings
    assert len({trial.settings["training.learning_rate"] for trial in trials}) == 18


@pytest.mark.parametrize("maximize", [True, False])
def test_tpe_draws_where_good_trials_lie(space, maximize):
    def late(sampler):
        rates = [trial.settings["training.learning_rate"] for trial in run(space, sampler, 60, maximize=maximize)[20:]]
        return np.abs(np.log10(rates) + 2).mean()

    assert late("tpe") < 0.6 * late("random")


def test_a_study_of_optuna_has_the_trials_and_nothing_is_said(space, capfd, caplog):
    level = optuna.logging.get_verbosity()
    trials = run(space, "tpe", 12)
    with caplog.at_level(logging.DEBUG):
        study = study_of(trials, space.record(), maximize=True)
    assert [trial.value for trial in study.trials] == [trial.score for trial in trials]
    assert [trial.params for trial in study.trials] == [trial.drawn for trial in trials]
    best = max((trial for trial in trials if trial.score is not None), key=lambda trial: trial.score)
    assert study.best_trial.number == best.number - 1
    assert capfd.readouterr().err == ""
    assert optuna.logging.get_verbosity() == level
