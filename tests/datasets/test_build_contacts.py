"""From raw files to promoters, distal regions and contacts, against plain arrays of bases."""

import numpy as np
import polars as pl
import pybigtools
import pytest

from regulome.datasets import Batches, RegionBatches, RegionTable, export_contacts, prepare_contacts, prepare_expression
from regulome.errors import InputError

SIZE, WINDOW, WIDTHS = 30_000, 2000, (500, 200, 100)
#: id, chromosome, strand, start sites (the first is the gene's own), expression.
GENES = [
    ("ENSG00000000001", "chr1", "+", [400, 5000], 9.0),
    ("ENSG00000000002", "chr1", "-", [12_000], 0.0),
    ("ENSG00000000003", "chr2", "-", [20_000, 19_000], 5.0),
    ("ENSG00000000004", "chr2", "+", [29_500], 1.0),
]
#: Fragments of 1,050 bases; the first of a pair and the second, by number on each chromosome, and the score.
PAIRS = [
    ("chr1", 0, "chr1", 15, 4.0),
    ("chr1", 4, "chr1", 15, 9.0),
    ("chr1", 4, "chr2", 3, 2.0),
    ("chr1", 20, "chr1", 0, 2.0),
    ("chr1", 11, "chr1", 25, 1.5),
    ("chr2", 19, "chr1", 15, 1.6),
    ("chr2", 18, "chr2", 19, 1.7),
]
PCRES = {
    0: [("chr1", 15, 4.0), ("chr1", 20, 2.0), ("chr2", 3, 2.0)],
    1: [],
    2: [("chr2", 18, 1.7), ("chr2", 19, 1.7), ("chr1", 15, 1.6)],
    3: [],
}


def fragment(number):
    return number * 1050, (number + 1) * 1050


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(3)
    lines = []
    for name, chrom, strand, sites, _ in GENES:
        for feature, some in (("gene", sites[:1]), *(("transcript", [site]) for site in sites)):
            start, end = (some[0] + 1, some[0] + 300) if strand == "+" else (some[0] - 298, some[0] + 1)
            attributes = f'gene_id "{name}.3"; gene_type "protein_coding"; gene_name "{name[-2:]}";'
            lines.append(f"{chrom}\tx\t{feature}\t{start}\t{end}\t.\t{strand}\t.\t{attributes}\n")
    (folder / "genes.gtf").write_text("".join(lines))
    levels = "".join(f"{gene[0]}\t{gene[4]}\n" for gene in GENES)
    (folder / "rpkm.tsv").write_text("gene_id\tE003\n" + levels)
    pairs = "".join(
        f"{a[3:]}\t{fragment(i)[0]}\t{fragment(i)[1]}\t{b[3:]}\t{fragment(j)[0]}\t{fragment(j)[1]}\t{score}\n"
        for a, i, b, j, score in PAIRS
    )
    (folder / "contacts.tsv").write_text(
        "\t".join(["chrom1", "start1", "end1", "chrom2", "start2", "end2", "score"]) + "\n" + pairs
    )
    n = 4000
    codes, starts = rng.integers(0, 2, n), rng.integers(0, SIZE - 50, n)
    ends, strands = starts + 50, rng.choice(["+", "-"], n)
    rows = zip(codes, starts, ends, strands, strict=True)
    (folder / "a.tagAlign").write_text("".join(f"chr{c + 1}\t{s}\t{e}\tN\t9\t{d}\n" for c, s, e, d in rows))
    bases = np.zeros((2, 2, SIZE))
    np.add.at(bases[0], (codes, starts), 1)
    np.add.at(bases[0], (codes, ends), -1)
    bases[0] = bases[0].cumsum(1)
    edges = np.arange(0, SIZE + 1, 30)
    values = rng.integers(0, 40, (2, len(edges) - 1)) / 8
    bases[1] = np.repeat(values, 30, axis=1)
    track = [
        (f"chr{c + 1}", int(s), int(s) + 30, float(values[c, i])) for c in (0, 1) for i, s in enumerate(edges[:-1])
    ]
    pybigtools.open(str(folder / "b.bw"), "w").write({"chr1": SIZE, "chr2": SIZE}, iter(track))
    return folder, bases


def files(folder, **more):
    named = {
        "genes": folder / "genes.gtf",
        "expression": folder / "rpkm.tsv",
        "sample": "E003",
        "tracks": {"A": folder / "a.tagAlign", "B": folder / "b.bw"},
        "contacts": folder / "contacts.tsv",
        "window": WINDOW,
        "resolutions": WIDTHS,
    }
    return named | more


@pytest.fixture(scope="module")
def dataset(world):
    folder, _ = world
    return prepare_contacts(**files(folder), out=folder / "dataset")


def features(bases, chrom, start, end, width, turned=False):
    whole = np.zeros((2, end - start))
    left, right = max(start, 0), min(end, SIZE)
    whole[:, left - start : right - start] = bases[:, int(chrom[3]) - 1, left:right]
    rows = np.log1p([whole[:, at : at + width].mean(1) for at in range(0, end - start, width)])
    return rows[::-1] if turned else rows


def test_every_region_has_the_depth_of_its_bases(world, dataset):
    _, bases = world
    (batch,) = RegionBatches(dataset, batch_size=4)
    x = batch.inputs
    half = WINDOW // 2
    places = [(c, sites[0] - half, sites[0] + half, strand == "-") for _, c, strand, sites, _ in GENES]
    places += [(chrom, *fragment(number), False) for i in range(4) for chrom, number, _ in PCRES[i]]
    assert x.gene.tolist() == [0, 0, 0, 2, 2, 2]
    np.testing.assert_allclose(x.frequency, [score for i in range(4) for _, _, score in PCRES[i]], rtol=1e-6)
    for r, width in enumerate(WIDTHS):
        chrom_first = np.concatenate([features(bases, *place[:3], width, place[3]) for place in places])
        np.testing.assert_allclose(x.features[r], chrom_first, atol=1e-6)
    # Nine distinct regions: four promoters, and chr1 15, chr1 20, chr2 3, chr2 18, chr2 19.
    assert len(RegionTable(dataset).regions) == 9
    assert dataset.task == "classification"
    record = {source["role"]: source for source in dataset.manifest.sources}
    assert record["contacts"]["n_contacts"] == 6
    assert record["contacts"]["n_sites_without_fragment"] == 1
    assert record["track:A"]["n_records"] == 4000
    assert dataset.manifest.parameters["windows_before_chromosome_start"] == 1


def test_promoters_are_those_of_an_ordinary_dataset(world, dataset):
    folder, _ = world
    options = {"window": WINDOW, "bin": 100}
    tracks = {"B": folder / "b.bw"}
    ordinary = prepare_expression(
        folder / "genes.gtf", folder / "rpkm.tsv", "E003", tracks, folder / "ordinary", **options
    )
    (one,), (other,) = Batches(dataset, batch_size=4), Batches(ordinary, batch_size=4)
    np.testing.assert_allclose(one.inputs[:, 1:], other.inputs, rtol=1e-6)
    assert one.targets.tolist() == other.targets.tolist()
    assert dataset.regions.drop("split").equals(ordinary.regions.drop("split"))


def test_samples_limits_and_no_contacts(world, tmp_path):
    folder, _ = world
    few = prepare_contacts(**files(folder, top=1, threshold=1.6, reads=1000, trim=36), out=tmp_path / "few")
    (batch,) = RegionBatches(few, batch_size=4)
    assert batch.inputs.frequency.tolist() == pytest.approx([4.0, 1.7])
    assert few.manifest.sources[3]["n_sampled"] == 1000
    with pytest.raises(InputError, match="at most 1,049 bases"):
        prepare_contacts(**files(folder, max_region=1049, window=1000), out=tmp_path / "short")
    none = prepare_contacts(**files(folder, contacts=None), out=tmp_path / "none")
    (batch,) = RegionBatches(none, batch_size=4)
    assert len(batch.inputs.gene) == 0


def test_it_goes_out_to_the_published_layout_and_comes_back(dataset, tmp_path):
    export_contacts(dataset, tmp_path / "table.csv", tmp_path / "npy")
    table = pl.read_csv(tmp_path / "table.csv")
    assert table["start"].to_list() == [400, 12_000, 20_000, 29_500] or set(table["start"]) == {
        400,
        12000,
        20000,
        29500,
    }
    options = {"window": WINDOW, "resolutions": WIDTHS, "marks": ["A", "B"], "overwrite": True}
    back = prepare_contacts(
        tmp_path / "table.csv", None, None, {}, None, tmp_path / "back", published=tmp_path / "npy", **options
    )
    (one,), (other,) = RegionBatches(dataset, batch_size=4), RegionBatches(back, batch_size=4)
    for ours, theirs in zip(one.inputs.features, other.inputs.features, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert one.inputs.gene.tolist() == other.inputs.gene.tolist()
    np.testing.assert_allclose(one.inputs.frequency, other.inputs.frequency)
    assert one.targets.tolist() == other.targets.tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resolutions": (300,)}, "a window of 2000 bases cannot be cut into bins of 300"),
        ({"resolutions": ()}, "widths of bins: none"),
        ({"marks": ["A"]}, "--marks goes with --published"),
        ({"published": "npy"}, "--expression goes without --published"),
        ({"tracks": {}}, "no track was given"),
        ({"top": -1}, "-1 pCREs"),
        ({"kinds": {"A": "peaks"}}, "is a file of peaks, which have no depth"),
        ({"expression": None}, "--expression is missing"),
    ],
)
def test_what_is_wrong_is_one_line(world, tmp_path, change, message):
    folder, _ = world
    with pytest.raises(InputError, match=message) as error:
        prepare_contacts(**files(folder, **change), out=tmp_path / "d")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "d").exists()


def test_contacts_of_another_genome_are_refused(world, tmp_path):
    folder, _ = world
    far = tmp_path / "far.tsv"
    far.write_text("chr1\t900000\t901000\tchr1\t5\t9\t3\n")
    with pytest.raises(InputError, match="no start site of a gene lies in any of its fragments"):
        prepare_contacts(**files(folder, contacts=far), out=tmp_path / "d")
    far.write_text("chr1\t0\t1000\tchr1\t900000\t901000\t3\n")
    with pytest.raises(InputError, match="centred beyond the chromosome's end at 30,000"):
        prepare_contacts(**files(folder, contacts=far, tracks={"B": folder / "b.bw"}), out=tmp_path / "d")
