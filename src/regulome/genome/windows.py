"""Windows of equal width on the genome, each cut into bins of equal width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from regulome.errors import InputError

if TYPE_CHECKING:
    import polars as pl

#: Positions reach at most here, as in BAM and bigWig.
LAST_POSITION = 2**31 - 1


@dataclass(frozen=True)
class Windows:
    """``n`` windows of ``n_bins`` bins of ``bin`` bases; 0-based, half-open, on the forward strand.

    Windows may overlap each other and may leave their chromosome: ``starts`` may be negative, ends may pass the end.

    Attributes:
        chromosomes: Names, as the gene or region file spells them.
        codes: int32 [n], index into ``chromosomes``.
        starts: int64 [n].
        n_bins: Bins in each window.
        bin: Bases in each bin.
    """

    chromosomes: tuple[str, ...]
    codes: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    n_bins: int
    bin: int

    @classmethod
    def around(
        cls, chrom: Sequence[str] | pl.Series, position: npt.ArrayLike, *, window: int = 10_000, bin: int = 100
    ) -> Windows:
        """Make windows of ``window`` bases that begin ``window // 2`` bases before each position.

        Args:
            chrom: [n] chromosome names.
            position: [n] 0-based positions, for example transcription start sites.
            window: Width in bases.
            bin: Width of a bin in bases.

        Raises:
            InputError: ``window`` is not a positive multiple of ``bin``, or a position is out of range.
        """
        if bin < 1 or window < bin or window % bin:
            raise InputError(
                f"a window of {window} bases cannot be cut into bins of {bin}",
                cure="choose a window that is a multiple of the bin",
            )
        centres = np.asarray(position, dtype=np.int64)
        names, codes = np.unique(np.asarray(chrom, dtype=np.str_), return_inverse=True)
        if len(codes) != len(centres):
            raise ValueError(f"{len(codes)} chromosomes for {len(centres)} positions")
        if len(centres) and (centres.min() < 0 or centres.max() > LAST_POSITION - window):
            wrong = int(np.argmax((centres < 0) | (centres > LAST_POSITION - window)))
            raise InputError(f"position {centres[wrong]} is out of range", record=f"window {wrong + 1}")
        starts = centres - window // 2
        return cls(tuple(names.tolist()), codes.astype(np.int32).reshape(-1), starts, window // bin, bin)

    @property
    def width(self) -> int:
        """Bases in each window."""
        return self.n_bins * self.bin

    @property
    def ends(self) -> npt.NDArray[np.int64]:
        """int64 [n], exclusive."""
        return self.starts + self.width

    @property
    def centres(self) -> npt.NDArray[np.int64]:
        """int64 [n], the positions that the windows were made around."""
        return self.starts + self.width // 2

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, indices: npt.ArrayLike) -> Windows:
        """Return the windows at ``indices``, in that order; the names of all chromosomes stay."""
        chosen = np.asarray(indices)
        return Windows(self.chromosomes, self.codes[chosen], self.starts[chosen], self.n_bins, self.bin)

    def describe(self, index: int) -> str:
        """Tell where a window lies, for messages: ``chr1:5,000-15,000``."""
        start = int(self.starts[index])
        return f"{self.chromosomes[self.codes[index]]}:{start:,}-{start + self.width:,}"
