import json
import pickle

import numpy as np
import polars as pl
import pytest

from regulome.datasets import open_dataset
from regulome.errors import InputError


def edit(dataset, change):
    """Change the manifest of a dataset."""
    path = dataset.path / "dataset.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def refused(dataset, match, **options):
    with pytest.raises(InputError, match=match) as caught:
        open_dataset(dataset.path, **options)
    assert "\n" not in str(caught.value)
    assert caught.value.cure


def test_what_an_opened_dataset_says(make):
    dataset = make(8, marks=2, bins=5)
    assert (len(dataset), dataset.line, dataset.task) == (8, "expression", "regression")
    assert (dataset.marks, dataset.bins, dataset.bin_size) == (["M0", "M1"], 5, 200)
    assert dataset.target_names == ["expression"]
    assert isinstance(dataset.inputs["marks"], np.memmap)
    assert not dataset.inputs["marks"].flags.writeable
    assert "8 examples" in str(dataset)
    assert dataset.regions.columns[:6] == ["id", "chrom", "start", "end", "strand", "split"]


def test_it_can_be_sent_to_another_process(make):
    dataset = make(8)
    again = pickle.loads(pickle.dumps(dataset))
    assert again.checksum == dataset.checksum
    assert len(pickle.dumps(dataset)) < 1000


def test_the_checksum_is_of_the_content(make):
    first, again, other = make(8, name="a"), make(8, name="b"), make(9, name="c")
    assert first.checksum == again.checksum != other.checksum
    edit(again, lambda content: content.update(created="2020-01-01T00:00:00+00:00", parameters={"x": 1}))
    assert open_dataset(again.path).checksum == first.checksum
    edit(again, lambda content: content["inputs"]["marks"]["mark"].reverse())
    assert open_dataset(again.path).checksum != first.checksum


@pytest.mark.parametrize("file", ["inputs/marks.npy", "targets.npy", "regions.parquet", "dataset.json"])
def test_a_missing_file(make, file):
    dataset = make(8)
    (dataset.path / file).unlink()
    refused(dataset, "is missing from the dataset|has no dataset.json")


@pytest.mark.parametrize("file", ["inputs/marks.npy", "targets.npy", "regions.parquet", "dataset.json"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.9])
def test_a_truncated_file(make, file, share):
    dataset = make(8)
    path = dataset.path / file
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    refused(dataset, "is truncated|is not JSON")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda c: c.update(schema=2), "has schema version 2, this release reads version 1"),
        (lambda c: c.pop("schema"), "has schema version None"),
        (lambda c: c.update(format="zarr"), "its format is 'zarr'"),
        (lambda c: c["inputs"]["marks"].update(shape=[8, 3, 11]), r"has shape \[8, 3, 10\], the manifest says"),
        (lambda c: c["inputs"]["marks"].update(dtype="float32"), "has type int32, the manifest says float32"),
        (lambda c: c["inputs"]["marks"].update(mark=["A"]), "1 names for the axis 'mark' of length 3"),
        (lambda c: c["inputs"]["marks"].update(axes=["example"]), "1 axes but 3 lengths"),
        (lambda c: c["inputs"]["marks"].update(file="../marks.npy"), "is not inside the dataset folder"),
        (lambda c: c["inputs"]["marks"].update(sha256="x"), "sha256"),
        (lambda c: c.update(inputs={}), "inputs"),
        (lambda c: c.update(examples=9), "has 8 rows for 9 examples"),
        (lambda c: c.update(task="guess"), "task"),
        (lambda c: c.pop("targets"), "task 'regression' without targets"),
        (lambda c: c["targets"].update(names=["a", "b"]), "2 target names for 1 columns"),
    ],
)
def test_a_manifest_that_does_not_fit(make, change, match):
    dataset = make(8)
    edit(dataset, change)
    refused(dataset, match)


def test_a_table_that_does_not_fit(make):
    dataset = make(8)
    path = dataset.path / "regions.parquet"
    dataset.regions.head(7).write_parquet(path)
    refused(dataset, "has 7 rows for 8 examples")
    dataset.regions.drop("strand").write_parquet(path)
    refused(dataset, "has no column 'strand'")
    dataset.regions.with_columns(pl.col("start").cast(pl.Int32)).write_parquet(path)
    refused(dataset, "column 'start' is Int32, expected Int64")


def test_an_array_in_another_order(make):
    dataset = make(8)
    path = dataset.path / "inputs/marks.npy"
    np.save(path, np.asfortranarray(np.load(path)))
    refused(dataset, "Fortran order")


def test_changed_bytes_are_found_when_asked(make):
    dataset = make(8)
    assert len(open_dataset(dataset.path, verify=True)) == 8
    path = dataset.path / "inputs/marks.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert len(open_dataset(dataset.path)) == 8
    refused(dataset, "its SHA-256 is .*, the manifest says", verify=True)


def test_what_is_no_dataset(tmp_path):
    with pytest.raises(InputError, match="no such dataset"):
        open_dataset(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"it has no dataset\.json"):
        open_dataset(tmp_path)
    (tmp_path / "dataset.json").write_text("[1]")
    with pytest.raises(InputError, match="its format is None"):
        open_dataset(tmp_path)


def test_a_dataset_of_another_line_has_no_marks(make):
    dataset = make(8)
    edit(dataset, lambda content: content["inputs"].update(codes=content["inputs"].pop("marks")))
    with pytest.raises(InputError, match="has no marks: its inputs are codes"):
        open_dataset(dataset.path).marks  # noqa: B018
