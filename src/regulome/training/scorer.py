"""From letters to probabilities with the models of a sequence run: what predictions, variants and mutations share."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.models.modes import evaluating
from regulome.training.device import choose_device
from regulome.training.runs import Run, open_run
from regulome.training.strands import reverse_complement

#: Windows per batch.
BATCH_SIZE = 256
#: Windows that the CPU computes at once, at most: larger layers leave its caches.
_CPU_BATCH = 64
#: Further from 0, the probability of a logit or of its opposite is 0 in float32.
_CERTAIN = 80.0


class Scorer:
    """Scores windows of DNA with one model or an ensemble.

    Memory and device: letters travel to the device as bytes and become numbers there; one batch is held at a time, and
    the result once on the device and once in memory. A model that is elsewhere is copied to the device. The models
    are left as they were found: mode, device, gradients; random generators are not drawn from.

    Args:
        models: Members of an ensemble, each from codes uint8 [batch, length] to logits or values [batch, targets].
        length: Bases of a window.
        target_names: Name of each output.
        task: "classification" (outputs are logits) or "regression" (outputs are values).
        both_strands: Average over the window and its reverse complement.
        device: Where to compute.
        batch_size: Windows at a time, at most; the CPU takes no more than 64.

    Attributes:
        models: The members, on ``device``.
        length: Bases of a window.
        target_names: Name of each output.
        task: "classification" or "regression".
        both_strands: Whether both strands are averaged.
        device: Where it computes.
        batch_size: Windows at a time, there.

    Example:
        >>> scorer = Scorer([network], length=1000, target_names=["CTCF"])  # doctest: +SKIP
        >>> scorer.probabilities(codes).shape  # doctest: +SKIP
        (5, 1)
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        *,
        length: int,
        target_names: Sequence[str],
        task: str = "classification",
        both_strands: bool = True,
        device: str | torch.device = "cpu",
        batch_size: int = BATCH_SIZE,
    ) -> None:
        if not models or not target_names or length < 1:
            raise InputError("a scorer needs a model, a length and the names of its outputs")
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1, got {batch_size}")
        if task not in ("classification", "regression"):
            raise InputError(f"unknown task {task!r}", cure="give classification or regression")
        self.device = torch.device(device)
        self.models = [on_device(model, self.device) for model in models]
        self.length = length
        self.target_names = list(target_names)
        self.task = task
        self.both_strands = both_strands
        self.batch_size = min(batch_size, _CPU_BATCH) if self.device.type == "cpu" else batch_size

    @classmethod
    def from_run(
        cls,
        run: Run | str | os.PathLike[str],
        *,
        device: str = "auto",
        both_strands: bool | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> Scorer:
        """Load the members of a sequence run.

        Args:
            run: The run, or its folder.
            device: "auto", "cpu" or "cuda".
            both_strands: Average both strands; None does as the run's recipe says.
            batch_size: Windows at a time.

        Raises:
            InputError: No such run, no such device, or the run does not read DNA.
        """
        run = open_run(run)
        if run.info.line != "sequence":
            cure = "name a run that was trained on DNA windows"
            raise InputError(
                f"is a run of the line {run.info.line!r}, which does not read DNA", file=run.path, cure=cure
            )
        where = choose_device(device)
        return cls(
            run.models(where),
            length=run.info.length,
            target_names=run.info.target_names,
            task=run.info.task,
            both_strands=run.recipe.input.both_strands if both_strands is None else both_strands,
            device=where,
            batch_size=batch_size,
        )

    def probabilities(self, codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return the mean probability (or value) over members and strands, float32 [n, targets].

        Args:
            codes: uint8 [n, length]: A 0, C 1, G 2, T 3, unknown 4.

        Raises:
            InputError: The windows have another length, or the model's answer is not finite.
        """
        return self._mean(codes, torch.sigmoid if self.task == "classification" else _as_it_is)

    def logits(self, codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return the mean output over members and strands, before any sigmoid, float32 [n, targets].

        The mean of logits is not the logit of the mean probability; see :meth:`log_odds`.
        """
        return self._mean(codes, _as_it_is)

    def log_odds(self, codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return ln(p / (1 − p)) of the mean probability p, float32 [n, targets], exact also where p rounds to 1.

        Where several outputs are averaged, those beyond ±80 count as ±80.

        Raises:
            InputError: As :meth:`probabilities`; or the run predicts values, which have no odds.
        """
        if self.task != "classification":
            raise InputError("the run predicts values, which have no odds", cure="use a run of the task classification")

        return self._batches(codes, lambda batch: mean_log_odds(self._outputs(batch)))

    def _mean(self, codes: npt.NDArray[np.uint8], each: Callable[[Tensor], Tensor]) -> npt.NDArray[np.float32]:
        return self._batches(codes, lambda batch: mean_output(map(each, self._outputs(batch))))

    def _outputs(self, batch: Tensor) -> Iterator[Tensor]:
        """Give each member's output [b, targets] for each strand."""
        strands = [batch]
        if self.both_strands:
            strands.append(reverse_complement(batch))
        for model in self.models:
            for strand in strands:
                yield model(strand).float()

    def _batches(self, codes: npt.NDArray[np.uint8], answer: Callable[[Tensor], Tensor]) -> npt.NDArray[np.float32]:
        if codes.ndim != 2 or codes.shape[1] != self.length:
            got = f"{codes.shape[1]} bp" if codes.ndim == 2 else f"an array of shape {list(codes.shape)}"
            raise InputError(f"expected windows of {self.length} bp, as the run takes, but got {got}")
        letters = torch.from_numpy(np.ascontiguousarray(codes, np.uint8))
        result = torch.empty((len(letters), len(self.target_names)), device=self.device)
        with evaluating(self.models), torch.inference_mode():
            for begin in range(0, len(letters), self.batch_size):
                batch = letters[begin : begin + self.batch_size].to(self.device, non_blocking=True)
                result[begin : begin + self.batch_size] = answer(batch)
            # A sum is finite where all its terms are: one number to wait for instead of one for each.
            finite = math.isfinite(float(result.sum(dtype=torch.float64)))
        if not finite:
            raise InputError("the model's answer is not a finite number", cure="train again; its weights are damaged")
        return result.cpu().numpy()


def mean_output(outputs: Iterable[Tensor]) -> Tensor:
    """Return the mean of members' and strands' outputs, each [n, targets]."""
    count, total = 0, None
    for output in outputs:
        count, total = count + 1, output if total is None else total + output
    if total is None:
        raise ValueError("there is no output")
    return total / count


def mean_log_odds(outputs: Iterable[Tensor]) -> Tensor:
    """Return ln(p / (1 − p)) of the mean probability p over members' and strands' logits, each [n, targets].

    Where there are several, those beyond ±80 count as ±80.
    """
    given = list(outputs)
    if len(given) == 1:
        return given[0]
    given = [output.clamp(-_CERTAIN, _CERTAIN) for output in given]
    present, absent = (sum(torch.sigmoid(sign * output) for output in given) for sign in (1, -1))
    return torch.log(torch.as_tensor(present)) - torch.log(torch.as_tensor(absent))


def _as_it_is(output: Tensor) -> Tensor:
    return output


def on_device(model: nn.Module, device: torch.device) -> nn.Module:
    """Return the model itself where it is on the device, else a copy there."""
    places = {tensor.device for tensor in chain(model.parameters(), model.buffers())}
    there = all(place.type == device.type and device.index in (None, place.index) for place in places)
    return model if there else copy.deepcopy(model).to(device)
