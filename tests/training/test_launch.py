"""Several devices: two processes on the CPU must learn what one learns from the doubled batch."""

import logging
import multiprocessing
import os

import pytest
import torch
from safetensors.torch import load_file

from regulome.errors import InputError
from regulome.training import train
from regulome.training.launch import launch

CPU = torch.device("cpu")


def talk_and_fail(fabric, job):
    logging.getLogger("regulome.test").info("hello from %d of %d", fabric.global_rank, fabric.world_size)
    raise InputError("wrong in every process", cure=job)


def test_two_processes_equal_one_with_the_doubled_batch(world, small, split, tmp_path):
    small |= {"model.hyperparameters.dropout": 0.0, "training.epochs": 2, "training.gradient_clip": 0.5}
    # 200 training genes: 6 batches of 32 and one of 8, so the last step has a smaller batch.
    one = train("deepchrome", world, tmp_path / "one", set={**small, "training.batch_size": 32}, device="cpu", **split)
    before = dict(os.environ)
    two = train("deepchrome", world, tmp_path / "two", set=small, device="cpu", devices=2, **split)
    assert dict(os.environ) == before
    assert not multiprocessing.active_children()
    expected, found = (load_file(run.path / "weights.safetensors") for run in (one, two))
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-4, atol=1e-6, msg=name)
    for column in ("train_loss", "valid_loss", "valid_auroc", "learning_rate"):
        assert two.history()[column].to_list() == pytest.approx(one.history()[column].to_list(), rel=1e-4)
    assert two.metrics()["auroc"] == pytest.approx(one.metrics()["auroc"], rel=1e-3)
    assert two.info.devices == 2


def test_messages_and_errors_come_from_the_first_process_and_lightning_is_silent(caplog, capfd):
    with caplog.at_level(logging.INFO, "regulome"), pytest.raises(InputError, match=r"every process \(mend it\)"):
        launch(talk_and_fail, "mend it", device=CPU, devices=2)
    assert [record.getMessage() for record in caplog.records] == ["hello from 0 of 2"]
    assert capfd.readouterr() == ("", "")


def test_half_precision_on_the_cpu_is_said_to_be_bfloat16(world, small, split, tmp_path, caplog):
    small |= {"training.precision": "16-mixed", "training.epochs": 1}
    with caplog.at_level(logging.INFO, "regulome"):
        run = train("deepchrome", world, tmp_path / "run", set=small, device="cpu", **split)
    assert "using bf16-mixed" in caplog.text
    assert {tensor.dtype for tensor in load_file(run.path / "weights.safetensors").values()} == {torch.float32}
