"""What differs between the lines of work when a network is trained; everything else is shared.

A line knows the sizes that a network is made with, what happens to the inputs before it, how a dataset is read in
batches, and how all this is said. :func:`line_named` is the one place where lines are told apart.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from regulome.datasets.batches import Batches
from regulome.datasets.dataset import Dataset
from regulome.datasets.ordered_batches import OrderedBatches
from regulome.datasets.region_views import RegionView
from regulome.datasets.views import View, choose_view, tell_view
from regulome.errors import InputError
from regulome.models.one_hot import OneHot
from regulome.models.preprocess import Predictor, Preprocess
from regulome.models.registry import create, inputs_of
from regulome.models.text_predictor import TextPredictor
from regulome.recipes.schema import InputSection, Recipe
from regulome.training.line import Line, Memory, Rows, Task
from regulome.training.region_line import REGIONS

if TYPE_CHECKING:
    from regulome.training.runs import RunInfo

logger = logging.getLogger(__name__)

# Examples that are looked at together while the input scaling is measured.
_BLOCK = 4096


def _seen(dataset: Dataset, inputs: InputSection) -> View:
    return choose_view(dataset, inputs.marks, inputs.window, inputs.bin)


class _Marks(Line):
    """Marks in bins around a gene: float32 [batch, mark, bin]."""

    unit, batch_size = "genes", 1024

    def sizes(self, dataset: Dataset, inputs: InputSection) -> dict[str, Any]:
        view = _seen(dataset, inputs)
        return {"marks": len(view.marks), "bins": view.bins}

    def stored_sizes(self, info: RunInfo) -> dict[str, Any]:
        return {"marks": len(info.marks), "bins": info.bins}

    def record(self, dataset: Dataset, inputs: InputSection) -> dict[str, Any]:
        view = _seen(dataset, inputs)
        return {"marks": list(view.marks), "bins": view.bins, "bin_size": view.bin_size}

    def predictor(
        self, recipe: Recipe, sizes: Mapping[str, Any], task: str, hyperparameters: Mapping[str, Any]
    ) -> Predictor:
        network = create(recipe.model.name, **sizes, task=task, **hyperparameters)
        return Predictor(Preprocess(sizes["marks"], recipe.input.transform, recipe.input.scale), network)

    def fit(self, predictor: Predictor, dataset: Dataset, rows: Rows, inputs: InputSection) -> None:
        preprocess: Any = predictor.preprocess
        view = _seen(dataset, inputs)
        preprocess.fit(batch.inputs for batch in Batches(dataset, rows, batch_size=_BLOCK, view=view))

    def reader(self, inputs: InputSection, *, training: bool) -> Callable[..., OrderedBatches]:
        def read(dataset: Dataset, rows: Rows, **settings: Any) -> OrderedBatches:
            return Batches(dataset, rows, orient=inputs.orient, view=_seen(dataset, inputs), **settings)

        return read

    def match(self, info: RunInfo, dataset: Dataset) -> View | None:
        return choose_view(dataset, info.marks, info.bins * info.bin_size, info.bin_size)

    def check(self, recipe: Recipe, dataset: Dataset, parts: npt.NDArray[np.str_]) -> None:
        super().check(recipe, dataset, parts)
        tell_view(_seen(dataset, recipe.input), dataset)

    def shape(self, info: RunInfo) -> str:
        return f"{len(info.marks)} marks × {info.bins} bins"


class _Sequence(Line):
    """Windows of DNA: codes of letters, uint8 [batch, base]; a column of targets per chromatin feature."""

    unit, batch_size = "windows", 128

    def sizes(self, dataset: Dataset, inputs: InputSection) -> dict[str, Any]:
        return {"length": dataset.length, "targets": len(dataset.target_names)}

    def stored_sizes(self, info: RunInfo) -> dict[str, Any]:
        return {"length": info.length, "targets": len(info.target_names)}

    def record(self, dataset: Dataset, inputs: InputSection) -> dict[str, Any]:
        return {"length": dataset.length, "features": dataset.features.to_dicts()}

    def predictor(
        self, recipe: Recipe, sizes: Mapping[str, Any], task: str, hyperparameters: Mapping[str, Any]
    ) -> Predictor:
        network = create(recipe.model.name, **sizes, **hyperparameters)
        return Predictor(OneHot(unknown_letter(network)), network)

    def fit(self, predictor: Predictor, dataset: Dataset, rows: Rows, inputs: InputSection) -> None:
        """One-hot letters need no scaling."""

    def reader(self, inputs: InputSection, *, training: bool) -> Callable[..., OrderedBatches]:
        from regulome.datasets.sequence_batches import SequenceBatches

        if not training:
            return SequenceBatches
        return partial(SequenceBatches, reverse_complement=inputs.reverse_complement, shift=inputs.shift)

    def match(self, info: RunInfo, dataset: Dataset) -> View | None:
        if dataset.length != info.length:
            raise InputError(
                f"has windows of {dataset.length:,} bp, the run takes {info.length:,} bp",
                file=dataset.path,
                cure=f"prepare it with --length {info.length}",
            )
        return None

    def shape(self, info: RunInfo) -> str:
        features = len(info.target_names)
        return f"{info.length:,} bp × {features:,} feature{'s' * (features != 1)}"


class _Language(Line):
    """Letters of a text: codes, uint8 [batch, letter]; the target of each is the letter after it."""

    unit, batch_size = "blocks", 256

    def sizes(self, dataset: Dataset, inputs: InputSection) -> dict[str, Any]:
        return {}

    def stored_sizes(self, info: RunInfo) -> dict[str, Any]:
        return {}

    def record(self, dataset: Dataset, inputs: InputSection) -> dict[str, Any]:
        return {"length": dataset.length}

    def predictor(
        self, recipe: Recipe, sizes: Mapping[str, Any], task: str, hyperparameters: Mapping[str, Any]
    ) -> Predictor:
        return TextPredictor(create(recipe.model.name, **sizes, **hyperparameters))

    def fit(self, predictor: Predictor, dataset: Dataset, rows: Rows, inputs: InputSection) -> None:
        """Letters need no scaling."""

    def reader(self, inputs: InputSection, *, training: bool) -> Callable[..., OrderedBatches]:
        from regulome.datasets.language_batches import LanguageBatches

        carry = training and inputs.carry_state
        return partial(LanguageBatches, length=inputs.length or None, carry=carry)

    def match(self, info: RunInfo, dataset: Dataset) -> View | None:
        """Any text can be read, whatever the length of its windows."""
        return None

    def shape(self, info: RunInfo) -> str:
        return f"windows of {info.length:,} letters"

    def task(self, dataset: Dataset) -> Task:
        return "next-letter"

    def check(self, recipe: Recipe, dataset: Dataset, parts: npt.NDArray[np.str_]) -> None:
        if recipe.training.select not in ("valid_loss", "last"):
            raise InputError(
                f"training.select = {recipe.training.select} is of labels: a text has none",
                cure="give valid_loss or last",
            )

    def examples(self, info: RunInfo, dataset: Dataset) -> str:
        return f"{int(dataset.regions['letters'].sum()):,} letters in {len(dataset):,} {self.unit}"

    def epochs(self, recipe: Recipe, dataset: Dataset, batches: OrderedBatches) -> int:
        training = recipe.training
        if not training.letters:
            return training.epochs
        each = batches.examples * (recipe.input.length or dataset.length)
        epochs = max(1, min(training.epochs, round(training.letters / each)))
        if epochs < training.epochs:
            logger.info("%d epochs of %s letters (training.letters)", epochs, f"{each:,}")
        return epochs

    def step(self, module: nn.Module, inputs: Tensor, memory: Memory, settings: InputSection) -> tuple[Tensor, Memory]:
        output, after = module(inputs, memory)
        return output, tuple(part.detach() for part in after) if settings.carry_state else None


def unknown_letter(network: nn.Module) -> float:
    """What an unknown letter is in each channel of a network's input: its attribute ``unknown``."""
    return float(getattr(network, "unknown", 0.0))


_LINES: Mapping[str, Line] = {"expression": _Marks(), "sequence": _Sequence(), "language": _Language()}


def line_named(name: str, model: str) -> Line:
    """Return a line of work.

    Args:
        name: Its name.
        model: Name of the network: those that take regions read other parts of a dataset than those that take marks.

    Raises:
        InputError: Networks of this line are not trained here, or there is no such network.
    """
    if name not in _LINES:
        raise InputError(f"there is no training of the line {name!r}", cure=_known(_LINES))
    return REGIONS if name == "expression" and inputs_of(model) == "regions" else _LINES[name]


def line_seeing(name: str, view: View | RegionView | None) -> Line:
    """Return the line of work whose networks see such a part of a dataset."""
    return REGIONS if isinstance(view, RegionView) else _LINES[name]


def _known(names: Iterable[str]) -> str:
    return f"there are {', '.join(names)}"
