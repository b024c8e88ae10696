"""How rare an effect is: empirical E-values against the effects of a background of variants."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit


class Background:
    """The sizes of many variants' effects, sorted for each feature.

    Memory: 4 bytes × features × alleles: 368 MB for 919 features and 100,000 alleles.

    Args:
        features: Number of features.
        size: Alleles that will be added.
    """

    def __init__(self, features: int, size: int) -> None:
        self._sizes = np.empty((features, size), np.float32)
        self._filled = 0
        self._sorted = False

    def __len__(self) -> int:
        return self._filled

    def add(self, differences: npt.NDArray[np.float32]) -> None:
        """Add alleles.

        Args:
            differences: float32 [alleles, features].
        """
        end = self._filled + len(differences)
        np.abs(differences.T, out=self._sizes[:, self._filled : end])
        self._filled = end
        self._sorted = False

    def e_values(self, differences: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the share of background alleles with an effect at least as large in either direction.

        Args:
            differences: float32 [alleles, features].

        Returns:
            float32 [alleles, features], ``(larger or equal + 1) / (background + 1)``: never 0, because the allele is
            itself counted in. The smallest value that can come out is ``1 / (background + 1)``.
        """
        if not self._sorted:
            for sizes in self._sizes:
                sizes[: self._filled].sort()
            self._sorted = True
        found = np.empty(differences.shape, np.float32)
        _shares(self._sizes[:, : self._filled], np.abs(differences), found)
        return found


@njit(cache=True, nogil=True)
def _shares(sizes: Any, wanted: Any, found: Any) -> None:
    alleles = sizes.shape[1]
    for feature in range(sizes.shape[0]):
        for allele in range(len(wanted)):
            low, high = 0, alleles
            while low < high:
                middle = (low + high) // 2
                if sizes[feature, middle] < wanted[allele, feature]:
                    low = middle + 1
                else:
                    high = middle
            found[allele, feature] = (alleles - low + 1) / (alleles + 1)
