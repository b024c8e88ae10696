"""Optimisers by the names that recipes use."""

from __future__ import annotations

import torch
from torch import nn

from regulome.recipes.schema import TrainingSection


def make_optimizer(training: TrainingSection, network: nn.Module) -> torch.optim.Optimizer:
    """Make the optimiser of a recipe for all trainable parameters of ``network``."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    rate, decay = training.learning_rate, training.weight_decay
    # One pass over all parameters; with float16 gradients have to be unscaled before, which fused steps do themselves.
    fused = training.precision != "16-mixed"
    if training.optimizer == "sgd":
        return torch.optim.SGD(parameters, rate, momentum=training.momentum, weight_decay=decay, fused=fused)
    if training.optimizer == "rmsprop":
        return torch.optim.RMSprop(
            parameters,
            rate,
            alpha=training.rmsprop_decay,
            eps=training.epsilon,
            momentum=training.momentum,
            weight_decay=decay,
        )
    betas = (training.betas[0], training.betas[1])
    kind = torch.optim.Adam if training.optimizer == "adam" else torch.optim.AdamW
    return kind(parameters, rate, betas=betas, eps=training.epsilon, weight_decay=decay, fused=fused)
