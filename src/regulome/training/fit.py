"""Fit one network by gradient steps: setup, epochs, the best state kept; can be killed and resumed at any time."""

from __future__ import annotations

import logging
import math
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from regulome.datasets.dataset import Dataset
from regulome.errors import InputError
from regulome.models.recurrent import threads_for
from regulome.progress import progress
from regulome.recipes.schema import Recipe
from regulome.training import state
from regulome.training.build import build_predictor
from regulome.training.device import exact_device
from regulome.training.line import Memory
from regulome.training.lines import line_named
from regulome.training.loss import make_loss
from regulome.training.optimizer import make_optimizer
from regulome.training.regularization import Regularization
from regulome.training.schedule import Schedule
from regulome.training.validation import SCORES, Validation, validate

logger = logging.getLogger(__name__)

Rows: TypeAlias = npt.NDArray[np.int64]
#: A row of history.csv.
Epoch: TypeAlias = dict[str, float | int | None]


@dataclass(frozen=True)
class FitJob:
    """What one member of a run needs; it can be sent to another process.

    Attributes:
        recipe: The resolved recipe.
        dataset: The opened dataset.
        train: Rows that train, int64 [examples].
        valid: Rows that choose the epoch.
        seed: Seed of this member.
        member: Number of this member, from 0.
        checkpoint: File of the point to resume from; read if it is there.
        title: What messages begin with, for example ``"member 2 of 3 · "``.
    """

    recipe: Recipe
    dataset: Dataset
    train: Rows = field(repr=False)
    valid: Rows = field(repr=False)
    seed: int
    member: int
    checkpoint: Path
    title: str = ""


class Fitted(TypedDict):
    """A fitted member.

    Attributes:
        weights: State dictionary of the predictor, preprocessing included, on the CPU.
        history: One row per epoch.
    """

    weights: dict[str, Tensor]
    history: list[Epoch]


@dataclass
class _Best:
    score: float = -math.inf
    epoch: int = -1
    weights: dict[str, Tensor] = field(default_factory=dict)


def fit(fabric: Any, job: FitJob) -> Fitted:
    """Fit a network; runs in every process of ``fabric``, and gives the same result in all of them.

    Raises:
        InputError: The loss or the outputs became infinite, or the checkpoint is not of this job.
    """
    return _Fit(fabric, job).run()


class _Fit:
    """Training of one member: what is built once, and the epochs."""

    def __init__(self, fabric: Any, job: FitJob) -> None:
        self.fabric, self.job = fabric, job
        self.training = job.recipe.training
        state.seed_everything(job.seed)
        self.predictor = build_predictor(job.recipe, job.dataset, fit_on=job.train)
        if fabric.global_rank:
            # The weights are equal in all processes, dropout must not be.
            state.seed_everything(job.seed + 1_000_003 * fabric.global_rank)
        self.regularization = Regularization(self.training, self.predictor.network)
        self.optimizer = make_optimizer(self.training, self.predictor)
        self.module, self.stepper = fabric.setup(self.predictor, self.optimizer)
        line = self.line = line_named(job.recipe.line, job.recipe.model.name)
        self.batches = line.batches(
            job.dataset,
            job.train,
            job.recipe.input,
            batch_size=self.training.batch_size,
            training=True,
            seed=job.seed,
            device=fabric.device,
            rank=fabric.global_rank,
            world_size=fabric.world_size,
        )
        if len(self.batches) == 0:
            raise InputError(f"{len(job.train)} training examples are too few for {fabric.world_size} devices")
        epochs = line.epochs(job.recipe, job.dataset, self.batches)
        self.training = self.training.model_copy(update={"epochs": epochs})
        self.loss = make_loss(self.training, job.dataset, job.train, fabric.device)
        self.schedule = Schedule(self.training, len(self.batches))
        self.epoch = self.step = self.samples = self.stale = 0
        self.loss_sum, self.loss_count, self.seconds = 0.0, 0, 0.0
        self.memory: Memory = None
        self.best = _Best()
        self.history: list[Epoch] = []
        self.saved = time.monotonic()

    def run(self) -> Fitted:
        if self.job.checkpoint.exists():
            self._load()
        on_cpu = self.fabric.device.type == "cpu"
        with threads_for(self.predictor) if on_cpu else nullcontext():
            while self.epoch < self.training.epochs and not self._stopped():
                self._train_epoch()
                self._end_epoch()
                self._save(mid_epoch=False)
        if self._stopped() and self.epoch < self.training.epochs:
            logger.info("%sno better epoch in %d: stopped", self.job.title, self.training.early_stopping)
        return {"weights": self.best.weights, "history": self.history}

    def _stopped(self) -> bool:
        return 0 < self.training.early_stopping <= self.stale

    def _train_epoch(self) -> None:
        self.batches.set_epoch(self.epoch)
        done = int(self.batches.state_dict()["position"])
        name = f"{self.job.title}epoch {self.epoch + 1} of {self.training.epochs}"
        begin = time.monotonic() - self.seconds
        world = self.fabric.world_size
        loss_sum = torch.tensor(self.loss_sum, dtype=torch.float64, device=exact_device(self.fabric.device))
        self.module.train()
        with progress(name, self.batches.examples, "examples") as advance:
            advance(done * self.batches.batch_size * world)
            for batch in self.batches:
                rate = self.schedule.rate(self.step, self.samples)
                for group in self.optimizer.param_groups:
                    group["lr"] = rate
                output, self.memory = self.line.step(self.module, batch.inputs, self.memory, self.job.recipe.input)
                loss = self.loss(output, batch.targets)
                self.stepper.zero_grad()
                self.fabric.backward(self.regularization(loss))
                if self.training.gradient_clamp:
                    self.fabric.clip_gradients(self.module, self.stepper, clip_val=self.training.gradient_clamp)
                if self.training.gradient_clip:
                    self.fabric.clip_gradients(
                        self.module, self.stepper, max_norm=self.training.gradient_clip, error_if_nonfinite=False
                    )
                self.stepper.step()
                self.regularization.limit()
                size = len(batch.targets)
                loss_sum += loss.detach() * size
                self.loss_count += size
                self.samples += size * world
                self.step += 1
                advance(size * world)
                if self._due():
                    self.loss_sum, self.seconds = loss_sum.item(), time.monotonic() - begin
                    self._save(mid_epoch=True)
        self.loss_sum, self.seconds, self.memory = loss_sum.item(), time.monotonic() - begin, None

    def _due(self) -> bool:
        """Say whether a point to resume from is due; the first process decides for all."""
        due = time.monotonic() - self.saved >= self.training.checkpoint_minutes * 60
        if self.fabric.world_size == 1:
            return due
        # Asking the others costs a message: not at every step.
        return self.step % 50 == 0 and bool(self.fabric.broadcast(due))

    def _end_epoch(self) -> None:
        begin = time.monotonic()
        sums = torch.tensor(
            [self.loss_sum, self.loss_count], dtype=torch.float64, device=exact_device(self.fabric.device)
        )
        if self.fabric.world_size > 1:
            sums = self.fabric.all_reduce(sums, reduce_op="sum")
        train_loss = float(sums[0] / sums[1])
        if not math.isfinite(train_loss):
            raise InputError(
                f"the loss is not a finite number in epoch {self.epoch + 1}",
                cure="lower training.learning_rate, set training.gradient_clip, or scale the inputs",
            )
        found = validate(self.fabric, self.predictor, self.loss, self.job.dataset, self.job.valid, self.job.recipe)
        self.schedule.end_epoch(found.loss)
        better = self._keep_best(found)
        seconds = self.seconds + time.monotonic() - begin
        row: Epoch = {
            "member": self.job.member,
            "epoch": self.epoch + 1,
            "step": self.step,
            "train_loss": train_loss,
            "valid_loss": found.loss,
            **found.row(),
            "learning_rate": float(self.optimizer.param_groups[0]["lr"]),
            "seconds": round(seconds, 3),
        }
        self.history.append(row)
        name, score = next(iter(found.scores.items()))
        logger.info(
            "%sepoch %d of %d: train loss %.4f, validation loss %.4f, %s %.4f, %.1f s%s",
            *(self.job.title, self.epoch + 1, self.training.epochs, train_loss, found.loss),
            *(SCORES[name], math.nan if score is None else score, seconds, " (best so far)" if better else ""),
        )
        self.epoch += 1
        self.loss_sum, self.loss_count, self.seconds = 0.0, 0, 0.0

    def _keep_best(self, found: Validation) -> bool:
        value = float(self.epoch) if self.training.select == "last" else found.value(self.training.select)
        if value <= self.best.score:
            self.stale += 1
            return False
        self.stale = 0
        self.best = _Best(value, self.epoch + 1, state.weights_on_cpu(self.predictor))
        return True

    def _save(self, *, mid_epoch: bool) -> None:
        memory = None if self.memory is None else [part.cpu() for part in self.memory]
        randomness, sums, memories = zip(
            *self._gathered((state.random_state(), [self.loss_sum, self.loss_count], memory)), strict=True
        )
        self.saved = time.monotonic()
        if self.fabric.global_rank == 0:
            state.save_checkpoint(
                self.job.checkpoint,
                {
                    "job": self._identity(),
                    "epoch": self.epoch,
                    "position": self.batches.state_dict()["position"] if mid_epoch else 0,
                    "step": self.step,
                    "samples": self.samples,
                    "stale": self.stale,
                    "seconds": self.seconds,
                    "loss": list(sums),
                    "memory": list(memories),
                    "weights": self.predictor.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                    "schedule": self.schedule.state_dict(),
                    "precision": self.fabric.strategy.precision.state_dict(),
                    "best": {"score": self.best.score, "epoch": self.best.epoch, "weights": self.best.weights},
                    "history": self.history,
                    "random": list(randomness),
                },
            )
        if self.fabric.world_size > 1:
            self.fabric.barrier()

    def _gathered(self, mine: Any) -> list[Any]:
        """What every process has here."""
        if self.fabric.world_size == 1:
            return [mine]
        found: list[Any] = [None] * self.fabric.world_size
        torch.distributed.all_gather_object(found, mine)
        return found

    def _identity(self) -> dict[str, int]:
        return {"member": self.job.member, "seed": self.job.seed, "devices": self.fabric.world_size}

    def _load(self) -> None:
        saved = state.load_checkpoint(self.job.checkpoint)
        if saved["job"]["member"] < self.job.member:
            # Killed between storing that member and removing its checkpoint.
            return
        if saved["job"] != self._identity():
            raise InputError(
                f"was written by {saved['job']}, this is {self._identity()}",
                file=self.job.checkpoint,
                cure="resume with the same seed and --devices, or start anew with --overwrite",
            )
        self.predictor.load_state_dict(saved["weights"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.schedule.load_state_dict(saved["schedule"])
        self.fabric.strategy.precision.load_state_dict(saved["precision"])
        self.epoch, self.step, self.samples = saved["epoch"], saved["step"], saved["samples"]
        self.stale, self.seconds, self.history = saved["stale"], saved["seconds"], saved["history"]
        self.best = _Best(**saved["best"])
        rank = self.fabric.global_rank
        self.loss_sum, self.loss_count = saved["loss"][rank]
        memory = saved.get("memory", {rank: None})[rank]
        self.memory = None if memory is None else tuple(part.to(self.fabric.device) for part in memory)
        self.batches.load_state_dict({**self.batches.state_dict(), "epoch": self.epoch, "position": saved["position"]})
        state.set_random_state(saved["random"][rank])
        done = f" and {saved['position']:,} of {len(self.batches):,} steps" if saved["position"] else ""
        logger.info("%sresumed after %d epochs%s", self.job.title, self.epoch, done)
