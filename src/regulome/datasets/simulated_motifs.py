"""Motifs of the simulated genome: what they look like, how they are drawn, and where they are found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

#: Bases that each letter of a pattern stands for.
_BASES = {"A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "W": "AT", "S": "CG", "K": "GT", "N": "ACGT"}
#: Probability of what the pattern says together, in positions with a capital and a small letter.
_STRONG, _WEAK = 0.94, 0.7
#: A sequence is a match from this share of the best score on.
_MATCH = 0.8


@dataclass(frozen=True)
class Motif:
    """A motif.

    Attributes:
        name: Its name.
        pattern: IUPAC letters; small ones for positions that matter less.
    """

    name: str
    pattern: str

    def __len__(self) -> int:
        return len(self.pattern)

    @cached_property
    def probabilities(self) -> Floats:
        """[position, letter]: A, C, G, T."""
        rows = np.empty((len(self), 4))
        for i, letter in enumerate(self.pattern):
            bases = _BASES[letter.upper()]
            together = 1.0 if letter == "N" else _STRONG if letter.isupper() else _WEAK
            rows[i] = (1 - together) / max(1, 4 - len(bases))
            rows[i, ["ACGT".index(base) for base in bases]] = together / len(bases)
        return rows

    @cached_property
    def scores(self) -> Floats:
        """Bits over a uniform background: [position, letter]; letter 4 is unknown and never part of a match."""
        return np.concatenate([np.log2(self.probabilities * 4), np.full((len(self), 1), -100.0)], axis=1)

    @cached_property
    def threshold(self) -> float:
        """The score from which on a sequence is a match."""
        return float(_MATCH * self.scores.max(axis=1).sum())

    @cached_property
    def core(self) -> npt.NDArray[np.int64]:
        """The positions where one base is wanted: another one there ends any match."""
        return np.flatnonzero(self.probabilities.max(axis=1) >= _STRONG)

    def score(self, codes: Bytes) -> Floats:
        """Score sequences [n, length of the motif]: [n]."""
        found: Floats = self.scores[np.arange(len(self)), codes].sum(axis=1)
        return found

    def draw(self, rng: np.random.Generator, n: int) -> Bytes:
        """Draw matches [n, length of the motif] by the probabilities."""
        cumulative = self.probabilities.cumsum(axis=1)
        drawn: Bytes = np.empty((0, len(self)), np.uint8)
        while len(drawn) < n:
            uniform = rng.random((2 * n + 16, len(self), 1))
            more = (uniform > cumulative).sum(axis=2).clip(max=3).astype(np.uint8)
            drawn = np.concatenate([drawn, more[self.score(more) >= self.threshold]])
        return drawn[:n]

    def spoil(self, codes: Bytes, rng: np.random.Generator) -> tuple[Bytes, npt.NDArray[np.int64]]:
        """Change one letter of the core of each match so that none is left.

        Returns:
            The sequences [n, length of the motif] and the changed position of each.
        """
        best = self.probabilities.argmax(axis=1)
        # Only a letter that is as the motif wants it can be spoiled.
        weights = (codes[:, self.core] == best[self.core]) * rng.random((len(codes), len(self.core)))
        position = self.core[weights.argmax(axis=1)]
        spoiled = codes.copy()
        rows = np.arange(len(codes))
        spoiled[rows, position] = (codes[rows, position] + rng.integers(1, 4, len(codes))) % 4
        return spoiled, position

    def find(self, codes: Bytes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Find the matches on both strands of a sequence.

        Returns:
            Where they begin, and whether they lie on the reverse strand.
        """
        begins, reverse = [], []
        for turned in (False, True):
            weights = self.scores[::-1][:, [3, 2, 1, 0, 4]] if turned else self.scores
            # Rounding must not lose a match that stands exactly at the threshold.
            found = _find(codes, np.ascontiguousarray(weights), self.threshold - 1e-6)
            begins.append(found)
            reverse.append(np.full(len(found), turned))
        return np.concatenate(begins), np.concatenate(reverse)


@njit(cache=True, nogil=True)
def _find(codes: Any, weights: Any, threshold: Any) -> Any:
    length = len(weights)
    # What the rest of the motif can still add at most, so that most places end after a few letters.
    hope = np.zeros(length + 1)
    for i in range(length - 1, -1, -1):
        hope[i] = hope[i + 1] + weights[i].max()
    found = []
    for begin in range(len(codes) - length + 1):
        total = 0.0
        for i in range(length):
            total += weights[i, codes[begin + i]]
            if total + hope[i + 1] < threshold:
                break
        if total >= threshold:
            found.append(begin)
    return np.array(found, dtype=np.int64)


#: Each by itself is the site of the feature of the same name.
SINGLE = (
    Motif("CTCF", "CCASYAGRKGGCAg"),
    Motif("GATA1", "NwGATAAGRa"),
    Motif("MYC", "rcCACGTGgy"),
    Motif("SPI1", "AaAGAGGAAGTg"),
)
#: The site of SOX2 is the first, GAP bases, the second, on one strand; neither is enough, nor both further apart.
PAIR = (Motif("SOX", "CCWTTGTY"), Motif("POU", "ATGCAAAT"))
PAIRED = "SOX2"
#: First and last number of bases between the two.
GAP = (2, 4)
#: Open wherever another feature has a site.
UNION = "DNase"
#: The features, in the order of the files.
FEATURES = (*(motif.name for motif in SINGLE), PAIRED, UNION)
MOTIFS = (*SINGLE, *PAIR)
