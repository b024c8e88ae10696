"""The published tables of DeepChrome and DeepDiff, as their authors have them."""

import csv

import numpy as np
import pytest

from regulome.datasets import assign_split, prepare_published

PARTS = ("train", "valid", "test")


@pytest.fixture(scope="module")
def expression(shared):
    return shared / "data" / "expression"


def test_deepchromes_toy_tables(expression, tmp_path):
    paths = [expression / "toy_deepchrome" / f"{part}.csv" for part in PARTS]
    dataset = prepare_published("deepchrome", *paths, tmp_path / "d")
    assert dataset.inputs["marks"].shape == (30, 5, 100)
    rows = [row for path in paths for row in csv.reader(path.read_text().splitlines())]
    values = np.array([[int(value) for value in row[2:7]] for row in rows]).reshape(30, 100, 5)
    assert np.array_equal(dataset.inputs["marks"], values.transpose(0, 2, 1))
    assert dataset.targets[:, 0].tolist() == [int(row[7]) for row in rows[99::100]]
    assert dataset.regions["split"].to_list() == [part for part in PARTS for _ in range(10)]


def test_deepdiffs_tables_with_labels_of_the_rpkm(expression, tmp_path):
    paths = [expression / "counts_H1_E003" / f"Cell2.{part}.csv" for part in PARTS]
    dataset = prepare_published(
        "deepdiff",
        *paths,
        tmp_path / "d",
        expression=expression / "roadmap" / "57epigenomes.RPKM.pc.gz",
        sample="E003",
        bins="50:150",
    )
    assert dataset.inputs["marks"].shape == (600, 5, 100)
    assert dataset.marks == ["H3K27me3", "H3K36me3", "H3K4me1", "H3K4me3", "H3K9me3"]
    first = np.loadtxt(paths[0], delimiter=",", usecols=range(1, 6), max_rows=200)[50:150]
    assert np.array_equal(dataset.inputs["marks"][0], first[:, [3, 4, 0, 1, 2]].T)
    # By the published table: 19,795 genes, median 3.329; TSPAN6 has 43.985 in E003.
    assert dataset.manifest.targets.rule["threshold"] == 3.329
    row = dataset.regions["id"].to_list().index("ENSG00000000003")
    assert dataset.regions["expression"][row] == 43.985
    assert dataset.targets[row, 0] == 1
    assert (assign_split(dataset) == "test").sum() == 200
