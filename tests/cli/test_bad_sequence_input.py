"""Wrong files of the sequence line: one clear line that names the file and the cure, and nothing left behind."""

import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pysam
import pytest
from tests.cli.test_bad_input import refused
from tests.cli.tiny_sequence_world import SMALL, SPLIT, SequenceWorld, make_sequence_world, write_fasta, write_vcf

from regulome import storage
from regulome.cli.app import run as run_line


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """A cache of genomes that no other test has."""
    before = os.environ.get("REGULOME_CACHE")
    os.environ["REGULOME_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop("REGULOME_CACHE")
    if before is not None:
        os.environ["REGULOME_CACHE"] = before


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> SequenceWorld:
    return make_sequence_world(tmp_path_factory.mktemp("sequence_world"))


@pytest.fixture(scope="module")
def windows(made, cache, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sequence_dataset") / "dataset"
    assert run_line([str(word) for word in made.prepare(path)]) == 0
    return path


@pytest.fixture(scope="module")
def learned(windows, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sequence_run") / "run"
    words = ["train", "deepbind", windows, "--out", path, *SPLIT, *SMALL]
    assert run_line([str(word) for word in words]) == 0
    return path


FASTA = {
    "duplicate": (lambda text: text + ">chr1 again\nACGT\n", ["chr1", "used twice"]),
    "letters": (lambda text: text[:500] + "!" + text[501:], ["chr1", "'!'", "line 8"]),
    "protein": (lambda text: ">chr1\nMKVLAAGIVG\n", ["'L'", "protein"]),
    "nothing": (lambda text: "", ["empty"]),
    "no-sequence": (lambda text: text + ">chr3\n", ["chr3", "no sequence"]),
    "no-name": (lambda text: text + ">\nACGT\n", ["no name"]),
    "no-header": (lambda text: "ACGT\n", ["line 1", "FASTA"]),
    "gaps": (lambda text: text[:100] + "--" + text[102:], ["'-'", "gaps"]),
}


@pytest.mark.parametrize("kind", FASTA)
def test_wrong_genomes(kind, made, tmp_path, regulome):
    spoil, said = FASTA[kind]
    genome = tmp_path / "x.fa"
    genome.write_text(spoil(made.genome.read_text()))
    refused(regulome(*made.prepare(tmp_path / "out" / "d", genome=genome)), tmp_path / "out", "x.fa", *said)


def test_genomes_that_are_no_files(made, tmp_path, regulome):
    out = tmp_path / "out"
    refused(regulome(*made.prepare(out / "d", genome=made.folder)), out, "folder")
    refused(regulome(*made.prepare(out / "d", genome=tmp_path / "no.fa")), out, "no such file")
    cut = tmp_path / "cut.fa.gz"
    cut.write_bytes(gzip.compress(made.genome.read_bytes())[:5_000])
    refused(regulome(*made.prepare(out / "d", genome=cut)), out, "cut.fa.gz", "ends early")
    junk = tmp_path / "junk.2bit"
    junk.write_bytes(b"\x43\x27\x41\x1a" + bytes(range(200)))
    refused(regulome(*made.prepare(out / "d", genome=junk)), out, "junk.2bit")


@pytest.mark.parametrize("ends", ["\r\n", " \n", "\n\n"])
def test_odd_line_ends_change_nothing(ends, made, windows, tmp_path, regulome):
    genome = tmp_path / "odd.fa"
    genome.write_bytes(made.genome.read_text().lower().replace("\n", ends).encode())
    assert regulome(*made.prepare(tmp_path / "d", genome=genome)).code == 0
    assert np.array_equal(np.load(tmp_path / "d" / "inputs" / "letters.npy"), np.load(windows / "inputs/letters.npy"))


def test_a_stale_index_is_told_and_a_changed_genome_read_again(made, tmp_path, regulome):
    genome = write_fasta(tmp_path / "g.fa", made.letters)
    (tmp_path / "g.fa.fai").write_text("chr1\t5\t1\t2\t3\n")
    answer = regulome(*made.prepare(tmp_path / "d", genome=genome))
    assert answer.code == 0
    assert "samtools faidx" in answer.err
    write_fasta(genome, {name: text[::-1] for name, text in made.letters.items()})
    answer = regulome(*made.prepare(tmp_path / "d2", genome=genome))
    assert answer.code == 0
    assert "has changed" in answer.err
    before, after = (np.load(tmp_path / name / "inputs" / "letters.npy") for name in ("d", "d2"))
    assert not np.array_equal(before, after)


ROW = "chr1\t{}\t{}\tp\t900\t.\t5\t-1\t-1\t10\n"
PEAKS = {
    "turned": (lambda text: text + ROW.format(900, 100), ["line 37", "900 is not before"]),
    "columns": (lambda text: text + "chr1\t900\n", ["line 37", "2 columns"]),
    "negative": (lambda text: text + ROW.format(-5, 100), ["line 37", "-5"]),
    "text": (lambda text: text + ROW.format("1e3", 2000), ["line 37", "1e3"]),
    "beyond": (lambda text: text + ROW.format(19_900, 20_500), ["line 37", "chr1", "assembly"]),
    "binary": (lambda text: text.encode("utf-16").decode("latin1"), ["binary"]),
    "nothing": (lambda text: "", ["empty"]),
    "comments": (lambda text: "# nothing\n", ["no rows"]),
    "strangers": (lambda text: text.replace("chr", "scaffold"), ["scaffold1", "species and assembly"]),
    "narrow": (lambda text: ROW.format(500, 510), ["no peak labels"]),
}


@pytest.mark.parametrize("kind", PEAKS)
def test_wrong_peaks(kind, made, tmp_path, regulome):
    spoil, said = PEAKS[kind]
    peaks = tmp_path / "x.narrowPeak"
    peaks.write_text(spoil(made.peaks[0].read_text()), encoding="latin1")
    said = said if kind == "narrow" else ["x.narrowPeak", *said]
    refused(regulome(*made.prepare(tmp_path / "out" / "d", peaks=[peaks])), tmp_path / "out", *said)


def test_a_feature_without_positives_is_told(made, tmp_path, regulome):
    peaks = tmp_path / "none.narrowPeak"
    peaks.write_text(ROW.format(500, 510))
    answer = regulome(*made.prepare(tmp_path / "d", peaks=[peaks, *made.peaks]))
    assert answer.code == 0
    assert "no positives for none" in answer.err


@pytest.mark.parametrize(
    ("peaks", "said"),
    [
        (["{0}", "{0}"], "named twice"),
        (["A={0}", "B={0}"], "named twice"),
        (["={0}"], "no name"),
        (["A="], "no file"),
        (["a\tb={0}"], "'a\\tb'"),
        (["a\nb={0}"], "'a\\nb'"),
        (["A={0}.no"], "no such file"),
    ],
)
def test_wrong_names_of_features(peaks, said, made, tmp_path, regulome):
    words = [word.format(made.peaks[0]) for word in peaks]
    refused(regulome(*made.prepare(tmp_path / "out" / "d", peaks=words)), tmp_path / "out", said)


@pytest.mark.parametrize("name", ["a/b", "x" * 300, "Ünï☃", "a,b", "*"])
def test_odd_names_of_features_are_kept(name, made, tmp_path, regulome):
    answer = regulome(*made.prepare(tmp_path / "d", peaks=[f"{name}={made.peaks[0]}"]))
    assert answer.code == 0, answer.err
    assert f'"{name}"' in (tmp_path / "d" / "dataset.json").read_text(encoding="utf-8").encode().decode(
        "unicode_escape" if name.isascii() else "utf-8"
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"length": -1}, "--length"),
        ({"length": 30_000}, "--length"),
        ({"bin": 0}, "--bin"),
        ({"bin": 30_000}, "--bin"),
        ({"margin": -1}, "--margin"),
        ({"margin": 1_000_000_000}, "--margin"),
        ({"overlap": "nan"}, "--overlap"),
        ({"ratio": 0}, "--ratio"),
        ({"seed": -1}, "--seed"),
        ({"max_unknown": 2}, "--max-unknown"),
        ({"negatives": "foo"}, "foo"),
        ({"examples": "peaks", "negatives": "all"}, "--negatives all"),
        ({"chromosomes": "chr7"}, "chr7"),
        ({"peaks": None}, "--peaks"),
        ({"genome": None}, "--genome"),
    ],
    ids=str,
)
def test_wrong_options_of_prepare(changed, said, made, tmp_path, regulome):
    refused(regulome(*made.prepare(tmp_path / "out" / "d", **changed)), tmp_path / "out", said)


def test_bins_wider_than_windows_are_told(made, tmp_path, regulome):
    answer = regulome(*made.prepare(tmp_path / "d", bin=200, length=100))
    assert answer.code == 0
    assert "wider than windows" in answer.err


def test_blacklist_of_everything(made, tmp_path, regulome):
    bed = tmp_path / "all.bed"
    bed.write_text("".join(f"{name}\t0\t20000\n" for name in made.letters))
    refused(regulome(*made.prepare(tmp_path / "out" / "d", blacklist=bed)), tmp_path / "out", "blacklisted")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name\tcell\nfoo\tK562\n", "none of the features"),
        ("feature\tcell\nCTCF\tK562\n", "no column name"),
        ("name,cell\nCTCF,K562\n", "tabs"),
        ("name\tcell\nCTCF\tK562\tmore\n", "more cells"),
        ("name\tcell\nCTCF\tK\nCTCF\tH\n", "twice"),
        ("name\tcell\nCTCF\tcaf\xe9\n", "UTF-8"),
        ("name\tgroup\nCTCF\thistone\nMYC\tDNase\n", "--group"),
    ],
)
def test_wrong_tables_of_features(text, said, made, tmp_path, regulome):
    table = tmp_path / "features.tsv"
    table.write_text(text, encoding="latin1")
    answer = regulome(*made.prepare(tmp_path / "out" / "d", metadata=table))
    refused(answer, tmp_path / "out", "features.tsv", said)


def test_published_files_that_do_not_go_together(made, tmp_path, regulome):
    rng = np.random.default_rng(0)
    table = tmp_path / "X_AC.seq.gz"
    rows = (f"A\ts\t{''.join(rng.choice(list('ACGT'), 20))}\t1\n" for _ in range(30))
    table.write_bytes(gzip.compress(("FoldID\tEventID\tseq\tBound\n" + "".join(rows)).encode()))
    out = tmp_path / "out"
    words = ["prepare", "sequence", "--published", "deepbind", "--train", table, "--out", out / "d"]
    refused(regulome(*words, "--test", table), out, "X_AC.seq.gz", "--train and as --test")
    refused(regulome(*words, "--genome", made.genome), out, "--genome goes without --published")
    refused(regulome(*made.prepare(out / "d", train=table)), out, "--train goes with --published")
    table.write_bytes(table.read_bytes()[:200])
    refused(regulome(*words), out, "X_AC.seq.gz", "ends early")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda labels, letters: (labels, letters, 0.5), "cut short"),
        (lambda labels, letters: (labels * 2, letters, 1), "expected 0 or 1"),
        (lambda labels, letters: (labels[:-1], letters, 1), "9 in traindata"),
        (lambda labels, letters: (labels, letters * 0 + 1, 1), "single 1"),
    ],
)
def test_wrong_matrices(spoil, said, tmp_path, regulome):
    rng = np.random.default_rng(0)
    letters = np.eye(4, dtype=np.uint8)[rng.integers(0, 4, (10, 30))].transpose(1, 2, 0)
    labels, letters, share = spoil(np.ones((10, 919), np.uint8), letters)
    path = tmp_path / "train.mat"
    with h5py.File(path, "w") as file:
        file["trainxdata"], file["traindata"] = letters, labels.T
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    words = ["prepare", "sequence", "--published", "deepsea", "--train", path, "--out", tmp_path / "out" / "d"]
    refused(regulome(*words), tmp_path / "out", "train.mat", said)


HEAD = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
VCF = {
    "no-header": (lambda text: text.removeprefix(HEAD), ["not a VCF"]),
    "no-columns": (lambda text: text.replace(HEAD, HEAD.splitlines(True)[0]), ["#CHROM"]),
    "spaces": (lambda text: HEAD + text.removeprefix(HEAD).replace("\t", " "), ["line 3", "tabs"]),
    "no-records": (lambda text: HEAD, ["no records"]),
    "nothing": (lambda text: "", ["empty"]),
    "dash": (lambda text: text + "chr1\t50\t.\tA\t-\t.\t.\t.\n", ["line 9", "deletion keeps"]),
    "position": (lambda text: text + "chr1\tmany\t.\tA\tC\t.\t.\t.\n", ["line 9", "many"]),
    "strangers": (lambda text: text.replace("chr1", "scaffold"), ["scaffold", "genome"]),
    "cut": (lambda text: text + "chr1\t50", ["line 9", "2 columns"]),
}


def variants(run: Path, vcf: Path, made: SequenceWorld, out: Path, *more: object) -> list[object]:
    return ["variants", run, "--vcf", vcf, "--genome", made.genome, "--out", out, *more]


@pytest.mark.parametrize("kind", VCF)
def test_wrong_variants(kind, learned, made, tmp_path, regulome):
    spoil, said = VCF[kind]
    vcf = tmp_path / "x.vcf"
    vcf.write_text(spoil(made.vcf.read_text()))
    refused(regulome(*variants(learned, vcf, made, tmp_path / "out" / "v.tsv")), tmp_path / "out", "x.vcf", *said)


def test_variants_that_are_no_vcf(learned, made, tmp_path, regulome):
    out = tmp_path / "out"
    bcf = tmp_path / "x.vcf.gz"
    with pysam.VariantFile(str(bcf), "wb", header=pysam.VariantHeader()):
        pass
    refused(regulome(*variants(learned, bcf, made, out / "v.tsv")), out, "is BCF", "bcftools")
    pysam.tabix_compress(str(made.vcf), str(tmp_path / "y.vcf.gz"))
    (tmp_path / "y.vcf.gz").write_bytes((tmp_path / "y.vcf.gz").read_bytes()[:-28])
    refused(regulome(*variants(learned, tmp_path / "y.vcf.gz", made, out / "v.tsv")), out, "ends early")


def test_variants_of_another_assembly(learned, made, tmp_path, regulome):
    moved = [("chr1", place, ".", "ACGT"["ACGT".index(made.letters["chr1"][place - 1]) - 1], "N") for place in
             range(500, 15_000, 100)]  # fmt: skip
    vcf = write_vcf(tmp_path / "moved.vcf", [(*row[:4], "A" if row[3] != "A" else "C") for row in moved])
    refused(regulome(*variants(learned, vcf, made, tmp_path / "out" / "v.tsv")), tmp_path / "out", "another assembly")


def test_alleles_that_cannot_be_scored_are_listed(learned, made, tmp_path, regulome):
    ref = made.letters["chr1"][999]
    alt = "C" if ref == "A" else "A"
    rows = [("chr1", 1000, i, *pair) for i, pair in enumerate([(ref, "<DEL>"), (alt, ref), (ref, f"{alt},*")])]
    rows += [("chr1", 25_000, "far", "A", "C"), ("chr1", 0, "zero", "N", "A"), ("1", 1000, "alias", ref.lower(), alt)]
    rows += [("chr1", 1000, "same", ref, ref), ("chr1", 1000, "break", ref, "G]chr2:5]")]
    vcf = write_vcf(tmp_path / "mixed.vcf", [*rows, *[("chr1", 1000, "snv", ref, alt)] * 20])
    answer = regulome(*variants(learned, vcf, made, tmp_path / "v.tsv"))
    assert answer.code == 0, answer.err
    scored = pl.read_csv(tmp_path / "v.tsv", separator="\t", infer_schema=False)
    left = pl.read_csv(tmp_path / "v.tsv.skipped.tsv", separator="\t", infer_schema=False)
    assert scored["id"].to_list() == ["2", "alias", *["snv"] * 20]
    assert left.height == 7
    assert left.null_count().select(left.columns[-1]).item() == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--shifts", "x"], "--shifts"),
        (["--shifts", "5000"], "shifted"),
        (["--features", "nope"], "CTCF, MYC"),
        (["--seed", "-1"], "seed"),
        (["--info-prefix", "a b"], "INFO"),
        (["--info-prefix", ""], "INFO"),
        (["--batch-size", "0"], "batch_size"),
        (["--background-size", "0", "--background", "{vcf}"], "background_size"),
    ],
)
def test_wrong_options_of_variants(more, said, learned, made, tmp_path, regulome):
    more = [word.format(vcf=made.vcf) for word in more]
    answer = regulome(*variants(learned, made.vcf, made, tmp_path / "out" / "v.tsv", *more))
    refused(answer, tmp_path / "out", said)


@pytest.mark.parametrize("verb", ["variants", "mutate", "profile", "bed"])
def test_runs_on_marks_do_not_read_dna(verb, trained, made, tmp_path, regulome):
    out = tmp_path / "out"
    refused(regulome(*verbs(trained, made, out)[verb]), out, str(trained), "does not read DNA")


def verbs(run: Path, made: SequenceWorld, out: Path) -> dict[str, list[object]]:
    """A command line for each verb that uses a run, all into the folder ``out``."""
    place = ["--region", "chr1:1,001-1,040", "--genome", made.genome]
    bed = made.folder / "places.bed"
    bed.write_text("chr1\t1000\t1200\na\t1\t5\n".replace("a\t1", "chr2\t1"))
    return {
        "variants": variants(run, made.vcf, made, out / "v.tsv"),
        "mutate": ["mutate", run, *place, "--out", out / "m"],
        "profile": ["profile", run, *place, "--out", out / "p.html"],
        "bed": ["predict", run, "--bed", bed, "--genome", made.genome, "--out", out / "p.tsv"],
        "tracks": ["predict", run, "--genome", made.genome, "--out", out / "t"],
    }


def test_datasets_that_do_not_fit(learned, trained, windows, dataset, made, tmp_path, regulome):
    out = tmp_path / "out"
    refused(regulome("predict", learned, dataset, "--out", out / "p.tsv"), out, "'expression'", "'sequence'")
    refused(regulome("predict", trained, windows, "--out", out / "p.tsv"), out, "'expression'", "'sequence'")
    refused(regulome("train", "deepchrome", windows, "--out", out / "r", *SPLIT), out, "deepchrome")
    other = tmp_path / "other"
    assert regulome(*made.prepare(other, length=300)).code == 0
    refused(regulome("predict", learned, other, "--out", out / "p.tsv"), out, "--length 200")
    features = tmp_path / "features"
    assert regulome(*made.prepare(features, peaks=[f"X={made.peaks[0]}", f"Y={made.peaks[1]}"])).code == 0
    answer = regulome("predict", learned, features, "--out", tmp_path / "p.tsv")
    assert answer.code == 0
    assert "without truth" in answer.err


PLACES = {
    "junk": (["--region", "hello"], "chr20:1,000-2,000"),
    "turned": (["--region", "chr1:50-5"], "smaller number first"),
    "beyond": (["--region", "chr1:19,990-20,100"], "20,000"),
    "stranger": (["--region", "chrQ:1-5"], "chrQ"),
}


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("verb", ["mutate", "profile"])
def test_wrong_regions(verb, kind, learned, made, tmp_path, regulome):
    words, said = PLACES[kind]
    words = [verb, learned, *words, "--genome", made.genome, "--out", tmp_path / "out" / "x.tsv"]
    refused(regulome(*words), tmp_path / "out", said)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--genome", "{genome}", "--out", "{out}/t.bw"], "--features"),
        (["--genome", "{genome}", "--out", "{out}/t.tsv", "--features", "CTCF"], "for a table"),
        (["--genome", "{genome}", "--out", "{out}/t", "--stride", "0"], "stride"),
        (["--genome", "{genome}", "--out", "{out}/t", "--regions", "no.bed"], "no such file"),
        (["--genome", "{genome}", "--out", "{out}/t", "--regions", "chr1:5-x"], "no region"),
        (["--genome", "{genome}", "--out", "{out}/t", "--split", "all"], "--split"),
        (["--genome", "{genome}", "--out", "{out}/t", "--pad"], "--pad"),
        (["--genome", "{genome}", "--fasta", "{genome}", "--out", "{out}/t.tsv"], "--pad"),
        (["--bed", "{peaks}", "--out", "{out}/t.tsv"], "--genome"),
        (["--bed", "{peaks}", "--genome", "{genome}", "--out", "{out}/t.tsv", "--stride", "9"], "--stride"),
        (["--bed", "{peaks}", "--genome", "{genome}", "--out", "{out}/t.xyz"], ".parquet"),
        (["--out", "{out}/t.xyz"], ".parquet"),
        (["--out", "{out}/t.tsv", "--stride", "9"], "--stride"),
        (["--out", "{out}/t.tsv", "--features", "CTCF"], "--features"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, list) else "",
)
def test_options_of_predict_that_do_not_go_together(more, said, learned, made, tmp_path, regulome):
    names = {"genome": made.genome, "peaks": made.peaks[0], "out": tmp_path / "out"}
    refused(regulome("predict", learned, *(word.format(**names) for word in more)), tmp_path / "out", said)


def test_endings_are_looked_at_before_the_work(learned, made, tmp_path, regulome, monkeypatch):
    monkeypatch.setattr("regulome.training.scorer.Scorer.probabilities", None)
    words = ["--region", "chr1:1-50", "--genome", made.genome, "--out", tmp_path / "out" / "p.xyz"]
    refused(regulome("profile", learned, *words), tmp_path / "out", "p.xyz", ".html")


@pytest.mark.parametrize("verb", ["variants", "mutate", "profile", "bed", "tracks"])
def test_interrupted_at_the_last_moment(verb, learned, made, tmp_path, monkeypatch, regulome):
    """The worst moment of Ctrl-C: everything is written, and nothing has its final name yet."""
    out = tmp_path / "out"
    out.mkdir()

    def interrupt(new: Path, path: Path) -> None:
        if path.parent == out:
            raise KeyboardInterrupt
        replace(new, path)

    replace = storage.replace
    monkeypatch.setattr(storage, "replace", interrupt)
    answer = regulome(*verbs(learned, made, out)[verb])
    assert answer.code == 2
    assert "interrupted" in answer.last_line
    assert not list(out.iterdir())


#: Bytes that a file may have, less than the largest file of each verb's result.
LIMITS = {"variants": 100, "mutate": 1_000, "profile": 1_000, "bed": 20, "tracks": 100, "prepare": 2_000}


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX system's limits")
@pytest.mark.parametrize("verb", LIMITS)
def test_full_disk(verb, learned, made, tmp_path):
    """A limit on the size of files makes every write beyond it fail, as a full disk does."""
    out = tmp_path / "out"
    words = [str(word) for word in (verbs(learned, made, out) | {"prepare": made.prepare(out / "d")})[verb]]
    limit = f"import resource, signal; resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMITS[verb]}, {LIMITS[verb]}))"
    code = f"{limit}; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); import sys; from regulome.cli.app import run; "
    words = [sys.executable, "-c", code + f"sys.exit(run({words!r}))"]
    answer = subprocess.run(words, capture_output=True, text=True, check=False)
    assert answer.returncode == 2, answer.stderr
    assert "Traceback" not in answer.stderr
    assert "too large" in answer.stderr.rstrip().splitlines()[-1]
    assert not list(out.iterdir())


def test_interrupted_training_of_windows_ends_with_the_same_weights(windows, tmp_path, regulome):
    """SIGINT in the middle, then --resume: the weights of a training that was left in peace."""
    words = ["train", "deepbind", windows, *SPLIT, *SMALL, "--set", "training.epochs=60", "--set"]
    words += ["training.early_stopping=0", "--set", "training.select=last"]
    out = tmp_path / "run"
    command = [sys.executable, "-c", "from regulome.cli import main; main()", *map(str, words), "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "epoch 3" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 2, rest
    assert "--resume" in rest
    assert not out.exists()
    assert regulome(*words, "--out", out, "--resume").code == 0
    assert regulome(*words, "--out", tmp_path / "whole").code == 0
    assert (out / "weights.safetensors").read_bytes() == (tmp_path / "whole" / "weights.safetensors").read_bytes()
