"""Networks on promoters and the distal regions that touch them: what their training asks of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch import nn

from regulome.datasets.dataset import Dataset
from regulome.datasets.ordered_batches import OrderedBatches
from regulome.datasets.region_batches import RegionBatches
from regulome.datasets.region_views import RegionView, choose_regions, tell_regions
from regulome.errors import InputError
from regulome.models.preprocess import Predictor
from regulome.models.registry import create
from regulome.recipes.schema import InputSection, Recipe
from regulome.training.line import Line, Rows

if TYPE_CHECKING:
    from regulome.training.runs import RunInfo


class _Regions(Line):
    """ln(1 + mean depth) of a promoter and its pCREs: :class:`regulome.models.regions.RegionBatch`."""

    unit, batch_size = "genes", 256

    def sizes(self, dataset: Dataset, inputs: InputSection) -> dict[str, Any]:
        view = _seen(dataset, inputs)
        return {"marks": len(view.marks), "window": view.span, "resolutions": list(view.resolutions)}

    def stored_sizes(self, info: RunInfo) -> dict[str, Any]:
        return {"marks": len(info.marks), "window": info.span, "resolutions": info.resolutions}

    def record(self, dataset: Dataset, inputs: InputSection) -> dict[str, Any]:
        view = _seen(dataset, inputs)
        finest = min(view.resolutions)
        return {
            "marks": list(view.marks),
            "bins": view.window // finest,
            "bin_size": finest,
            "resolutions": list(view.resolutions),
            "span": view.span,
            "pcres": view.pcres,
        }

    def predictor(
        self, recipe: Recipe, sizes: Mapping[str, Any], task: str, hyperparameters: Mapping[str, Any]
    ) -> Predictor:
        for name in sizes:
            if name in hyperparameters:
                raise InputError(
                    f"model.hyperparameters.{name} is given, but it follows from the dataset",
                    cure="leave it away; input.marks and input.resolutions choose what the network sees",
                )
        network = create(recipe.model.name, **sizes, task=task, **hyperparameters)
        return Predictor(nn.Identity(), network)

    def fit(self, predictor: Predictor, dataset: Dataset, rows: Rows, inputs: InputSection) -> None:
        """Logarithms need no scaling."""

    def reader(self, inputs: InputSection, *, training: bool) -> Callable[..., OrderedBatches]:
        def read(dataset: Dataset, rows: Rows, **settings: Any) -> OrderedBatches:
            return RegionBatches(
                dataset,
                rows,
                marks=inputs.marks,
                window=inputs.window,
                resolutions=inputs.resolutions,
                top=None if inputs.pcres < 0 else inputs.pcres,
                **settings,
            )

        return read

    def match(self, info: RunInfo, dataset: Dataset) -> RegionView:
        view = choose_regions(dataset, info.marks, info.bins * info.bin_size, info.resolutions, info.pcres)
        if view.span != info.span:
            raise InputError(
                f"has regions of up to {view.span:,} bp, the run takes {info.span:,} bp",
                file=dataset.path,
                cure=f"prepare it with --max-region {info.span}",
            )
        return view

    def check(self, recipe: Recipe, dataset: Dataset, parts: npt.NDArray[np.str_]) -> None:
        view = _seen(dataset, recipe.input)
        super().check(recipe, dataset, parts)
        for key, only in (("transform", "log1p"), ("scale", "none"), ("orient", True), ("bin", 0)):
            if getattr(recipe.input, key) != only:
                value = str(only).lower()
                raise InputError(
                    f"input.{key} = {str(getattr(recipe.input, key)).lower()} does not go with {recipe.model.name}",
                    cure=f"give input.{key} = {value}"
                    + ("; input.resolutions chooses the bins" if key == "bin" else ""),
                )
        tell_regions(view)

    def shape(self, info: RunInfo) -> str:
        bins = ", ".join(f"{width:,}" for width in info.resolutions)
        most = "" if info.pcres < 0 else f" (at most {info.pcres})"
        return f"{len(info.marks)} marks of promoter and pCREs{most} in bins of {bins} bp"


def _seen(dataset: Dataset, inputs: InputSection) -> RegionView:
    return choose_regions(dataset, inputs.marks, inputs.window, inputs.resolutions, inputs.pcres)


#: The line of networks on promoters and pCREs.
REGIONS = _Regions()
