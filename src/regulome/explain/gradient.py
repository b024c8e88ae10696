"""Input gradients: how the output moves when one input value moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.explain.as_found import inputs_of, network_name, untouched


@dataclass(frozen=True)
class Gradients:
    """Signed gradients of a model's output with respect to its inputs.

    Attributes:
        gradient: d output / d input, float32 [n, ...], shaped like the inputs (for marks: [n, marks, bins]).
        gradient_x_input: The gradient times the input, float32 [n, ...].
    """

    gradient: NDArray[np.float32]
    gradient_x_input: NDArray[np.float32]


def stream_gradients(model: nn.Module, batches: Iterable[object], *, output: int = 0) -> Iterator[Gradients]:
    """Differentiate batch by batch; see :func:`gradients`."""
    with untouched(model) as device, torch.inference_mode(False), torch.enable_grad():
        for batch in batches:
            x = inputs_of(batch, device).clone().requires_grad_()
            gradient = _gradient(model, x, output)
            times_input = gradient * x.detach()
            yield Gradients(gradient.float().cpu().numpy(), times_input.float().cpu().numpy())


def gradients(model: nn.Module, batches: Iterable[object], *, output: int = 0) -> Gradients:
    """Compute input gradients and gradient × input of any differentiable model.

    Memory and device: works where the model is, one batch at a time; the result, twice the size of the inputs, is held
    in memory (:func:`stream_gradients` holds one batch). The model is left as found: mode, device, ``requires_grad``,
    ``.grad``, hooks, random generators.

    For a classifier the output is the logit of "high", so that a positive gradient says: more of this mark in this bin
    makes the gene look more expressed. The gradient is taken at the inputs as they are stored, through any
    preprocessing that is part of the model.

    Args:
        model: Any torch model; [batch, ...] → [batch, outputs].
        batches: Input tensors [batch, ...] or objects with such a tensor as ``.inputs``.
        output: Which output to explain.

    Returns:
        Both maps, float32 [n, ...], in the order of the batches.

    Raises:
        InputError: The output does not depend on the inputs in a differentiable way (a random forest), or there is
            no such output.

    Source: Simonyan, Vedaldi, Zisserman 2013, section 3 (gradient); Shrikumar et al. 2016 (gradient × input).
    """
    parts = list(stream_gradients(model, batches, output=output))
    if not parts:
        raise InputError("no examples to explain", cure="choose another split")
    return Gradients(
        np.concatenate([part.gradient for part in parts]), np.concatenate([part.gradient_x_input for part in parts])
    )


def _gradient(model: nn.Module, x: Tensor, output: int) -> Tensor:
    y = model(x)
    if not 0 <= output < y.shape[1]:
        raise InputError(f"expected an output between 0 and {y.shape[1] - 1}, but got {output}")
    if not y.requires_grad:
        raise InputError(
            f"{network_name(model)} has no gradient with respect to its inputs",
            cure="explain a network or a linear model",
        )
    (gradient,) = torch.autograd.grad(y[:, output].sum(), x)
    return gradient
