"""Where signal is perturbed: stretches of the window around a start site, as shares of its bins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from regulome.errors import InputError

Floats = NDArray[np.float64]
#: The published window, its chunks and its promoter; other windows are cut in the same proportions.
WINDOW, CHUNK, PROMOTER = 40_000, 2_000, 6_000
_STRETCH = re.compile(r"([+-]?[\d,]+):([+-]?[\d,]+)")


@dataclass(frozen=True)
class Places:
    """Stretches of the window, each perturbed by itself.

    Attributes:
        window: Base pairs of the window; the start site is in its middle.
        names: What each is called.
        begins: Where each begins, bp from the TSS along the gene, [places].
        ends: Where each ends.
        distances: How far each is from the TSS, in bp: the middle of the stretch, unless it says otherwise.
        widened: Width of a bin → begins and ends of a network's bins of that width, where they are not the same.
    """

    window: int
    names: tuple[str, ...]
    begins: Floats
    ends: Floats
    distances: Floats
    widened: Mapping[int, tuple[Floats, Floats]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def shares(self, bins: int, bin_size: int) -> NDArray[np.float32]:
        """Return which share of each bin lies in each place, float32 [places, bins]; bins run 5' → 3'."""
        begins, ends = self.widened.get(bin_size, (self.begins, self.ends))
        left = (np.arange(bins) - bins / 2) * bin_size
        covered = np.minimum(ends[:, None], left + bin_size) - np.maximum(begins[:, None], left)
        shares: NDArray[np.float32] = (covered.clip(0) / bin_size).astype(np.float32)
        return shares

    def on_chromosome(
        self, start: NDArray[np.int64], end: NDArray[np.int64], minus: NDArray[np.bool_]
    ) -> tuple[Floats, Floats]:
        """Return where the places of genes begin and end on their chromosomes, each [genes, places].

        Args:
            start: Start of each gene's window, or of one with the same middle, 0-based.
            end: Its end.
            minus: Whether the gene is on the reverse strand, so that places count down along the chromosome.
        """
        centre = ((start + end) / 2)[:, None]
        turned = minus[:, None]
        begins = np.where(turned, centre - self.ends, centre + self.begins)
        return begins, np.where(turned, centre - self.begins, centre + self.ends)


def make_places(
    region: str, window: int, bin_size: int, *, chunk: int | None = None, promoter: int | None = None
) -> Places:
    """Lay out what is perturbed in a window.

    Args:
        region: "promoter": the ``promoter`` base pairs in the middle, at once. "distal": chunk by chunk, the promoter
            left out: chunks lie on a grid that begins with the window, and what of them is promoter is cut off.
            "FROM:TO": this stretch, bp from the TSS along the gene.
        window: Base pairs of the window.
        bin_size: The finest bin, which no chunk is narrower than.
        chunk: Base pairs of a chunk; None takes 2,000 of a window of 40 kb, and as much in proportion of others.
        promoter: Base pairs in the middle; None takes three chunks. 0 leaves nothing out.

    Raises:
        InputError: Something does not fit into the window, or nothing is left.
    """
    size = chunk if chunk is not None else max(bin_size, round(window * CHUNK / WINDOW / bin_size) * bin_size)
    middle = promoter if promoter is not None else PROMOTER // CHUNK * size
    if not bin_size <= size <= window:
        raise InputError(f"chunk = {size:,}: expected from {bin_size:,}, a bin, to {window:,} bp, the window")
    if not 0 <= middle <= window:
        raise InputError(f"promoter = {middle:,}: expected from 0 to {window:,} bp, the window")
    half = window / 2
    if region == "promoter":
        if not middle:
            raise InputError("promoter = 0: there is no promoter to perturb", cure="give its width in bp")
        return _places(window, ["promoter"], [-middle / 2], [middle / 2])
    if region == "distal":
        edges = np.append(np.arange(-half, half, size), half)
        pieces = []
        for left, right in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            if not middle:
                pieces.append((left, right))
                continue
            pieces += [(left, min(right, -middle / 2)), (max(left, middle / 2), right)]
        pieces = [(left, right) for left, right in pieces if left < right]
        if not pieces:
            raise InputError(
                f"a promoter of {middle:,} bp leaves nothing of a window of {window:,} bp",
                cure="give a narrower --promoter; 0 leaves nothing out",
            )
        begins, ends = zip(*pieces, strict=True)
        return _places(window, [str(number) for number in range(len(pieces))], begins, ends)
    found = _STRETCH.fullmatch(region.strip())
    if not found:
        raise InputError(
            f"unknown region {region!r}", cure="choose from promoter, distal, pcre, or FROM:TO such as -500:1000"
        )
    begin, end = (float(number.replace(",", "")) for number in found.groups())
    if not -half <= begin < end <= half:
        raise InputError(f"the stretch {region} is not inside the window, {-half:,.0f}:{half:,.0f}")
    return _places(window, [region.strip()], [begin], [end])


def published_places(region: str, window: int) -> Places:
    """Lay out what the paper perturbs in a window of 40 kb: its bins, with its distances.

    The promoter is bins 170–229 of 400, 34–45 of 80 and 8–10 of 20, which lie 1 kb to the left of the others. Chunks
    are the bins of 2 kb without 8 to 10, at −(20,000 − 2,000 · bin) for bins up to 7, (bin − 9) · 2,000 from 11 on:
    their outer edges.

    Raises:
        InputError: Another window, or region.
    """
    if window != WINDOW:
        raise InputError(
            f"the published bins are those of windows of {WINDOW:,} bp, not of {window:,} bp",
            cure="leave the preset out, or prepare the dataset with --window 40000",
        )
    if region == "promoter":
        wide = {CHUNK: (np.array([-4_000.0]), np.array([2_000.0]))}
        exact = make_places(region, window, 1)
        return Places(window, exact.names, exact.begins, exact.ends, exact.distances, wide)
    if region != "distal":
        raise InputError(f"the preset has no region {region!r}", cure="choose promoter or distal")
    bins = np.r_[0:8, 11:20]
    begins = bins * float(CHUNK) - WINDOW / 2
    distances = np.where(bins <= 7, -(WINDOW / 2 - CHUNK * bins), (bins - 9.0) * CHUNK)
    return Places(window, tuple(map(str, bins)), begins, begins + CHUNK, distances)


def _places(window: int, names: list[str], begins: object, ends: object) -> Places:
    left, right = np.array(begins, np.float64), np.array(ends, np.float64)
    return Places(window, tuple(names), left, right, (left + right) / 2)
