"""Plans of the learning rate, as functions of how far training has come."""

from __future__ import annotations

import math
from typing import Any

from regulome.recipes.schema import TrainingSection

# Shape of the one-cycle plan (Smith & Topin 2019, with the usual cosine ramps): share of the steps that go up, the
# start as a share of the peak, and the end as a share of the start.
_RISING = 0.3
_START = 1 / 25
_END = 1e-4


class Schedule:
    """The learning rate of each step.

    Args:
        training: The recipe's training section.
        steps_per_epoch: Steps of one epoch.
    """

    def __init__(self, training: TrainingSection, steps_per_epoch: int) -> None:
        self._plan = training.schedule
        self._peak = training.learning_rate
        self._factor = training.schedule_factor
        self._every = training.schedule_epochs
        self._least = min(training.schedule_minimum, training.learning_rate)
        self._per_epoch = steps_per_epoch
        self._steps = steps_per_epoch * training.epochs
        self._scale = 1.0
        self._lowest = math.inf
        self._waited = 0

    def rate(self, step: int, samples: int) -> float:
        """Return the learning rate of a step.

        Args:
            step: Steps taken before it.
            samples: Examples seen before it.
        """
        epoch = step // self._per_epoch
        if self._plan == "inverse":
            return self._peak / (1 + samples * self._factor)
        if self._plan == "step":
            return self._peak * self._factor ** (epoch // self._every)
        if self._plan == "exponential":
            return self._peak * self._factor**epoch
        if self._plan == "plateau":
            return max(self._peak * self._scale, self._least)
        if self._plan == "cosine":
            return self._peak * (1 + math.cos(math.pi * step / self._steps)) / 2
        if self._plan == "one-cycle":
            return self._one_cycle(step)
        return self._peak

    def end_epoch(self, valid_loss: float) -> None:
        """Take note of an epoch's validation loss; only the plateau plan needs it."""
        if valid_loss < self._lowest:
            self._lowest, self._waited = valid_loss, 0
            return
        self._waited += 1
        if self._waited > self._every:
            self._scale *= self._factor
            self._waited = 0

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs."""
        return {"scale": self._scale, "lowest": self._lowest, "waited": self._waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        self._scale, self._lowest, self._waited = state["scale"], state["lowest"], state["waited"]

    def _one_cycle(self, step: int) -> float:
        start = self._peak * _START
        top = max(_RISING * self._steps - 1, 1e-9)
        if step <= top:
            return _cosine(start, self._peak, step / top)
        return _cosine(self._peak, start * _END, min((step - top) / max(self._steps - 1 - top, 1e-9), 1.0))


def _cosine(begin: float, end: float, share: float) -> float:
    return end + (begin - end) * (1 + math.cos(math.pi * share)) / 2
