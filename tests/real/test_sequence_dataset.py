"""Chromosome 20 and 109 sets of peaks: labels as bedtools has them, letters as the FASTA has them."""

import gzip
import shutil
import subprocess
import time
from collections import Counter

import numpy as np
import pytest

from regulome.datasets import SequenceBatches, assign_split, prepare_sequence, window_codes


@pytest.fixture(scope="module")
def files(shared):
    folder = shared / "data" / "sequence"
    peaks = sorted((folder / "factornet_peaks").glob("*.narrowPeak.gz"))
    assert len(peaks) == 109
    return folder / "genome" / "hg19_chr20.fa.gz", peaks


@pytest.fixture(scope="module")
def dataset(files, tmp_path_factory):
    return prepare_sequence(*files, tmp_path_factory.mktemp("real") / "d")


def test_windows_labels_and_time(files, dataset, tmp_path, record_property):
    begin = time.perf_counter()
    again = prepare_sequence(*files, tmp_path / "again")
    seconds = time.perf_counter() - begin
    positives = dataset.targets.sum(0, dtype=np.int64)
    print(f"{len(dataset):,} windows in {seconds:.1f} s; positives {positives.min():,} to {positives.max():,}")
    record_property("seconds", seconds)
    assert again.checksum == dataset.checksum
    assert len(dataset) == 40_259
    assert (int(positives.min()), int(positives.max()), int(positives.sum())) == (142, 4_317, 143_668)
    assert seconds < 60
    stored = dataset.inputs["letters"].nbytes
    assert stored < 63_025_520 / 4


@pytest.mark.skipif(shutil.which("bedtools") is None, reason="bedtools is not installed")
def test_labels_are_those_of_bedtools(files, dataset, tmp_path):
    bins = tmp_path / "bins.bed"
    bins.write_text("".join(f"chr20\t{start}\t{start + 200}\n" for start in range(0, 63_025_520 // 200 * 200, 200)))
    row = {start: i for i, start in enumerate(dataset.regions["bin_start"].to_list())}
    for column in range(0, 109, 9):
        command = ["bedtools", "intersect", "-a", str(bins), "-b", str(files[1][column]), "-f", "0.5", "-u"]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        rows = sorted(row[int(line.split("\t")[1])] for line in lines)
        assert rows == np.flatnonzero(dataset.targets[:, column]).tolist()


def test_letters_are_those_of_the_file(files, dataset):
    with gzip.open(files[0], "rt") as stream:
        next(stream)
        text = stream.read().replace("\n", "").upper()
    rows = np.random.default_rng(0).integers(0, len(dataset), 2000)
    for codes, start in zip(window_codes(dataset, rows), dataset.regions["start"].to_numpy()[rows], strict=True):
        assert "".join("ACGTN"[code] for code in codes) == text[start : start + 1000]


def test_blocks_of_one_chromosome(dataset):
    parts = assign_split(dataset)
    assert np.array_equal(parts, assign_split(dataset, "blocks"))
    starts = dataset.regions["start"].to_numpy()
    used = np.flatnonzero(parts != "")
    changes = np.flatnonzero(parts[used][1:] != parts[used][:-1])
    assert len(changes) > 5
    assert (starts[used[changes + 1]] - starts[used[changes]] - 1000 >= 1000).all()
    assert (parts == "").mean() < 0.02
    assert 0.1 < (parts == "test").mean() < 0.2


def test_negatives(files, tmp_path):
    matched = prepare_sequence(files[0], files[1][:3], tmp_path / "gc", negatives="gc-matched")
    codes = window_codes(matched, np.arange(len(matched)))
    gc = ((codes == 1) | (codes == 2)).mean(1)
    positive = (matched.regions["origin"] == "positive").to_numpy()
    assert positive.sum() * 2 == len(matched)
    assert np.abs(np.sort(gc[positive]) - np.sort(gc[~positive])).mean() < 0.01
    shuffled = prepare_sequence(files[0], files[1][:1], tmp_path / "shuffle", examples="peaks", length=101)
    n = len(shuffled) // 2
    codes = window_codes(shuffled, np.arange(2 * n)).astype(np.int64)
    for some in np.random.default_rng(0).integers(0, n, 200).tolist():
        one, other = (Counter((row[1:] * 5 + row[:-1]).tolist()) for row in (codes[some], codes[n + some]))
        assert one == other


def test_batches_are_fast_enough_for_any_network(dataset):
    loader = SequenceBatches(dataset, batch_size=128, shuffle=True)
    for _ in loader:
        pass
    loader.set_epoch(1)
    begin = time.process_time()
    seen = sum(len(batch.index) for batch in loader)
    speed = seen / (time.process_time() - begin)
    print(f"{speed:,.0f} windows a second of one core")
    assert speed > 50_000
