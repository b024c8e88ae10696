"""The windows of one chromosome and their labels, from peaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regulome.datasets.background import choose, choose_alike, composition
from regulome.datasets.peak_features import Peaks
from regulome.datasets.peak_labels import Edges, Integers, Mask, distinct, label_bins, label_places, touches
from regulome.datasets.sequence_plan import SequencePlan

#: What an example is: labelled by a peak, chosen or kept without one, a positive shuffled, or given as a negative.
POSITIVE, BACKGROUND, SHUFFLE, GIVEN = range(4)
ORIGINS = ("positive", "background", "shuffle", "given")


@dataclass
class Examples:
    """Windows of one chromosome.

    Attributes:
        centres: int64 [n]; the window begins ``length // 2`` bases before, the bin ``bin // 2``.
        origins: uint8 [n], number in :data:`ORIGINS`.
        rows: int64 [labels], window of each label.
        features: int64 [labels], feature of each label.
    """

    centres: Integers
    origins: npt.NDArray[np.uint8]
    rows: Integers
    features: Integers

    def __len__(self) -> int:
        return len(self.centres)

    def take(self, kept: Mask) -> Examples:
        """Return the windows of a mask, with their labels."""
        labels = kept[self.rows]
        number = np.cumsum(kept) - 1
        return Examples(self.centres[kept], self.origins[kept], number[self.rows[labels]], self.features[labels])


class Chromosome:
    """A chromosome on which examples are sought.

    Args:
        plan: The options.
        codes: Its letters.
        peaks: The peaks of all features on it.
        counted: bool [features], which features make a window worth keeping.
        blacklist: Where no window may lie.
        generator: Source of chance.

    Attributes:
        left_out: Windows that were left out, by reason.
        lacking: Background windows that were wanted and not found.
    """

    def __init__(
        self,
        plan: SequencePlan,
        codes: npt.NDArray[np.uint8],
        peaks: Peaks,
        counted: npt.NDArray[np.bool_],
        blacklist: Peaks,
        generator: np.random.Generator,
    ) -> None:
        self.plan, self.codes, self.peaks, self.counted = plan, codes, peaks, counted
        self.blacklist, self.generator = blacklist, generator
        self.left_out: Counter[str] = Counter()
        self.lacking = 0

    def examples(self, given: Peaks) -> Examples:
        """Find the windows with peaks, and those without that are wanted; in order of their place.

        Shuffled negatives are not among them: they have the places of their positives.

        Args:
            given: Negatives that were given.
        """
        found = self._bins() if self.plan.examples == "bins" else self._summits()
        found = found.take(self._usable(found.centres, count=True))
        if self.plan.negatives in ("random", "gc-matched"):
            centres = self._background(found.centres[found.origins == POSITIVE])
            found = _with(found, centres, BACKGROUND)
        elif self.plan.given is not None:
            centres = distinct(given.summits.astype(np.int64))
            found = _with(found, centres[self._usable(centres, count=True)], GIVEN)
        return found

    def near_peaks(self, centres: Integers) -> Mask:
        """Say which bins (or windows, where there are no bins) share a base with a peak of any feature."""
        width = self.plan.bin if self.plan.examples == "bins" else self.plan.length
        begins = centres - width // 2
        return touches(begins, begins + width, self.peaks.starts, self.peaks.ends)

    def _features(self) -> Iterator[tuple[int, Edges, Edges, Edges]]:
        """Number, starts, ends and summits of each feature that has peaks here."""
        order = np.argsort(self.peaks.features, kind="stable")
        numbers, first = np.unique(self.peaks.features[order], return_index=True)
        for number, part in zip(numbers.tolist(), np.split(order, first[1:]), strict=False):
            yield number, self.peaks.starts[part], self.peaks.ends[part], self.peaks.summits[part]

    def _bins(self) -> Examples:
        """Bins of which a peak covers enough: those of a counted feature, or all bins."""
        plan = self.plan
        n_bins = len(self.codes) // plan.bin
        pairs = _Pairs(len(self.counted))
        for number, starts, ends, _ in self._features():
            bins = label_bins(starts, ends, bin=plan.bin, n_bins=n_bins, needed=plan.needed, together=plan.merge_peaks)
            pairs.add(bins, number)
        bins, features = pairs.result()
        labelled = np.zeros(n_bins, bool)
        labelled[bins[self.counted[features]]] = True
        everything = Examples(
            np.arange(n_bins) * plan.bin + plan.bin // 2,
            np.where(labelled, POSITIVE, BACKGROUND).astype(np.uint8),
            bins,
            features,
        )
        return everything if plan.negatives == "all" else everything.take(labelled)

    def _summits(self) -> Examples:
        """Windows around the summits of the counted features."""
        plan = self.plan
        centres = distinct(self.peaks.summits[self.counted[self.peaks.features]].astype(np.int64))
        pairs = _Pairs(len(self.counted))
        for number, starts, ends, summits in self._features():
            if self.counted[number]:
                pairs.add(np.searchsorted(centres, summits), number)
            places = centres - plan.bin // 2
            rows = label_places(starts, ends, places, width=plan.bin, needed=plan.needed, together=plan.merge_peaks)
            pairs.add(rows, number)
        rows, features = pairs.result()
        return Examples(centres, np.full(len(centres), POSITIVE, np.uint8), rows, features)

    def _usable(self, centres: Integers, *, count: bool) -> Mask:
        """Say which windows may be used; count the others by reason."""
        plan = self.plan
        starts = centres - plan.length // 2
        usable = np.ones(len(centres), bool)
        for reason, wrong in (
            ("beyond the chromosome", (starts < 0) | (starts + plan.length > len(self.codes))),
            ("blacklisted", touches(starts, starts + plan.length, self.blacklist.starts, self.blacklist.ends)),
            ("with too many unknown letters", composition(self.codes, starts, plan.length)[1] > plan.max_unknown),
        ):
            if reason == "beyond the chromosome" and plan.ends == "pad":
                continue
            if count:
                self.left_out[reason] += int((wrong & usable).sum())
            usable &= ~wrong
        return usable

    def _background(self, positives: Integers) -> Integers:
        """Choose windows away from all peaks."""
        plan = self.plan
        if plan.examples == "bins":
            candidates = np.arange(len(self.codes) // plan.bin) * plan.bin + plan.bin // 2
        else:
            # Side by side, so that no two of them overlap.
            first = int(self.generator.integers(plan.length))
            candidates = np.arange(first, len(self.codes) - plan.length + 1, plan.length) + plan.length // 2
        candidates = candidates[~self.near_peaks(candidates)]
        candidates = candidates[self._usable(candidates, count=False)]
        wanted = round(plan.ratio * len(positives))
        if plan.negatives == "random":
            chosen = choose(len(candidates), wanted, self.generator)
        else:
            gc, like = (
                composition(self.codes, centres - plan.length // 2, plan.length)[0]
                for centres in (candidates, positives)
            )
            chosen = choose_alike(gc, like, wanted, self.generator)
        self.lacking += wanted - len(chosen)
        return candidates[chosen]


class _Pairs:
    """Labels as pairs of window and feature, gathered feature by feature, given back by window."""

    def __init__(self, features: int) -> None:
        self._features = features
        self._parts = [np.empty(0, np.int64)]

    def add(self, rows: Integers, feature: int) -> None:
        self._parts.append(rows * self._features + feature)

    def result(self) -> tuple[Integers, Integers]:
        return np.divmod(distinct(np.concatenate(self._parts)), self._features)


def _with(found: Examples, centres: Integers, origin: int) -> Examples:
    """Add windows without labels, each to its place."""
    together = np.concatenate([found.centres, centres])
    order = np.argsort(together, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    origins = np.concatenate([found.origins, np.full(len(centres), origin, np.uint8)])
    return Examples(together[order], origins[order], place[found.rows], found.features)
