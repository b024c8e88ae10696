"""Files that appear when they are complete, and arrays whose space is reserved."""

import os

import numpy as np
import pytest

from regulome import storage
from regulome.errors import InputError


@pytest.mark.parametrize("reserving", [True, False])
def test_allocated_arrays_are_zero_and_occupy_their_space(reserving, tmp_path, monkeypatch):
    if not reserving:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    array = storage.allocate_npy(tmp_path / "x.npy", (1000, 7), np.float32)
    array[3] = 5
    array.flush()
    read = np.load(tmp_path / "x.npy")
    assert read.shape == (1000, 7)
    assert read.sum() == 35
    assert (tmp_path / "x.npy").stat().st_blocks * 512 >= 1000 * 7 * 4


def test_a_folder_appears_when_it_is_complete(tmp_path):
    def write(fail: bool) -> None:
        with storage.new_folder(tmp_path / "result", overwrite=True) as folder:
            (folder / "part").write_text("new" if fail else "old")
            if fail:
                raise OSError("the disk went away")

    write(fail=False)
    with pytest.raises(OSError, match="went away"):
        write(fail=True)
    assert [path.name for path in tmp_path.iterdir()] == ["result"]
    assert (tmp_path / "result" / "part").read_text() == "old"


def test_a_file_is_replaced_only_when_asked(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text("mine")
    with pytest.raises(InputError, match="exists already"), storage.new_file(path, overwrite=False):
        pass
    with storage.new_file(path) as temporary:
        assert temporary.suffix == ".tsv"
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert len(list(tmp_path.iterdir())) == 1
