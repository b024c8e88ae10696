"""docs/dataset-format.md is enough to read a dataset: its code is run as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
from polars.testing import assert_frame_equal
from tests.datasets.published_world import GENES, MARKS, WIDTHS, WINDOW, write_depths, write_table

from regulome.datasets import RegionBatches, new_sequence_dataset
from regulome.datasets.build_published_contacts import prepare_published_contacts

DOCUMENT = Path(__file__).parents[2] / "docs" / "dataset-format.md"
PIECES = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
CODE = "\n".join(PIECES)


def test_the_code_of_the_document_reads_a_dataset(make):
    dataset = make(12, split=["train"] * 4 + ["valid"] * 4 + ["test"] * 4)
    names = {"path": str(dataset.path)}
    exec(CODE, names)
    assert np.array_equal(names["marks"], np.asarray(dataset.inputs["marks"]))
    assert np.array_equal(names["targets"], dataset.targets)
    assert_frame_equal(names["regions"], dataset.regions)
    assert names["names"] == dataset.marks
    assert names["checksum"] == dataset.checksum


def test_the_code_of_the_document_reads_sequences(tmp_path):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 5, (7, 13)).astype(np.uint8)
    regions = pl.DataFrame(
        {"id": list("abcdefg"), "chrom": ["."] * 7, "start": [-1] * 7, "end": [-1] * 7, "strand": ["."] * 7}
    )
    with new_sequence_dataset(tmp_path / "d", length=9, margin=2) as writer:
        writer.add_codes(codes)
        writer.add_targets(np.ones((7, 1), np.uint8))
        writer.finish(regions=regions, target_names=["x"], features=[{"name": "x", "cell": "K562"}])
    names = {"path": str(tmp_path / "d")}
    exec(
        PIECES[0].replace('marks = inputs["marks"]', "").replace('names = manifest["inputs"]["marks"]["mark"]', ""),
        names,
    )
    exec(next(piece for piece in PIECES if "def window" in piece), names)
    read = [names["window"](names["inputs"], names["manifest"], row) for row in range(7)]
    assert read == ["".join("ACGTN"[code] for code in row[2:11]) for row in codes]


def test_the_code_of_the_document_reads_regions(tmp_path):
    folder = write_depths(tmp_path / "npy")
    options = {"window": WINDOW, "resolutions": WIDTHS, "marks": MARKS}
    dataset = prepare_published_contacts(
        write_table(tmp_path / "genes.csv", GENES), folder, tmp_path / "d", **options, max_region=WINDOW
    )
    names = {"path": str(dataset.path)}
    exec(
        PIECES[0].replace('marks = inputs["marks"]', "").replace('names = manifest["inputs"]["marks"]["mark"]', ""),
        names,
    )
    exec(next(piece for piece in PIECES if "def features" in piece), names)
    for row in (0, 1, 2):
        (batch,) = RegionBatches(dataset, [row], batch_size=1)
        for r, width in enumerate(WIDTHS):
            promoter, distal, frequency = names["features"](names["inputs"], names["manifest"], row, width)
            np.testing.assert_allclose(batch.inputs.features[r], np.concatenate([promoter, *distal]), atol=1e-6)
        assert batch.inputs.frequency.tolist() == frequency.tolist()


def test_it_needs_no_regulome(make):
    code = CODE + "\nimport sys; assert not [name for name in sys.modules if name.startswith('regulome')]"
    subprocess.run([sys.executable, "-c", f"path = {str(make(6).path)!r}\n{code}"], check=True)


def test_the_document_names_every_field_and_column(make):
    manifest = make(6).manifest
    text = DOCUMENT.read_text("utf-8")
    fields = set(manifest.model_dump(by_alias=True)) | set(type(manifest.inputs["marks"]).model_fields) - {"mark"}
    for name in fields | set(pl.read_parquet(make(6).path / "regions.parquet").columns):
        assert f"`{name}`" in text, name
