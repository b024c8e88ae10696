import pickle
import random

import numpy as np
import pytest
import torch

from regulome.errors import InputError
from regulome.training.state import (
    load_checkpoint,
    own_randomness,
    random_state,
    save_checkpoint,
    seed_everything,
    set_random_state,
)


def draw():
    return random.random(), np.random.random(), np.random.standard_normal(), torch.rand(2).tolist()  # noqa: NPY002


def test_random_generators_continue_after_a_trip_through_a_file(tmp_path):
    seed_everything(3)
    draw()
    save_checkpoint(tmp_path / "c.pt", {"random": random_state()})
    expected = [draw(), draw()]
    set_random_state(load_checkpoint(tmp_path / "c.pt")["random"])
    assert [draw(), draw()] == expected


def test_the_callers_generators_are_left_alone():
    seed_everything(1)
    expected = draw()
    seed_everything(1)
    with own_randomness():
        seed_everything(99)
        draw()
    assert draw() == expected


def test_what_is_no_checkpoint_is_told_and_never_executed(tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path / "executed").touch, ()

    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Evil()))
    torch.save({"version": 1, "evil": Evil()}, tmp_path / "evil2.pt")
    torch.save({"version": 99}, tmp_path / "later.pt")
    for name in ("evil.pt", "evil2.pt"):
        with pytest.raises(InputError, match="no checkpoint that can be read"):
            load_checkpoint(tmp_path / name)
    with pytest.raises(InputError, match="checkpoint of version 99, expected 1"):
        load_checkpoint(tmp_path / "later.pt")
    assert not (tmp_path / "executed").exists()
