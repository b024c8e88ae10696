"""Folds that came with a table of genes."""

from types import SimpleNamespace

import polars as pl
import pytest

from regulome.datasets.published_folds import published_fold, published_folds
from regulome.errors import InputError

CHROMOSOMES = ["chr10", "chr2", "chr1", "chr2", "chr3", "chr4", "chr5", "chr6"]
FOLDS = [1, 1, 1, 1, 2, 2, None, 3]


def dataset(folds=FOLDS):
    regions = pl.DataFrame({"chrom": CHROMOSOMES, "fold": folds}, schema_overrides={"fold": pl.Int64})

    class Data(SimpleNamespace):
        def __len__(self):
            return len(self.regions)

    return Data(regions=regions, path="data")


def test_half_of_a_fold_chooses_and_half_tests():
    assert published_folds(dataset()) == [1, 2, 3]
    # chr1 | chr2, chr10: the first half of three is one.
    parts = ["test", "test", "valid", "test", "train", "train", "", "train"]
    assert published_fold(dataset(), "published:1").tolist() == parts
    assert published_fold(dataset(), "published:2").tolist()[4:6] == ["valid", "test"]


def test_folds_that_cannot_be():
    with pytest.raises(InputError, match=r"there is no 'published:4' \(its folds are 1, 2, 3"):
        published_fold(dataset(), "published:4")
    with pytest.raises(InputError, match="fold 3 has genes of chr6 alone"):
        published_fold(dataset(), "published:3")
    with pytest.raises(InputError, match="has no published folds"):
        published_folds(dataset([None] * 8))
