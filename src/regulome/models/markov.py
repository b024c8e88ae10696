"""Markov models: the next letter's probabilities after the last k letters, from counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numba import njit
from torch import Tensor

from regulome.errors import InputError
from regulome.models.hyperparameters import check_choice, check_count, check_number
from regulome.models.markov_counts import letter_at
from regulome.models.registry import Paper, register
from regulome.models.text_history import TextHistory

#: The longest context; a table of longer ones would not fit a run.
LONGEST = 12
# Up to this order probabilities are float32; beyond it two bytes do: 45 MB at order 11, 179 MB at order 12.
_EXACT = 10


@register(
    "markov",
    title="Markov model",
    paper=Paper(
        "Jelinek F, Mercer RL",
        "Interpolated estimation of Markov source parameters from sparse data",
        "Pattern Recognition in Practice, 381-397",
        1980,
    ),
    line="language",
    inputs="text",
)
class Markov(TextHistory):
    """Predict a letter from the ``order`` letters before it; where fewer are known, from those.

    The probabilities are counted elsewhere and taken over with :meth:`pour`; before that all are 1/4.

    Args:
        order: Letters that are looked back, 0 to 12.
        smoothing: How counts become probabilities: "mixed" with those of all lower orders, or "additive": a constant
            is added to each.
        constant: The constant of "additive".
        strands: Count "forward" or on "both" strands.

    Attributes:
        log_p: Log-probabilities of all contexts of 0 letters, then 1, … up to ``order``, [(4^(order + 1) − 1) / 3, 4].
    """

    log_p: Tensor

    def __init__(
        self, *, order: int = 8, smoothing: str = "mixed", constant: float = 1.0, strands: str = "forward"
    ) -> None:
        if check_count("order", order, minimum=0) > LONGEST:
            raise InputError(f"expected `order` to be from 0 to {LONGEST}, but got {order}")
        super().__init__(order)
        self.order = order
        self.smoothing = check_choice("smoothing", smoothing, ("mixed", "additive"))
        self.constant = check_number("constant", constant, low=0)
        self.strands = check_choice("strands", strands, ("forward", "both"))
        dtype = torch.float32 if order <= _EXACT else torch.float16
        self.register_buffer("log_p", torch.full(((4 ** (order + 1) - 1) // 3, 4), -np.log(4), dtype=dtype))

    def pour(self, tables: Sequence[npt.NDArray[np.float32]]) -> None:
        """Take over probabilities: for each order j from 0 to ``order`` float32 [4^j, 4].

        In the number of a context its last letter has the lowest two bits. Probabilities of 0 become 1e-7.
        """
        sizes = [len(table) for table in tables]
        if sizes != [4**j for j in range(self.order + 1)]:
            raise InputError(f"expected tables of 1 to {4**self.order} contexts, but got {sizes}")
        at = 0
        for table in tables:
            own = torch.from_numpy(np.maximum(table, np.float32(1e-7))).log_()
            self.log_p[at : at + len(table)] = own.to(self.log_p)
            at += len(table)

    def predict(self, seen: Tensor) -> Tensor:
        """Look up the log-probabilities after each letter."""
        letters = np.ascontiguousarray(seen.cpu().numpy())
        rows = np.empty((len(letters), letters.shape[1] - self.order), np.int64)
        _rows(letters, self.order, rows)
        found = self.log_p[torch.from_numpy(rows).to(self.log_p.device)].float()
        # Two bytes per probability do not sum to 1.
        return found if self.log_p.dtype is torch.float32 else found.log_softmax(dim=2)

    def extra_repr(self) -> str:
        """Show the settings in ``print(module)``."""
        return f"order={self.order}, smoothing={self.smoothing!r}, strands={self.strands!r}"


@njit(cache=True, nogil=True)
def text_loss(letters: Any, firsts: Any, stretches: Any, table: Any) -> Any:
    """Return the nats of packed stretches under probabilities [4^k, 4], and the letters that had k letters before them.

    Args:
        letters: As for :func:`regulome.models.markov_counts.count_contexts`.
        firsts: int64 [n], where the letters begin that may be looked back at.
        stretches: int64 [n, 2], what is scored.
        table: The probabilities.
    """
    mask = np.int64(table.size - 1)
    loss, scored = 0.0, 0
    order = 0
    while 4**order < len(table):
        order += 1
    for piece in range(len(stretches)):
        begin, end = stretches[piece]
        first = max(firsts[piece], begin - order)
        word = np.int64(0)
        for position in range(first, end):
            word = ((word << 2) | np.int64(letter_at(letters, position))) & mask
            if position >= begin and position - first >= order:
                loss -= np.log(max(table[word >> 2, word & 3], 1e-7))
                scored += 1
    return loss, scored


@njit(cache=True, nogil=True)
def _rows(seen: Any, order: Any, rows: Any) -> None:
    """Write the number of each letter's context among those of all lengths."""
    mask = (np.int64(1) << (2 * order)) - 1
    for b in range(len(seen)):
        context, known = np.int64(0), 0
        for i in range(seen.shape[1]):
            letter = np.int64(seen[b, i])
            if letter > 3:
                context, known = np.int64(0), 0
            else:
                context = ((context << 2) | letter) & mask
                known = min(known + 1, order)
            if i >= order:
                # Contexts of fewer letters come first: 1 + 4 + … of them.
                rows[b, i - order] = ((np.int64(1) << (2 * known)) - 1) // 3 + context
