"""Weights of DeepSEA and Basset as Torch7 left them: which published name is which of ours.

Both networks were trained in Torch7 and converted to PyTorch (Kipoi has them so) as one ``nn.Sequential`` whose layers
go by number. Two dimensions where ours have one, and the Linears mostly inside a Sequential of their own:

===========  =======================  =============================  ==============================================
published    DeepSEA                  Basset                         what is done
===========  =======================  =============================  ==============================================
``N.weight`` 0, 4, 8: [out, in, 1, k] 0, 4, 8: [out, in, k, 1]       the dimension of 1 is dropped
``N.*``                               1, 5, 9, 14, 18: normalisation as they are, running mean and variance too
``N.1.*``    12, 14: Linear           13, 17, 21: Linear             as they are: features are (filter, position)
letters      A, G, C, T               A, C, G, T                     the first convolution's channels become A C G T
===========  =======================  =============================  ==============================================

A prefix before the numbers (``1.`` where a reordering of letters was wrapped around, ``model.``) is taken off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from regulome.errors import InputError
from regulome.models.windows import count_positions, least_length

State = dict[str, Tensor]

#: Name of a network, its hyperparameters as far as the tensors tell them, and its state dict under our names. Tensors
#: that have no place in it keep the file's names.
Found = tuple[str, dict[str, Any], State]


class _Layout(NamedTuple):
    model: str
    #: Published number → our layer.
    layers: Mapping[str, str]
    letters: str
    length: int
    pools: Sequence[int]
    #: What the layout needs beside three convolutions, and what it must not have.
    normalised: bool


_LAYOUTS = (
    _Layout(
        "deepsea",
        {**{n: f"convolutions.{n}" for n in ("0", "4", "8")}, "12": "head.1", "14": "head.3"},
        *("AGCT", 1000, (4, 4, 1), False),
    ),
    _Layout(
        "basset",
        {
            **{n: f"convolutions.{n}" for n in ("0", "1", "4", "5", "8", "9")},
            **{n: f"head.{int(n) - 12}" for n in ("13", "14", "17", "18", "21")},
        },
        *("ACGT", 600, (3, 4, 4), True),
    ),
)


def sequential(state: State, letters: str | None) -> Found | None:
    """Recognise DeepSEA and Basset by their numbered layers; None where it is neither.

    Args:
        state: Tensors under the file's names.
        letters: Order of the input channels; None takes the published one.

    Raises:
        InputError: The layers are there, but their shapes do not go together.
    """
    first = next((name for name, tensor in state.items() if _is_first(name, tensor)), None)
    if first is None:
        return None
    prefix = first.removesuffix("0.weight")
    given = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    for layout in _LAYOUTS:
        if ("1.running_mean" in given) == layout.normalised and all(f"{n}.weight" in given for n in ("4", "8")):
            return _place(given, layout, letters or layout.letters)
    return None


def _is_first(name: str, tensor: Tensor) -> bool:
    return (name == "0.weight" or name.endswith(".0.weight")) and tensor.ndim in (3, 4) and tensor.shape[1] == 4


def _place(given: State, layout: _Layout, letters: str) -> Found:
    state: State = {}
    for name, tensor in given.items():
        number, _, rest = name.partition(".")
        kind = rest.removeprefix("1.") if tensor.ndim <= 2 else rest
        ours = f"{layout.layers[number]}.{kind}" if number in layout.layers else name
        state[ours] = _flat(tensor, name) if tensor.ndim > 2 else tensor
    # Torch7 does not count the batches.
    for name in [name for name in state if name.endswith("running_mean")]:
        state.setdefault(name.replace("running_mean", "num_batches_tracked"), torch.tensor(0))
    first = "convolutions.0.weight"
    state[first] = in_our_order(state[first], letters)
    convolutions = [state[f"convolutions.{n}.weight"] for n in ("0", "4", "8")]
    linears = [state[name] for name in (f"{ours}.weight" for ours in layout.layers.values()) if name in state]
    linears = [tensor for tensor in linears if tensor.ndim == 2]
    if len(linears) < 2:
        raise InputError(f"looks like {layout.model}, but has {len(linears)} of its Linears")
    filters, kernels = [len(w) for w in convolutions], [w.shape[2] for w in convolutions]
    length = window_length(
        linears[0].shape[1], filters[-1], list(zip(kernels, layout.pools, strict=True)), published=layout.length
    )
    hidden = [len(w) for w in linears[:-1]]
    return (
        layout.model,
        {
            "length": length,
            "targets": len(linears[-1]),
            "filters": filters,
            "kernels": kernels,
            "hidden": hidden if layout.normalised else hidden[0],
        },
        state,
    )


def window_length(features: int, filters: int, stages: Sequence[tuple[int, int]], *, published: int) -> int:
    """Tell the length of windows from the width of the layer that reads what is flattened.

    Args:
        features: Inputs of that layer.
        filters: Numbers per position.
        stages: As :func:`regulome.models.windows.count_positions` takes them.
        published: The length that is preferred where it fits; pooling leaves bases over, so that several do.

    Raises:
        InputError: No length gives so many features.
    """
    positions, rest = divmod(features, filters)
    if rest or not positions:
        raise InputError(f"its first Linear has {features} inputs, which is no multiple of {filters} per position")
    try:
        fits = count_positions(published, stages) == positions
    except InputError:
        fits = False
    return published if fits else least_length(positions, stages)


def in_our_order(weight: Tensor, letters: str) -> Tensor:
    """Reorder the input channels of a convolution [out, 4, k] from ``letters`` to A, C, G, T."""
    if sorted(letters.upper()) != sorted("ACGT"):
        raise InputError(f"expected `letters` to be an order of A, C, G and T, but got {letters!r}")
    return weight[:, [letters.upper().index(letter) for letter in "ACGT"]]


def _flat(weight: Tensor, name: str) -> Tensor:
    """Drop the dimension of 1 that a convolution over two dimensions has beside its width."""
    if weight.ndim == 3:
        return weight
    if 1 not in weight.shape[2:]:
        raise InputError(f"expected {name} to be one letter high, but it is {list(weight.shape)}")
    return weight.squeeze(2) if weight.shape[2] == 1 else weight.squeeze(3)
