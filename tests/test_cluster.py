"""Where jobs are handed out: this process, this machine, a Dask scheduler, a batch system."""

import gc
import logging
import os
import sys
from contextlib import closing

import pytest
from tests.job_work import do

from regulome.cluster import check_cluster, hand_out
from regulome.errors import InputError


def test_here_and_on_this_machine():
    jobs = [("process", 0), ("error", 0), ("value", 5)]
    here = list(hand_out(do, jobs, processes=0))
    assert [(o.job, o.result, o.problem) for o in here] == [
        (0, os.getpid(), ""),
        (1, None, "ValueError: two lines"),
        (2, 5, ""),
    ]
    there = {o.job: o for o in hand_out(do, jobs, processes=1)}
    assert there[0].result != os.getpid()
    assert (there[1].problem, there[2].result) == (here[1].problem, 5)


@pytest.mark.parametrize("cluster", ["slrum", "host:8786"])
def test_an_unknown_cluster_is_told(cluster):
    with pytest.raises(InputError, match=r"unknown cluster .*tcp://HOST:8786.*slurm, sge, pbs, lsf"):
        check_cluster(cluster)


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install 'regulome\[cluster\]'"):
        check_cluster("tcp://nowhere:1")


def test_a_scheduler_that_does_not_answer(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("regulome.cluster._ANSWER", 0.2)
    with pytest.raises(InputError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        list(hand_out(do, [("value", 1)], cluster="tcp://127.0.0.1:9"))


@pytest.fixture
def scheduler():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None, silence_logs=logging.ERROR
    ) as cluster:
        yield cluster.scheduler_address


def test_a_dask_scheduler(scheduler, tmp_path):
    jobs = [
        ("process", 0),
        ("environment", "OMP_NUM_THREADS"),
        ("input", "a.toml"),
        ("kill", (tmp_path / "once", 1)),
        ("kill", (tmp_path / "always", 9)),
    ]
    found = {o.job: o for o in hand_out(do, jobs, cluster=scheduler)}
    assert found[0].result != os.getpid()
    assert (found[1].result, found[2].problem, found[3].result) == ("1", "a.toml: is wrong (mend it)", 1)
    assert found[4].problem == "the process that did it was lost (killed by signal 9), 2 times"


def test_what_is_no_longer_wanted_ends(scheduler, tmp_path):
    from tests.test_workers import gone

    with closing(hand_out(do, [("sleep", tmp_path / "pid"), ("value", 1)], cluster=scheduler)) as outcomes:
        assert next(outcomes).result == 1
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            pass
    assert gone(int((tmp_path / "pid").read_text()))


# What dask-jobqueue could not make complains when it is thrown away.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_batch_system_that_lacks_its_options():
    pytest.importorskip("dask_jobqueue")
    with pytest.raises(InputError, match=r"slurm: .*cores.*\[cluster\] in the TOML"):
        list(hand_out(do, [("value", 1)], cluster="slurm"))
    gc.collect()
