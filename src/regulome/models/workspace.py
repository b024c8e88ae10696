"""Working memory that is used again.

What an autograd function keeps for its backward pass is tens of megabytes. Asked from the system anew in each training
step it costs more time than the arithmetic on it, because each fresh page has to be zeroed and mapped first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

# As many as two steps of training need: the new step's graph is made while the old one's is still alive.
_FREE_AT_MOST = 2
# Larger blocks go back to the system: for them its price does not matter, and others may need the memory.
_KEPT_BYTES = 256 * 2**20
# By identity, because a dictionary gives and takes in one indivisible operation, whichever thread or finaliser asks.
_free: dict[int, Tensor] = {}


class Workspace:
    """Uninitialised tensors cut from one block, which goes back for the next user when this object dies.

    Keep it (for example on an autograd context) as long as any of its tensors is in use; never hand its tensors out.

    Args:
        like: The dtype and device are this tensor's.
        shapes: The tensors' shapes.
    """

    def __init__(self, like: Tensor, shapes: Sequence[tuple[int, ...]]) -> None:
        # Each tensor starts on a cache line.
        sizes = [-(-math.prod(shape) // 16) * 16 for shape in shapes]
        self._block = _take(sum(sizes), like)
        parts = torch.split(self._block[: sum(sizes)], sizes)
        self.tensors = [part[: math.prod(shape)].view(shape) for part, shape in zip(parts, shapes, strict=True)]

    def __del__(self) -> None:
        """Give the block back."""
        block = self.__dict__.get("_block")
        # What was made in inference mode may not be written to outside of it.
        if block is not None and block.nbytes <= _KEPT_BYTES and not block.is_inference():
            _free[id(block)] = block
            for oldest in list(_free)[:-_FREE_AT_MOST]:
                _free.pop(oldest, None)


def _take(size: int, like: Tensor) -> Tensor:
    for name, block in list(_free.items()):
        # A block that is much too large would never be let go of.
        if size <= block.numel() <= 4 * size and block.dtype == like.dtype and block.device == like.device:
            taken = _free.pop(name, None)
            if taken is block:
                return block
    return torch.empty(size, dtype=like.dtype, device=like.device)
