"""Context mixing: the predictions of contexts of many lengths, mixed with weights that are learned on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from regulome.errors import InputError
from regulome.models.context_mixing_kernel import DIRECT, KINDS, learn, make_logs, predict
from regulome.models.hyperparameters import check_choice, check_count, check_counts
from regulome.models.registry import Paper, register
from regulome.models.text_history import TextHistory

_LONGEST = 32


@register(
    "context-mixing",
    title="Context mixing",
    paper=Paper(
        "Mahoney MV",
        "Adaptive weighing of context models for lossless data compression",
        "Florida Institute of Technology, technical report CS-2005-16",
        2005,
    ),
    line="language",
    inputs="text",
)
class ContextMixing(TextHistory):
    """Mix what followed the last 1, 2, … 22 letters before, as compressors of text do; frozen after training.

    Each order scores the four letters by the logarithms of their counts. The scores are added with weights, of which
    each order has one for each size and kind of context and for each number of long contexts that were seen before;
    a softmax makes them probabilities. :meth:`learn` reads a text once: each letter is predicted, the weights take a
    step, and only then it is counted.

    Args:
        orders: Letters that are looked back, up to 32; those beyond 11 are kept in hashed tables.
        strands: Count "forward" or on "both" strands.
        bits: Each hashed table has at most 2^bits places of two bytes.

    Attributes:
        direct: int16, counts of the short contexts.
        hashed: int16 [tables, places], counts of the long ones.
        weights: float32 [long contexts seen, order, kind].
    """

    direct: Tensor
    hashed: Tensor
    weights: Tensor

    def __init__(
        self,
        *,
        orders: Sequence[int] = (1, 2, 3, 4, 6, 8, 9, 10, 11, 12, 14, 16, 18, 22),
        strands: str = "both",
        bits: int = 24,
    ) -> None:
        chosen = sorted(set(check_counts("orders", orders)))
        if chosen[-1] > _LONGEST:
            raise InputError(f"expected `orders` up to {_LONGEST}, but got {chosen[-1]}")
        super().__init__(chosen[-1])
        self.orders = tuple(chosen)
        self.strands = check_choice("strands", strands, ("forward", "both"))
        self.bits = check_count("bits", bits, minimum=4)
        long = sum(order > DIRECT for order in chosen)
        sizes = [4 ** (order + 1) for order in chosen if order <= DIRECT]
        self._begins = np.array([*np.cumsum([0, *sizes])[:-1], *range(long)], np.int64)
        self.register_buffer("direct", torch.zeros(max(1, sum(sizes)), dtype=torch.int16))
        self.register_buffer("hashed", torch.zeros((max(1, long), 16), dtype=torch.int16))
        # Alike at first, and together as sure as one of them.
        self.register_buffer("weights", torch.full((long + 1, len(chosen), KINDS), 1.5 / len(chosen)))

    def learn(self, letters: npt.NDArray[np.uint8], stretches: npt.ArrayLike, *, both_strands: bool) -> float:
        """Learn from a text; call it once.

        Args:
            letters: Two bits per letter, the first in the lowest bits; may be memory-mapped.
            stretches: int64 [n, 2], where pieces of the text begin and end.
            both_strands: Count the reverse complement too.

        Returns:
            Mean nats per letter, each predicted before it was counted.
        """
        pieces = np.array(stretches, dtype=np.int64).reshape(-1, 2)
        contexts = int((pieces[:, 1] - pieces[:, 0]).sum()) * (2 if both_strands else 1)
        places = 1 << min(self.bits, max(4, contexts.bit_length()))
        # Memory of numpy comes in large pages, which random access is several times faster in.
        self.direct = torch.from_numpy(np.zeros(len(self.direct), np.int16))
        self.hashed = torch.from_numpy(np.zeros((len(self.hashed), places), np.int16))
        found: tuple[float, int] = learn(np.asarray(letters), pieces, both_strands, *self._arrays())
        return found[0] / max(1, found[1])

    def predict(self, seen: Tensor) -> Tensor:
        """Mix the log-probabilities after each letter, on the CPU."""
        codes = np.ascontiguousarray(seen.cpu().numpy())
        out = np.empty((len(codes), codes.shape[1] - self.reach, 4), np.float32)
        predict(codes, self.reach, out, *self._arrays())
        return torch.from_numpy(out).to(seen.device)

    def _arrays(self) -> tuple[Any, ...]:
        tables = [table.cpu().numpy() for table in (self.direct, self.hashed)]
        return np.array(self.orders, np.int64), self._begins, *tables, _LOGS, self.weights.cpu().numpy()

    def extra_repr(self) -> str:
        """Show the settings in ``print(module)``."""
        return f"orders={self.orders}, strands={self.strands!r}"

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # The size of the hashed tables is that of the text.
        saved = state_dict.get(prefix + "hashed")
        if isinstance(saved, Tensor) and saved.ndim == 2:
            self.hashed = self.hashed.new_empty((len(self.hashed), saved.shape[1]))
        super()._load_from_state_dict(state_dict, prefix, *rest)


_LOGS = make_logs()
