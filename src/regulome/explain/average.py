"""An ensemble seen as one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Average(nn.Module):
    """Several models with the same inputs and outputs, averaged.

    The output is the mean of the members' outputs (logits, not probabilities), so that a gradient of the average is the
    average of the gradients. Attention is averaged too: the mean of distributions is a distribution. Where every member
    has attention, so has the average: ``hasattr(average, "attention")`` tells.

    Args:
        models: The members; they are held, not copied.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(models)

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs [batch, ...] to the mean output [batch, outputs]."""
        return torch.stack([member(x) for member in self.members]).mean(dim=0)

    def __getattr__(self, name: str) -> Any:
        """Offer ``attention`` where every member has it."""
        if name == "attention":
            if not all(hasattr(member, "attention") for member in self.members):
                raise AttributeError("not every member has attention")
            return self._attention
        return super().__getattr__(name)

    def _attention(self, x: Tensor) -> dict[str, Tensor]:
        maps = [member.attention(x) for member in self.members]  # type: ignore[operator]
        return {key: torch.stack([each[key] for each in maps]).mean(dim=0) for key in maps[0]}
