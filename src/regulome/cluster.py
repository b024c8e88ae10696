"""One machine or many: where jobs that do not need each other are handed out."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from regulome.errors import InputError
from regulome.workers import Outcome, Work, Worker, attempt, cores, run_in_processes, thread_limits

logger = logging.getLogger(__name__)

#: Batch systems, and the class of dask-jobqueue that speaks with each.
SYSTEMS = {"slurm": "SLURMCluster", "sge": "SGECluster", "pbs": "PBSCluster", "lsf": "LSFCluster"}
# Seconds in which a scheduler has to answer, and between two looks whether a job is still wanted.
_ANSWER, _LOOK = 10, 1.0
_INSTALL = "install it: pip install 'regulome[cluster]'"


def hand_out(
    work: Work,
    jobs: Sequence[Any],
    *,
    processes: int | None = None,
    threads: int | None = None,
    cluster: str | None = None,
    options: Mapping[str, Any] | None = None,
    retries: int = 1,
) -> Generator[Outcome]:
    """Do jobs that do not need each other, and yield each one's outcome as soon as it is there.

    Each job has a process of its own while it runs. One that is killed costs only its own job, which is done again.
    Close the iterator to end everything that was started.

    Args:
        work: What is done with each job: a function at the top of a module.
        jobs: The jobs; they and the results are pickled.
        processes: Jobs at the same time: on this machine (None takes the number of cores; 0 does them here, one after
            the other), or batch jobs to ask a batch system for.
        threads: Threads of each process on this machine; None shares the cores out.
        cluster: None takes this machine. ``tcp://HOST:PORT`` or a scheduler file (``.json``) is a Dask scheduler that
            runs; "slurm", "sge", "pbs" or "lsf" starts workers there through dask-jobqueue. Files of the jobs have to
            be seen from everywhere under the same paths.
        options: Options of the dask-jobqueue class, in addition to its own configuration.
        retries: How often a job is done again whose process was killed.

    Raises:
        InputError: There is no such cluster, it does not answer, or Dask is not installed.
    """
    if cluster is not None:
        yield from _on_cluster(work, jobs, cluster, processes, options or {}, retries)
    elif processes == 0:
        for number, job in enumerate(jobs):
            yield Outcome(number, *attempt(work, job))
    else:
        count = processes or cores()
        limits = thread_limits(threads or max(1, cores() // count))
        yield from run_in_processes(work, jobs, processes=count, environment=limits, retries=retries)


def check_cluster(cluster: str | None) -> None:
    """Refuse a cluster that cannot be meant, before any work.

    Raises:
        InputError: It is no address, scheduler file or batch system, or Dask is not installed.
    """
    if cluster is None:
        return
    if cluster not in SYSTEMS and "://" not in cluster and not Path(cluster).is_file():
        raise InputError(
            f"unknown cluster {cluster!r}",
            cure=f"give the address of a Dask scheduler, tcp://HOST:8786, its scheduler file, or {', '.join(SYSTEMS)}",
        )
    try:
        importlib.import_module("distributed")
        if cluster in SYSTEMS:
            importlib.import_module("dask_jobqueue")
    except ImportError as error:
        raise InputError(f"--cluster needs {error.name}, which is not installed", cure=_INSTALL) from None


def _on_cluster(
    work: Work, jobs: Sequence[Any], cluster: str, processes: int | None, options: Mapping[str, Any], retries: int
) -> Iterator[Outcome]:
    check_cluster(cluster)
    dask: Any = importlib.import_module("distributed")
    with _client(cluster, min(processes or len(jobs), len(jobs)), options, retries) as client:
        # Not pure: the same job may be handed out again by a later grid, and must not be looked up.
        futures = client.map(_in_a_process, [work] * len(jobs), jobs, [retries] * len(jobs), pure=False)
        numbers = {future.key: number for number, future in enumerate(futures)}
        try:
            for future in dask.as_completed(futures, loop=client.loop):
                number, error = numbers[future.key], future.exception()
                if error is None:
                    yield Outcome(number, *future.result())
                else:
                    yield Outcome(number, problem=" ".join(f"{type(error).__name__}: {error}".split()))
        finally:
            client.cancel(futures)


@contextmanager
def _client(cluster: str, processes: int, options: Mapping[str, Any], retries: int) -> Iterator[Any]:
    dask: Any = importlib.import_module("distributed")
    if cluster not in SYSTEMS:
        where = {"address": cluster} if "://" in cluster else {"scheduler_file": cluster}
        try:
            client = dask.Client(**where, timeout=_ANSWER, set_as_default=False)
        except (OSError, ValueError) as error:
            raise InputError(
                f"no Dask scheduler answers at {cluster}: {error}",
                cure="start one with `dask scheduler`, and workers with `dask worker`",
            ) from None
        with client:
            workers = client.scheduler_info(n_workers=-1)["workers"].values()
            threads = sum(worker["nthreads"] for worker in workers)
            logger.info("%s: %d workers, %d threads", cluster, len(workers), threads)
            yield client
        return
    jobqueue: Any = importlib.import_module("dask_jobqueue")
    with importlib.import_module("dask").config.set({"distributed.scheduler.allowed-failures": retries}):
        try:
            started = getattr(jobqueue, SYSTEMS[cluster])(**options)
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{cluster}: {' '.join(str(error).split())}",
                cure="say it under [cluster] in the TOML, or in ~/.config/dask/jobqueue.yaml",
            ) from None
        with started, dask.Client(started, set_as_default=False) as client:
            started.scale(jobs=processes)
            logger.info("%s: asked for %d batch jobs; they begin when there is room", cluster, processes)
            yield client


def _in_a_process(work: Work, job: Any, retries: int) -> tuple[Any, str]:
    """Do a job in a process of its own, started by a worker of Dask.

    Threads of a worker share what torch keeps for a whole process (random numbers above all), and a network that is
    trained in one would keep the worker from answering its scheduler.
    """
    dask: Any = importlib.import_module("distributed")
    dask_worker = dask.get_worker()
    key = dask_worker.get_current_task()
    how = ""
    for _ in range(retries + 1):
        worker = Worker(thread_limits(1))
        try:
            worker.give(work, job)
            while not wait([worker.connection], _LOOK):
                task = dask_worker.state.tasks.get(key)
                if task is None or task.state != "executing":
                    return None, "is no longer wanted"
            return worker.take()
        except (EOFError, OSError):
            how = worker.end()
        finally:
            worker.end()
    return None, f"the process that did it was lost ({how}), {retries + 1} times"
