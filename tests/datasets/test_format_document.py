"""docs/dataset-format.md is enough to read a dataset: its code is run as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
from polars.testing import assert_frame_equal

DOCUMENT = Path(__file__).parents[2] / "docs" / "dataset-format.md"
CODE = "\n".join(re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL))


def test_the_code_of_the_document_reads_a_dataset(make):
    dataset = make(12, split=["train"] * 4 + ["valid"] * 4 + ["test"] * 4)
    names = {"path": str(dataset.path)}
    exec(CODE, names)
    assert np.array_equal(names["marks"], np.asarray(dataset.inputs["marks"]))
    assert np.array_equal(names["targets"], dataset.targets)
    assert_frame_equal(names["regions"], dataset.regions)
    assert names["names"] == dataset.marks
    assert names["checksum"] == dataset.checksum


def test_it_needs_no_regulome(make):
    code = CODE + "\nimport sys; assert not [name for name in sys.modules if name.startswith('regulome')]"
    subprocess.run([sys.executable, "-c", f"path = {str(make(6).path)!r}\n{code}"], check=True)


def test_the_document_names_every_field_and_column(make):
    manifest = make(6).manifest
    text = DOCUMENT.read_text("utf-8")
    fields = set(manifest.model_dump(by_alias=True)) | set(type(manifest.inputs["marks"]).model_fields) - {"mark"}
    for name in fields | set(pl.read_parquet(make(6).path / "regions.parquet").columns):
        assert f"`{name}`" in text, name
