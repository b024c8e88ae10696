"""Limits on the weights and the activations of a network that published protocols ask for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.recipes.schema import TrainingSection


class Regularization:
    """Max-norm of weights, and the L1 norm of the last hidden layer's activations (DeepSEA).

    The last layer is the last convolution or linear map of the network; the last hidden layer is the one before it. A
    network with an attribute ``last_hidden``, the name of a submodule, says itself which one that is. The activations
    are what the last layer is given.

    Args:
        training: The recipe's training section.
        network: The network, without preprocessing.

    Raises:
        InputError: The network has no hidden layer, and the recipe asks for one.
    """

    def __init__(self, training: TrainingSection, network: nn.Module) -> None:
        self._l1, self._max_norm = training.l1, training.max_norm
        self._activations: Tensor | None = None
        self._limited: list[nn.Module] = []
        if not self._l1 and not self._max_norm:
            return
        layers: list[nn.Module] = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv1d)]
        named = getattr(network, "last_hidden", None)
        if len(layers) < 2 and named is None:
            raise InputError(
                "the network has no hidden layer, which training.max_norm and training.l1 are about",
                cure="set both to 0",
            )
        if self._max_norm:
            hidden = layers[-2] if named is None else network.get_submodule(named)
            self._limited = layers if training.max_norm_layers == "all" else [hidden]
        if self._l1:
            layers[-1].register_forward_pre_hook(self._keep)

    def __call__(self, loss: Tensor) -> Tensor:
        """Add the penalty of the activations of the forward pass before."""
        if self._activations is None:
            return loss
        activations, self._activations = self._activations, None
        return loss + self._l1 * activations.abs().flatten(1).sum(dim=1).mean()

    @torch.no_grad()
    def limit(self) -> None:
        """Scale down the weights into every unit whose norm is above the limit."""
        for layer in self._limited:
            weight: Any = layer.weight
            rows = weight.view(len(weight), -1)
            rows *= (self._max_norm / rows.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1.0)

    def _keep(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if module.training:
            self._activations = inputs[0]
