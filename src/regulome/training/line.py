"""What training asks of a line of work; the lines themselves are in :mod:`regulome.training.lines`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from regulome.datasets.dataset import Dataset
from regulome.datasets.ordered_batches import OrderedBatches
from regulome.datasets.region_views import RegionView
from regulome.datasets.views import View
from regulome.errors import InputError
from regulome.models.preprocess import Predictor
from regulome.recipes.schema import InputSection, Recipe
from regulome.training.targets import check_targets

if TYPE_CHECKING:
    from regulome.training.runs import RunInfo

Rows: TypeAlias = npt.NDArray[np.int64]
#: What a run does.
Task: TypeAlias = Literal["classification", "regression", "next-letter"]
#: What a network keeps from one batch to the next; None where there is nothing.
Memory: TypeAlias = tuple[Tensor, ...] | None


class Line(ABC):
    """One line of work.

    Attributes:
        unit: What an example is called.
        batch_size: Examples of a batch when no gradients are kept: wide networks on long windows need much memory.
    """

    unit: str
    batch_size: int

    @abstractmethod
    def sizes(self, dataset: Dataset, inputs: InputSection) -> dict[str, Any]:
        """Sizes that a network is made with, for what the recipe's settings let it see of a dataset."""

    @abstractmethod
    def stored_sizes(self, info: RunInfo) -> dict[str, Any]:
        """The same, of a run."""

    @abstractmethod
    def record(self, dataset: Dataset, inputs: InputSection) -> dict[str, Any]:
        """What ``run.json`` keeps of a dataset's inputs, as far as they are seen, and outputs."""

    @abstractmethod
    def predictor(
        self, recipe: Recipe, sizes: Mapping[str, Any], task: str, hyperparameters: Mapping[str, Any]
    ) -> Predictor:
        """Make a predictor with fresh weights, its preprocessing not fitted yet."""

    @abstractmethod
    def fit(self, predictor: Predictor, dataset: Dataset, rows: Rows, inputs: InputSection) -> None:
        """Fit the preprocessing on the training rows, where there is something to fit."""

    @abstractmethod
    def reader(self, inputs: InputSection, *, training: bool) -> Callable[..., OrderedBatches]:
        """Choose what reads a dataset in batches, with the recipe's settings for it."""

    def batches(
        self,
        dataset: Dataset,
        rows: Rows,
        inputs: InputSection,
        *,
        batch_size: int,
        training: bool = False,
        seed: int = 0,
        device: torch.device | str | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> OrderedBatches:
        """Read rows in batches: shuffled and augmented for ``training``, otherwise in order and as they are."""
        return self.reader(inputs, training=training)(
            dataset,
            rows,
            batch_size=batch_size,
            shuffle=training,
            seed=seed,
            device=device,
            rank=rank,
            world_size=world_size,
        )

    @abstractmethod
    def match(self, info: RunInfo, dataset: Dataset) -> View | RegionView | None:
        """Find what a run takes in a dataset: which part of its marks, None where there is nothing to choose.

        Raises:
            InputError: The dataset is not one that the run can take.
        """

    @abstractmethod
    def shape(self, info: RunInfo) -> str:
        """Say in words what one example is."""

    def task(self, dataset: Dataset) -> Task:
        """Say what is learned from a dataset.

        Raises:
            InputError: It has nothing to learn.
        """
        if dataset.task == "unlabelled":
            raise InputError("has no targets to learn", file=dataset.path, cure="prepare it with targets or labels")
        return "classification" if dataset.task == "classification" else "regression"

    def check(self, recipe: Recipe, dataset: Dataset, parts: npt.NDArray[np.str_]) -> None:
        """Refuse, before any work, what a recipe cannot learn from the parts of a dataset.

        Raises:
            InputError: The targets teach nothing.
        """
        check_targets(dataset, parts, by_rank=recipe.training.select.startswith("valid_au"))

    def examples(self, info: RunInfo, dataset: Dataset) -> str:
        """Say in words how many examples of which shape a dataset has."""
        return f"{len(dataset):,} {self.unit} × {self.shape(info)}"

    def epochs(self, recipe: Recipe, dataset: Dataset, batches: OrderedBatches) -> int:
        """How many epochs there are, at most."""
        return recipe.training.epochs

    def step(self, module: nn.Module, inputs: Tensor, memory: Memory, settings: InputSection) -> tuple[Tensor, Memory]:
        """Return what a network answers to a training batch, and what it keeps for the next one of the epoch."""
        return module(inputs), None
