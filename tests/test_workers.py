"""Processes that do jobs: what comes back, and what is lost when one is killed."""

import os
import signal
import subprocess
import sys
import time

from tests.job_work import do

from regulome.workers import Worker, cores, run_in_processes, thread_limits


def gone(pid, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_results_come_from_other_processes_with_their_threads():
    jobs = [("process", 0), ("environment", "OMP_NUM_THREADS"), ("environment", "NUMBA_NUM_THREADS"), ("value", [1, 2])]
    found = {o.job: o for o in run_in_processes(do, jobs, processes=2, environment=thread_limits(3))}
    assert sorted(found) == [0, 1, 2, 3]
    assert found[0].result != os.getpid()
    assert (found[1].result, found[2].result, found[3].result) == ("3", "3", [1, 2])
    assert not any(each.problem for each in found.values())
    assert cores() >= 1


def test_errors_are_problems_and_the_process_goes_on():
    jobs = [("input", "a.toml"), ("error", 0), ("process", 0), ("process", 0)]
    found = list(run_in_processes(do, jobs, processes=1))
    assert [each.problem for each in found[:2]] == ["a.toml: is wrong (mend it)", "ValueError: two lines"]
    assert found[2].result == found[3].result


def test_a_killed_process_costs_only_its_own_job(tmp_path, caplog):
    jobs = [("value", 1), ("kill", (tmp_path / "once", 1)), ("kill", (tmp_path / "always", 9)), ("value", 2)]
    found = {o.job: o for o in run_in_processes(do, jobs, processes=2)}
    assert (found[0].result, found[3].result) == (1, 2)
    assert (found[1].result, found[1].problem) == (1, "")
    assert found[2].problem == "the process that did it was lost (killed by signal 9), 2 times"
    assert (tmp_path / "always").read_text() == "xx"
    assert caplog.text.count("its job will be done again") == 2


def test_a_process_that_was_killed_while_idle_is_replaced():
    jobs = run_in_processes(do, [("process", 0), ("process", 0)], processes=1)
    first = next(jobs).result
    os.kill(first, signal.SIGKILL)
    assert next(jobs).result != first


def test_closing_ends_the_processes(tmp_path):
    jobs = run_in_processes(do, [("value", 1), ("sleep", tmp_path / "pid")], processes=2)
    assert next(jobs).result == 1
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.02)
    jobs.close()
    assert gone(int((tmp_path / "pid").read_text()))


def test_processes_end_with_a_parent_that_is_killed(tmp_path):
    code = (
        "import sys\nfrom tests.job_work import do\nfrom regulome.workers import run_in_processes\n"
        "list(run_in_processes(do, [('sleep', sys.argv[1])], processes=1))"
    )
    path = os.pathsep.join(entry or os.curdir for entry in sys.path)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "pid")], env={**os.environ, "PYTHONPATH": path}
    ) as parent:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert parent.poll() is None
            time.sleep(0.02)
        parent.kill()
    assert gone(int((tmp_path / "pid").read_text()))


def test_an_end_is_told_once():
    worker = Worker({})
    assert worker.pid != os.getpid()
    assert worker.end() == worker.end()
