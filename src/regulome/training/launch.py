"""Start the processes that train: one, or one per device, through Lightning Fabric."""

from __future__ import annotations

import logging
import logging.handlers
import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from regulome.errors import RegulomeError

Result = TypeVar("Result")
#: What :func:`launch` runs: takes Fabric and the job.
Work = Callable[..., Result]

_PRECISION: dict[str, Any] = {"32": "32-true", "bf16-mixed": "bf16-mixed", "16-mixed": "16-mixed"}
logger = logging.getLogger(__name__)


def launch(work: Work[Result], job: object, *, device: torch.device, devices: int = 1, precision: str = "32") -> Result:
    """Run ``work(fabric, job)`` on every device, and return what the first one returns.

    With several devices each gets a process of its own (spawned, so that it works from scripts, notebooks and tests);
    gradients are averaged over them by DDP. ``job`` is pickled then, and messages of the first process come here.
    """
    if precision == "16-mixed" and device.type == "cpu":
        logger.info("16-mixed needs CUDA: using bf16-mixed on the CPU")
        precision = "bf16-mixed"
    with _quiet_lightning():
        from lightning.fabric import Fabric
        from lightning.fabric.plugins.environments.lightning import LightningEnvironment
        from lightning.fabric.strategies.ddp import DDPStrategy

        if devices == 1:
            chosen = [device.index or 0] if device.type == "cuda" else 1
            fabric = Fabric(accelerator=device.type, devices=chosen, precision=_PRECISION[precision])
            result: Result = fabric.launch(work, job)
            return result
        strategy = DDPStrategy(
            start_method="spawn",
            process_group_backend="nccl" if device.type == "cuda" else "gloo",
            # The only buffers are constants of the preprocessing, equal everywhere.
            broadcast_buffers=False,
        )
        fabric = Fabric(
            accelerator=device.type,
            devices=devices,
            strategy=strategy,
            precision=_PRECISION[precision],
            # Without it a shell inside a SLURM job would be taken for a SLURM launch.
            plugins=[LightningEnvironment()],
        )
        with _messages() as queue, _children(), _environment():
            child: Work[Any] = _in_child
            outcome = fabric.launch(child, work, job, queue, logging.getLogger("regulome").getEffectiveLevel())
    if isinstance(outcome, RegulomeError):
        raise outcome
    return outcome  # type: ignore[no-any-return]


def _in_child(fabric: Any, work: Work[Result], job: object, queue: Any, level: int) -> Result | RegulomeError:
    """Run in a spawned process: send messages to the parent, and return a user's error rather than a traceback."""
    root = logging.getLogger("regulome")
    root.propagate = False
    root.setLevel(level if fabric.global_rank == 0 else logging.CRITICAL)
    root.addHandler(logging.handlers.QueueHandler(queue))
    with _quiet_lightning():
        try:
            return work(fabric, job)
        except RegulomeError as error:
            return error


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep Lightning's own messages and warnings to itself: regulome says what there is to say."""
    for name in ("lightning", "lightning.fabric", "lightning.pytorch", "lightning.fabric.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _messages() -> Iterator[Any]:
    """Give a queue; what other processes put there is logged here."""
    queue = multiprocessing.get_context("spawn").Queue()
    listener = logging.handlers.QueueListener(queue, _Forward())
    listener.start()
    try:
        yield queue
    finally:
        listener.stop()
        queue.close()
        queue.join_thread()


class _Forward(logging.Handler):
    """Hand a record of another process to the logger of the same name here."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger(record.name).handle(record)


@contextmanager
def _children() -> Iterator[None]:
    """On an error or Ctrl-C end the processes that were started, so that none trains on alone."""
    before = set(multiprocessing.active_children())
    try:
        yield
    except BaseException:
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()
            process.join(10)
        raise


@contextmanager
def _environment() -> Iterator[None]:
    """Undo what the launcher writes into the environment (the port, above all)."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)
