"""A source of letters whose entropy is known in closed form: each letter depends on the three before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from regulome.genome.letters import Codes

Floats = npt.NDArray[np.float64]

#: Letters that the next one depends on.
ORDER = 3
#: Concentration of the Dirichlet distribution that the probabilities after a context are drawn from: small ones make
#: texts that are easier to predict.
_CONCENTRATION = 0.6


@dataclass(frozen=True)
class Source:
    """A stationary Markov chain of letters, the same for both strands.

    Attributes:
        contexts: float64 ``[64]``, how often each context of three letters is met; the first letter counts 16.
        following: float64 ``[64, 4]``, probability of each letter after each context.
    """

    contexts: Floats
    following: Floats

    @property
    def bits(self) -> float:
        """Entropy per letter: the mean over contexts of the entropy of what follows. Nothing can predict better."""
        return float(-(self.contexts[:, None] * self.following * np.log2(self.following)).sum())

    def draw(self, letters: int, rng: np.random.Generator) -> Codes:
        """Draw a text, uint8 ``[letters]``."""
        codes = np.empty(letters, np.uint8)
        begin = int(rng.choice(len(self.contexts), p=self.contexts))
        _follow(np.cumsum(self.following, axis=1), begin, rng.random(letters), codes)
        return codes

    def cost(self, codes: Codes) -> Floats:
        """Bits that the source itself needs for each letter of a text but the first three: float64 ``[n - 3]``."""
        wide = codes.astype(np.int64)
        context = wide[:-3] * 16 + wide[1:-2] * 4 + wide[2:-1]
        return np.asarray(-np.log2(self.following[context, wide[3:]]), np.float64)


def make_source(rng: np.random.Generator) -> Source:
    """Draw a source.

    Words of four letters get the mean of what a first chain gives them and their reverse complements. Either is
    stationary (its sums over the first letter are those over the last), so that the mean is a stationary chain, too,
    whose frequencies are known.
    """
    first = rng.dirichlet(np.full(4, _CONCENTRATION), 4**ORDER).clip(1e-3)
    first /= first.sum(axis=1, keepdims=True)
    words = (_stationary(first)[:, None] * first).reshape(4, 4, 4, 4)
    words = (words + words[::-1, ::-1, ::-1, ::-1].transpose(3, 2, 1, 0)) / 2
    contexts = words.sum(axis=3).reshape(-1)
    return Source(contexts, words.reshape(-1, 4) / contexts[:, None])


def _stationary(following: Floats) -> Floats:
    """Return how often each context is met: what one step leaves as it is."""
    n = len(following)
    step = np.zeros((n, n))
    context = np.arange(n)
    for letter in range(4):
        step[context, context * 4 % n + letter] += following[:, letter]
    # The frequencies are left alone by a step, and their sum is one.
    equations = np.vstack([step.T - np.eye(n), np.ones(n)])
    found: Floats = np.linalg.lstsq(equations, np.r_[np.zeros(n), 1.0], rcond=None)[0].clip(0)
    found /= found.sum()
    return found


@njit(cache=True, nogil=True)
def _follow(limits: Any, context: Any, chances: Any, codes: Any) -> None:
    """Draw each letter after the three before it; ``limits`` are running sums of the probabilities."""
    for i in range(len(codes)):
        letter = 0
        while letter < 3 and chances[i] >= limits[context, letter]:
            letter += 1
        codes[i] = letter
        context = (context * 4 + letter) % 64
