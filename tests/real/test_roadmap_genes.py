import numpy as np
import polars as pl
import pytest

from regulome.genome.expression import read_expression
from regulome.genome.genes import read_genes
from regulome.genome.targets import make_target


@pytest.fixture(scope="module")
def genes(shared):
    return read_genes(shared / "data/expression/roadmap/gencode_10_genes.gtf.gz")


def test_gencode_10_joins_the_roadmap_table(shared, genes):
    expression = read_expression(shared / "data/expression/roadmap/57epigenomes.RPKM.pc.gz", "E116")
    assert len(expression.samples) == 57
    assert len(expression) == 19_795
    joined = genes.table.join(expression.table, on="id")
    assert joined.height == 19_795
    target = make_target(joined["value"].to_numpy(), reference=expression.table["value"].to_numpy())
    assert abs(target.values.mean() - 0.5) < 0.01


def test_start_sites_are_those_of_the_published_windows(shared, genes):
    windows = pl.read_csv(
        shared / "data/expression/roadmap/GeneFile.txt",
        separator="\t",
        has_header=False,
        new_columns=["chrom", "start", "end", "name"],
    ).with_columns(id=pl.col("name").str.split("_").list.first())
    joined = windows.unique("id", keep="first", maintain_order=True).join(genes.table, on="id")
    assert joined.height == 19_795
    assert (joined["chrom"] == joined["chrom_right"]).all()
    centre = (joined["start"] + joined["end"]) // 2
    np.testing.assert_array_equal(centre.to_numpy(), joined["tss"].to_numpy() + 1)


def test_gene_counts_of_h1(shared, genes):
    expression = read_expression(shared / "data/expression/counts_H1_E003/E003.expr.csv", "E003")
    assert expression.record["sample"] == "E003"
    assert genes.table.join(expression.table, on="id").height >= 19_500
