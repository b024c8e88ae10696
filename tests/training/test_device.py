import pytest
import torch

from regulome.errors import InputError
from regulome.training.device import choose_device, describe_device


@pytest.fixture
def no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def two_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Fast 9000")


def test_without_cuda(no_cuda):
    assert choose_device() == torch.device("cpu")
    assert choose_device("cpu", 4) == torch.device("cpu")
    assert "no CUDA device" in describe_device(torch.device("cpu"))
    assert describe_device(torch.device("cpu"), 2).startswith("device 2 × cpu (")
    with pytest.raises(InputError, match=r"there is no CUDA device \(give --device cpu"):
        choose_device("cuda")


def test_with_cuda(two_cuda):
    assert choose_device() == torch.device("cuda:0")
    assert choose_device("cuda:1") == torch.device("cuda:1")
    assert describe_device(torch.device("cuda:0")) == "device cuda (Fast 9000)"
    assert "CUDA is there but not used" in describe_device(choose_device("cpu"))
    with pytest.raises(InputError, match="there are 2 CUDA devices"):
        choose_device("cuda", 3)
    with pytest.raises(InputError, match="there are 2 CUDA devices"):
        choose_device("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", ""])
def test_unknown_devices(name):
    with pytest.raises(InputError, match="unknown device"):
        choose_device(name)
