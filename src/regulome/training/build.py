"""From a recipe and the shape of the inputs to a predictor: preprocessing and network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from regulome.datasets.batches import Batches
from regulome.datasets.dataset import Dataset
from regulome.models.preprocess import Predictor, Preprocess
from regulome.models.registry import create
from regulome.recipes.schema import Recipe

# Examples that are looked at together while the input scaling is measured.
_BLOCK = 4096


def new_predictor(
    recipe: Recipe, *, marks: int, bins: int, task: str, hyperparameters: Mapping[str, Any] | None = None
) -> Predictor:
    """Make a predictor with fresh weights and input scaling that is not fitted yet.

    Args:
        recipe: The recipe.
        marks: Number of marks.
        bins: Number of bins.
        task: "classification" or "regression".
        hyperparameters: Replace the recipe's hyperparameters one by one.

    Raises:
        InputError: The recipe names no known network, or a hyperparameter that it does not have.
    """
    chosen = {**recipe.model.hyperparameters, **(hyperparameters or {})}
    network = create(recipe.model.name, marks=marks, bins=bins, task=task, **chosen)
    return Predictor(Preprocess(marks, recipe.input.transform, recipe.input.scale), network)


def build_predictor(
    recipe: Recipe,
    dataset: Dataset,
    *,
    fit_on: npt.NDArray[np.int64],
    hyperparameters: Mapping[str, Any] | None = None,
) -> Predictor:
    """Make a predictor for a dataset, its input scaling fitted on the given rows, its network not yet trained."""
    predictor = new_predictor(
        recipe, marks=len(dataset.marks), bins=dataset.bins, task=dataset.task, hyperparameters=hyperparameters
    )
    if recipe.training.forget_bias:
        raise_forget_bias(predictor, recipe.training.forget_bias)
    predictor.preprocess.fit(batch.inputs for batch in Batches(dataset, fit_on, batch_size=_BLOCK))
    return predictor


@torch.no_grad()
def raise_forget_bias(network: nn.Module, amount: float) -> None:
    """Add ``amount`` to the forget gates' bias of every LSTM of a network.

    With a bias near 0 an LSTM keeps half of its cell from step to step, and learns slowly what lies more than a few
    steps back (Gers et al. 2000; Jozefowicz et al. 2015, section 3.2).
    """
    for module in network.modules():
        if isinstance(module, nn.LSTM):
            for name, parameter in module.named_parameters():
                if name.startswith("bias_hh"):
                    # The gates lie in the order input, forget, cell, output.
                    parameter[module.hidden_size : 2 * module.hidden_size] += amount
