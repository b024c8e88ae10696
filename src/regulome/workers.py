"""Processes of this machine that do one job after the other; one that is killed costs only its own job."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any, TypeAlias

from regulome.errors import RegulomeError

logger = logging.getLogger(__name__)

#: What is done with a job: a function at the top of a module that can be imported, so that its name can be sent.
Work: TypeAlias = Callable[[Any], Any]

# Whatever computes with threads reads one of these when it is loaded.
_THREADS = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    *("NUMBA_NUM_THREADS", "POLARS_MAX_THREADS", "LOKY_MAX_CPU_COUNT"),
)
# Seconds that a process gets to end when it is asked to.
_PATIENCE = 5.0


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        job: Its number in the list of jobs.
        result: What the work returned; None if it failed.
        problem: Why it failed; empty if it did not.
    """

    job: int
    result: Any = None
    problem: str = ""


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_limits(threads: int) -> dict[str, str]:
    """Return the environment in which a process computes with so many threads."""
    return dict.fromkeys(_THREADS, str(threads))


class Worker:
    """A process that does one job at a time, and ends with the process that made it, however that one ends.

    It is a fresh interpreter rather than a fork: threads that were running do not survive a fork, and a script needs no
    ``if __name__ == "__main__"``.

    Args:
        environment: What is added to the environment.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.connection, theirs = Pipe()
        # Nothing is ever written to this pipe: its reader wakes when the last writer is gone, killed or not.
        listening, self._life = os.pipe()
        # What can be imported here can be imported there.
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from regulome.workers import serve; serve({theirs.fileno()}, {listening})"],
            env={**os.environ, "PYTHONPATH": path, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), listening),
            # Ctrl-C is for the parent, which ends its workers.
            start_new_session=True,
        )
        theirs.close()
        os.close(listening)

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def give(self, work: Work, job: Any) -> None:
        """Start a job; the answer comes through ``connection``.

        Raises:
            OSError: The process is gone.
        """
        self.connection.send((work, job))

    def take(self) -> tuple[Any, str]:
        """Wait for the answer: the result, and the problem if there was one.

        Raises:
            EOFError: The process is gone.
        """
        try:
            answer: tuple[Any, str] = self.connection.recv()
        except OSError as error:
            raise EOFError from error
        return answer

    def end(self) -> str:
        """End the process if it still runs; say how it ended."""
        if not self.connection.closed:
            self.connection.close()
            if self._process.poll() is None:
                self._process.terminate()
            os.close(self._life)
        try:
            code = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def serve(channel: int, lifeline: int) -> None:
    """Do jobs until there are no more; what :class:`Worker` runs in its process.

    Args:
        channel: File descriptor through which work and jobs come and answers go.
        lifeline: File descriptor that ends when the parent does.
    """
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    connection = Connection(channel)
    while True:
        try:
            work, job = connection.recv()
        except EOFError:
            return
        connection.send(attempt(work, job))


def _end_with_parent(lifeline: int) -> None:
    os.read(lifeline, 1)
    os._exit(1)


def attempt(work: Work, job: Any) -> tuple[Any, str]:
    """Do a job; return its result, and the problem if there was one, in one line."""
    try:
        return work(job), ""
    except RegulomeError as error:
        return None, str(error)
    except Exception as error:
        logger.debug("%s", traceback.format_exc())
        return None, " ".join(f"{type(error).__name__}: {error}".split())


def run_in_processes(
    work: Work,
    jobs: Sequence[Any],
    *,
    processes: int,
    environment: Mapping[str, str] | None = None,
    retries: int = 1,
) -> Iterator[Outcome]:
    """Do jobs in processes of this machine, and yield each one's outcome as soon as it is there.

    A job whose process was killed is done again, last of all; the others do not notice. Close the iterator to end the
    processes.

    Args:
        work: What is done with each job.
        jobs: The jobs; they and the results are pickled.
        processes: How many work at the same time.
        environment: What is added to their environment, for example :func:`thread_limits`.
        retries: How often a job is done again whose process was killed.
    """
    waiting = deque((number, 0) for number in range(len(jobs)))
    idle: list[Worker] = []
    busy: dict[Any, tuple[Worker, int, int]] = {}
    try:
        while waiting or busy:
            while waiting and len(busy) < processes:
                number, deaths = waiting.popleft()
                worker = _start(idle, environment or {}, work, jobs[number])
                busy[worker.connection] = (worker, number, deaths)
            for connection in wait(list(busy)):
                worker, number, deaths = busy.pop(connection)
                try:
                    result, problem = worker.take()
                except EOFError:
                    how = worker.end()
                    if deaths < retries:
                        logger.warning("a process was lost (%s): its job will be done again", how)
                        waiting.append((number, deaths + 1))
                        continue
                    result, problem = None, f"the process that did it was lost ({how}), {deaths + 1} times"
                else:
                    idle.append(worker)
                yield Outcome(number, result, problem)
    finally:
        for worker in (*idle, *(each for each, *_ in busy.values())):
            worker.end()


def _start(idle: list[Worker], environment: Mapping[str, str], work: Work, job: Any) -> Worker:
    """Give a job to an idle worker, or to a new one."""
    while idle:
        worker = idle.pop()
        try:
            worker.give(work, job)
        except OSError:
            # It was killed while it had nothing to do.
            worker.end()
        else:
            return worker
    worker = Worker(environment)
    worker.give(work, job)
    return worker
