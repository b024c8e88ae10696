"""Predictions with and without alleles, and the difference between them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import expit, log_expit, logsumexp

from regulome.explain.substitutions import SubstitutionScorer
from regulome.explain.variant_background import Background
from regulome.genome.alleles import Placed, Placer
from regulome.genome.letters import CODE_OF
from regulome.training.feature_choice import distinct_names
from regulome.training.scorer import Scorer


@dataclass(frozen=True)
class Effects:
    """What alleles do to some features; each float32 [alleles, features].

    Attributes:
        names: Names of the features.
        columns: Quantity → values: ``ref`` and ``alt`` (probability, or value), ``difference`` (alt − ref), and where
            there are such, ``log_odds`` (ln odds of alt − ln odds of ref) and ``e_value``.
        score: float32 [alleles], the largest |difference|.
        top: int64 [alleles], the feature of which it is.
        rarity: float32 [alleles], mean over features of −log10 E-value; None without a background.
    """

    names: Sequence[str]
    columns: dict[str, npt.NDArray[np.float32]]
    score: npt.NDArray[np.float32]
    top: npt.NDArray[np.int64]
    rarity: npt.NDArray[np.float32] | None

    def table(self) -> pl.DataFrame:
        """One row per allele: the summary, then ``NAME_ref``, ``NAME_alt``, … for each feature."""
        columns = [
            pl.Series("score", self.score),
            pl.Series("top_feature", [self.names[i] for i in self.top], pl.String),
        ]
        if self.rarity is not None:
            columns.append(pl.Series("mean_minus_log10_e", self.rarity))
        # One block with a contiguous row for each column: thousands of columns are made at once.
        names = [f"{name}_{what}" for name in self.names for what in self.columns]
        block = np.stack([values.T for values in self.columns.values()], axis=1).reshape(len(names), len(self.score))
        features = pl.DataFrame(block.T, schema=dict.fromkeys(names, pl.Float32), orient="row")
        return pl.concat([pl.DataFrame(columns), features], how="horizontal")


class Comparer:
    """Scores windows with and without alleles.

    Args:
        scorer: From letters to probabilities.
        placer: From alleles to windows.
        chosen: Which outputs to compare.
        background: Effects to compare effects with.
    """

    def __init__(
        self, scorer: Scorer, placer: Placer, chosen: Sequence[int], background: Background | None = None
    ) -> None:
        self.scorer = scorer
        self.placer = placer
        self.chosen = list(chosen)
        self.background = background
        self._substitutions = SubstitutionScorer(scorer)
        self.names = distinct_names([scorer.target_names[i] for i in chosen])

    def on(self, vcf: str | os.PathLike[str]) -> Comparer:
        """Return one that does the same for another VCF file, without a background."""
        placer = self.placer
        other = Placer(placer.genome, vcf, length=placer.length, shifts=placer.shifts.tolist())
        return Comparer(self.scorer, other, self.chosen)

    def effects(self, placed: Placed) -> Effects:
        """Score alleles that can be scored."""
        windows, which = self.placer.references(placed)
        reference = np.empty((len(windows), len(self.chosen)))
        alternative = np.empty((*which.shape, len(self.chosen)))
        rows = self._substitute(placed, windows, which, reference, alternative)
        known = np.zeros(len(windows), bool)
        known[which[rows]] = True
        others = np.setdiff1d(np.arange(len(placed)), rows, assume_unique=True)
        if len(others):
            if not known.all():
                reference[~known] = self._predict(windows[~known])
            cut = self.placer.alternatives(placed.take(others))
            found = self._predict(cut.reshape(-1, self.scorer.length))
            alternative[others] = found.reshape(len(others), *alternative.shape[1:])
        return self._compare(reference[which], alternative)

    def _substitute(
        self,
        placed: Placed,
        windows: npt.NDArray[np.uint8],
        which: npt.NDArray[np.int64],
        reference: npt.NDArray[np.float64],
        alternative: npt.NDArray[np.float64],
    ) -> npt.NDArray[np.int64]:
        """Score substitutions of one letter with their windows, where the network allows it; returns which alleles."""
        nothing = np.empty(0, np.int64)
        if not self._substitutions.possible:
            return nothing
        rows = np.flatnonzero((placed.removed == 1) & (placed.letters[:, 1] - placed.letters[:, 0] == 1))
        letters = CODE_OF[placed.sites.text[placed.letters[rows, 0]]]
        for place, shift in enumerate(self.placer.shifts.tolist() if len(rows) else []):
            used, inverse = np.unique(which[rows, place], return_inverse=True)
            found = self._substitutions(windows[used], self.scorer.length // 2 - shift, inverse, letters)
            if found is None:
                return nothing
            reference[used] = found[0][:, self.chosen]
            alternative[rows, place] = found[1][:, self.chosen]
        return rows

    def empty(self) -> Effects:
        """Return the effects of no allele."""
        nothing = np.empty((0, len(self.placer.shifts), len(self.chosen)))
        return self._compare(nothing, nothing)

    def _predict(self, windows: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        odds = self.scorer.task == "classification"
        found = self.scorer.log_odds(windows) if odds else self.scorer.probabilities(windows)
        return found[:, self.chosen].astype(np.float64)

    def _compare(self, reference: npt.NDArray[np.float64], alternative: npt.NDArray[np.float64]) -> Effects:
        """Compare log odds (or values), float64 [alleles, shifts, features]."""
        columns = {}
        if self.scorer.task == "classification":
            # Differences are taken in float64 and from odds, so that those between probabilities near 0 or 1 are exact.
            ref, alt = _mean_odds(reference), _mean_odds(alternative)
            columns["log_odds"] = (alt - ref).astype(np.float32)
            ref, alt = expit(ref), expit(alt)
        else:
            ref, alt = reference.mean(1), alternative.mean(1)
        difference = (alt - ref).astype(np.float32)
        columns = {"ref": ref.astype(np.float32), "alt": alt.astype(np.float32), "difference": difference} | columns
        rarity = None
        if self.background is not None:
            columns["e_value"] = self.background.e_values(difference)
            rarity = -np.log10(columns["e_value"]).mean(1)
        size = np.abs(difference)
        return Effects(self.names, columns, size.max(1), size.argmax(1), rarity)


def _mean_odds(odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the log odds of the mean probability over axis 1."""
    if odds.shape[1] == 1:
        return odds[:, 0]
    mean: npt.NDArray[np.float64] = logsumexp(log_expit(odds), axis=1) - logsumexp(log_expit(-odds), axis=1)
    return mean
