"""A run that was killed and resumed ends with the same weights as one that was not."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from regulome.errors import InputError
from regulome.training import fit as fit_module
from regulome.training import open_run, train
from regulome.training.state import load_checkpoint

# Long enough to be killed in the middle; dropout is on, and every step leaves a point to resume from.
LONG = {
    "training.epochs": 4,
    "training.checkpoint_minutes": 0.0,
    "training.early_stopping": 0,
    "training.schedule": "plateau",
    "training.schedule_epochs": 1,
    "training.optimizer": "adamw",
    "training.weight_decay": 0.1,
}
PROGRAM = """
import json, sys
from regulome.training import train
dataset, out, split, settings = sys.argv[1:]
train("deepchrome", dataset, out, device="cpu", set=json.loads(settings), **json.loads(split))
"""


def weights(run):
    return load_file(run.path / "weights.safetensors")


def assert_identical(run, other):
    for name, tensor in weights(other).items():
        assert torch.equal(weights(run)[name], tensor), name
    columns = ["epoch", "step", "train_loss", "valid_loss", "valid_auroc", "learning_rate"]
    assert run.history()[columns].equals(other.history()[columns])
    assert run.predictions().equals(other.predictions())


def kill_in_the_middle(world, out, split, settings):
    import json

    arguments = [sys.executable, "-c", PROGRAM, str(world.path), str(out), json.dumps(split), json.dumps(settings)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True) as process:
        checkpoint = out.with_name(out.name + ".partial") / "checkpoint.pt"
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            if checkpoint.exists():
                state = load_checkpoint(checkpoint)
                if state["epoch"] >= 1 and state["position"] > 0:
                    break
            time.sleep(0.002)
        if process.poll() is not None:
            pytest.fail(f"ended before it was killed: {process.stderr.read()}")
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    return load_checkpoint(checkpoint)


def test_killed_in_the_middle_and_resumed_is_bit_identical(world, small, split, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        settings = {**small, **LONG, "training.batch_size": 4}
        state = kill_in_the_middle(world, tmp_path / "killed", split, settings)
        assert state["epoch"] < 4
        assert 0 < state["position"] <= 50
        assert not (tmp_path / "killed").exists()
        killed = train("deepchrome", world, tmp_path / "killed", set=settings, device="cpu", resume=True, **split)
        whole = train("deepchrome", world, tmp_path / "whole", set=settings, device="cpu", **split)
        assert_identical(killed, whole)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "whole"]
    finally:
        torch.set_num_threads(threads)


class Stop(BaseException):
    pass


@pytest.fixture
def stop_after(monkeypatch):
    """Make training end with an exception after so many steps, as Ctrl-C does."""

    def arm(steps, error):
        taken = 0
        original = fit_module.Schedule.rate

        def rate(self, step, samples):
            nonlocal taken
            taken += 1
            if taken > steps:
                raise error
            return original(self, step, samples)

        monkeypatch.setattr(fit_module.Schedule, "rate", rate)

    yield arm
    monkeypatch.undo()


@pytest.mark.parametrize("steps", [0, 5, 13, 20, 27])
@pytest.mark.parametrize("minutes", [0.0, 60.0])
def test_ctrl_c_leaves_something_to_resume_and_no_run(
    world, small, split, tmp_path, stop_after, steps, minutes, monkeypatch
):
    settings = {**small, **LONG, "training.epochs": 3, "training.checkpoint_minutes": minutes}
    whole = train("deepchrome", world, tmp_path / "whole", set=settings, device="cpu", **split)
    stop_after(steps, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        train("deepchrome", world, tmp_path / "run", set=settings, device="cpu", **split)
    monkeypatch.undo()
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match=r"unfinished run .*--resume.*--overwrite"):
        train("deepchrome", world, tmp_path / "run", set=settings, device="cpu", **split)
    with pytest.raises(InputError, match="is not finished"):
        open_run(tmp_path / "run")
    run = train("deepchrome", world, tmp_path / "run", set=settings, device="cpu", resume=True, **split)
    assert_identical(run, whole)


def test_an_ensemble_resumes_at_its_member(world, small, split, tmp_path, stop_after, monkeypatch, caplog):
    settings = {**small, "training.epochs": 2}
    options = {"set": settings, "device": "cpu", "ensemble": 3, **split}
    whole = train("deepchrome", world, tmp_path / "whole", **options)
    stop_after(13 * 2 + 13 + 5, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        train("deepchrome", world, tmp_path / "run", **options)
    monkeypatch.undo()
    with caplog.at_level(logging.INFO, "regulome"):
        run = train("deepchrome", world, tmp_path / "run", resume=True, **options)
    assert "member 1 of 3" not in caplog.text
    assert "member 2 of 3 · resumed after 1 epochs" in caplog.text
    assert run.predictions().equals(whole.predictions())
    assert run.history()["member"].to_list() == [0, 0, 1, 1, 2, 2]


def test_a_checkpoint_that_outlived_its_member_is_ignored(world, small, split, tmp_path, stop_after, monkeypatch):
    options = {"set": {**small, "training.epochs": 2}, "device": "cpu", "ensemble": 2, **split}
    whole = train("deepchrome", world, tmp_path / "whole", **options)
    stop_after(13 * 2, KeyboardInterrupt())
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda path, missing_ok=False: None)
        with pytest.raises(KeyboardInterrupt):
            train("deepchrome", world, tmp_path / "run", **options)
    monkeypatch.undo()
    assert (tmp_path / "run.partial" / "checkpoint.pt").exists()
    run = train("deepchrome", world, tmp_path / "run", resume=True, **options)
    assert run.predictions().equals(whole.predictions())


def test_another_request_is_not_resumed(world, values, small, split, tmp_path, stop_after, monkeypatch):
    stop_after(3, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        train("deepchrome", world, tmp_path / "run", set=small, device="cpu", **split)
    monkeypatch.undo()
    wrong = [
        ({"set": {**small, "training.epochs": 9}}, r"another recipe \(training\.epochs 3, now 9\)"),
        ({"set": small, "seed": 5}, r"another recipe \(training\.seed 0, now 5\)"),
        ({"set": small, "ensemble": 2}, "another ensemble"),
        ({"set": small, "devices": 2}, "another number of devices"),
        ({"set": small, "test_chromosomes": ["chr3"]}, "another split"),
    ]
    for options, message in wrong:
        with pytest.raises(InputError, match=message):
            train("deepchrome", world, tmp_path / "run", **{"device": "cpu", "resume": True, **split, **options})
    with pytest.raises(InputError, match="another dataset"):
        train("deepchrome", values, tmp_path / "run", device="cpu", resume=True, set=small, **split)
    assert not (tmp_path / "run").exists()
    run = train("deepchrome", world, tmp_path / "run", device="cpu", set=small, overwrite=True, **split)
    assert run.info.status == "complete"


def test_nothing_to_resume_starts_anew_and_a_finished_run_is_complete(world, small, split, tmp_path, caplog):
    options = {"set": small, "device": "cpu", "resume": True, **split}
    with caplog.at_level(logging.INFO, "regulome"):
        run = train("deepchrome", world, tmp_path / "run", **options)
    assert "nothing to resume: starting anew" in caplog.text
    changed = (run.path / "weights.safetensors").stat().st_mtime_ns
    with caplog.at_level(logging.INFO, "regulome"):
        again = train("deepchrome", world, tmp_path / "run", **options)
    assert "is complete: nothing to resume" in caplog.text
    assert (again.path / "weights.safetensors").stat().st_mtime_ns == changed
    with pytest.raises(InputError, match="another recipe"):
        train("deepchrome", world, tmp_path / "run", seed=7, **options)


def test_a_damaged_checkpoint_is_told(world, small, split, tmp_path, stop_after, monkeypatch):
    stop_after(20, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        train("deepchrome", world, tmp_path / "run", set=small, device="cpu", **split)
    monkeypatch.undo()
    checkpoint = tmp_path / "run.partial" / "checkpoint.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:500])
    with pytest.raises(InputError, match="no checkpoint that can be read"):
        train("deepchrome", world, tmp_path / "run", set=small, device="cpu", resume=True, **split)
