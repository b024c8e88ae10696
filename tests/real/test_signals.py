import shutil
import subprocess
from pathlib import Path

import numpy as np
import pysam
import pytest

from regulome.errors import InputError
from regulome.genome import Windows, depth, detect_kind, read_signal

HUMAN = [*(f"chr{i}" for i in range(1, 23)), "chrX", "chrY"]


def scattered(chromosomes: list[str], last: int, n: int = 200) -> Windows:
    random = np.random.default_rng(1)
    return Windows.around(random.choice(chromosomes, n), random.integers(0, last, n))


@pytest.mark.parametrize("name", ["ChIP", "CTRL"])
def test_counts_of_chip_reads_equal_bedtools_and_a_search(shared: Path, tmp_path: Path, name: str) -> None:
    path = shared / f"data/reads/CTCF_SE_{name}_chr22_50k.bed.gz"
    assert detect_kind(path) == "reads"
    windows = scattered(["22"], 51_000_000, 400)
    signal = read_signal(path, windows)
    assert signal.record["aliases"] == {"22": "chr22"}
    places = np.loadtxt(path, dtype=str, usecols=(1, 2)).astype(int)
    starts, ends = np.sort(places[:, 0]), np.sort(places[:, 1])
    edges = windows.starts[:, None] + np.arange(101) * 100
    expected = np.searchsorted(starts, edges[:, 1:], "left") - np.searchsorted(ends, edges[:, :-1], "right")
    assert np.array_equal(signal.values, expected)
    assert signal.record["n_records"] == len(places)
    if shutil.which("bedtools"):
        bins = tmp_path / "bins.bed"
        bins.write_text("".join(f"chr22\t{max(s, 0)}\t{s + 100}\n" for s in edges[:, :-1].ravel().tolist() if s > -100))
        command = ["bedtools", "coverage", "-counts", "-a", str(bins), "-b", str(path)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        counts = [int(line.rsplit("\t", 1)[1]) for line in answer.splitlines()]
        assert signal.values[edges[:, :-1] > -100].tolist() == counts


def test_counts_and_depth_of_a_cage_bam_equal_pysam(shared: Path) -> None:
    path = shared / "data/reads/wgEncodeRikenCageA549CellPapAlnRep1.chr21.bam"
    random = np.random.default_rng(2)
    with pysam.AlignmentFile(str(path)) as reads:
        spans = np.array([(read.reference_start, read.reference_end, read.mapping_quality) for read in reads])
    windows = Windows.around(["chr21"] * 300, random.choice(spans[:, 0], 300))
    edges = windows.starts[:, None] + np.arange(101) * 100
    for quality in (0, 20):
        kept = spans[spans[:, 2] >= quality]
        expected = np.searchsorted(np.sort(kept[:, 0]), edges[:, 1:], "left")
        expected -= np.searchsorted(np.sort(kept[:, 1]), edges[:, :-1], "right")
        signal = read_signal(path, windows, min_mapq=quality)
        assert np.array_equal(signal.values, expected)
    start = int(windows.starts[0])
    found = depth(path, {"chrom": ["21"], "start": [start], "end": [start + 10_000]})[0]
    base = np.arange(start, start + 10_000)
    expected = np.searchsorted(np.sort(spans[:, 0]), base, "right") - np.searchsorted(
        np.sort(spans[:, 1]), base, "right"
    )
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("name", ["A1C_HSB103", "AMY_HSB113"])
@pytest.mark.parametrize("statistic", ["mean", "max", "sum"])
def test_bigwig_bins_equal_pybigwig(shared: Path, name: str, statistic: str) -> None:
    pybigwig = pytest.importorskip("pyBigWig")
    path = shared / f"data/conservation/rnaseq_bigwig/{name}.bw"
    windows = scattered(["21"], 48_129_895)
    for uncovered in ("zero", "ignore"):
        found = read_signal(path, windows, statistic=statistic, uncovered=uncovered).values
        with pybigwig.open(str(path)) as track:
            for w in range(len(windows)):
                bases = np.full(10_000, np.nan)
                low, high = max(int(windows.starts[w]), 0), min(int(windows.ends[w]), 48_129_895)
                bases[low - windows.starts[w] : high - windows.starts[w]] = track.values("chr21", low, high, numpy=True)
                bins = bases.reshape(100, 100)
                if uncovered == "zero":
                    bins = np.nan_to_num(bins)
                some = ~np.isnan(bins).all(axis=1)
                expected = np.zeros(100)
                expected[some] = {"mean": np.nanmean, "max": np.nanmax, "sum": np.nansum}[statistic](bins[some], axis=1)
                np.testing.assert_allclose(found[w], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("cell", "name", "skipped"),
    [
        ("GM12878_E116", "ENCFF921LKB_h3k4me1.bed_clustered.bed.gz", 4_983),
        ("HMEC_E119", "ENCFF154XFN_h3k27ac.bed_clustered.bed.gz", 7_435),
    ],
)
def test_dirty_peaks_are_refused_or_left_out_and_counted(shared: Path, cell: str, name: str, skipped: int) -> None:
    dirty, clean = shared / f"data/expression/peaks_dirty/{name}", shared / f"data/expression/peaks_{cell}/{name}"
    windows = scattered(HUMAN, 100_000_000, 5_000)
    with pytest.raises(
        InputError, match=rf"start \d+ is not before end \d+; {skipped - 1:,} more invalid rows .*--skip-invalid"
    ):
        read_signal(dirty, windows)
    signal, expected = read_signal(dirty, windows, skip_invalid=True), read_signal(clean, windows)
    assert signal.record["n_skipped"] == skipped
    assert expected.record["n_skipped"] == 0
    assert signal.record["n_records"] == expected.record["n_records"]
    assert signal.values.any()
    assert np.array_equal(signal.values, expected.values)


def test_peaks_are_read_for_the_value_that_their_columns_hold(shared: Path) -> None:
    windows = scattered(HUMAN, 100_000_000, 5_000)
    for path in sorted((shared / "data/expression/peaks_GM12878_E116").glob("*.gz")):
        assert detect_kind(path) == "peaks"
        signal = read_signal(path, windows)
        value = "score" if "clustered" in path.name else "signalValue"
        assert signal.record["parameters"] == {"statistic": "max", "value": value}
        assert signal.values.any()
