"""How a language network sees a letter: one row of a small table, learned or given."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.models.hyperparameters import check_choice, check_count

#: The ways to see a letter.
MAPPINGS = ("embedding", "one-hot", "integer")
#: The code of a position of which no letter is known: what comes before a text's first letter.
NO_LETTER = 4


class LetterMapping(nn.Module):
    """Turn codes of letters into the numbers that a network reads.

    "embedding": a learned vector per letter, drawn from N(0, 1), as in ``nn.Embedding``; "one-hot": four channels;
    "integer": one channel that holds 0, 1, 2 or 3, so that C and G are said to lie between A and T. Where no letter is
    known, code 4, embeddings and channels are 0; the integer is −1, because 0 is A.

    Args:
        mapping: "embedding", "one-hot" or "integer".
        embedding: Size of the learned vectors; the other mappings have no use for it.

    Attributes:
        width: Numbers per letter.

    Raises:
        InputError: A value is out of range.

    Example:
        >>> LetterMapping("one-hot")(torch.tensor([[2, 4]], dtype=torch.uint8)).tolist()
        [[[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]
    """

    weight: nn.Parameter | None
    constant: Tensor

    def __init__(self, mapping: str = "embedding", embedding: int = 32) -> None:
        super().__init__()
        self.mapping = check_choice("mapping", mapping, MAPPINGS)
        check_count("embedding", embedding)
        self.width = {"embedding": embedding, "one-hot": 4, "integer": 1}[mapping]
        self.weight = nn.Parameter(torch.randn(4, embedding)) if mapping == "embedding" else None
        # The rows that are not learned. Constants, which the weights of a run need not repeat; their dtype follows
        # the network's.
        if mapping == "integer":
            constant = torch.tensor([0.0, 1.0, 2.0, 3.0, -1.0])[:, None]
        else:
            constant = torch.cat((torch.eye(4, self.width), torch.zeros(1, self.width)))
        self.register_buffer("constant", constant[4:] if mapping == "embedding" else constant, persistent=False)

    def table(self) -> Tensor:
        """Return what each code becomes, [5, width]; gradients flow to what is learned."""
        return self.constant if self.weight is None else torch.cat((self.weight, self.constant))

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes [batch, letter] of any integer type to [batch, letter, width].

        Raises:
            InputError: They are not integers of that shape.
        """
        check_codes(codes)
        return nn.functional.embedding(codes.int(), self.table())

    def extra_repr(self) -> str:
        """Show the setting in ``print(module)``."""
        return f"{self.mapping}, width={self.width}"


def check_codes(codes: Tensor) -> Tensor:
    """Return ``codes`` if they are integers [batch, letter], at least one of each.

    Raises:
        InputError: They are not.
    """
    if codes.ndim != 2 or codes.is_floating_point() or not codes.numel():
        kind = "numbers" if codes.is_floating_point() else "codes"
        raise InputError(f"expected codes of letters [batch, letter], but got {kind} {list(codes.shape)}")
    return codes
