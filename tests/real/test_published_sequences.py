"""Published sequences and feature names, as their authors have them."""

import gzip

import numpy as np
import pytest

from regulome.datasets import deepsea_features, prepare_published_sequence, window_codes
from regulome.genome.letters import decode

#: Positives of each training table.
POSITIVES = {"ARID3A": 8526, "CTCFL": 11033, "ELK1": 5084, "FOXA1": 42614, "MYC": 4051, "USF1": 21390}


@pytest.fixture(scope="module")
def sequence(shared):
    return shared / "data" / "sequence"


def table(path):
    return [line.split("\t") for line in gzip.decompress(path.read_bytes()).decode().splitlines()[1:]]


@pytest.mark.parametrize("factor", POSITIVES)
def test_deepbinds_sets(sequence, tmp_path, factor):
    (train,) = (sequence / "deepbind_encode").glob(f"{factor}_*_AC.seq.gz")
    (test,) = (sequence / "deepbind_encode").glob(f"{factor}_*_B.seq.gz")
    dataset = prepare_published_sequence("deepbind", train, None, test, tmp_path / "d")
    split, labels = dataset.regions["split"].to_numpy(), np.asarray(dataset.targets)[:, 0]
    assert dataset.length == 101
    assert len(dataset) == 2 * POSITIVES[factor] + 1000
    assert labels[split == "test"].sum() == 500
    for part in ("train", "valid"):
        assert labels[split == part].mean() == 0.5
    assert (split == "valid").sum() == 2 * round(0.1 * POSITIVES[factor])
    # The first, some and the last rows of both tables, letter by letter.
    place = {name: i for i, name in enumerate(dataset.regions["id"])}
    rows = table(train)[::500] + table(test)
    codes = window_codes(dataset, np.array([place[row[1]] for row in rows]))
    assert [decode(code) for code in codes] == [row[2] for row in rows]
    assert [str(labels[place[row[1]]]) for row in rows] == [row[3] for row in rows]


def test_the_feature_table_is_deepseas(sequence):
    folder, ours = sequence / "deepsea_labels", deepsea_features()
    names = (folder / "predictor.names").read_text(encoding="utf-8").split("\n")[:919]
    assert ours["published"].to_list() == [name.rstrip("\r") for name in names]
    assert ours["published"].n_unique() == 844
    lines = (folder / "deepsea_metadata.tsv").read_text(encoding="utf-8").split("\n")[1:920]
    metadata = [line.split("\t") for line in lines]
    assert ours["file"].to_list() == [row[3] for row in metadata]
    # The two tables spell 13 factors differently, and one row is missing from the first.
    assert sum(a != b[1] for a, b in zip(ours["assay"], metadata, strict=True)) == 13
    assert sum(a.strip() != b[0].strip() for a, b in zip(ours["cell"], metadata, strict=True)) == 0
