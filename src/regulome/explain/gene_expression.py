"""The expression that a run predicts for genes of a dataset, with their marks as observed and as changed."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit

from regulome.datasets.dataset import Dataset
from regulome.datasets.promoter_windows import read_rows
from regulome.datasets.views import View
from regulome.errors import InputError
from regulome.models.modes import evaluating
from regulome.training.prediction import as_dataset, match_marks
from regulome.training.runs import Run, open_run
from regulome.training.scorer import mean_log_odds, mean_output

#: Genes that are computed at once.
_BATCH = 1024


class GeneExpression:
    """Predicts expression from marks in bins around start sites.

    Args:
        run: A run of the line expression whose network reads marks in bins.
        dataset: A dataset with these marks; None takes the run's own.
        device: Where to compute.

    Attributes:
        run: The run.
        dataset: The dataset.
        view: Which part of it the run sees.
        names: Names of the outputs.
        odds: Whether outputs are probabilities, so that they have odds.

    Raises:
        InputError: The run reads something else, or the dataset does not have what it reads.
    """

    def __init__(
        self,
        run: Run | str | os.PathLike[str],
        dataset: Dataset | str | os.PathLike[str] | None,
        device: torch.device,
    ) -> None:
        self.run = open_run(run)
        info = self.run.info
        if info.line != "expression":
            cure = "name a run that was trained on histone marks around genes"
            raise InputError(
                f"is a run of the line {info.line!r}, which predicts no expression", file=self.run.path, cure=cure
            )
        self.dataset = self.run.dataset() if dataset is None else as_dataset(dataset)
        view = match_marks(info, self.dataset)
        if not isinstance(view, View):
            cure = "name a run whose network reads the bins around the start site alone"
            raise InputError("reads distal regions, to which marks are not carried", file=self.run.path, cure=cure)
        self.view = view
        self.names = info.target_names
        self.odds = info.task == "classification"
        self._models = self.run.models(device)
        self._device = device
        self._array = read_rows(self.dataset)
        minus = self.dataset.regions["strand"] == "-"
        self._turned = minus.to_numpy() & self.run.recipe.input.orient

    def marks(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Read what the run sees of the marks of genes, float32 [rows, marks, bins], along the forward strand."""
        different, which = np.unique(rows, return_inverse=True)
        found: npt.NDArray[np.float32] = self.view.read(self._array, different)[which]
        return found

    def mean_signal(self) -> npt.NDArray[np.float64]:
        """Return the mean of each mark over all genes and bins, float64 [marks]; reads the dataset once."""
        total = np.zeros(len(self.view.marks))
        for begin in range(0, len(self.dataset), _BATCH):
            total += self.marks(np.arange(begin, min(begin + _BATCH, len(self.dataset)))).sum((0, 2), dtype=np.float64)
        mean: npt.NDArray[np.float64] = total / (len(self.dataset) * self.view.bins)
        return mean

    def outputs(self, rows: npt.NDArray[np.int64], marks: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Predict genes of the dataset from marks.

        Returns:
            Log odds of the members' mean probability, or their mean value, float64 [rows, outputs].

        Raises:
            InputError: An answer is not finite.
        """
        mean = mean_log_odds if self.odds else mean_output
        found = np.empty((len(rows), len(self.names)))
        turned = self._turned[rows]
        with evaluating(self._models), torch.inference_mode():
            for begin in range(0, len(rows), _BATCH):
                some = np.array(marks[begin : begin + _BATCH])
                back = turned[begin : begin + _BATCH]
                some[back] = some[back][:, :, ::-1]
                inputs = torch.from_numpy(some).to(self._device)
                found[begin : begin + _BATCH] = mean(model(inputs).float() for model in self._models).cpu().numpy()
        if not np.isfinite(found).all():
            cure = "train again; its weights are damaged"
            raise InputError("the model's answer is not a finite number", file=self.run.path, cure=cure)
        return found

    def values(self, outputs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Turn outputs into probabilities, or values."""
        found: npt.NDArray[np.float64] = expit(outputs) if self.odds else outputs
        return found
