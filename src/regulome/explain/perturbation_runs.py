"""The runs that a perturbation asks, and how each of them sees genes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regulome.datasets.dataset import Dataset
from regulome.errors import InputError
from regulome.explain.groups import high_genes
from regulome.explain.perturbation_copies import Block, MarkBlock, transformed
from regulome.explain.perturbation_places import Places
from regulome.explain.perturbation_regions import DistalBlock, RegionBlock, promoters
from regulome.models.regions import RegionBatch
from regulome.training.lines import line_named
from regulome.training.prediction import match_marks
from regulome.training.runs import Run

Rows = NDArray[np.int64]
#: Genes that are read at a time where means are taken.
_READ = 1024


class Reader:
    """Genes of a dataset as one run sees them.

    Args:
        run: The run.
        dataset: The dataset.
        places: What is perturbed in the window; None: the pCREs.
        action: "scale", "remove", "swap" or "cut".
        device: Where to compute.

    Attributes:
        run: The run.
        marks: Names of its marks.
        window: Base pairs around the TSS that it sees.
        task: "classification" or "regression".
    """

    def __init__(self, run: Run, dataset: Dataset, action: str, device: torch.device) -> None:
        self.run, self.dataset, self.action, self.device = run, dataset, action, device
        self.marks, self.window, self.task = run.info.marks, run.info.bins * run.info.bin_size, run.info.task
        self._view = match_marks(run.info, dataset)
        self._models = run.models(device)
        self._minus = (dataset.regions["strand"] == "-").to_numpy()
        self._target: list[Tensor] | None = None
        self._donor: dict[int, int] | None = None

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Widths of the network's bins of a promoter, in its order."""
        found = getattr(self._models[0].network, "resolutions", None)
        return (self.run.info.bin_size,) if found is None else tuple(found)

    @property
    def distal(self) -> bool:
        """Whether the network reads pCREs."""
        return hasattr(self._models[0].network, "resolutions")

    def swap_with(self, donor: str, rows: Rows, seed: int) -> None:
        """Choose what signal is swapped with.

        Args:
            donor: "mean", "high" or "low": mean features of all, of high or of low genes among ``rows``; "random":
                those of another gene among ``rows``, drawn for each; else the id of a gene of the dataset.
            rows: The genes that are perturbed.
            seed: Of the draw.

        Raises:
            InputError: There is no such gene.
        """
        if donor == "random":
            if len(rows) < 2:
                raise InputError("one gene has no other gene to swap with", cure="give more genes, or another donor")
            order = np.random.default_rng(seed).permutation(rows)
            self._donor = dict(zip(order.tolist(), np.roll(order, -1).tolist(), strict=True))
            return
        if donor in ("mean", "high", "low"):
            if donor != "mean":
                high, _ = high_genes(self.dataset.targets[rows, 0], self.dataset.task)
                rows = rows[high if donor == "high" else ~high]
        else:
            rows = np.flatnonzero((self.dataset.regions["id"] == donor).to_numpy())
        if not len(rows):
            raise InputError(
                f"donor = {donor}: no such gene", cure="choose from mean, high, low, random, or the id of a gene"
            )
        total: list[Tensor] = []
        for begin in range(0, len(rows), _READ):
            sums = [one.double().sum(0) for one in self._features(self._inputs(rows[begin : begin + _READ]))]
            total = [a + b for a, b in zip(total, sums, strict=True)] if total else sums
        self._target = [(one / len(rows)).float()[None] for one in total]

    def block(self, rows: Rows, places: Places | None) -> Block:
        """Read some genes.

        Args:
            rows: Their rows.
            places: What is perturbed in the window; None: the pCREs.
        """
        inputs = self._inputs(rows)
        if places is None:
            action: Any = "cut" if self.action == "cut" else "remove"
            return DistalBlock(self._models, inputs, task=self.task, action=action)
        target = self._target
        if self._donor is not None:
            target = self._features(self._inputs(np.array([self._donor[row] for row in rows.tolist()])))
        shares = [
            torch.from_numpy(places.shares(-(-places.window // width), width)).to(self.device)
            for width in self.resolutions
        ]
        if isinstance(inputs, RegionBatch):
            return RegionBlock(self._models, inputs, shares, task=self.task, target=target)
        # Genes come 5' → 3', also where the run was trained on them as they lie on the chromosome.
        turned = None if self.run.recipe.input.orient else torch.from_numpy(self._minus[rows]).to(self.device)
        one = None if target is None else target[0]
        return MarkBlock(self._models, inputs, shares[0], task=self.task, turned=turned, target=one)

    def _inputs(self, rows: Rows) -> Any:
        """Read raw marks [genes, marks, bins] 5' → 3', or a batch of regions."""
        seen = {} if self._view is None else self._view.settings()
        settings = self.run.recipe.input.model_copy(update=seen | {"orient": True})
        line = line_named(self.run.info.line, self.run.info.model)
        (batch,) = line.batches(self.dataset, rows, settings, batch_size=max(1, len(rows)), device=self.device)
        return batch.inputs

    def _features(self, inputs: Any) -> list[Tensor]:
        return promoters(inputs) if isinstance(inputs, RegionBatch) else [transformed(self._models, inputs)]


def mark_sets(marks: Sequence[str], wanted: Sequence[str]) -> tuple[list[str], Tensor]:
    """Find the marks that are perturbed together.

    Args:
        marks: Names of the run's marks.
        wanted: "H3K27ac" alone, "H3K27ac+H3K4me1" together, "all" together; empty: each of the run's by itself.

    Returns:
        Names of the sets, and float32 [sets, marks], 1 where a mark belongs to a set.

    Raises:
        InputError: The run has no such mark, or a set is named twice.
    """
    places = {mark.casefold(): place for place, mark in enumerate(marks)}
    names = list(wanted) or list(marks)
    if len({name.casefold() for name in names}) < len(names):
        raise InputError(f"marks are named twice: {', '.join(names)}", cure="name each once")
    chosen = torch.zeros(len(names), len(marks))
    for row, name in enumerate(names):
        for part in marks if name == "all" else name.split("+"):
            if part.strip().casefold() not in places:
                raise InputError(f"there is no mark {part.strip()!r}", cure=f"the run has {', '.join(marks)}, or all")
            chosen[row, places[part.strip().casefold()]] = 1
    return names, chosen


def blocks(rows: int, size: int) -> Iterator[slice]:
    """Cut rows into blocks of at most ``size``."""
    for begin in range(0, rows, size):
        yield slice(begin, min(begin + size, rows))
