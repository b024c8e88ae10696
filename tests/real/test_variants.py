"""The saturation-mutagenesis variants of the HNF4A promoter lie on chromosome 20 of hg19 as their authors say."""

import csv
import gzip

import numpy as np
import polars as pl
import torch
from torch import nn

from regulome.explain import score_variants
from regulome.genome import open_genome
from regulome.training import Scorer

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


class Share(nn.Module):
    """The share of G and C in the window."""

    def forward(self, codes):
        return ((codes == 1) | (codes == 2)).float().mean(1, keepdim=True)


def test_every_measured_variant_is_scored(shared, tmp_path, monkeypatch):
    monkeypatch.setenv("REGULOME_CACHE", str(tmp_path / "cache"))
    genome = open_genome(shared / "data/sequence/genome/hg19_chr20.fa.gz")
    letters = genome.codes("20")
    rows, change = [], []
    with gzip.open(shared / "data/sequence/variants/mpra_HNF4A_hg19_chr20.tsv.gz", "rt") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            position, ref, alt = int(row["Pos"]), row["Ref"], row["Alt"].strip("-")
            change.append(sum(letter in "GC" for letter in alt) - sum(letter in "GC" for letter in ref))
            if not alt:
                # VCF keeps the base before a deletion.
                before = "ACGT"[letters[position - 2]]
                position, ref, alt = position - 1, before + ref, before
            rows.append(f"chr20\t{position}\t.\t{ref}\t{alt}\t.\t.\t.\n")
    (tmp_path / "v.vcf").write_text(HEADER + "".join(rows))
    scorer = Scorer([Share()], length=101, target_names=["gc"], task="regression")
    scores = score_variants(scorer, tmp_path / "v.vcf", genome, tmp_path / "o.parquet")
    assert scores.scored == len(rows) > 500
    assert not scores.skipped
    table = pl.read_parquet(tmp_path / "o.parquet")
    assert table["chrom"].unique().to_list() == ["chr20"]
    snv = (table["ref"].str.len_chars() == 1).to_numpy()
    np.testing.assert_allclose(table["gc_difference"].to_numpy()[snv], np.array(change)[snv] / 101, atol=1e-6)
    assert torch.is_grad_enabled()
