"""Attention maps: which bins and which marks a model with attention looks at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from regulome.errors import InputError
from regulome.explain.as_found import inputs_of, network_name, untouched


@dataclass(frozen=True)
class AttentionMaps:
    """What a model attends to, for each example.

    Attributes:
        bins: Alpha, float32 [n, M, T'], each row sums to 1 over T'. M is 1 for a model that attends to all marks of a
            bin together. T' is smaller than the number of bins where a convolution without padding comes first; see
            :func:`positions`.
        marks: Beta, float32 [n, M], sums to 1 over the marks; None for a model without attention over marks.
    """

    bins: NDArray[np.float32]
    marks: NDArray[np.float32] | None


def stream_attention(model: nn.Module, batches: Iterable[object]) -> Iterator[AttentionMaps]:
    """Collect attention batch by batch; see :func:`attention_maps`."""
    if not hasattr(model, "attention"):
        raise InputError(f"{network_name(model)} has no attention", cure="explain it with gradient or class-map")
    with untouched(model) as device, torch.no_grad():
        for batch in batches:
            maps = model.attention(inputs_of(batch, device))  # type: ignore[operator]
            marks = maps["marks"].float().cpu().numpy() if "marks" in maps else None
            yield AttentionMaps(maps["bins"].float().cpu().numpy(), marks)


def attention_maps(model: nn.Module, batches: Iterable[object]) -> AttentionMaps:
    """Collect the attention that a model pays to bins (alpha) and to marks (beta).

    Memory and device: works where the model is, without gradients, one batch at a time; the result (as large as the
    inputs) is held in memory (:func:`stream_attention` holds one batch). The model is left as found: mode, device,
    ``requires_grad``, hooks, random generators.

    Args:
        model: A model whose ``attention(x)`` returns ``{"bins": [batch, M or 1, T'], "marks": [batch, M]}``, the latter
            where it attends to marks.
        batches: Input tensors [batch, marks, bins] or objects with such a tensor as ``.inputs``.

    Returns:
        The maps in the order of the batches.

    Raises:
        InputError: The model has no attention, or there are no examples.

    Source: AttentiveChrome (Singh et al. 2017), sections 3.2 and 3.4.
    """
    parts = list(stream_attention(model, batches))
    if not parts:
        raise InputError("no examples to explain", cure="choose another split")
    marks = [part.marks for part in parts if part.marks is not None]
    return AttentionMaps(np.concatenate([part.bins for part in parts]), np.concatenate(marks) if marks else None)


def positions(attended: int, bins: int) -> NDArray[np.float64]:
    """Say where on the axis of input bins each attended position lies.

    A convolution of width k without padding turns T bins into T' = T − k + 1 positions; position t sees the bins
    t … t + k − 1 and stands for their centre, t + (k − 1) / 2.

    Args:
        attended: T', the number of attended positions.
        bins: T, the number of input bins.

    Returns:
        The centre of each position's receptive field, in bins, float64 [T'].

    Raises:
        InputError: There are more positions than bins.

    Example:
        >>> positions(91, 100)[:2].tolist()
        [4.5, 5.5]
    """
    if attended > bins:
        raise InputError(f"expected at most {bins} attended positions, but got {attended}")
    return np.arange(attended, dtype=np.float64) + (bins - attended) / 2
