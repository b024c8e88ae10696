"""Wrong files: one clear line that names the file and the cure, exit code 2, and nothing left behind."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.cli.tiny_world import SPLIT, World, make_world, write_gz

from regulome import storage


@pytest.fixture
def spoiled(tmp_path) -> World:
    """A world of one's own, to spoil."""
    folder = tmp_path / "world"
    folder.mkdir()
    return make_world(folder)


def refused(answer, folder: Path, *said: str) -> None:
    """One line at the end of standard error, exit code 2, and an empty output folder."""
    assert answer.code == 2, answer.err
    assert "Traceback" not in answer.err
    for words in said:
        assert words in answer.last_line
    assert not list(folder.iterdir()) if folder.exists() else True


def lines(path: Path) -> list[str]:
    return gzip.open(path, "rt").read().splitlines(keepends=True)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("name", ["genes", "expression", "reads", "peaks"])
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (truncate, "gzip"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: write_gz(path, ""), ""),
        (lambda path: path.write_bytes(b"\x93\xff\x00 not a gzip file"), ""),
        (Path.unlink, "no such file"),
    ],
    ids=["truncated", "empty", "empty-inside", "not-gzip", "missing"],
)
def test_broken_files(name, spoil, said, spoiled, tmp_path, regulome):
    path = getattr(spoiled, name)
    spoil(path)
    refused(regulome(*spoiled.prepare(tmp_path / "out" / "dataset")), tmp_path / "out", path.name, said)


@pytest.mark.parametrize("name", ["genes", "expression", "reads", "peaks"])
def test_wrong_number_of_columns(name, spoiled, tmp_path, regulome):
    path = getattr(spoiled, name)
    rows = lines(path)
    rows[10] = "chr1\t5\n" if name != "expression" else "ENSG1\t1\t2\t3\t4\n"
    write_gz(path, "".join(rows))
    refused(regulome(*spoiled.prepare(tmp_path / "out" / "d")), tmp_path / "out", path.name, "line 11", "column")


@pytest.mark.parametrize(("name", "column"), [("genes", 3), ("expression", 1), ("reads", 1), ("peaks", 6)])
def test_text_in_a_number_column(name, column, spoiled, tmp_path, regulome):
    path = getattr(spoiled, name)
    rows = lines(path)
    cells = rows[10].split("\t")
    cells[column] = "many"
    rows[10] = "\t".join(cells)
    write_gz(path, "".join(rows))
    refused(regulome(*spoiled.prepare(tmp_path / "out" / "d")), tmp_path / "out", path.name, "line 11", "many")


def test_start_after_end_is_refused_or_left_out_and_counted(spoiled, tmp_path, regulome):
    rows = lines(spoiled.peaks)
    rows.insert(5, "chr1\t900\t100\tp\t900\t.\t5\t-1\t-1\t300\n")
    write_gz(spoiled.peaks, "".join(rows))
    refused(
        regulome(*spoiled.prepare(tmp_path / "out" / "d")),
        tmp_path / "out",
        spoiled.peaks.name,
        "line 6",
        "--skip-invalid",
    )
    answer = regulome(*spoiled.prepare(tmp_path / "out" / "d"), "--skip-invalid")
    assert answer.code == 0, answer.err
    manifest = json.loads((tmp_path / "out" / "d" / "dataset.json").read_text())
    assert '"n_skipped": 1' in json.dumps(manifest["sources"])


def test_unknown_chromosome(world, tmp_path, regulome):
    peaks = write_gz(tmp_path / "x.narrowPeak.gz", "scaffold9\t1\t500\tp\t9\t.\t5\t-1\t-1\t300\n")
    refused(regulome(*world.prepare(tmp_path / "out" / "d", track=[f"H3K27ac={peaks}"])), tmp_path / "out", "scaffold9")


def test_unknown_chromosome_of_a_split(dataset, tmp_path, regulome):
    out = tmp_path / "out"
    answer = regulome("train", "deepchrome", dataset, "--out", out / "run", "--test-chromosomes", "chr77")
    refused(answer, out, "chr77", "chr1")


def test_mark_named_twice(world, tmp_path, regulome):
    answer = regulome(*world.prepare(tmp_path / "out" / "d", track=[f"H3={world.reads}", f"H3={world.peaks}"]))
    refused(answer, tmp_path / "out", "H3", "twice")


def test_no_gene_in_common(world, tmp_path, regulome):
    table = tmp_path / "other.tsv"
    table.write_text("gene_id\tE001\nYAL001C\t3\nYAL002W\t5\n")
    refused(
        regulome(*world.prepare(tmp_path / "out" / "d", expression=table)), tmp_path / "out", "other.tsv", "YAL001C"
    )


def test_unknown_sample(world, tmp_path, regulome):
    refused(regulome(*world.prepare(tmp_path / "out" / "d", sample="E003")), tmp_path / "out", "E003", "E001")


def test_all_labels_equal(spoiled, tmp_path, regulome):
    rows = lines(spoiled.expression)
    constant = [row.split("\t")[0] + "\t7\t7\t\n" for row in rows[1:]]
    write_gz(spoiled.expression, "".join([rows[0], *constant]))
    refused(regulome(*spoiled.prepare(tmp_path / "out" / "d")), tmp_path / "out", "expression.tsv.gz", "7")


def test_another_assembly(spoiled, tmp_path, regulome):
    import pysam

    header = {"HD": {"VN": "1.6", "SO": "coordinate"}, "SQ": [{"SN": "chr1", "LN": 9_000}]}
    path = spoiled.folder / "small.bam"
    with pysam.AlignmentFile(path, "wb", header=header) as bam:
        read = pysam.AlignedSegment()
        read.query_name, read.reference_id, read.reference_start = "r", 0, 50
        read.cigartuples, read.query_sequence = [(0, 4)], "ACGT"
        bam.write(read)
    answer = regulome(*spoiled.prepare(tmp_path / "out" / "d", track=[f"H3K4me3={path}"]))
    refused(answer, tmp_path / "out", "small.bam", "assembl")


def test_dataset_of_another_schema_version(dataset, tmp_path, regulome):
    copy = shutil.copytree(dataset, tmp_path / "copy")
    manifest = json.loads((copy / "dataset.json").read_text())
    (copy / "dataset.json").write_text(json.dumps(manifest | {"schema": 99}))
    answer = regulome("train", "deepchrome", copy, "--out", tmp_path / "out" / "run", *SPLIT)
    refused(answer, tmp_path / "out", "dataset.json", "99")


def test_dataset_with_a_truncated_array(dataset, tmp_path, regulome):
    copy = shutil.copytree(dataset, tmp_path / "copy")
    truncate(copy / "inputs" / "marks.npy")
    answer = regulome("train", "deepchrome", copy, "--out", tmp_path / "out" / "run", *SPLIT)
    refused(answer, tmp_path / "out", "marks.npy")


def test_checkpoint_of_another_architecture(dataset, tmp_path, regulome):
    weights = tmp_path / "other.pt"
    torch.save({"layer.weight": torch.zeros(3, 3)}, weights)
    answer = regulome("predict", weights, dataset, "--split", "all", "--out", tmp_path / "out" / "p.tsv")
    refused(answer, tmp_path / "out", "other.pt")


def test_predicting_with_other_marks(trained, tmp_path, world, regulome):
    other = tmp_path / "other"
    assert regulome(*world.prepare(other, track=[f"H3K9me3={world.reads}"])).code == 0
    answer = regulome("predict", trained, other, "--split", "all", "--out", tmp_path / "out" / "p.tsv")
    refused(answer, tmp_path / "out", "H3K4me3")


@pytest.mark.parametrize("words", [["--set", "training.epoch=5"], ["--set", "training.epochs=many"], ["--set", "x"]])
def test_wrong_recipe_keys(words, dataset, tmp_path, regulome):
    answer = regulome("train", "deepchrome", dataset, "--out", tmp_path / "out" / "run", *SPLIT, *words)
    refused(answer, tmp_path / "out", words[1].split("=")[0])


def test_an_existing_result_is_not_replaced(dataset, world, regulome):
    before = (dataset / "dataset.json").read_bytes()
    answer = regulome(*world.prepare(dataset))
    assert answer.code == 2
    assert "--overwrite" in answer.last_line
    assert (dataset / "dataset.json").read_bytes() == before


def outcome(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=False)


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX system's limits")
@pytest.mark.parametrize("verb", ["prepare", "train", "predict", "explain", "report"])
def test_full_disk(verb, world, dataset, trained, tmp_path):
    """A limit on the size of files makes every write beyond it fail, as a full disk does."""
    words = [str(word) for word in verbs(world, dataset, trained, tmp_path / "out")[verb]]
    limit = f"import resource, signal; resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMITS[verb]}, {LIMITS[verb]}))"
    code = f"{limit}; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); import sys; from regulome.cli.app import run; "
    answer = outcome(code + f"sys.exit(run({words!r}))", tmp_path)
    assert answer.returncode == 2, answer.stderr
    assert "Traceback" not in answer.stderr
    assert "too large" in answer.stderr.rstrip().splitlines()[-1]
    assert [path.name for path in (tmp_path / "out").iterdir() if not path.name.endswith(".partial")] == []


#: Bytes that a file may have, less than the largest file of each verb's result.
LIMITS = {"prepare": 20_000, "train": 50_000, "predict": 100, "explain": 5_000, "report": 20_000}


def verbs(world: World, dataset: Path, trained: Path, out: Path) -> dict[str, list[object]]:
    """A command line for each verb that writes, all into the folder ``out``."""
    return {
        "simulate": ["simulate", "expression", "--out", out / "simulated"],
        "prepare": world.prepare(out / "dataset"),
        "train": ["train", "deepchrome", dataset, "--out", out / "run", *SPLIT, "--set", "training.epochs=2"],
        "predict": ["predict", trained, "--out", out / "table.tsv"],
        "explain": ["explain", "gradient", trained, "--out", out / "explanation"],
        "report": ["report", trained, "--out", out / "report.html"],
    }


@pytest.mark.parametrize("verb", ["simulate", "prepare", "train", "predict", "explain", "report"])
def test_interrupted_at_the_last_moment(verb, world, dataset, trained, tmp_path, monkeypatch, regulome):
    """The worst moment of Ctrl-C: everything is written, and nothing has its final name yet."""
    out = tmp_path / "out"
    out.mkdir()

    def interrupt(new: Path, path: Path) -> None:
        if path.parent == out:
            raise KeyboardInterrupt
        replace(new, path)

    replace = storage.replace
    monkeypatch.setattr(storage, "replace", interrupt)
    answer = regulome(*verbs(world, dataset, trained, out)[verb])
    assert answer.code == 2
    assert "interrupted" in answer.last_line
    assert "Traceback" not in answer.err
    left = [path.name for path in out.iterdir()]
    assert left == (["run.partial"] if verb == "train" else [])


def test_interrupted_training_continues(dataset, tmp_path, regulome):
    """SIGINT in the middle of an epoch leaves what --resume continues, and no run under its final name."""
    import signal

    out = tmp_path / "run"
    words = ["train", "deepchrome", dataset, "--out", out, *SPLIT, "--set", "training.epochs=3000"]
    words += ["--set", "training.early_stopping=0"]
    command = [sys.executable, "-c", "from regulome.cli import main; main()", *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "epoch 3" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 2, rest
    assert "interrupted" in rest
    assert "--resume" in rest
    assert "Traceback" not in rest
    assert not out.exists()
    assert (tmp_path / "run.partial").is_dir()
    assert np.all([not path.name.endswith(".tmp") for path in tmp_path.iterdir()])
