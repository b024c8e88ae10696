"""Everything that a resumed run must take up again, and how it is written."""

from __future__ import annotations

import copy
import io
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from regulome import storage
from regulome.errors import InputError

#: Version of the checkpoint file.
VERSION = 1


def random_state() -> dict[str, Any]:
    """Return the state of the random generators of Python, numpy, torch and CUDA, in types that load without pickle."""
    name, key, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002  # the legacy generator is what code of others draws from
    numbers = torch.from_numpy(np.asarray(key).astype(np.int64))
    return {
        "python": random.getstate(),
        "numpy": {"name": name, "key": numbers, "rest": (int(position), int(has_gauss), float(gauss))},
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Put the random generators into the state that :func:`random_state` returned."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    numpy = state["numpy"]
    np.random.set_state((numpy["name"], numpy["key"].numpy().astype(np.uint32), *numpy["rest"]))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if len(state["cuda"]) and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])


def seed_everything(seed: int) -> None:
    """Seed the random generators of Python, numpy, torch and CUDA."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


@contextmanager
def own_randomness() -> Iterator[None]:
    """Leave the caller's random generators, and torch's choice of CUDA kernels, as they were found."""
    state, deterministic = random_state(), torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        set_random_state(state)
        torch.backends.cudnn.deterministic = deterministic


def weights_on_cpu(module: nn.Module) -> dict[str, Tensor]:
    """Return a copy of a module's weights that later steps do not change."""
    return {name: copy.deepcopy(value.detach().cpu()) for name, value in module.state_dict().items()}


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint; the one before stays until the new one is complete."""
    # torch's own writer hides a full disk behind an error of its own.
    buffer = io.BytesIO()
    torch.save({"version": VERSION, **state}, buffer)
    with storage.new_file(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without executing anything in it.

    Raises:
        InputError: It is damaged or of another version.
    """
    cure = "start anew with --overwrite"
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for damaged files
        raise InputError("is no checkpoint that can be read", file=path, cure=cure) from error
    if state.get("version") != VERSION:
        raise InputError(f"checkpoint of version {state.get('version')!r}, expected {VERSION}", file=path, cure=cure)
    return state
