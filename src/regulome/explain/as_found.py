"""Every explanation leaves the model as it found it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor, nn

from regulome.errors import InputError


@contextmanager
def untouched(model: nn.Module) -> Iterator[torch.device]:
    """Put a model into evaluation mode for a while, and give it back exactly as it was.

    Memory and device: nothing is copied and nothing is moved; the work happens where the model is.

    Inside, every layer is in evaluation mode and no parameter asks for a gradient (so that only the inputs' gradients
    cost memory), and cuDNN is off on CUDA, because its recurrent layers cannot be differentiated in evaluation mode.
    Outside, each layer's mode, each parameter's ``requires_grad`` and the random generators are as they were, also
    after an exception. Hooks and stored ``.grad`` are not touched.

    Yields:
        The device of the model (the CPU for a model without parameters and buffers).
    """
    modes = [(module, module.training) for module in model.modules()]
    wanted = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    device = next((tensor.device for tensor in chain(model.parameters(), model.buffers())), torch.device("cpu"))
    cuda = device.type == "cuda"
    try:
        with (
            torch.random.fork_rng(devices=[device] if cuda else []),
            torch.backends.cudnn.flags(enabled=not cuda),
        ):
            model.eval()
            for parameter, _ in wanted:
                parameter.requires_grad_(False)
            yield device
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, wants in wanted:
            parameter.requires_grad_(wants)


def inputs_of(batch: object, device: torch.device) -> Tensor:
    """Return the input tensor of a batch on ``device``, as floating-point numbers.

    Args:
        batch: A tensor [batch, ...], or anything with such a tensor as ``.inputs`` (what ``datasets.Batches`` yields).
        device: Where the model is.

    Raises:
        InputError: The batch holds no tensor.
    """
    inputs = getattr(batch, "inputs", batch)
    if not isinstance(inputs, Tensor):
        raise InputError(f"expected a batch with one input tensor, but got {type(inputs).__name__}")
    return inputs.detach().to(device, inputs.dtype if inputs.is_floating_point() else torch.float32)


def network_name(model: nn.Module) -> str:
    """Name the network inside a model, for messages: of a predictor its network, of an average its first member's."""
    members = getattr(model, "members", None)
    inner = members[0] if isinstance(members, nn.ModuleList) else getattr(model, "network", None)
    return network_name(inner) if isinstance(inner, nn.Module) else type(model).__name__
