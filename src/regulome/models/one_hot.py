"""From letters' codes to the four channels that networks read."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.models.hyperparameters import check_number

#: Letters in the order of the channels; a letter's code is its place. 4 and above are unknown letters.
ALPHABET = "ACGT"


class OneHot(nn.Module):
    """Turn codes of letters into one-hot channels; it takes the place of the preprocessing that marks have.

    Args:
        unknown: What an unknown letter is in all four channels: the network's attribute ``unknown``.

    Raises:
        InputError: ``unknown`` is not in [0, 1).

    Example:
        >>> OneHot()(torch.tensor([[2, 4]], dtype=torch.uint8)).tolist()
        [[[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]]
    """

    unknown: Tensor

    def __init__(self, unknown: float = 0.0) -> None:
        super().__init__()
        value = torch.tensor(check_number("unknown", unknown, low=0, high=1))
        # A constant, which the weights of a run need not repeat; its dtype follows the network's.
        self.register_buffer("unknown", value, persistent=False)
        self._padding = unknown

    def forward(self, x: Tensor) -> Tensor:
        """Map codes uint8 [batch, base] to float32 [batch, 4, base].

        Numbers [batch, 4, base] are one-hot already (or gradients are wanted of them): they pass unchanged.

        Raises:
            InputError: It is neither.
        """
        if x.is_floating_point() and x.ndim == 3 and x.shape[1] == 4:
            return x
        if x.is_floating_point() or x.ndim != 2:
            raise InputError(f"expected codes [batch, base] or one-hot [batch, 4, base], but got {list(x.shape)}")
        channels = torch.empty(len(x), 4, x.shape[1], dtype=self.unknown.dtype, device=x.device)
        # Written as numbers at once, in a sixth of the time that truth values and their conversion take.
        for letter in range(4):
            torch.eq(x, letter, out=channels[:, letter])
        if self._padding:
            unknown = torch.gt(x, 3, out=torch.empty(x.shape, dtype=channels.dtype, device=x.device))
            channels += (unknown * self._padding)[:, None]
        return channels

    def extra_repr(self) -> str:
        """Show the setting in ``print(module)``."""
        return f"unknown={self._padding:g}"
