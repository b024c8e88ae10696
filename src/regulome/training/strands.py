"""Outputs of a network on one strand of the DNA, or averaged over both."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def reverse_complement(codes: Tensor) -> Tensor:
    """Turn codes of letters, uint8 [batch, base], into those of the other strand; unknown letters stay unknown."""
    turned = codes.flip(-1)
    # A, C, G, T are 0 to 3, so that the complement of a letter is 3 minus its code.
    return torch.where(turned < 4, 3 - turned, turned)


def predict_batch(model: nn.Module, inputs: Tensor, task: str, *, both_strands: bool = False) -> Tensor:
    """Return probabilities or values, float32 [batch, targets].

    Args:
        model: From inputs to logits or values.
        inputs: Marks [batch, mark, bin], or codes uint8 [batch, base].
        task: "classification" or "regression".
        both_strands: Return the mean over the sequences and their reverse complements.
    """
    found = _answer(model, inputs, task)
    if not both_strands:
        return found
    return (found + _answer(model, reverse_complement(inputs), task)) / 2


def _answer(model: nn.Module, inputs: Tensor, task: str) -> Tensor:
    output: Tensor = model(inputs).float()
    return torch.sigmoid(output) if task == "classification" else output
