import errno

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from regulome import storage
from regulome.datasets import open_dataset, write_dataset, writer
from regulome.errors import InputError

quick = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def table(n):
    return pl.DataFrame(
        {
            "id": [f"g{i}" for i in range(n)],
            "chrom": ["chr1"] * n,
            "start": range(n),
            "end": range(10, n + 10),
            "strand": ["+"] * n,
        }
    )


def write(path, values, dtype="float32", rows=None):
    n = len(values) if rows is None else len(rows)
    with write_dataset(path, line="expression", task="regression", regions=table(n), overwrite=True) as out:
        array = out.add_input(
            "marks",
            axes=["example", "mark", "bin"],
            shape=values.shape,
            dtype=dtype,
            mark=[f"M{i}" for i in range(values.shape[1])],
            bin_size=10,
            unit="signal",
        )
        array[:] = values
        kind = out.narrow("marks", rows)
        out.set_targets(np.arange(n)[:, None], ["expression"], {"rule": "row"})
        out.sources.append({"role": "genes", "path": "é.gtf", "bytes": 1, "sha256": "0"})
        out.parameters["bin"] = 10
    return open_dataset(path, verify=True), kind


@quick
@given(
    values=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=3, max_dims=3, max_side=6),
        elements=st.one_of(st.integers(-70_000, 70_000).map(float), st.floats(-1e6, 1e6, width=32)),
    ),
    block=st.integers(1, 200),
)
def test_what_is_written_is_read(tmp_path, values, block):
    writer.BLOCK_BYTES, before = block, writer.BLOCK_BYTES
    try:
        dataset, kind = write(tmp_path / "d", values)
    finally:
        writer.BLOCK_BYTES = before
    assert np.array_equal(dataset.inputs["marks"], values)
    whole = np.array_equal(values, np.rint(values))
    expected = "float32" if not whole else "int32" if values.min() < 0 or values.max() > 65535 else "uint16"
    assert kind == expected == dataset.inputs["marks"].dtype
    assert dataset.targets[:, 0].tolist() == list(range(len(values)))
    assert dataset.manifest.sources[0]["path"] == "é.gtf"
    assert dataset.manifest.parameters == {"bin": 10}


def test_counts_that_need_more_than_16_bits(tmp_path):
    values = np.array([[[0, 65_536, 2**31 - 1]]])
    dataset, kind = write(tmp_path / "d", values, dtype="int32")
    assert kind == "int32"
    assert np.array_equal(dataset.inputs["marks"], values)


def test_rows_can_be_left_out(tmp_path):
    values = np.arange(24, dtype=np.float32).reshape(6, 2, 2)
    dataset, kind = write(tmp_path / "d", values, rows=np.array([0, 3, 5]))
    assert kind == "uint16"
    assert np.array_equal(dataset.inputs["marks"], values[[0, 3, 5]])


def test_nan_stays(tmp_path):
    dataset, kind = write(tmp_path / "d", np.array([[[np.nan, 1.0]]], np.float32))
    assert kind == "float32"
    assert np.isnan(dataset.inputs["marks"][0, 0, 0])


def test_nothing_is_left_of_one_that_failed(tmp_path):
    def interrupted():
        with write_dataset(tmp_path / "d", line="expression", task="regression", regions=table(3)) as out:
            out.add_input("marks", axes=["example", "mark", "bin"], shape=(3, 1, 1), dtype="float32", mark=["M"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage.os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "d", np.zeros((2, 2, 2), np.float32))
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_stays(tmp_path):
    (tmp_path / "d").mkdir()
    with (
        pytest.raises(InputError, match="exists already"),
        write_dataset(tmp_path / "d", line="expression", task="regression", regions=table(1)),
    ):
        pass


@pytest.mark.parametrize(
    ("regions", "match"),
    [
        (table(0), "without examples"),
        (pl.concat([table(2), table(1)]), "1 ids name more than one example, the first is 'g0'"),
    ],
)
def test_tables_that_cannot_be(tmp_path, regions, match):
    with (
        pytest.raises(InputError, match=match),
        write_dataset(tmp_path / "d", line="expression", task="regression", regions=regions),
    ):
        pass


def test_an_unlabelled_dataset(tmp_path):
    with write_dataset(tmp_path / "d", line="other", task="unlabelled", regions=table(2)) as out:
        out.add_input("letters", axes=["base"], shape=(50,), dtype="uint8")[:] = 3
        out.add_input("starts", axes=["example"], shape=(2,), dtype="int64")
    dataset = open_dataset(tmp_path / "d", verify=True)
    assert dataset.targets.shape == (2, 0)
    assert dataset.target_names == []
    assert set(dataset.inputs) == {"letters", "starts"}
