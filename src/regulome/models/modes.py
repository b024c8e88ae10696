"""Modes of networks: training, with its dropout and statistics of a batch, and evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(models: Sequence[nn.Module]) -> Iterator[None]:
    """Put models into evaluation mode for a while; afterwards each layer is in the mode in which it was."""
    modes = [(module, module.training) for model in models for module in model.modules()]
    try:
        for model in models:
            model.eval()
        yield
    finally:
        for module, mode in modes:
            module.training = mode
