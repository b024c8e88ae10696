import gzip
from pathlib import Path

import numpy as np
import pytest

from regulome.errors import InputError
from regulome.genome import Windows, detect_kind, read_signal

WINDOWS = Windows.around(["chr1"], [5], window=10, bin=5)
READS = "chr1\t1\t5\tN\t0\t+\nchr1\t2\t6\tN\t0\t-\nchr1\t3\t6\tN\t0\t-\n"


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("x.tagAlign", READS, "reads"),
        ("x.bed", READS, "reads"),
        ("x.bed", "chr1\t1\t5\tN\t0\t+\nchr1\t2\t8\tN\t0\t-\nchr1\t3\t6\tN\t0\t-\n", "peaks"),
        ("x.bed", READS + "chr1\t2\t6\tN\t0\t.\n", "peaks"),
        ("x.bed", "chr1\t1\t5\n", "peaks"),
        ("x.bed", "chr1\t1\t5\t.\t3\t.\t2.5\t-1\t-1\t4\n", "peaks"),
        ("x.narrowPeak", "", "peaks"),
        ("x.broadPeak", "", "peaks"),
        ("x.bedGraph", "", "track"),
        ("x.bdg", "", "track"),
        ("x.bw", "", "track"),
        ("x.bigWig", "", "track"),
        ("sample.rep1.bam", "", "reads"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_the_name_and_the_first_rows_tell_what_a_file_holds(
    tmp_path: Path, name: str, content: str, kind: str, suffix: str
) -> None:
    path = tmp_path / (name + suffix)
    path.write_bytes(gzip.compress(content.encode()) if suffix else (content or "x").encode())
    assert detect_kind(path) == kind


def test_what_a_bed_file_is_taken_for_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.bed"
    path.write_text(READS)
    with caplog.at_level("INFO", logger="regulome"):
        detect_kind(path)
    assert caplog.messages == ["x.bed: taken as reads (BED of 6 columns)"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("x.sam", r"\.sam files are not read \(convert it to BAM"),
        ("x.wig.gz", r"\.wig files are not read \(convert it to bigWig"),
        ("x.txt", "its name does not tell what it holds"),
        ("x", "its name does not tell what it holds"),
    ],
)
def test_other_files_are_refused_with_a_cure(tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / name).write_text("x")
    with pytest.raises(InputError, match=problem):
        detect_kind(tmp_path / name)


def test_every_kind_comes_through_one_door(tmp_path: Path) -> None:
    reads, peaks, track = tmp_path / "r.bed", tmp_path / "p.bed", tmp_path / "t.bedGraph"
    reads.write_text(READS)
    peaks.write_text("chr1\t1\t5\tn\t7\n")
    track.write_text("chr1\t0\t5\t2\n")
    signal = read_signal(reads, WINDOWS)
    assert signal.values.dtype == np.int32
    assert signal.values.tolist() == [[3, 2]]
    assert read_signal(reads, WINDOWS, count="five_prime").values.tolist() == [[1, 2]]
    assert read_signal(reads, WINDOWS, kind="peaks", value="presence", statistic="sum").values.tolist() == [[3, 2]]
    assert read_signal(peaks, WINDOWS).values.tolist() == [[7, 0]]
    assert read_signal(track, WINDOWS).values.tolist() == [[2, 0]]
    assert read_signal(track, WINDOWS, statistic="sum").values.tolist() == [[10, 0]]
    assert read_signal(peaks, WINDOWS).record == {
        "kind": "peaks",
        "parameters": {"statistic": "max", "value": "score"},
        "n_records": 1,
        "n_skipped": 0,
        "first_skipped": None,
        "aliases": {},
        "missing_chromosomes": [],
    }


def test_unknown_kinds_and_missing_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown kind of file 'chip'"):
        read_signal(tmp_path / "x.bed", WINDOWS, kind="chip")
    with pytest.raises(InputError, match="no such file"):
        read_signal(tmp_path / "x.bed", WINDOWS)
