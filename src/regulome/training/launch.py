"""Start the processes that train: one, or one per device, through Lightning Fabric."""

from __future__ import annotations

import functools
import importlib
import logging
import logging.handlers
import multiprocessing
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

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
    gradients are averaged over them by DDP. ``job`` is pickled then, messages of the first process come here, and the
    result may consist of tensors, numbers, text, lists, tuples and dictionaries.
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
        with tempfile.TemporaryDirectory() as folder, _messages() as queue, _children(), _environment():
            answer = Path(folder) / "answer.pt"
            level = logging.getLogger("regulome").getEffectiveLevel()
            # Lightning searches what it is given for networks, but not inside a partial.
            error = fabric.launch(functools.partial(_in_child, _Hush(), work, job, queue, level, answer))
            if error is not None:
                raise error
            return cast(Result, torch.load(answer, weights_only=True))


def _in_child(
    hush: _Hush, work: Work[Result], job: object, queue: Any, level: int, answer: Path, fabric: Any
) -> object:
    """Run in a spawned process: send messages to the parent, and return a user's error rather than a traceback.

    The answer goes through a file: tensors in a queue die with the process that put them there.
    """
    root = logging.getLogger("regulome")
    root.propagate = False
    root.setLevel(level if fabric.global_rank == 0 else logging.CRITICAL)
    root.addHandler(logging.handlers.QueueHandler(queue))
    try:
        result = work(fabric, job)
    except RegulomeError as error:
        return error
    if fabric.global_rank == 0:
        torch.save(result, answer)
    return None


class _Hush:
    """Silences Lightning in a new process as soon as it arrives there: before the processes greet each other."""

    def __reduce__(self) -> tuple[Callable[[], _Hush], tuple[()]]:
        return _hush, ()


def _hush() -> _Hush:
    _silence_loggers()
    warnings.simplefilter("ignore")
    return _Hush()


def _silence_loggers() -> None:
    for name in ("lightning", "lightning.fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep Lightning's own messages and warnings to itself: regulome says what there is to say."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("lightning.fabric")
        _silence_loggers()
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
