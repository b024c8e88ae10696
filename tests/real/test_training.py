"""GM12878 histone peaks to expression: the recipes on published data, by whole chromosomes."""

import pytest

from regulome.datasets import prepare_expression
from regulome.training import compare, train

SPLIT = {"test_chromosomes": ["chr1", "chr8", "chr9"], "valid_chromosomes": ["chr7", "chr10"]}


@pytest.fixture(scope="module")
def dataset(shared, tmp_path_factory):
    data = shared / "data" / "expression"
    peaks = data / "peaks_GM12878_E116"
    tracks = {
        "H3K27me3": peaks / "ENCFF247VUO_h3k27me3.bed.gz",
        "H3K4me3": peaks / "ENCFF295GNH_h3k4me3.bed.gz",
        "H3K27ac": peaks / "ENCFF816AHV_h3k27ac.bed.gz",
        "H3K4me1": peaks / "ENCFF921LKB_h3k4me1.bed_clustered.bed.gz",
    }
    roadmap = data / "roadmap"
    return prepare_expression(
        roadmap / "gencode_10_genes.gtf.gz",
        roadmap / "57epigenomes.RPKM.pc.gz",
        "E116",
        tracks,
        tmp_path_factory.mktemp("gm12878") / "dataset",
    )


@pytest.fixture(scope="module")
def logistic(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "logistic-regression"
    return train("logistic-regression", dataset, out, device="cpu", set={"baseline.costs": [1e-3]}, **SPLIT)


def test_logistic_regression_on_all_bins(logistic, dataset):
    assert len(dataset) >= 19_500
    assert logistic.metrics()["n"] == 3_526
    assert 0.905 <= logistic.metrics()["auroc"]["value"] <= 0.917


def test_without_orientation_it_is_the_known_baseline(dataset, tmp_path):
    settings = {"baseline.costs": [1e-4], "input.orient": False}
    run = train("logistic-regression", dataset, tmp_path / "run", device="cpu", set=settings, **SPLIT)
    assert 0.899 <= run.metrics()["auroc"]["value"] <= 0.904


def test_deepchrome_learns_more_than_the_linear_model(dataset, logistic, tmp_path):
    """Three of the recipe's twelve epochs: the whole recipe reaches 0.915."""
    run = train("deepchrome", dataset, tmp_path / "deepchrome", device="cpu", set={"training.epochs": 3}, **SPLIT)
    assert run.metrics()["auroc"]["value"] >= 0.905
    found = compare([run, logistic], replicates=200)
    assert found.n == 3_526
    assert set(found.metrics) == {"deepchrome", "logistic-regression"}
