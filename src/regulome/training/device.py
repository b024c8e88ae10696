"""Which device computes, and saying so."""

from __future__ import annotations

import torch

from regulome.errors import InputError


def choose_device(device: str = "auto", devices: int = 1) -> torch.device:
    """Choose the device.

    Args:
        device: "auto" (CUDA where there is one), "cpu" or "cuda" (or "cuda:1").
        devices: How many of them are wanted.

    Raises:
        InputError: There is no such device, or there are fewer.
    """
    if devices < 1:
        raise InputError(f"devices must be at least 1, got {devices}")
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (number and not number.isdigit()):
        raise InputError(f"unknown device {device!r}", cure="give auto, cpu or cuda")
    present = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "cpu" or (kind == "auto" and not present):
        return torch.device("cpu")
    if not present:
        raise InputError("there is no CUDA device", cure="give --device cpu, or install a torch build with CUDA")
    if max(devices, int(number or 0) + 1) > present:
        raise InputError(f"there are {present} CUDA devices, not as many as asked for", cure="give fewer --devices")
    return torch.device(f"cuda:{number}" if number else "cuda:0")


def describe_device(device: torch.device, devices: int = 1) -> str:
    """Say in words what computes, and when it is not CUDA, why."""
    times = f"{devices} × " if devices > 1 else ""
    if device.type == "cuda":
        return f"device {times}cuda ({torch.cuda.get_device_name(device)})"
    cuda = "CUDA is there but not used" if torch.cuda.is_available() else "no CUDA device"
    threads = torch.get_num_threads()
    return f"device {times}cpu ({threads} thread{'s' * (threads > 1)}; {cuda})"


def exact_device(device: torch.device) -> torch.device:
    """Return a device that has float64, on which losses are summed."""
    return device if device.type in ("cpu", "cuda") else torch.device("cpu")
