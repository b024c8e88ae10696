"""Perturbed copies of genes: many go through a network at once, those that differ from no original not at all.

A perturbation moves chosen features x of a gene toward a target d: x + share · (1 − p) · (d − x), where p is what is
left of the gene's own signal and share the part of a bin that is perturbed. Targets are 0 (scaling, removal) or another
signal (swap). Features are what the run's transformation makes of the marks, ln(1 + depth) for example, before they are
standardised.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from regulome.models.preprocess import Predictor, Preprocess
from regulome.training.strands import predict_batch


@dataclass(frozen=True)
class Jobs:
    """Perturbed copies, one for each entry.

    Attributes:
        gene: int64 [n], which gene of the block.
        place: int64 [n], which place of it.
        marks: float32 [n, marks], 1 where a mark is perturbed.
        left: float32 [n], p: what is left of the own signal.
    """

    gene: Tensor
    place: Tensor
    marks: Tensor
    left: Tensor


class Block(ABC):
    """Some genes as the members of one run see them.

    Attributes:
        signal: float32 [genes, marks, places]: mean feature.
        moved: bool [genes, marks, places]: whether removing or swapping it all would change anything.
        present: bool [genes, places]: whether the gene has such a place.
    """

    signal: Tensor
    moved: Tensor
    present: Tensor

    def __init__(self, models: Sequence[nn.Module], task: str) -> None:
        self.models, self.task = models, task

    @abstractmethod
    def original(self) -> Tensor:
        """Predict the genes as they are: mean probability or value over the members, float32 [genes]."""

    @abstractmethod
    def perturbed(self, jobs: Jobs) -> Tensor:
        """Predict perturbed copies, float32 [n]."""

    def grid(self, sets: Tensor, factors: Sequence[float], batch_size: int) -> NDArray[np.float32]:
        """Predict every gene with every set of marks perturbed in every place, by every factor.

        Args:
            sets: float32 [sets, marks], 1 where a mark belongs to a set.
            factors: What is left of the own signal, for each strength.
            batch_size: Copies that go through the network at once.

        Returns:
            float32 [1 + sets · places · factors, genes]: the originals first, then [set, place, factor].
        """
        original = self.original()
        places = self.present.shape[1]
        strengths = torch.tensor(list(factors), dtype=torch.float32, device=original.device)
        out = original[:, None, None, None].repeat(1, len(sets), places, len(strengths))
        # A copy in which nothing changes is the original: it need not go through the network.
        any_mark = torch.einsum("gmk,qm->gqk", self.moved.float(), sets) > 0
        works = (any_mark & self.present[:, None])[..., None] & (strengths != 1)
        gene, which, place, strength = torch.nonzero(works, as_tuple=True)
        found = [
            self.perturbed(Jobs(gene[part], place[part], sets[which[part]], strengths[strength[part]]))
            for part in (slice(begin, begin + batch_size) for begin in range(0, len(gene), batch_size))
        ]
        if found:
            out[works] = torch.cat(found)
        answer: NDArray[np.float32] = torch.cat([original[:, None], out.flatten(1)], 1).T.cpu().numpy()
        return answer

    def _mean(self, predict: Sequence[Tensor]) -> Tensor:
        return torch.stack([one[:, 0] for one in predict]).mean(dim=0)


class MarkBlock(Block):
    """Genes whose marks lie in bins around the TSS.

    Args:
        models: Members: predictors on raw marks, or any module from marks to logits or values.
        x: Raw marks [genes, marks, bins], 5' → 3'.
        shares: Share of each bin in each place, [places, bins].
        task: "classification" or "regression".
        turned: bool [genes]: the models see the bins of these genes the other way round. None: of none.
        target: Features [genes or 1, marks, bins] that the signal is moved toward; None: 0.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        x: Tensor,
        shares: Tensor,
        *,
        task: str,
        turned: Tensor | None = None,
        target: Tensor | None = None,
    ) -> None:
        super().__init__(models, task)
        self.shares, self.turned = shares, turned
        self.features = transformed(models, x)
        self.target = torch.zeros_like(self.features[:1]) if target is None else target
        weights = shares / shares.sum(1, keepdim=True).clamp(min=1e-9)
        self.signal = self.features @ weights.T
        self.moved = (self.features - self.target).abs() @ shares.T > 0
        self.present = torch.ones(len(x), len(shares), dtype=torch.bool, device=x.device)

    def original(self) -> Tensor:
        """Predict the genes as they are."""
        return self._predict(self.features, torch.arange(len(self.features), device=self.features.device))

    def perturbed(self, jobs: Jobs) -> Tensor:
        """Predict perturbed copies."""
        change = jobs.marks[:, :, None] * (self.shares[jobs.place] * (1 - jobs.left)[:, None])[:, None]
        own = self.features[jobs.gene]
        target = self.target if len(self.target) == 1 else self.target[jobs.gene]
        return self._predict(own + change * (target - own), jobs.gene)

    def _predict(self, features: Tensor, gene: Tensor) -> Tensor:
        if self.turned is not None:
            features = torch.where(self.turned[gene][:, None, None], features.flip(-1), features)
        return self._mean([predict_batch(*_network(model, features), self.task) for model in self.models])


def transformed(models: Sequence[nn.Module], x: Tensor) -> Tensor:
    """Return the features that the members of a run make of raw marks, before they are standardised."""
    preprocess = getattr(models[0], "preprocess", None)
    return preprocess.transformed(x) if isinstance(preprocess, Preprocess) else x


def _network(model: nn.Module, features: Tensor) -> tuple[nn.Module, Tensor]:
    if isinstance(model, Predictor) and isinstance(model.preprocess, Preprocess):
        return model.network, model.preprocess.scaled(features)
    return model, features
