"""Chromoformer's published demo as a dataset, against what its own data set class gave."""

import numpy as np
import polars as pl
import pytest
import torch

from regulome.datasets import Batches, RegionBatches, RegionTable
from regulome.datasets.build_published_contacts import prepare_published_contacts
from regulome.models.regions import from_published

WIDTHS = (2000, 500, 100)


@pytest.fixture(scope="module")
def dataset(shared, tmp_path_factory):
    demo = shared / "data" / "expression" / "chromoformer_demo"
    return prepare_published_contacts(demo / "demo_meta.csv", demo / "npy", tmp_path_factory.mktemp("demo") / "dataset")


def test_features_are_the_published_ones(dataset, shared):
    golden = np.load(shared / "golden" / "chromoformer" / "inputs_first8.npz")

    def each(name):
        return {width: torch.from_numpy(golden[f"{name}.{width}"]) for width in WIDTHS}

    names = ("promoter_feats", "promoter_pad_masks", "pcre_feats", "pcre_pad_masks")
    masks, frequency = (torch.from_numpy(golden[name]) for name in ("interaction_masks.2000", "interaction_freq"))
    expected = from_published(*map(each, names), masks, frequency)
    (batch,) = RegionBatches(dataset, np.arange(8), batch_size=8)
    # The published means are sums in float32.
    for ours, theirs in zip(batch.inputs.features, expected.features, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=3e-7)
    for name in ("first", "bins", "gene", "frequency"):
        assert torch.equal(getattr(batch.inputs, name), getattr(expected, name)), name
    assert batch.targets.ravel().tolist() == golden["label"].tolist()


def test_all_genes_are_there(dataset, shared):
    table = pl.read_csv(shared / "data" / "expression" / "chromoformer_demo" / "demo_meta.csv")
    assert dataset.regions["id"].to_list() == table["gene_id"].to_list()
    assert dataset.manifest.inputs["region"].shape[0] == 678
    neighbors = table["neighbors"].fill_null("").str.split(";").list.eval(pl.element().filter(pl.element() != ""))
    regions = RegionTable(dataset)
    near = regions.regions
    names = [f"{near.chromosomes[near.codes[i]]}:{near.starts[i]}-{near.ends[i]}" for i in regions.contact[:, 1]]
    # The table has them by rank already.
    assert names == neighbors.explode().drop_nulls().to_list()
    (batch,) = Batches(dataset, batch_size=100)
    assert batch.inputs.shape == (100, 7, 400)
