import numpy as np
import polars as pl

from regulome.genome.check import check_files
from regulome.genome.letters import decode
from regulome.genome.sequence import open_genome


def test_chromosome_20(shared, tmp_path, monkeypatch):
    monkeypatch.setenv("REGULOME_CACHE", str(tmp_path))
    path = shared / "data/sequence/genome/hg19_chr20.fa.gz"
    genome = open_genome(path)
    assert genome.lengths == {"20": 63_025_520}
    codes = genome.codes("chr20")
    # The assembly: 3.52 Mb of gaps, both telomeres among them.
    assert np.bincount(codes, minlength=5)[4] == 3_520_000
    assert (codes[:60_000] == 4).all()
    assert codes[60_000] < 4
    assert (codes[-60_000:] == 4).all()
    # The promoter of HNF4A, from the alleles of a mutagenesis experiment on it.
    rows = (shared / "data/sequence/variants").glob("mpra_HNF4A*")
    variants = pl.read_csv(next(rows), separator="\t", comment_prefix="##")
    positions = variants["Pos"].to_numpy() - 1
    reference = "".join(decode(row) for row in genome.windows("chr20", positions, 1))
    assert reference == "".join(variants["Ref"].str.head(1).to_list())
    notes = [f.problem for f in check_files([path])]
    assert notes == ["FASTA: 63,025,520 bases in 1 sequence (named like 20), 5.6% of them unknown"]


def test_small_genomes(shared, tmp_path, monkeypatch):
    monkeypatch.setenv("REGULOME_CACHE", str(tmp_path))
    totals = {}
    for path in sorted((shared / "data/genomes").iterdir()):
        genome = open_genome(path)
        totals[sum(genome.lengths.values())] = len(genome.names)
    assert totals == {4_639_675: 1, 23_264_425: 14, 48_502: 1}
