"""Which setting is tried next: a pure function of the seed, the trial's number and the trials before it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from regulome.recipes.search_space import Dimension, Space
from regulome.training.search_record import Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study

#: Ways to choose settings.
SAMPLERS = ("random", "tpe", "grid")


def propose(
    space: Space, sampler: str, *, seed: int, number: int, before: Sequence[Trial], maximize: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Choose the setting of a trial.

    Each trial has random numbers of its own, so that a search that was interrupted goes on with the settings that it
    would have tried without the interruption.

    Args:
        space: What may vary.
        sampler: "random": each key by itself; "tpe": tree-structured Parzen estimator, which after ten random trials
            draws where good ones lie (Bergstra et al. 2011); "grid": every combination in turn.
        seed: Seed of the search.
        number: Number of the trial, from 1.
        before: The trials that have ended.
        maximize: Whether higher scores are better.

    Returns:
        The value of each key, and what Optuna drew for it.
    """
    if sampler == "grid":
        settings: dict[str, Any] = dict(space.combination(number - 1))
        return settings, {dimension.key: _undo(dimension, settings[dimension.key]) for dimension in space.dimensions}
    with _quiet_optuna():
        from optuna.samplers import RandomSampler, TPESampler

        own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        study = study_of(before if sampler == "tpe" else (), space.record(), maximize=maximize, space=space)
        study.sampler = TPESampler(seed=own) if sampler == "tpe" else RandomSampler(seed=own)
        drawn = study.ask(_distributions(space.dimensions)).params
    return {dimension.key: _value(dimension, drawn[dimension.key]) for dimension in space.dimensions}, drawn


def study_of(
    trials: Sequence[Trial], record: Mapping[str, Any], *, maximize: bool, space: Space | None = None
) -> Study:
    """Return trials that have ended as a study of Optuna, held in memory.

    Args:
        trials: The trials; those that are running are left out.
        record: The space, as ``search.json`` has it.
        maximize: Whether higher scores are better.
        space: The same space, where it is at hand.
    """
    with _quiet_optuna():
        import optuna

        study = optuna.create_study(direction="maximize" if maximize else "minimize")
        dimensions = space.dimensions if space is not None else [recorded(key, said) for key, said in record.items()]
        distributions = _distributions(dimensions)
        states = {"complete": optuna.trial.TrialState.COMPLETE, "failed": optuna.trial.TrialState.FAIL}
        for trial in trials:
            if trial.state != "running":
                study.add_trial(
                    optuna.trial.create_trial(
                        state=states[trial.state],
                        value=trial.score,
                        params=trial.drawn,
                        distributions=distributions,
                        user_attrs={"seconds": trial.seconds, "folds": trial.folds, "note": trial.note},
                    )
                )
    return study


def recorded(key: str, said: Mapping[str, Any]) -> Dimension:
    """Make a dimension again from what ``search.json`` has of it: whole ranges were written with whole ends."""
    if "choices" in said:
        return Dimension(key, tuple(said["choices"]))
    whole = isinstance(said["low"], int) and isinstance(said["high"], int)
    power = float(said.get("power", 1.0))
    return Dimension(key, (), said["low"], said["high"], bool(said.get("log")), said.get("step"), power, whole)


def _distributions(dimensions: Sequence[Dimension]) -> dict[str, BaseDistribution]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for dimension in dimensions:
        if dimension.choices:
            # As text: Optuna stores no lists, and takes 1, 1.0 and true for the same.
            found[dimension.key] = CategoricalDistribution([json.dumps(choice) for choice in dimension.choices])
        elif dimension.whole:
            step = int(dimension.step or 1)
            found[dimension.key] = IntDistribution(
                int(dimension.low), int(dimension.high), log=dimension.log, step=step
            )
        elif dimension.power != 1.0:
            found[dimension.key] = FloatDistribution(0.0, 1.0)
        else:
            found[dimension.key] = FloatDistribution(
                dimension.low, dimension.high, log=dimension.log, step=dimension.step
            )
    return found


def _value(dimension: Dimension, drawn: Any) -> Any:
    if dimension.choices:
        return json.loads(drawn)
    if dimension.power != 1.0:
        return dimension.low + (dimension.high - dimension.low) * drawn**dimension.power
    return drawn


def _undo(dimension: Dimension, value: Any) -> Any:
    """Return what would have been drawn for a value of a grid."""
    if dimension.choices:
        return json.dumps(value)
    # A range with a power is part of a grid only where both ends are one.
    return 0.0 if dimension.power != 1.0 else value


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Keep Optuna's own messages and warnings to itself: regulome says what there is to say."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna

        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            yield
        finally:
            optuna.logging.set_verbosity(level)
