"""From a recipe and the shape of the inputs to a predictor: preprocessing and network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from regulome.datasets.dataset import Dataset
from regulome.models.preprocess import Predictor
from regulome.recipes.schema import Recipe
from regulome.training.first_filters import start_from_motifs
from regulome.training.lines import line_named


def new_predictor(
    recipe: Recipe, *, task: str, hyperparameters: Mapping[str, Any] | None = None, **sizes: Any
) -> Predictor:
    """Make a predictor with fresh weights and input scaling that is not fitted yet.

    Args:
        recipe: The recipe.
        task: "classification" or "regression".
        hyperparameters: Replace the recipe's hyperparameters one by one.
        **sizes: Sizes of inputs and outputs: ``marks`` and ``bins``; for regions ``marks``, ``window`` and
            ``resolutions``; for sequences ``length`` and ``targets``.

    Raises:
        InputError: The recipe names no known network, or a hyperparameter that it does not have.
    """
    chosen = {**recipe.model.hyperparameters, **(hyperparameters or {})}
    return line_named(recipe.line, recipe.model.name).predictor(recipe, sizes, task, chosen)


def build_predictor(
    recipe: Recipe,
    dataset: Dataset,
    *,
    fit_on: npt.NDArray[np.int64],
    hyperparameters: Mapping[str, Any] | None = None,
) -> Predictor:
    """Make a predictor for a dataset, its input scaling fitted on the given rows, its network not yet trained."""
    line = line_named(recipe.line, recipe.model.name)
    sizes = line.sizes(dataset, recipe.input)
    predictor = new_predictor(recipe, task=dataset.task, hyperparameters=hyperparameters, **sizes)
    start_from_motifs(predictor.network)
    if recipe.training.forget_bias:
        raise_forget_bias(predictor, recipe.training.forget_bias)
    line.fit(predictor, dataset, fit_on, recipe.input)
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
