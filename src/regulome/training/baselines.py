"""Baselines that scikit-learn fits, poured into the networks that the run stores."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from regulome.errors import InputError
from regulome.models.preprocess import Predictor
from regulome.training.build import build_predictor
from regulome.training.fit import Epoch, FitJob, Fitted, Rows
from regulome.training.lines import line_named
from regulome.training.loss import Loss
from regulome.training.validation import SCORES, Validation, validation_scores

logger = logging.getLogger(__name__)

Matrix = npt.NDArray[np.float32]
#: Fits one setting: hyperparameters, and a way to pour the fitted model into its network.
Candidate = tuple[dict[str, Any], Callable[[Any], None]]

_ITERATIONS = 2000
_BLOCK = 4096


def fit_baseline(job: FitJob) -> tuple[Fitted, dict[str, Any]]:
    """Fit a scikit-learn baseline for each setting of the recipe, and keep the best on the validation rows.

    Memory: training and validation rows as float32 and, in the solver, float64 matrices.

    Returns:
        The fitted member, and the hyperparameters that were chosen.

    Raises:
        InputError: The network has no scikit-learn solver, or there are several targets.
    """
    recipe, dataset = job.recipe, job.dataset
    solver = _SOLVERS.get(recipe.model.name)
    if solver is None:
        raise InputError(
            f"training.method = scikit-learn cannot fit {recipe.model.name}",
            cure=f"it fits {', '.join(_SOLVERS)}; networks want training.method = gradient",
        )
    if dataset.targets.shape[1] != 1:
        raise InputError(f"{recipe.model.name} takes one target, the dataset has {dataset.targets.shape[1]}")
    preprocess = build_predictor(recipe, dataset, fit_on=job.train).preprocess
    x, y = _matrix(job, preprocess, job.train)
    held, truth = _matrix(job, preprocess, job.valid)
    best: tuple[float, int, Predictor, dict[str, Any]] | None = None
    history: list[Epoch] = []
    for number, (chosen, pour) in enumerate(solver(job, x, y, held, truth), 1):
        begin = time.monotonic()
        predictor = build_predictor(recipe, dataset, fit_on=job.train[:1], hyperparameters=chosen)
        predictor.preprocess.load_state_dict(preprocess.state_dict())
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            pour(predictor.network)
        for text in {str(item.message).splitlines()[0] for item in caught}:
            logger.warning("%s%s: %s", job.title, _say(chosen), text)
        row, found = _score(job, predictor, x, y, held, truth, number)
        row["seconds"] = round(time.monotonic() - begin, 3)
        history.append(row)
        name, score = next(iter(found.scores.items()))
        value = found.value("valid_loss" if score is None else recipe.training.select)
        logger.info(
            "%s%s: validation loss %.4f, %s %s",
            *(job.title, _say(chosen), found.loss),
            *(SCORES[name], "not defined" if score is None else f"{score:.4f}"),
        )
        if best is None or value > best[0]:
            best = (value, number, predictor, chosen)
    if best is None:
        raise InputError("the recipe names no setting to try", cure="give baseline.costs or baseline.leaves")
    weights = {name: value.clone() for name, value in best[2].state_dict().items()}
    return {"weights": weights, "history": history}, best[3]


def _say(chosen: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in chosen.items()) or "one setting"


def _matrix(job: FitJob, preprocess: nn.Module, rows: Rows) -> tuple[Matrix, npt.NDArray[np.float32]]:
    """Return preprocessed inputs [examples, marks · bins] and targets [examples]."""
    batches = line_named(job.recipe.line, job.recipe.model.name).batches(
        job.dataset, rows, job.recipe.input, batch_size=_BLOCK
    )
    with torch.inference_mode():
        parts = [preprocess(batch.inputs).flatten(1).numpy() for batch in batches]
    return np.concatenate(parts), np.array(job.dataset.targets[rows, 0], np.float32)


def _score(
    job: FitJob, predictor: Predictor, x: Matrix, y: Matrix, held: Matrix, truth: Matrix, number: int
) -> tuple[Epoch, Validation]:
    task = job.dataset.task
    loss = Loss(task)
    outputs = [_outputs(predictor, job, part) for part in (x, held)]
    losses = [float(loss(out, torch.from_numpy(part)[:, None])) for out, part in zip(outputs, (y, truth), strict=True)]
    found = Validation(losses[1], validation_scores(task, truth[:, None], outputs[1]))
    row: Epoch = {"member": job.member, "epoch": number, "step": number}
    row |= {"train_loss": losses[0], "valid_loss": losses[1], **found.row()}
    row |= {"learning_rate": None, "seconds": 0.0}
    return row, found


def _outputs(predictor: Predictor, job: FitJob, x: Matrix) -> torch.Tensor:
    preprocess: Any = predictor.preprocess
    shaped = torch.from_numpy(x).reshape(len(x), len(preprocess.mean), -1)
    with torch.inference_mode():
        return torch.cat([predictor.network(part) for part in torch.split(shaped, _BLOCK)])


def _standard(x: Matrix) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Standardise every input by itself; one that never varies stays as it is."""
    mean, std = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    std[std <= 1e-6] = 1.0
    return (x - mean) / std, mean, std


def _class_weight(job: FitJob) -> dict[int, float] | str | None:
    weight = job.recipe.training.positive_weight
    if weight == "balanced" or weight == 1.0:
        return "balanced" if weight == "balanced" else None
    return {0: 1.0, 1: float(weight)}


def _costs(job: FitJob) -> list[float]:
    given = job.recipe.model.hyperparameters.get("C")
    return [float(given)] if isinstance(given, int | float) else list(job.recipe.baseline.costs)


def _linear(job: FitJob, x: Matrix, y: Matrix, held: Matrix, truth: Matrix) -> Iterable[Candidate]:
    """Logistic regression, or ridge."""
    from sklearn.linear_model import LogisticRegression, Ridge

    scaled, mean, std = _standard(x)
    for cost in _costs(job):

        def pour(network: Any, cost: float = cost) -> None:
            if job.dataset.task == "regression":
                model = Ridge(alpha=1 / (2 * cost)).fit(scaled, y)
            else:
                model = LogisticRegression(C=cost, class_weight=_class_weight(job), max_iter=_ITERATIONS)
                model.fit(scaled, y > 0)
            _pour_linear(network, model, mean, std)

        yield {"C": cost}, pour


def _svm(job: FitJob, x: Matrix, y: Matrix, held: Matrix, truth: Matrix) -> Iterable[Candidate]:
    """Linear support vector machine with Platt's probabilities, or support vector regression."""
    from sklearn.svm import LinearSVC, LinearSVR

    scaled, mean, std = _standard(x)
    scaled_held = (held - mean) / std
    for cost in _costs(job):

        def pour(network: Any, cost: float = cost) -> None:
            if job.dataset.task == "regression":
                model = LinearSVR(C=cost, loss="squared_epsilon_insensitive", dual=False, max_iter=_ITERATIONS)
                _pour_linear(network, model.fit(scaled, y), mean, std)
                return
            model = LinearSVC(C=cost, class_weight=_class_weight(job), dual=False, max_iter=_ITERATIONS)
            margin = model.fit(scaled, y > 0).decision_function(scaled_held)
            if len(np.unique(truth)) < 2:
                _pour_linear(network, model, mean, std)
                return
            slope, offset = _platt(margin, truth > 0)
            _pour_linear(
                *(network, model, mean, std),
                slope=slope,
                offset=offset,
            )

        yield {"C": cost}, pour


def _platt(margin: npt.NDArray[np.float64], high: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Fit the logistic curve from margin to label, on examples that the machine has not seen (Platt 1999).

    Labels are drawn a little towards each other as in the paper, (n₊ + 1) / (n₊ + 2) and 1 / (n₋ + 2), which keeps the
    curve finite where margins separate the classes.

    Returns:
        Slope and offset of the log-odds.
    """
    from sklearn.linear_model import LogisticRegression

    positives, negatives = int(high.sum()), int((~high).sum())
    soft = np.where(high, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    # The margins are scaled, because the penalty, although negligible, must not depend on their unit.
    spread = max(float(margin.std()), 1e-12)
    both = np.r_[margin, margin][:, None] / spread
    labels = np.r_[np.ones(len(margin), bool), np.zeros(len(margin), bool)]
    curve = LogisticRegression(C=1e6).fit(both, labels, sample_weight=np.r_[soft, 1 - soft])
    return float(curve.coef_[0, 0]) / spread, float(curve.intercept_[0])


def _pour_linear(network: Any, model: Any, mean: Any, std: Any, slope: float = 1.0, offset: float = 0.0) -> None:
    network.pour(
        torch.as_tensor(np.ravel(model.coef_)),
        float(np.ravel(model.intercept_)[0]),
        mean=torch.as_tensor(mean),
        std=torch.as_tensor(std),
        slope=slope,
        offset=offset,
    )


def _forest(job: FitJob, x: Matrix, y: Matrix, held: Matrix, truth: Matrix) -> Iterable[Candidate]:
    """Random forest of classification or regression trees."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    given = job.recipe.model.hyperparameters.get("min_samples_leaf")
    for leaf in [int(given)] if isinstance(given, int) else job.recipe.baseline.leaves:

        def pour(network: Any, leaf: int = leaf) -> None:
            regression = job.dataset.task == "regression"
            settings = {
                "n_estimators": network.trees,
                "max_depth": network.max_depth,
                "min_samples_leaf": leaf,
                "max_features": network.max_features or (1.0 if regression else "sqrt"),
                "n_jobs": torch.get_num_threads(),
                "random_state": job.seed,
            }
            if regression:
                forest = RandomForestRegressor(**settings).fit(x, y)
            else:
                forest = RandomForestClassifier(class_weight=_class_weight(job), **settings).fit(x, y > 0)
            trees = [tree.tree_ for tree in forest.estimators_]
            network.pour(
                [tree.children_left for tree in trees],
                [tree.children_right for tree in trees],
                [tree.feature for tree in trees],
                [tree.threshold for tree in trees],
                [_leaf_values(tree.value) for tree in trees],
            )

        yield {"min_samples_leaf": leaf}, pour


def _leaf_values(value: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the value of each node, or its share of "high", from scikit-learn's [nodes, outputs, classes]."""
    if value.shape[2] == 1:
        return value[:, 0, 0]
    share: npt.NDArray[np.float64] = value[:, 0, 1] / value[:, 0].sum(axis=1)
    return share


_SOLVERS: dict[str, Callable[[FitJob, Matrix, Matrix, Matrix, Matrix], Iterable[Candidate]]] = {
    "logistic-regression": _linear,
    "linear-svm": _svm,
    "random-forest": _forest,
}
