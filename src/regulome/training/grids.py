"""Cells × mark sets × folds × models × seeds: trained side by side, resumed where they were cut off, compared."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import torch

from regulome import storage
from regulome.cluster import check_cluster, hand_out
from regulome.errors import InputError
from regulome.training import runs
from regulome.training.device import choose_device
from regulome.training.grid_jobs import JobRequest, do_job
from regulome.training.grid_plan import GridPlan, plan_grid
from regulome.training.grid_record import (
    DIFFERENCES,
    INFO,
    LOGS,
    RUNS,
    SUMMARY,
    Grid,
    GridInfo,
    Training,
    check_grows,
    open_grid,
    read_info,
)
from regulome.training.grid_statistics import paired_differences, summarize
from regulome.training.partial import cut_off_tidily
from regulome.workers import cores

logger = logging.getLogger(__name__)


def grid(
    plan: str | os.PathLike[str] | Mapping[str, Any] | GridPlan,
    out: str | os.PathLike[str],
    *,
    jobs: int | None = None,
    cluster: str | None = None,
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
) -> Grid:
    """Train every combination of cells, mark sets, folds, models and seeds, and compare them.

    All datasets, splits and recipes are checked before the first training begins. Each training has a process of its
    own: one that is killed is done again, from where it was, and noted as failed if it is lost again; the others go on.
    Until all have ended the grid lies in ``OUT.partial``; ``resume`` finishes it: what is complete is kept, what was
    cut off goes on from its last checkpoint, what failed is tried again. The grid may have grown by then.

    Args:
        plan: A TOML file, its content, or what :func:`plan_grid` makes of it.
        out: The folder to make; see :mod:`regulome.training.grid_record`.
        jobs: Trainings at the same time. On this machine None takes a process for each core (with CUDA for each GPU),
            which shares the cores' threads; 0 trains here, one after the other. Of a batch system so many batch jobs
            are asked for.
        cluster: See :func:`regulome.cluster.hand_out`.
        device: "auto", "cpu" or "cuda".
        resume: Finish ``OUT.partial``, or a finished grid that has grown or has failures; start anew where there is
            none.
        overwrite: Replace ``out`` and ``OUT.partial``.

    Returns:
        The grid: its results, and means and differences with intervals.

    Raises:
        InputError: Anything in the grid that cannot be; ``out`` exists; there is nothing to resume of this grid; the
            cluster does not answer; none of the trainings was possible.
    """
    if jobs is not None and jobs < 0:
        raise InputError(f"jobs must be at least 0, got {jobs}")
    check_cluster(cluster)
    planned = plan_grid(plan)
    if cluster is None:
        choose_device(device)
    out = Path(out).absolute()
    info = _record(planned)
    if resume and out.exists() and not overwrite:
        found = open_grid(out)
        check_grows(out, found.info, info.request)
        if _taken_over(info, out) == len(info.trainings):
            logger.info("%s is complete with %d trainings: nothing to resume", out, len(info.trainings))
            return found
        if not runs.partial_folder(out).exists():
            out.rename(runs.partial_folder(out))
    storage.check_target(out, overwrite=overwrite)
    with _alone(out):
        folder = _begin(out, info, resume=resume, overwrite=overwrite)
        with cut_off_tidily(folder, lambda: _begun(folder, info)):
            _train(planned, info, folder, jobs, cluster, device)
            _finish(info, folder)
        storage.replace(folder, out)
    found = Grid(out, info)
    _tell(found)
    return found


def _record(plan: GridPlan) -> GridInfo:
    trainings = [
        Training(
            **{name: getattr(job, name) for name in ("cell", "marks", "model", "fold", "seed", "key")},
            n_marks=len(plan.marks[job.marks]),
        )
        for job in plan.jobs
    ]
    task = next(iter(plan.cells.values())).task
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return GridInfo(task=task, request=plan.request, trainings=trainings, created=created)


def _begin(out: Path, info: GridInfo, *, resume: bool, overwrite: bool) -> Path:
    """Return the folder to work in, new or taken up again."""
    folder = runs.partial_folder(out)
    if folder.exists() and not resume and not overwrite:
        raise InputError(
            "holds unfinished work", file=folder, cure="finish it with --resume, or start anew with --overwrite"
        )
    if resume and (folder / INFO).exists():
        before = read_info(folder)
        check_grows(folder, before, info.request)
        for file in folder.rglob(".*.tmp*"):
            # A killed process was writing it.
            file.unlink() if file.is_file() else shutil.rmtree(file)
        info.created = before.created
        done = _taken_over(info, folder)
        more = len(info.trainings) - len(before.trainings)
        grown = f"; {more} more than before" if more else ""
        logger.info("resumed: %d of %d trainings are complete%s", done, len(info.trainings), grown)
    else:
        if resume:
            logger.info("nothing to resume: starting anew")
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir()
    info.save(folder)
    return folder


def _taken_over(info: GridInfo, folder: Path) -> int:
    """Take the results of the trainings that are complete in a folder; return how many they are."""
    return sum(training.look(folder) for training in info.trainings)


def _train(plan: GridPlan, info: GridInfo, folder: Path, jobs: int | None, cluster: str | None, device: str) -> None:
    """Do the trainings that are not complete."""
    waiting = [number for number, training in enumerate(info.trainings) if training.state != "complete"]
    requests = [_request(plan, number, folder, device) for number in waiting]
    if cluster is None and jobs is None:
        # One network after the other fills a GPU.
        jobs = torch.cuda.device_count() if choose_device(device).type == "cuda" else cores()
    if cluster is None and jobs:
        # Not fewer than the whole grid needs: a resumed training computes with as many threads as before.
        jobs = min(jobs, len(info.trainings))
    logger.info(_headline(plan, len(waiting), jobs, cluster))
    clock = _Clock(info, waiting, jobs or 1)
    with closing(hand_out(do_job, requests, processes=jobs, cluster=cluster, options=plan.options)) as outcomes:
        for outcome in outcomes:
            number = waiting[outcome.job]
            training = info.trainings[number]
            if outcome.problem or not training.look(folder):
                training.state, training.note = "failed", outcome.problem or "its run is not there"
            info.save(folder)
            logger.info("%s", clock.line(number, outcome.result))


def _request(plan: GridPlan, number: int, folder: Path, device: str) -> JobRequest:
    job = plan.jobs[number]
    dataset = plan.cells[job.cell].path.absolute()
    count = torch.cuda.device_count() if device in ("auto", "cuda") else 0
    if count > 1:
        device = f"cuda:{number % count}"
    out, log = folder / RUNS / job.key, folder / LOGS / f"{job.key.replace('/', '--')}.log"
    return JobRequest(plan.recipe(job), dataset, out, plan.folds[job.fold], job.seed, device, log)


class _Clock:
    """Says how each training ended, and how long the others will take: as long as those of the same model did."""

    def __init__(self, info: GridInfo, waiting: list[int], beside: int) -> None:
        self.info, self.beside = info, beside
        self.left, self.total = list(waiting), len(waiting)
        self.spent: dict[str, list[float]] = defaultdict(list)
        self.begin, self.failed = time.monotonic(), 0

    def line(self, number: int, seconds: float | None) -> str:
        self.left.remove(number)
        training = self.info.trainings[number]
        done = f"{self.total - len(self.left)} of {self.total}"
        name = f"{training.cell} · {training.marks} · {training.model} · fold {training.fold} · seed {training.seed}"
        if training.state == "failed":
            return f"{done} failed: {name}: {training.note}"
        metric = self.info.metrics[0]
        value = training.metrics[metric]["value"]
        said = "not defined" if value is None else f"{value:.4f}"
        took = seconds or 0.0
        self.spent[training.model].append(took)
        return f"{done}: {name}: test {metric} {said}, {took:.0f} s{self._estimate()}"

    def _estimate(self) -> str:
        known = [seconds for each in self.spent.values() for seconds in each]
        overall = sum(known) / len(known)
        models = [self.info.trainings[number].model for number in self.left]
        means = {model: sum(spent) / len(spent) for model, spent in self.spent.items()}
        # How many run side by side on a cluster is seen by how much was done in the time.
        rate = max(1.0, sum(known) / max(time.monotonic() - self.begin, 1e-9))
        left = sum(means.get(model, overall) for model in models) / rate
        return f", about {_duration(left)} left" if left >= 1 else ""


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _finish(info: GridInfo, folder: Path) -> None:
    """Write means and differences; refuse a grid of which nothing could be trained."""
    complete = [training for training in info.trainings if training.state == "complete"]
    if not complete:
        raise InputError(
            f"none of the {len(info.trainings)} trainings could be done; the first: {info.trainings[0].note}",
            cure=f"see {folder / LOGS}, and go on with --resume",
        )
    results = info.table(), info.metrics, info.request["marks"]
    for name, content in ((SUMMARY, summarize(*results)), (DIFFERENCES, paired_differences(*results))):
        with storage.new_file(folder / name) as temporary:
            content.write_csv(temporary, separator="\t")
    info.status = "complete"
    info.save(folder)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keep a second process from the same grid: both would write the same runs."""
    lock = out.with_name(f".{out.name}.lock")
    with lock.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError("another process is at work on it", file=out, cure="wait for it, or end it") from None
        except OSError:
            logger.debug("%s: locks are not known here", lock)
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _begun(folder: Path, info: GridInfo) -> bool:
    """Say whether a grid's unfinished folder has anything to resume from."""
    return any(training.state != "waiting" for training in info.trainings) or (folder / RUNS).exists()


def _headline(plan: GridPlan, waiting: int, jobs: int | None, cluster: str | None) -> str:
    where = f"on {cluster}" if cluster else "here" if jobs == 0 else f"{jobs} at a time"
    parts = {"cell": plan.cells, "mark set": plan.marks, "model": plan.models, "fold": plan.folds}
    counts = ", ".join(f"{len(each)} {name}{'s' * (len(each) > 1)}" for name, each in parts.items())
    return f"{waiting} trainings ({counts}), {where}"


def _tell(found: Grid) -> None:
    table = found.results
    failed = int((table["state"] == "failed").sum())
    if failed:
        logger.warning(
            "%d of %d trainings failed: see note in results.tsv, and logs; --resume tries them again",
            failed,
            len(table),
        )
    best = (
        found.summary.filter(pl.col("metric") == found.metric, pl.col("by") == "model, marks")
        .sort("mean")
        .row(-1, named=True)
    )
    said = f"best: {best['model']} on {best['marks']}, mean test {found.metric} {best['mean']:.4f}"
    count = len(table) - failed
    logger.info("%d trainings, %.0f s of training · %s · %s", count, table["seconds"].sum(), said, found.path)
