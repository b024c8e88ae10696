"""Peaks of GM12878, GENCODE genes and Roadmap's RPKM to a dataset."""

import gzip
import time

import numpy as np
import pytest

from regulome.datasets import assign_split, open_dataset, prepare_expression
from regulome.errors import InputError

TRACKS = {
    "H3K27me3": "ENCFF247VUO_h3k27me3.bed.gz",
    "H3K4me3": "ENCFF295GNH_h3k4me3.bed.gz",
    "H3K27ac": "ENCFF816AHV_h3k27ac.bed.gz",
    "H3K4me1": "ENCFF921LKB_h3k4me1.bed_clustered.bed.gz",
}


@pytest.fixture(scope="module")
def expression(shared):
    return shared / "data" / "expression"


@pytest.fixture(scope="module")
def dataset(expression, tmp_path_factory):
    begin = time.monotonic()
    roadmap, peaks = expression / "roadmap", expression / "peaks_GM12878_E116"
    dataset = prepare_expression(
        roadmap / "gencode_10_genes.gtf.gz",
        roadmap / "57epigenomes.RPKM.pc.gz",
        "E116",
        {mark: peaks / file for mark, file in TRACKS.items()},
        tmp_path_factory.mktemp("real") / "GM12878",
    )
    assert time.monotonic() - begin < 60
    return dataset


def test_every_gene_of_the_table_is_there(dataset):
    assert len(dataset) == 19_795
    assert len(open_dataset(dataset.path, verify=True)) == len(dataset)
    assert dataset.manifest.targets.rule["n_reference"] == 19_795
    assert 0.49 < dataset.targets.mean() < 0.51


def test_windows_are_those_of_deepchrome(dataset, expression):
    published = {}
    for line in (expression / "roadmap" / "GeneFile.txt").read_text().splitlines():
        chrom, start, _, name = line.split("\t")
        published[name.split("_")[0]] = (chrom, int(start) + 10_000 - 1)
    ours = {gene: (chrom, tss) for gene, chrom, tss in dataset.regions.select("id", "chrom", "tss").iter_rows()}
    assert ours == published


def test_the_thirds_are_those_of_deepchrome(dataset, expression):
    order = [line.strip() for line in (expression / "roadmap" / "gene_list.txt").read_text().splitlines()]
    parts = dict(zip(dataset.regions["id"], assign_split(dataset, "published"), strict=True))
    same = [
        parts[gene] == part
        for gene, part in zip(order, ["train"] * 6601 + ["valid"] * 6601 + ["test"] * 6600, strict=True)
    ]
    # Seven genes are in the published table twice, so the borders differ by a few genes.
    assert sum(same) >= len(order) - 14


def test_values_are_those_of_the_files(dataset, expression):
    rows = {}
    with gzip.open(expression / "peaks_GM12878_E116" / TRACKS["H3K4me3"], "rt") as lines:
        for line in lines:
            fields = line.split("\t")
            rows.setdefault(fields[0], []).append((int(fields[1]), int(fields[2]), float(fields[6])))
    for row in np.random.default_rng(0).choice(len(dataset), 60, replace=False):
        chrom, start = dataset.regions.row(int(row))[1:3]
        starts, ends, values = np.array(rows.get(chrom, [(0, 0, 0)])).T
        for b in range(100):
            hit = (starts < start + (b + 1) * 100) & (ends > start + b * 100)
            assert dataset.inputs["marks"][row, 1, b] == pytest.approx(values[hit].max(initial=0), rel=1e-6)


def test_dirty_peaks_are_refused_and_can_be_skipped(expression, tmp_path):
    roadmap = expression / "roadmap"
    dirty = {"H3K4me1": expression / "peaks_dirty" / TRACKS["H3K4me1"]}
    arguments = (
        roadmap / "gencode_10_genes.gtf.gz",
        roadmap / "57epigenomes.RPKM.pc.gz",
        "E116",
        dirty,
        tmp_path / "d",
    )
    with pytest.raises(InputError, match=r"line 11: start 100273963 is not before end .*4,982 more .*--skip-invalid"):
        prepare_expression(*arguments)
    assert list(tmp_path.iterdir()) == []
    assert prepare_expression(*arguments, skip_invalid=True).manifest.sources[2]["n_skipped"] == 4983
