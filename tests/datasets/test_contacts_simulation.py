import gzip
import json

import numpy as np
import polars as pl
import pyBigWig
import pytest

from regulome.datasets import prepare_contacts, simulate_contacts
from regulome.datasets.simulated_contacts_world import CELLS, MARKS, REACH, make_contact_world, make_mark_reads
from regulome.errors import InputError
from regulome.genome.contacts import read_contacts
from regulome.genome.expression import read_expression
from regulome.genome.genes import read_genes


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return simulate_contacts(tmp_path_factory.mktemp("world") / "w", seed=2)


@pytest.fixture(scope="module")
def tables(world):
    genes = read_genes(world / "genes.gtf.gz").table.with_row_index("gene")
    links = pl.read_csv(world / "truth_links.tsv", separator="\t", infer_schema_length=None)
    columns = ["chrom", "start", "end", "enhancer"]
    return {
        "genes": genes,
        "links": links.join(genes, left_on="gene_id", right_on="id"),
        "enhancers": pl.read_csv(world / "truth_enhancers.bed", separator="\t", has_header=False, new_columns=columns),
        "contacts": read_contacts(world / "contacts.tsv").table,
        "truth": json.loads((world / "truth.json").read_text()),
    }


def depth(path, table):
    """Sum of a bigWig over intervals."""
    with pyBigWig.open(str(path)) as file:
        return np.array(
            [np.nansum(file.values(*row, numpy=True)) for row in table.select("chrom", "start", "end").iter_rows()]
        )


def test_models_of_promoters_lose_and_contacts_win(world, tables):
    """Least squares on the files, told what the truth says: how far the promoter, its window and contacts carry."""
    genes, links, cell = tables["genes"], tables["links"], "E901"
    enhancers = tables["enhancers"].sort("enhancer")
    signal = depth(world / f"{cell}.H3K27ac.bigWig", enhancers)
    # What stands out of the background is an active enhancer.
    active = (signal > 36 * 25).astype(float)
    told = links.unique("enhancer").sort("enhancer")
    assert (active[told["enhancer"]] == told[f"active_{cell}"].to_numpy()).mean() > 0.97
    text = gzip.decompress((world / f"{cell}.H3K4me3.tagAlign.gz").read_bytes())
    names = ["chrom", "start", "end", "name", "score", "strand"]
    reads = pl.read_csv(text, separator="\t", has_header=False, new_columns=names)
    count = np.zeros(genes.height)
    for (name,), here in reads.group_by("chrom"):
        rows = np.flatnonzero(genes["chrom"] == name)
        tss = genes["tss"].to_numpy()[rows]
        at = np.sort(here["start"].to_numpy()) + 18
        count[rows] = np.searchsorted(at, tss + 700) - np.searchsorted(at, tss - 700)
    parts = [np.log(count + 1)]
    for near in (True, False):
        chosen = links.filter(pl.col("score").is_null() == near)
        value = active[chosen["enhancer"].to_numpy()] / np.sqrt(np.abs(chosen["distance"].to_numpy()))
        parts.append(np.bincount(chosen["gene"].to_numpy(), value, genes.height))
    level = read_expression(world / "expression.tsv.gz", cell).table
    joined = genes.join(level, on="id", how="left", maintain_order="left")
    y = np.log2(joined["value"].to_numpy() + 1)
    test = joined["chrom"].is_in(["chr7", "chr8"]).to_numpy()
    reached = []
    for k in range(1, 4):
        x = np.stack([*parts[:k], np.ones_like(y)], axis=1)
        weights = np.linalg.lstsq(x[~test], y[~test], rcond=None)[0]
        reached.append(np.corrcoef(x[test] @ weights, y[test])[0, 1])
    assert reached[0] < 0.65
    assert reached[0] < reached[1] < 0.72
    assert reached[2] > 0.85
    oracle = list(tables["truth"]["oracle"]["pearson_test"][cell].values())
    assert reached == pytest.approx(oracle, abs=0.1)


def test_distal_enhancers_are_seen_by_contacts_alone(world, tables):
    links = tables["links"]
    far = links.filter(pl.col("score").is_not_null())
    assert (far["distance"].abs() > REACH + 1_000).all()
    assert (links.filter(pl.col("score").is_null())["distance"].abs() < REACH - 1_000).all()
    # No enhancer of one gene lies in the window of another, but in its own fragment of the table of contacts.
    middle = links.join(tables["enhancers"], on="enhancer", suffix="_peak").with_columns(
        at=(pl.col("start") + pl.col("end")) // 2
    )
    outside = middle.filter(pl.col("score").is_not_null())
    for (name,), here in outside.group_by("chrom"):
        tss = np.sort(tables["genes"].filter(chrom=name)["tss"].to_numpy())
        at = here["at"].to_numpy()
        place = np.searchsorted(tss, at)
        away = np.minimum(np.abs(at - tss[np.maximum(place - 1, 0)]), np.abs(at - tss[np.minimum(place, len(tss) - 1)]))
        assert (away > REACH).all()
    table = tables["contacts"].rename({"chrom1": "chrom"})
    own = outside.join(table, on=["chrom", "score"]).filter(
        (pl.col("start1") <= pl.col("tss"))
        & (pl.col("tss") < pl.col("end1"))
        & (pl.col("start2") <= pl.col("at"))
        & (pl.col("at") < pl.col("end2"))
    )
    assert own.height == outside.height
    assert own["score"].min() > 1.5
    assert np.corrcoef(own["score"], 1 / own["distance"].abs())[0, 1] > 0.8


def test_cells_share_a_genome_and_differ_in_what_is_active(world, tables):
    names = [f"active_{cell}" for cell in CELLS]
    active = tables["links"].unique("enhancer").select(names).to_numpy()
    assert abs(active.mean() - 0.5) < 0.05
    assert np.abs(np.corrcoef(active.T) - np.eye(3)).max() < 0.1
    levels = [read_expression(world / "expression.tsv.gz", cell).table["value"].to_numpy() for cell in CELLS]
    assert np.abs(np.corrcoef(np.log(np.array(levels) + 1)) - np.eye(3)).max() < 0.2
    expected = {f"{cell}.{mark}.{'bigWig' if mark == 'H3K27ac' else 'tagAlign.gz'}" for cell in CELLS for mark in MARKS}
    assert expected <= {path.name for path in world.iterdir()}


def test_contacts_are_what_prepare_contacts_reads(world, tables, tmp_path):
    dataset = prepare_contacts(
        world / "genes.gtf.gz", world / "expression.tsv.gz", "E900", {"H3K27ac": world / "E900.H3K27ac.bigWig"},
        world / "contacts.tsv", tmp_path / "d", target="log2", resolutions=(2000, 500),
    )  # fmt: skip
    assert len(dataset) == 1_000
    per_gene = np.bincount(dataset.inputs["contact"][:, 0], minlength=1_000)
    assert per_gene.min() >= 2
    assert per_gene.mean() > 5
    assert per_gene.max() <= 8
    assert dataset.inputs["frequency"].min() > 1.5


def test_the_seed_makes_the_world():
    one, same, other = (make_contact_world(60, seed) for seed in (1, 1, 2))
    assert one.contacts.equals(same.contacts)
    assert np.array_equal(one.expression, same.expression)
    assert not np.array_equal(one.expression, other.expression)
    reads, again = (make_mark_reads(one, "H3K4me1", 1, 1) for _ in range(2))
    assert np.array_equal(reads.start, again.start)
    assert not np.array_equal(reads.start[:50], make_mark_reads(one, "H3K4me1", 2, 1).start[:50])
    assert np.abs(one.parts.std((0, 1)) - [0.5, 0.35, 0.72, 0.33]).max() < 1e-9


def test_what_cannot_be_made(world, tmp_path):
    with pytest.raises(InputError, match="no size 'huge'"):
        simulate_contacts(tmp_path / "x", size="huge")
    with pytest.raises(InputError, match="seed -1 is negative"):
        simulate_contacts(tmp_path / "x", seed=-1)
    with pytest.raises(InputError, match="exists already"):
        simulate_contacts(world)
