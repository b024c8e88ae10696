import filecmp
import gzip
import json
import subprocess
import sys

import numpy as np
import polars as pl
import pysam
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from regulome.datasets.sequence_simulation import simulate_sequence
from regulome.datasets.simulated_genome import make_genome
from regulome.errors import InputError

FEATURES = ["CTCF", "GATA1", "MYC", "SPI1", "SOX2", "DNase"]
COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return simulate_sequence(tmp_path_factory.mktemp("world") / "w", seed=3)


@pytest.fixture(scope="module")
def truth(world):
    return json.loads((world / "truth.json").read_text())


@pytest.fixture(scope="module")
def genome(world):
    """The letters of each chromosome, read by another program."""
    with pysam.FastaFile(str(world / "genome.fa")) as fasta:
        letters = {name: fasta.fetch(name).upper() for name in fasta.references}
    (world / "genome.fa.fai").unlink()
    return letters


@pytest.fixture(scope="module")
def motifs(world, truth):
    """Bits of each motif, [position, letter], and its threshold: from the MEME file and the truth."""
    found, name = {}, ""
    for line in (world / "motifs.meme").read_text().splitlines():
        if line.startswith("MOTIF"):
            name = line.split()[1]
            found[name] = []
        elif name and line[:1].isdigit():
            found[name].append([float(value) for value in line.split()])
    limits = {motif["name"]: motif["threshold_bits"] for motif in truth["motifs"]}
    return {name: (np.log2(np.array(rows) * 4), limits[name]) for name, rows in found.items()}


def matches(text, motifs):
    """Every match on both strands: {motif: sorted [(start, strand)]}."""
    codes = np.frombuffer(text.encode(), np.uint8)
    index = np.full(256, 4)
    index[list(b"ACGT")] = range(4)
    found = {}
    for name, (bits, limit) in motifs.items():
        found[name] = []
        if len(codes) < len(bits):
            continue
        windows = sliding_window_view(index[codes], len(bits))
        for strand, weights in (("+", bits), ("-", bits[::-1, ::-1])):
            weights = np.concatenate([weights, np.full((len(bits), 1), -99.0)], axis=1)
            score = sum(weights[i][windows[:, i]] for i in range(len(bits)))
            found[name] += [(int(start), strand) for start in np.flatnonzero(score >= limit - 1e-3)]
        found[name].sort()
    return found


def sites(found, motifs):
    """How many sites each feature has, by the rules of the README."""
    counts = {name: len(found[name]) for name in FEATURES[:4]}
    first, second = len(motifs["SOX"][0]), len(motifs["POU"][0])
    counts["SOX2"] = 0
    for sox, strand in found["SOX"]:
        for pou, other in found["POU"]:
            gap = pou - sox - first if strand == "+" else sox - pou - second
            counts["SOX2"] += strand == other and 2 <= gap <= 4
    counts["DNase"] = sum(counts.values())
    return counts


def read_peaks(world, feature):
    text = gzip.decompress((world / f"{feature}.narrowPeak.gz").read_bytes()).decode()
    return [line.split("\t") for line in text.splitlines()]


def test_files_and_their_size(world, genome, truth):
    names = {path.name for path in world.iterdir()}
    assert names == {f"{name}.narrowPeak.gz" for name in FEATURES} | {
        "genome.fa", "chrom.sizes", "features.tsv", "blacklist.bed", "variants.vcf", "motifs.meme", "truth.json",
        "truth_sites.tsv", "truth_variants.tsv", "README.txt",
    }  # fmt: skip
    assert 2.5e6 < sum(map(len, genome.values())) < 3.5e6
    assert len(genome) == 5
    lines = [line.split("\t") for line in (world / "chrom.sizes").read_text().splitlines()]
    assert {name: int(size) for name, size in lines} == {name: len(text) for name, text in genome.items()}
    assert set(truth["test_chromosomes"] + truth["valid_chromosomes"]) < set(genome)
    readme = (world / "README.txt").read_text()
    assert "regulome prepare sequence --genome genome.fa --peaks *.narrowPeak.gz --metadata features.tsv" in readme
    assert "{" not in readme


def test_the_genome_is_like_real_ones(world, genome):
    text = "".join(genome.values())
    known = len(text) - text.count("N")
    gc = (text.count("G") + text.count("C")) / known
    assert 0.38 < gc < 0.46
    assert text.count("CG") / known < 0.6 * (gc / 2) ** 2
    parts = [text[i : i + 20_000] for i in range(0, len(text), 20_000)]
    contents = [(part.count("G") + part.count("C")) / len(part) for part in parts if part.count("N") == 0]
    assert np.std(contents) > 0.05
    lower = sum(map(str.islower, (world / "genome.fa").read_text()))
    assert 0.05 < lower / len(text) < 0.2
    assert all(
        chromosome.startswith("N" * 3_000) and chromosome.endswith("N" * 3_000) for chromosome in genome.values()
    )


def test_motifs_match_where_the_truth_says_and_nowhere_else(world, genome, motifs):
    table = pl.read_csv(world / "truth_sites.tsv", separator="\t")
    for chromosome, text in genome.items():
        found = matches(text, motifs)
        rows = table.filter(pl.col("chrom") == chromosome, pl.col("kind") != "spoiled")
        expected = {name: set() for name in motifs}
        for start, end, strand, names in rows.select("start", "end", "strand", "motifs").iter_rows():
            parts = names.split(",")
            for part in parts:
                begin = start if len(parts) == 1 or (part == "SOX") == (strand == "+") else end - len(motifs[part][0])
                expected[part].add((begin, strand))
        for name, planted in expected.items():
            # A palindrome matches on both strands.
            places = {start for start, _ in found[name]}
            assert planted <= set(found[name]), name
            if name in ("SOX", "POU"):  # a spoiled pair has one of them left
                spoiled = table.filter(pl.col("chrom") == chromosome, pl.col("kind") == "spoiled", pl.col("gap") >= 0)
                inside = [(a, b) for a, b in spoiled.select("start", "end").iter_rows()]
                places = {p for p in places if not any(a <= p < b for a, b in inside)}
            assert places == {start for start, _ in planted}, name


def test_peaks_have_their_summit_at_a_site(world, truth):
    table = pl.read_csv(world / "truth_sites.tsv", separator="\t").filter(pl.col("kind") == "site")
    black = [line.split("\t") for line in (world / "blacklist.bed").read_text().splitlines()]
    for feature in FEATURES:
        own = table if feature == "DNase" else table.filter(pl.col("feature") == feature)
        centres = {(c, (s + e) // 2) for c, s, e in own.select("chrom", "start", "end").iter_rows()}
        rows = read_peaks(world, feature)
        assert {len(row) for row in rows} == {10}
        assert len(rows) == truth["peaks"][feature] == len(centres) + len(black)
        keys = [(row[0], int(row[1])) for row in rows]
        assert keys == sorted(keys)
        wrong = 0
        for row in rows:
            start, end, summit = int(row[1]), int(row[2]), int(row[1]) + int(row[9])
            assert 0 <= start <= summit < end
            if any(row[0] == c and int(s) <= summit < int(e) for c, s, e in black):
                wrong += 1
                continue
            near = [centre for chrom, centre in centres if chrom == row[0] and abs(centre - summit) <= 40]
            assert len(near) == 1
            centres.remove((row[0], near[0]))
        assert wrong == len(black)
        assert not centres


def test_variants_do_what_the_truth_says(world, genome, motifs, truth):
    table = pl.read_csv(world / "truth_variants.tsv", separator="\t", infer_schema_length=None)
    with pysam.VariantFile(str(world / "variants.vcf")) as vcf:
        records = [(r.id, r.chrom, r.pos, r.ref, *r.alts) for r in vcf]
    assert records == table.select("id", "chrom", "pos", "ref", "alt").rows()
    assert records == sorted(records, key=lambda record: (record[1], record[2]))
    for row in table.iter_rows(named=True):
        text, start = genome[row["chrom"]], row["pos"] - 1
        end = start + len(row["ref"])
        assert text[start:end] == row["ref"]
        left, right = text[start - 80 : start], text[end : end + 80]
        before = sites(matches(left + row["ref"] + right, motifs), motifs)
        after = sites(matches(left + row["alt"] + right, motifs), motifs)
        assert [row[name] for name in FEATURES] == [np.sign(after[name] - before[name]) for name in FEATURES]
        wanted = {"made": 1, "neutral": 0, "decoy": 0}.get(row["kind"], -1)
        assert row["DNase"] == wanted
        assert not row["feature"] or row[row["feature"]] == wanted
    counts = {"apart": 20, "broken": 250, "decoy": 40, "deleted": 50, "made": 240, "neutral": 200}
    assert truth["variants"].keys() == counts.keys()
    # Some do not do what they were meant to, and are left out.
    assert all(0.9 * count <= truth["variants"][kind] <= count for kind, count in counts.items())


def test_metadata_names_the_files(world):
    table = pl.read_csv(world / "features.tsv", separator="\t")
    assert table["name"].to_list() == FEATURES
    assert table["group"].to_list() == ["TF"] * 5 + ["DNase"]


def test_same_seed_same_bytes_other_seed_others(world, tmp_path):
    command = (
        "from regulome.datasets.sequence_simulation import simulate_sequence as s; import sys; s(sys.argv[1], seed=3)"
    )
    subprocess.run([sys.executable, "-c", command, str(tmp_path / "again")], check=True)
    names = sorted(path.name for path in world.iterdir())
    same, different, missing = filecmp.cmpfiles(world, tmp_path / "again", names, shallow=False)
    assert (different, missing) == ([], [])
    assert same == names
    first, other = make_genome(150_000, 3), make_genome(150_000, 4)
    assert first.sizes != other.sizes
    assert (first.codes[: len(other.codes)] != other.codes[: len(first.codes)]).mean() > 0.5


def test_wrong_requests(world):
    with pytest.raises(InputError, match=r"no size 'huge' \(one of small, medium\)"):
        simulate_sequence(world.parent / "x", size="huge")
    with pytest.raises(InputError, match="seed -1 is negative"):
        simulate_sequence(world.parent / "x", seed=-1)
    with pytest.raises(InputError, match="exists already"):
        simulate_sequence(world)
    assert [path.name for path in world.parent.iterdir()] == ["w"]
