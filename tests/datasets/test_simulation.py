import filecmp
import gzip
import json
import subprocess
import sys

import numpy as np
import polars as pl
import pyBigWig
import pysam
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from regulome.datasets.simulation import simulate_expression
from regulome.errors import InputError
from regulome.genome.expression import read_expression
from regulome.genome.genes import read_genes
from regulome.genome.targets import make_target

MARKS = ["H3K27me3", "H3K36me3", "H3K4me1", "H3K4me3", "H3K9me3"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return simulate_expression(tmp_path_factory.mktemp("world") / "w", seed=3)


@pytest.fixture(scope="module")
def truth(world):
    return json.loads((world / "truth.json").read_text())


@pytest.fixture(scope="module")
def reads(world):
    columns = ["chrom", "start", "end", "name", "score", "strand"]
    return {
        mark: pl.read_csv(
            gzip.decompress((world / f"{mark}.tagAlign.gz").read_bytes()),
            separator="\t",
            has_header=False,
            new_columns=columns,
        )
        for mark in MARKS
    }


@pytest.fixture(scope="module")
def counts(world, reads):
    """Genes with labels, and reads by their middle in 100 bins, 5' to 3': [gene, mark, bin]."""
    expression = read_expression(world / "expression.tsv.gz", "E900")
    genes = read_genes(world / "genes.gtf.gz").table.join(expression.table, on="id", maintain_order="left")
    label = make_target(genes["value"].to_numpy(), reference=expression.table["value"].to_numpy()).values
    chromosomes = {f"chr{i + 1}": i * 10**9 for i in range(8)}
    offset = genes["chrom"].replace_strict(chromosomes).to_numpy() + genes["tss"].to_numpy()
    edges = offset[:, None] - 5_000 + np.arange(101) * 100
    result = []
    for mark in MARKS:
        place = reads[mark]["chrom"].replace_strict(chromosomes).to_numpy() + reads[mark]["start"].to_numpy() + 18
        found = np.searchsorted(np.sort(place), edges)
        result.append(np.diff(found, axis=1))
    x = np.stack(result, axis=1)
    minus = (genes["strand"] == "-").to_numpy()
    x[minus] = x[minus][:, :, ::-1]
    return genes, label, x


def test_files_and_their_size(world):
    names = {path.name for path in world.iterdir()}
    assert {f"{mark}.tagAlign.gz" for mark in MARKS} < names
    assert {"genes.gtf.gz", "expression.tsv.gz", "H3K4me3.bigWig", "H3K27me3.bam", "H3K27me3.bam.bai"} < names
    assert {"H3K4me3.narrowPeak.gz", "chrom.sizes", "truth.json", "README.txt"} < names
    assert sum(path.stat().st_size for path in world.iterdir()) < 40e6
    readme = (world / "README.txt").read_text()
    assert "regulome prepare expression --genes genes.gtf.gz --expression expression.tsv.gz --sample E900" in readme
    assert "{" not in readme


def test_genes_and_expression_are_like_the_real_ones(world):
    genes = read_genes(world / "genes.gtf.gz")
    assert len(genes) == 2_000
    assert genes.record["n_other_biotypes"] == 300
    assert genes.table["chrom"].n_unique() == 8
    assert 0.4 < (genes.table["strand"] == "+").mean() < 0.6
    canonical = read_genes(world / "genes.gtf.gz", tss="canonical")
    np.testing.assert_array_equal(canonical.table["tss"], genes.table["tss"])
    text = gzip.decompress((world / "expression.tsv.gz").read_bytes()).decode().splitlines()
    assert text[0] == "gene_id\tE000\tE900\tE901\tE902"
    assert all(line.endswith("\t") and line.count("\t") == 5 for line in text[1:])
    expression = read_expression(world / "expression.tsv.gz", "E900")
    shared = genes.table.join(expression.table, on="id").height
    assert 1_900 < shared < len(genes)
    assert shared < len(expression)
    assert 0.05 < (expression.table["value"] == 0).mean() < 0.3


def test_bam_is_the_tag_align(world, reads):
    with pysam.AlignmentFile(world / "H3K27me3.bam") as bam:
        assert bam.header["HD"]["SO"] == "coordinate"
        sizes = dict(zip(bam.references, bam.lengths, strict=True))
        found = [(r.reference_name, r.reference_start, r.reference_end, r.is_reverse) for r in bam.fetch("chr8")]
        assert bam.mapped == reads["H3K27me3"].height
    table = reads["H3K27me3"].filter(chrom="chr8")
    expected = table.select("chrom", "start", "end", pl.col("strand") == "-").rows()
    assert found == expected
    lines = [line.split("\t") for line in (world / "chrom.sizes").read_text().splitlines()]
    assert sizes == {name: int(size) for name, size in lines}
    ends = reads["H3K27me3"].group_by("chrom").agg(pl.col("start").min(), pl.col("end").max())
    assert all(start >= 0 and end <= sizes[chrom] for chrom, start, end in ends.rows())


def test_big_wig_is_the_depth_of_the_reads(world, reads):
    table = reads["H3K4me3"].filter(chrom="chr8")
    with pyBigWig.open(str(world / "H3K4me3.bigWig")) as track:
        size = track.chroms("chr8")
        values = np.nan_to_num(track.values("chr8", 0, size, numpy=True))
    depth = np.zeros(size + 1)
    np.add.at(depth, table["start"].to_numpy(), 1)
    np.add.at(depth, table["end"].to_numpy(), -1)
    np.testing.assert_array_equal(values, depth.cumsum()[:-1])


def test_peaks_lie_where_reads_are_dense(world, reads):
    text = gzip.decompress((world / "H3K4me3.narrowPeak.gz").read_bytes()).decode()
    rows = [line.split("\t") for line in text.splitlines()]
    assert {len(row) for row in rows} == {10}
    assert 300 < len(rows) < 2_300
    peaks = np.array([[int(row[1]), int(row[2]), float(row[6])] for row in rows if row[0] == "chr1"])
    starts = reads["H3K4me3"].filter(chrom="chr1")["start"].to_numpy()
    inside = np.searchsorted(starts, peaks[:, 1]) - np.searchsorted(starts, peaks[:, 0])
    assert spearmanr(inside, peaks[:, 2]).statistic > 0.95


def test_planted_rules_are_in_the_files(counts, truth):
    _, label, x = counts
    for rule in truth["rules"]:
        first, last = rule["bins"]
        mark = truth["marks"].index(rule["mark"])
        inside = spearmanr(x[:, mark, first : last + 1].sum(axis=1), label).statistic
        assert inside * (1 if rule["direction"] == "up" else -1) > 0.25
    for decoy in truth["decoys"]:
        first, last = decoy["bins"]
        total = x[:, truth["marks"].index(decoy["mark"]), first : last + 1].sum(axis=1)
        assert abs(spearmanr(total, label).statistic) < 0.1
        assert total.var() > 3 * total.mean()  # it varies more than chance alone


def test_what_needs_orientation_lies_downstream(counts, truth):
    _, _, x = counts
    k36 = x[:, truth["marks"].index("H3K36me3")]
    assert k36[:, 62:98].mean() > 2 * k36[:, 2:38].mean()
    assert [rule["mark"] for rule in truth["rules"] if rule["needs_orientation"]] == ["H3K36me3"]


def test_oracle_is_what_an_ideal_model_reaches(counts, truth):
    genes, label, x = counts
    rules = [(truth["marks"].index(r["mark"]), *r["bins"]) for r in truth["rules"]]
    features = np.stack([np.log1p(x[:, mark, first : last + 1].sum(axis=1)) for mark, first, last in rules], axis=1)
    test = genes["chrom"].is_in(truth["test_chromosomes"]).to_numpy()
    model = LogisticRegression().fit(features[~test], label[~test])
    reached = roc_auc_score(label[test], model.decision_function(features[test]))
    assert reached == pytest.approx(truth["oracle"]["auroc_from_counts_test"], abs=0.015)
    assert 0.91 < truth["oracle"]["auroc_from_counts"] < truth["oracle"]["auroc"] < 0.97


def test_same_seed_same_bytes(world, tmp_path):
    command = "from regulome.datasets.simulation import simulate_expression as s; import sys; s(sys.argv[1], seed=3)"
    subprocess.run([sys.executable, "-c", command, str(tmp_path / "again")], check=True)
    names = sorted(path.name for path in world.iterdir())
    same, different, missing = filecmp.cmpfiles(world, tmp_path / "again", names, shallow=False)
    assert (different, missing) == ([], [])
    assert same == names


def test_wrong_requests(world):
    with pytest.raises(InputError, match=r"no size 'huge' \(one of small, medium\)"):
        simulate_expression(world.parent / "x", size="huge")
    with pytest.raises(InputError, match="seed -1 is negative"):
        simulate_expression(world.parent / "x", seed=-1)
    with pytest.raises(InputError, match="exists already"):
        simulate_expression(world)
    assert [path.name for path in world.parent.iterdir()] == ["w"]
