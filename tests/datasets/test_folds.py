"""Folds within a part of a dataset."""

import logging

import numpy as np
import polars as pl
import pytest
from tests.training.sequence_world import make_sequences

from regulome.datasets import open_dataset
from regulome.datasets.folds import assign_folds
from regulome.datasets.sequence_writer import new_sequence_dataset
from regulome.errors import InputError


def placed(path, chrom, start, *, length=20, ids=None):
    n = len(start)
    regions = pl.DataFrame(
        {
            "id": ids or [f"w{i}" for i in range(n)],
            "chrom": chrom,
            "start": start,
            "end": [each + length for each in start],
            "strand": ["+"] * n,
        }
    )
    with new_sequence_dataset(path, length=length) as writer:
        writer.add_codes(np.zeros((n, length), np.uint8))
        writer.add_targets(np.zeros((n, 1), np.uint8))
        writer.finish(regions=regions, target_names=["x"])
    return open_dataset(path)


def test_whole_chromosomes(tmp_path):
    data = make_sequences(tmp_path / "data", n=600)
    rows = np.flatnonzero(data.regions["chrom"].is_in(["chr3", "chr4", "chr5", "chr6"]).to_numpy())
    folds = assign_folds(data, rows, 2)
    chromosomes = data.regions["chrom"].to_numpy()[rows]
    assert np.bincount(folds).tolist() == [200, 200]
    for name in np.unique(chromosomes):
        assert len(set(folds[chromosomes == name])) == 1


def test_stretches_of_one_chromosome_lie_a_window_apart(tmp_path, caplog):
    rng = np.random.default_rng(1)
    start = rng.permutation(np.arange(0, 3000, 7))
    data = placed(tmp_path / "data", ["chr1"] * len(start), start.tolist())
    with caplog.at_level(logging.INFO, "regulome"):
        folds = assign_folds(data, np.arange(len(start)), 3)
    assert "left out between them" in caplog.text
    low = [start[folds == k].min() for k in range(3)]
    high = [start[folds == k].max() + 20 for k in range(3)]
    assert all(low[k + 1] - high[k] >= 20 for k in range(2))
    assert all(abs(np.sum(folds == k) - len(start) / 3) < 8 for k in range(3))
    # Two cuts, at each of which windows that come within half their width of it are left out.
    assert 2 * 20 / 7 <= np.sum(folds < 0) <= 2 * (40 / 7 + 1)


def test_two_chromosomes_are_cut_together(tmp_path):
    start = np.arange(0, 3000, 30)
    data = placed(tmp_path / "data", ["chr1"] * 50 + ["chr2"] * 50, start.tolist())
    folds = assign_folds(data, np.arange(100), 4)
    assert set(folds[:50]) <= {-1, 0, 1}
    assert set(folds[50:]) <= {-1, 2, 3}


def test_where_places_are_unknown_shuffles_stay_with_their_sequence(tmp_path):
    ids = [f"s{i}" for i in range(40)] + [f"s{i}_shuffle{j}" for i in range(40) for j in (1, 2)]
    data = placed(tmp_path / "data", ["."] * 120, [0] * 120, ids=ids)
    folds = assign_folds(data, np.arange(120), 3, seed=5)
    own = dict(zip(ids, folds.tolist(), strict=True))
    assert all(own[f"s{i}"] == own[f"s{i}_shuffle1"] == own[f"s{i}_shuffle2"] for i in range(40))
    assert sorted(np.bincount(folds).tolist()) == [39, 39, 42]
    assert np.array_equal(folds, assign_folds(data, np.arange(120), 3, seed=5))
    assert not np.array_equal(folds, assign_folds(data, np.arange(120), 3, seed=6))


def test_too_few_are_told(tmp_path):
    data = placed(tmp_path / "data", ["."] * 2, [0, 0])
    with pytest.raises(InputError, match="2 training examples are too few for 3 folds"):
        assign_folds(data, np.arange(2), 3)
    with pytest.raises(InputError, match="expected at least 2 folds, got 1"):
        assign_folds(data, np.arange(2), 1)
