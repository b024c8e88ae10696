import gzip
import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regulome.errors import InputError
from regulome.genome.read_depth import depth
from regulome.genome.reads import count_reads
from regulome.genome.windows import Windows

CHROMOSOMES = ["chr1", "chr2", "chrX"]
Read = tuple[str, int, int, str]

reads = st.lists(
    st.tuples(
        st.sampled_from([*CHROMOSOMES, "chrUn_1"]), st.integers(0, 500), st.integers(1, 120), st.sampled_from("+-")
    ).map(lambda r: (r[0], r[1], r[1] + r[2], r[3])),
    min_size=1,
    max_size=60,
)
centres = st.lists(st.tuples(st.sampled_from(CHROMOSOMES), st.integers(0, 560)), min_size=1, max_size=8)
shapes = st.sampled_from([(40, 10), (100, 100), (6, 1), (64, 4)])


def write(path: Path, rows: list[Read]) -> Path:
    text = "".join(f"{c}\t{s}\t{e}\tN\t1000\t{strand}\n" for c, s, e, strand in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def brute(windows: Windows, rows: list[Read]) -> npt.NDArray[np.int64]:
    """Test every read against every bin."""
    edges = windows.starts[:, None] + np.arange(windows.n_bins) * windows.bin
    names = np.array(windows.chromosomes)[windows.codes][:, None]
    counts = np.zeros(edges.shape, dtype=np.int64)
    for chrom, start, end, _ in rows:
        counts += (names == chrom) & (start < edges + windows.bin) & (edges < end)
    return counts


def with_all_names(rows: list[Read]) -> list[Read]:
    return [*rows, *((name, 10_000, 10_001, "+") for name in CHROMOSOMES)]


@settings(max_examples=150, deadline=None)
@given(reads, centres, shapes)
def test_counts_equal_a_test_of_every_read_with_every_bin(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Read], places: list[tuple[str, int]], shape: tuple[int, int]
) -> None:
    path = write(tmp_path_factory.getbasetemp() / "reads.tagAlign.gz", with_all_names(rows))
    windows = Windows.around([c for c, _ in places], [p for _, p in places], window=shape[0], bin=shape[1])
    counts, record = count_reads(path, windows)
    assert counts.dtype == np.int32
    assert np.array_equal(counts, brute(windows, rows))
    assert record["n_records"] == len(rows) + len(CHROMOSOMES)
    assert record["missing_chromosomes"] == []


@settings(max_examples=60, deadline=None)
@given(reads, centres, st.integers(1, 200))
def test_five_prime_ends_and_fragments_start_at_the_strand_s_own_end(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Read], places: list[tuple[str, int]], length: int
) -> None:
    path = write(tmp_path_factory.getbasetemp() / "reads.bed", with_all_names(rows))
    windows = Windows.around([c for c, _ in places], [p for _, p in places], window=60, bin=20)

    def resized(size: int) -> list[Read]:
        return [(c, s, s + size, d) if d == "+" else (c, max(e - size, 0), e, d) for c, s, e, d in rows]

    assert np.array_equal(count_reads(path, windows, count="five_prime")[0], brute(windows, resized(1)))
    assert np.array_equal(count_reads(path, windows, extend=length)[0], brute(windows, resized(length)))


@settings(max_examples=60, deadline=None)
@given(
    reads,
    st.lists(
        st.tuples(st.sampled_from(CHROMOSOMES), st.integers(-50, 560), st.integers(1, 90)), min_size=1, max_size=8
    ),
)
def test_depth_equals_a_sum_over_reads(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Read], places: list[tuple[str, int, int]]
) -> None:
    path = write(tmp_path_factory.getbasetemp() / "reads.bed", with_all_names(rows))
    regions = {"chrom": [p[0] for p in places], "start": [p[1] for p in places], "end": [p[1] + p[2] for p in places]}
    for (chrom, start, length), found in zip(places, depth(path, regions), strict=True):
        base = np.arange(start, start + length)
        expected = sum(((base >= s) & (base < e)).astype(int) for c, s, e, _ in rows if c == chrom)
        assert np.array_equal(found, np.broadcast_to(expected, length))


def random_reads(n: int, seed: int) -> list[Read]:
    random = np.random.default_rng(seed)
    starts = random.integers(0, 50_000, n)
    ends = starts + random.integers(1, 3_000, n)
    names, strands = random.choice(CHROMOSOMES, n), random.choice(["+", "-"], n)
    return list(zip(names.tolist(), starts.tolist(), ends.tolist(), strands.tolist(), strict=True))


needs_bedtools = pytest.mark.skipif(shutil.which("bedtools") is None, reason="bedtools is not installed")


def bedtools(*arguments: str | Path) -> list[list[str]]:
    answer = subprocess.run(["bedtools", *map(str, arguments)], check=True, capture_output=True, text=True).stdout
    return [line.split("\t") for line in answer.splitlines()]


@needs_bedtools
def test_counts_equal_bedtools_coverage(tmp_path: Path) -> None:
    path = write(tmp_path / "reads.bed", random_reads(20_000, 1))
    random = np.random.default_rng(2)
    windows = Windows.around(random.choice(CHROMOSOMES, 200), random.integers(5_000, 45_000, 200))
    edges = windows.starts[:, None] + np.arange(windows.n_bins) * windows.bin
    bins = tmp_path / "bins.bed"
    names = np.array(windows.chromosomes)[windows.codes]
    bins.write_text("".join(f"{c}\t{s}\t{s + 100}\n" for c, row in zip(names, edges, strict=True) for s in row))
    expected = np.array([int(row[-1]) for row in bedtools("coverage", "-counts", "-a", bins, "-b", path)])
    assert np.array_equal(count_reads(path, windows)[0].ravel(), expected)


@needs_bedtools
def test_depth_equals_bedtools_genomecov(tmp_path: Path) -> None:
    path = write(tmp_path / "reads.bed", sorted(random_reads(2_000, 3)))
    sizes = tmp_path / "sizes"
    sizes.write_text("".join(f"{name}\t60000\n" for name in CHROMOSOMES))
    expected = np.array([int(row[2]) for row in bedtools("genomecov", "-d", "-i", path, "-g", sizes)])
    found = depth(path, {"chrom": CHROMOSOMES, "start": [0] * 3, "end": [60_000] * 3})
    assert np.array_equal(np.concatenate(found), expected)


WINDOWS = Windows.around(["chr1"], [5_000])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("chr1\t5\t5\ta\t0\t+\n", "line 1: start 5 is not before end 5"),
        ("chr1\t1\t5\nchr1\t3\n", "line 2: has 2 columns, expected 3 as in the first row"),
        ("track name=x\n#c\n\nchr1\t1\t5\nchr1\tx\t5\n", "line 5: start 'x' is not a whole number"),
        ("chr1\t1\t1e6\n", "line 1: end '1e6' is not a whole number"),
        ("chr1\t-1\t5\n", "line 1: start '-1' is not a whole number"),
        ("chr1\t1\t3000000000\n", "line 1: end '3000000000' is not a whole number from 0 to 2^31 - 1"),
        ("chr1\t1\t5\t.\n" + "chr1\t9\t5\t.\n" * 1001, "line 2: start 9 is not before end 5; 1,000 more invalid rows"),
        ("just some text\n", "line 1: start 'some' is not a whole number"),
        ("text\n", "line 1: has 1 column, expected at least 3"),
        ("# nothing\n\n", "has no rows"),
        ("chr7\t1\t5\n", "none of its chromosomes (chr7) is among those of the windows (chr1)"),
        ("chr1\t1\t5\n1\t1\t5\n", "names one chromosome in two ways, chr1 and 1"),
        ("chr1\0\t1\t5\n", "holds binary data"),
        ("", "is empty"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "reads.bed"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        count_reads(path, WINDOWS)
    assert str(caught.value).startswith(f"{path}: {problem}")
    assert "\n" not in str(caught.value)


def test_invalid_rows_are_left_out_on_request_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "reads.bed"
    path.write_text("chr1\t4990\t5005\nchr1\t5\t5\nchr1\t7\nchr1\t4999\t5001\n")
    counts, record = count_reads(path, WINDOWS, skip_invalid=True)
    assert counts.sum() == 4
    assert (record["n_records"], record["n_skipped"]) == (2, 2)
    assert record["first_skipped"] == "line 2: start 5 is not before end 5"


@pytest.mark.parametrize(
    "text", ["chr1 1 5\nchr1  7\t9\n", "chr1\t1\t5\r\nchr1\t7\t9\r\n\r\n", "\ufeffchr1\t1\t5\nchr1\t7\t9"]
)
def test_spaces_windows_line_ends_byte_order_mark_and_no_last_newline(tmp_path: Path, text: str) -> None:
    path = tmp_path / "reads.bed"
    path.write_bytes(text.encode())
    counts, record = count_reads(path, Windows.around(["chr1"], [5], window=10, bin=1))
    assert counts[0].tolist() == [0, 1, 1, 1, 1, 0, 0, 1, 1, 0]
    assert record["n_records"] == 2


def test_bytes_that_are_not_utf8_do_no_harm_outside_numbers(tmp_path: Path) -> None:
    path = tmp_path / "reads.bed"
    path.write_bytes(b"chr1\t1\t5\t\xff\xfe\nchr\xff\t1\t5\tx\n")
    assert count_reads(path, WINDOWS)[1]["n_records"] == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "plain"])
def test_damaged_gzip(tmp_path: Path, damage: str) -> None:
    path = write(tmp_path / "reads.bed.gz", random_reads(5_000, 4))
    data = bytearray(path.read_bytes())
    problem = {"cut": "gzip ends early", "flipped": "gzip is damaged", "plain": "is not gzip, as its name says"}[damage]
    if damage == "flipped":
        data[5_000:5_010] = bytes(10)
    path.write_bytes({"cut": data[:20_000], "flipped": data, "plain": b"chr1\t1\t5\n"}[damage])
    with pytest.raises(InputError, match=problem):
        count_reads(path, WINDOWS)


def test_chromosome_23_is_refused_where_the_karyotype_is_known(tmp_path: Path) -> None:
    human = [*(f"chr{i}" for i in range(1, 23)), "chrX"]
    path = tmp_path / "reads.bed"
    path.write_text("chr1\t1\t5\nchrY\t1\t5\nchrM\t1\t5\nchrUn_gl000220\t1\t5\nchr6_apd_hap1\t1\t5\nchr23\t1\t5\n")
    with pytest.raises(
        InputError, match=r"line 6: unknown chromosome chr23: the annotation has 1 to 22, X \("
    ) as caught:
        count_reads(path, Windows.around(human, [5_000] * 23))
    assert "--skip-invalid" in str(caught.value)
    assert count_reads(path, WINDOWS)[1]["n_skipped"] == 0
    with pytest.raises(InputError, match="unknown chromosome chr23"):
        count_reads(path, WINDOWS, known_chromosomes=human)


def test_rows_and_windows_beyond_an_end_are_refused_where_sizes_are_known(tmp_path: Path) -> None:
    path = tmp_path / "reads.bed"
    path.write_text("1\t1\t5\n1\t99\t101\n")
    windows = Windows.around(["chr1"], [5], window=10, bin=1)
    with pytest.raises(InputError, match=r"line 2: end 101 is beyond the end of 1 at 100; another assembly\?"):
        count_reads(path, windows, chromosome_sizes={"chr1": 100})
    with pytest.raises(InputError, match=r"window 1 \(chr1:0-10,000\) is centred beyond the chromosome's end at 100"):
        count_reads(path, WINDOWS, chromosome_sizes={"chr1": 100})


def test_the_other_name_of_a_chromosome_is_found_recorded_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "reads.bed"
    path.write_text("1\t4999\t5001\nMT\t0\t5\n")
    with caplog.at_level("INFO", logger="regulome"):
        counts, record = count_reads(path, Windows.around(["chr1", "chrM", "chr2"], [5_000, 0, 9]))
    assert counts.sum() == 3
    assert record["aliases"] == {"chr1": "1", "chrM": "MT"}
    assert record["missing_chromosomes"] == ["chr2"]
    assert "reads.bed: chromosome 1 = chr1 and 1 more alike" in caplog.messages
    assert "reads.bed: nothing on chr2; the windows there are 0" in caplog.messages


def test_strands_are_required_only_where_they_matter(tmp_path: Path) -> None:
    path = tmp_path / "reads.bed"
    path.write_text("chr1\t1\t5\tx\t0\t.\n")
    assert count_reads(path, WINDOWS)[0].sum() == 1
    with pytest.raises(InputError, match=r"line 1: strand '.' in column 6 is not \+ or -"):
        count_reads(path, WINDOWS, count="five_prime")
    path.write_text("chr1\t1\t5\n")
    with pytest.raises(InputError, match="has 3 columns, expected at least 6"):
        count_reads(path, WINDOWS, extend=200)


def test_blocks_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = random_reads(3_000, 5)
    path = write(tmp_path / "reads.bed.gz", rows)
    windows = Windows.around(CHROMOSOMES, [20_000] * 3, window=40_000, bin=50)
    monkeypatch.setattr("regulome.genome.rows.BLOCK", 16)
    assert np.array_equal(count_reads(path, windows)[0], brute(windows, rows))
