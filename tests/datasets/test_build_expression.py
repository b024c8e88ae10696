import gzip
import hashlib
import json
import logging

import numpy as np
import pytest

from regulome.datasets import assign_split, build_expression, open_dataset, prepare_expression
from regulome.errors import InputError

CHROMOSOMES = ("chr2", "chr10", "chr1")
LENGTH = 60_000
WINDOW, BIN = 1000, 100


class World:
    """Files of a small genome, and the same things as numbers."""

    def __init__(self, folder):
        rng = np.random.default_rng(0)
        self.folder = folder
        self.genes = []
        for number in range(30):
            start = int(rng.integers(200, LENGTH - 2500))
            self.genes.append((f"ENSG{number:011d}", CHROMOSOMES[number % 3], start, start + 1500, "+-"[number % 2]))
        self.genes[0] = (*self.genes[0][:2], 99, 1599, "+")
        gtf = [
            f'{c}\ttest\tgene\t{s + 1}\t{e}\t.\t{strand}\t.\tgene_id "{g}.3"; gene_name "N{g[-2:]}"; '
            f'gene_type "{"lincRNA" if number == 29 else "protein_coding"}";'
            for number, (g, c, s, e, strand) in enumerate(self.genes)
        ]
        self.gtf = self.write("genes.gtf", gtf)
        self.values = {g: float(i * 7 % 31) for i, (g, *_) in enumerate(self.genes) if i != 5}
        lines = ["gene_id\tA\tB\t", *(f"{g}\t{v}\t{v * 2}\t" for g, v in reversed(self.values.items()))]
        lines.append("ENSG99999999999\t1000\t1000\t")
        self.table = self.write("rpkm.tsv.gz", lines)
        starts = rng.integers(0, LENGTH - 300, 3000)
        self.reads = [(CHROMOSOMES[i % 3], int(s), int(s) + 36, "+-"[i % 2]) for i, s in enumerate(starts)]
        self.tagalign = self.write(
            "reads.tagAlign.gz", [f"{c[3:]}\t{s}\t{e}\tN\t1000\t{x}" for c, s, e, x in self.reads]
        )
        starts = rng.integers(0, LENGTH - 300, 300)
        self.peaks = [(CHROMOSOMES[i % 3], int(s), int(s) + 250, i / 8) for i, s in enumerate(starts)]
        self.narrow = self.write(
            "peaks.narrowPeak", [f"{c}\t{s}\t{e}\t.\t0\t.\t{v}\t-1\t-1\t100" for c, s, e, v in self.peaks]
        )
        self.steps = [(c, s, s + 50, (s // 50) % 9 / 4) for c in CHROMOSOMES for s in range(0, LENGTH, 50)]
        self.bedgraph = self.write("track.bedGraph", [f"{c}\t{s}\t{e}\t{v}" for c, s, e, v in self.steps])
        self.tracks = {"R": self.tagalign, "P": self.narrow, "T": self.bedgraph}

    def write(self, name, lines):
        path = self.folder / name
        text = "\n".join(lines) + "\n"
        path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
        return path

    def prepare(self, out="dataset", **options):
        arguments = {"genes": self.gtf, "expression": self.table, "sample": "A", "tracks": self.tracks}
        arguments |= {"window": WINDOW, "bin": BIN, **options}
        return prepare_expression(out=self.folder / out, **arguments)

    def expected(self):
        """Genes in genome order with their windows, and the values of R, P and T in each bin, one by one."""
        genes = [gene for gene in self.genes[:29] if gene[0] in self.values]
        genes.sort(key=lambda gene: (int(gene[1][3:]), gene[2] if gene[4] == "+" else gene[3] - 1))
        signal = np.zeros((len(genes), 3, WINDOW // BIN), np.float32)
        for g, (_, chrom, begin, end, strand) in enumerate(genes):
            first = (begin if strand == "+" else end - 1) - WINDOW // 2
            for b in range(WINDOW // BIN):
                low, high = first + b * BIN, first + (b + 1) * BIN
                signal[g, 0, b] = sum(c == chrom and s < high and e > low for c, s, e, _ in self.reads)
                signal[g, 1, b] = max([v for c, s, e, v in self.peaks if c == chrom and s < high and e > low] or [0])
                cover = [
                    (min(e, high) - max(s, low)) * v for c, s, e, v in self.steps if c == chrom and s < high and e > low
                ]
                signal[g, 2, b] = sum(cover) / BIN
        return genes, signal


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


def refused(world, match, **options):
    before = sorted(world.folder.iterdir())
    with pytest.raises(InputError, match=match) as caught:
        world.prepare("refused", **options)
    assert "\n" not in str(caught.value)
    assert sorted(world.folder.iterdir()) == before
    return caught.value


def test_every_value_of_a_small_world(world, caplog):
    caplog.set_level(logging.INFO, "regulome")
    dataset = open_dataset(world.prepare(overwrite=True).path, verify=True)
    genes, signal = world.expected()
    assert dataset.regions["id"].to_list() == [gene[0] for gene in genes]
    assert dataset.regions["chrom"].to_list() == [gene[1] for gene in genes]
    np.testing.assert_allclose(dataset.inputs["marks"], signal, rtol=1e-6)
    tss = [gene[2] if gene[4] == "+" else gene[3] - 1 for gene in genes]
    assert dataset.regions["tss"].to_list() == tss
    assert dataset.regions["start"].to_list() == [t - WINDOW // 2 for t in tss]
    assert dataset.regions["end"].to_list() == [t + WINDOW // 2 for t in tss]
    assert dataset.regions["strand"].to_list() == [gene[4] for gene in genes]
    assert dataset.regions["symbol"][0] == f"N{genes[0][0][-2:]}"
    values = [world.values[gene[0]] for gene in genes]
    assert dataset.regions["expression"].to_list() == values
    median = np.median([*world.values.values(), 1000])
    assert dataset.targets[:, 0].tolist() == [float(value >= median) for value in values]
    assert (
        "28 genes have a start site and an expression (29 in the annotation, 30 in the expression table)" in caplog.text
    )
    assert "reads.tagAlign.gz: chromosome 2 = chr2 and 2 more alike" in caplog.text


def test_what_the_record_says(world):
    manifest = world.prepare(overwrite=True).manifest
    assert [source["role"] for source in manifest.sources] == ["genes", "expression", "track:R", "track:P", "track:T"]
    for source, path in zip(manifest.sources, [world.gtf, world.table, *world.tracks.values()], strict=True):
        assert source["path"] == str(path)
        assert source["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest.sources[2]["aliases"] == {"chr1": "1", "chr10": "10", "chr2": "2"}
    assert manifest.sources[2]["n_records"] == 3000
    assert "gene record" in manifest.sources[0]["rule"]
    assert "median" in manifest.targets.rule["rule"]
    assert manifest.parameters["mark_kinds"] == {"R": "reads", "P": "peaks", "T": "track"}
    assert manifest.parameters["windows_before_chromosome_start"] == 1
    assert manifest.inputs["marks"].unit == "signal"
    json.dumps(manifest.model_dump(mode="json"), allow_nan=False)


def test_counts_are_stored_as_small_integers(world):
    dataset = world.prepare("reads", tracks={"R": world.tagalign, "S": world.tagalign}, count="five_prime")
    assert dataset.inputs["marks"].dtype == np.uint16
    assert dataset.manifest.inputs["marks"].unit == "reads"
    assert np.array_equal(dataset.inputs["marks"][:, 0], dataset.inputs["marks"][:, 1])
    genes, _ = world.expected()
    low, chrom = dataset.regions["start"][3], genes[3][1]
    ends = [(s if x == "+" else e - 1) - low for c, s, e, x in world.reads if c == chrom]
    assert dataset.inputs["marks"][3, 0].tolist() == np.histogram(ends, np.arange(0, WINDOW + 1, BIN))[0].tolist()


def test_choices(world):
    dataset = world.prepare(
        "some",
        chromosomes=["2", "chr10"],
        target="log2",
        sample="B",
        biotype=None,
        statistic="max",
        tracks={"P": world.narrow},
    )
    assert dataset.regions["chrom"].unique(maintain_order=True).to_list() == ["chr2", "chr10"]
    assert dataset.task == "regression"
    np.testing.assert_allclose(dataset.targets[:, 0], np.log2(dataset.regions["expression"] + 1), rtol=1e-6)
    other = world.prepare("others", exclude_chromosomes=["chr1"], tracks={"P": world.narrow}, statistic="presence")
    assert set(other.regions["chrom"]) == {"chr2", "chr10"}
    assert set(np.unique(other.inputs["marks"])) == {0, 1}
    assert other.inputs["marks"].dtype == np.uint16


def test_the_published_thirds_follow_the_expression_table(world):
    dataset = world.prepare("thirds", tracks={"P": world.narrow})
    parts = assign_split(dataset, "published")
    rows = dataset.regions["expression_row"].to_numpy()
    assert rows[parts == "train"].max() < rows[parts == "valid"].min()
    assert rows[parts == "valid"].max() < rows[parts == "test"].min()


def test_a_silent_mark_is_said(world, caplog):
    path = world.write("far.narrowPeak", ["chr1\t59900\t59950\t.\t0\t.\t1\t-1\t-1\t9"])
    world.prepare("silent", tracks={"P": world.narrow, "F": path})
    assert "F has no signal in any window" in caplog.text


def test_inputs_that_do_not_fit(world):
    refused(world, "no track was given", tracks={})
    refused(world, "no such file", tracks={"A": world.folder / "nothing.bw"})
    refused(world, "a track has no name", tracks={" ": world.narrow})
    refused(world, "'X', which is no track", kinds={"X": "reads"})
    refused(world, "unknown kind 'bigWig' of R", kinds={"R": "bigWig"})
    refused(world, "'peaks', which has no 'mean'", statistic="mean")
    refused(world, "no genes on chromosome 'chr7'", chromosomes=["chr7"])
    refused(world, "no chromosome is left", exclude_chromosomes=CHROMOSOMES)
    refused(world, "window", window=1050)
    refused(world, "has no sample", sample="C")
    refused(world, "all 28 genes", target="quantile:0.999")
    strangers = world.write("yeast.tsv", ["gene\tA", "YAL001C\t1", "YAL002W\t2"])
    refused(
        world, "shares no gene with .*'YAL001C', those of the annotation like 'ENSG00000000000'", expression=strangers
    )
    elsewhere = world.write("elsewhere.narrowPeak", ["chrZ\t1\t2\t.\t0\t.\t1\t-1\t-1\t0"])
    refused(world, "chrZ", tracks={"P": world.narrow, "E": elsewhere})
    world.prepare("there", tracks={"P": world.narrow})
    with pytest.raises(InputError, match="exists already"):
        world.prepare("there")


def test_invalid_rows_are_refused_or_left_out(world):
    lines = world.narrow.read_text().splitlines()
    dirty = world.write("dirty.narrowPeak", [*lines[:40], "chr1\t500\t400\t.\t0\t.\t1\t-1\t-1\t0", *lines[40:]])
    assert refused(world, "start 500 is not before end 400", tracks={"P": dirty}).record == 41
    dataset = world.prepare("clean", tracks={"P": dirty}, skip_invalid=True)
    assert np.array_equal(dataset.inputs["marks"], world.prepare("plain", tracks={"P": world.narrow}).inputs["marks"])
    assert dataset.manifest.sources[2]["n_skipped"] == 1


def test_nothing_is_left_after_an_interruption(world, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(build_expression, "read_signal", interrupted)
    before = sorted(world.folder.iterdir())
    with pytest.raises(KeyboardInterrupt):
        world.prepare("interrupted")
    assert sorted(world.folder.iterdir()) == before
