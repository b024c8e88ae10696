"""Logistic regression on how often each k-mer occurs in a window."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.models.bigru import PAPER
from regulome.models.hyperparameters import check_count, check_number
from regulome.models.registry import register

# Longer k-mers than this would be millions of weights per target.
_LONGEST = 10


class KmerCounts(nn.Module):
    """Count the k-mers of one-hot windows, on one strand; a k-mer with an unknown letter does not count.

    Args:
        k_min: Length of the shortest k-mers.
        k_max: Length of the longest.
    """

    def __init__(self, k_min: int, k_max: int) -> None:
        super().__init__()
        self.k_min, self.k_max = k_min, k_max
        #: Number of k-mers.
        self.number = sum(4**k for k in range(k_min, k_max + 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot [batch, 4, base] to counts [batch, k-mer]: by k, then in the order of the alphabet A C G T."""
        strongest, codes = x.max(dim=1)
        # One letter stands for certain, or the place is unknown, whichever way the network's windows write that.
        known = strongest > 0.5
        counts = []
        index, whole = codes, known
        for k in range(1, self.k_max + 1):
            if k > 1:
                # Of the k-mer that begins at each place: its number among the 4^k, and whether all of it is known.
                index = index[:, :-1] * 4 + codes[:, k - 1 :]
                whole = whole[:, :-1] & known[:, k - 1 :]
            if k >= self.k_min:
                of_length = x.new_zeros(len(x), 4**k, dtype=torch.float32)
                counts.append(of_length.scatter_add_(1, index, whole.to(torch.float32)))
        return torch.cat(counts, dim=1)


@register(
    "kmer-logistic-regression",
    title="k-mer logistic regression",
    paper=PAPER,
    line="sequence",
    inputs="sequence",
)
class KmerLogisticRegression(nn.Module):
    """Counts of all k-mers of 1 to 5 letters, standardised, and one logistic regression per target.

    The baseline of Zhang and Kamath 2016. The solver that fits it is not part of the network: :meth:`pour` takes what
    it found. There is no gradient to the letters. 1,365 parameters per target.

    Args:
        length: Bases of a window; the parameters do not depend on it.
        targets: Number of targets.
        k_max: Length of the longest k-mers.
        k_min: Length of the shortest.
        C: Inverse strength of the L2 penalty, for whoever fits it, with scikit-learn's meaning; 0 leaves the choice
            to the validation part.

    Attributes:
        mean: Buffer float32 [k-mer], subtracted from the counts.
        std: Buffer float32 [k-mer], divides them.

    Raises:
        InputError: A value is out of range.
    """

    #: What an unknown letter is in all four channels.
    unknown: ClassVar[float] = 0.0

    mean: Tensor
    std: Tensor

    def __init__(self, length: int, targets: int, *, k_max: int = 5, k_min: int = 1, C: float = 0.0) -> None:
        super().__init__()
        check_count("targets", targets)
        check_count("k_min", k_min)
        if check_count("k_max", k_max, minimum=k_min) > _LONGEST:
            raise InputError(f"expected `k_max` to be at most {_LONGEST}, but got {k_max}")
        check_count("length", length)
        self.C = check_number("C", C, low=0)
        self.counts = KmerCounts(k_min, k_max)
        # Until it is fitted: what random letters have, nearly.
        expected = torch.cat([torch.full((4**k,), max(length - k + 1, 1) / 4**k) for k in range(k_min, k_max + 1)])
        self.register_buffer("mean", expected)
        self.register_buffer("std", expected.sqrt())
        self.linear = nn.Linear(self.counts.number, targets)

    def forward(self, x: Tensor) -> Tensor:
        """Map one-hot float32 [batch, 4, base] to logits or values [batch, targets]."""
        return torch.as_tensor(self.linear((self.counts(x) - self.mean) / self.std))

    @torch.no_grad()
    def pour(self, coefficients: Tensor, intercepts: Tensor, *, mean: Tensor, std: Tensor) -> None:
        """Take over a fitted model.

        Args:
            coefficients: Weights of the standardised counts [targets, k-mer].
            intercepts: [targets].
            mean: Means that the counts were standardised with [k-mer].
            std: Their standard deviations.

        Raises:
            InputError: An array has another shape.
        """
        places = {
            "coefficients": (coefficients, self.linear.weight),
            "intercepts": (intercepts, self.linear.bias),
            "mean": (mean, self.mean),
            "std": (std, self.std),
        }
        for name, (given, place) in places.items():
            if given.shape != place.shape:
                raise InputError(f"expected {name} of shape {list(place.shape)}, but got {list(given.shape)}")
            place.copy_(given)
