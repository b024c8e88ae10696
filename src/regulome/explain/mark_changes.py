"""How strongly alleles change the marks in bins around genes, by the windows of DNA that stand for the bins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from regulome.errors import InputError
from regulome.explain.variant_genes import GeneWindows, Integers, Reached
from regulome.genome.alleles import Placed, Placer
from regulome.genome.sequence import Genome
from regulome.training.scorer import Scorer

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MarkChanges:
    """What alleles do to marks in the bins that they can reach; a cell is a bin of a pair of allele and gene.

    Attributes:
        pair: int64 [cells], the pair.
        bin: int64 [cells], the bin.
        ref: float64 [cells, marks], the predicted mark with the reference.
        alt: float64 [cells, marks], with the allele.
        factor: float64 [cells, marks], by which the observed signal is multiplied.
    """

    pair: Integers
    bin: Integers
    ref: Floats
    alt: Floats
    factor: Floats

    def greatest(self) -> Integers:
        """Return, for each pair and mark, the first cell with the greatest change of the mark, [pairs, marks]."""
        # Cells of a pair follow each other, and every pair has one at least.
        begins = np.flatnonzero(np.diff(self.pair, prepend=-1))
        size = np.abs(self.alt - self.ref)
        most = np.maximum.reduceat(size, begins)[self.pair]
        cells = np.arange(len(size))[:, None]
        found: Integers = np.minimum.reduceat(np.where(size == most, cells, len(size)), begins)
        return found


class MarkScorer:
    """Predicts marks in bins, with and without alleles.

    Args:
        scorer: The sequence run's models.
        placer: From alleles to windows.
        genome: The genome.
        genes: The bins of genes.
        features: For each mark the outputs whose mean it is.
        pseudo: Added to a predicted mark above and below the fraction bar.
        max_ratio: The signal becomes at most so many times as strong, or weak.
    """

    def __init__(
        self,
        scorer: Scorer,
        placer: Placer,
        genome: Genome,
        genes: GeneWindows,
        features: Sequence[Sequence[int]],
        *,
        pseudo: float,
        max_ratio: float,
    ) -> None:
        if pseudo < 0:
            raise InputError(f"pseudo {pseudo} is negative", cure="give 0 or more, for example 0.01")
        if max_ratio < 1:
            raise InputError(f"max_ratio must be at least 1, got {max_ratio}", cure="give for example 10")
        self.scorer = scorer
        self.placer = placer
        self.genome = genome
        self.genes = genes
        self.features = features
        self.pseudo = pseudo
        self.max_ratio = max_ratio

    @property
    def cost(self) -> int:
        """Bytes that a cell takes while it is scored, at most."""
        return 2 * self.genes.points * (self.scorer.length + 4 * len(self.scorer.target_names))

    def __call__(self, placed: Placed, reached: Reached) -> MarkChanges:
        """Predict the marks of all bins that alleles can reach.

        Args:
            placed: Alleles that can be scored.
            reached: Pairs of them and genes.
        """
        count = reached.last - reached.first
        pair = np.repeat(np.arange(len(reached)), count)
        column = np.arange(len(pair)) - np.repeat(count.cumsum() - count - reached.first, count)
        points = self.genes.points
        offsets = self.genes.offsets[(column[:, None] * points + np.arange(points)).ravel()]
        gene, allele = (np.repeat(index[pair], points) for index in (reached.gene, reached.allele))
        starts = self.genes.starts[gene] + offsets
        chromosome = self.genes.chromosome[gene]
        # Windows that genes or alleles share are scored once.
        _, one, same = np.unique((chromosome.astype(np.int64) << 40) + starts, return_index=True, return_inverse=True)
        ref = self._predict(self.genome.windows(chromosome[one], starts[one], self.scorer.length))[same]
        _, one, same = np.unique((allele << 40) + starts, return_index=True, return_inverse=True)
        alt = self._predict(self.placer.alternatives_at(placed.take(allele[one]), starts[one]))[same]
        ref, alt = (values.reshape(len(pair), points, -1).mean(1) for values in (ref, alt))
        with np.errstate(divide="ignore", invalid="ignore"):
            # Nothing instead of nothing is no change.
            ratio = np.where(ref == alt, 1.0, (alt + self.pseudo) / (ref + self.pseudo))
        return MarkChanges(pair, column, ref, alt, ratio.clip(1 / self.max_ratio, self.max_ratio))

    def _predict(self, windows: npt.NDArray[np.uint8]) -> Floats:
        """Return the marks of windows, [windows, marks]: mean probabilities, or values, of which none is below 0."""
        if self.scorer.task == "classification":
            # In float64, so that ratios of small probabilities are exact.
            found = expit(self.scorer.log_odds(windows).astype(np.float64))
        else:
            found = np.maximum(self.scorer.probabilities(windows).astype(np.float64), 0)
        return np.stack([found[:, list(outputs)].mean(1) for outputs in self.features], axis=1)
