import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pysam
import pytest

from regulome.errors import InputError
from regulome.genome.read_depth import depth
from regulome.genome.reads import count_reads
from regulome.genome.windows import Windows

SIZES = {"chr1": 50_000, "chr2": 30_000, "chrM": 16_000}
FLAGS = [0, 16, 0x400, 0x200, 0x100, 0x800, 0x410, 99, 147]
CIGARS = ["36M", "10M200N26M", "5S20M3D8M3S", "12M2I10M", "4H30M", "20=2X14="]


def write(path: Path, n: int, seed: int, *, ordered: bool = True, unmapped: bool = True) -> Path:
    """Write alignments with all kinds of flags and shapes."""
    random = np.random.default_rng(seed)
    header = {"HD": {"VN": "1.6"}, "SQ": [{"SN": name, "LN": size} for name, size in SIZES.items()]}
    codes = random.integers(0, 3, n)
    places = list(zip(codes.tolist(), (random.random(n) * 15_000).astype(int).tolist(), strict=True))
    with pysam.AlignmentFile(str(path), "wb", header=header) as out:
        for i, (code, start) in enumerate(sorted(places) if ordered else places):
            read = pysam.AlignedSegment(out.header)
            read.query_name, read.flag = f"read{i}" * int(random.integers(1, 8)), int(random.choice(FLAGS))
            read.reference_id, read.reference_start = code, start
            read.mapping_quality, read.cigarstring = int(random.integers(0, 61)), str(random.choice(CIGARS))
            read.query_sequence = "A" * (read.infer_query_length() or 0)
            read.set_tag("XX", "y" * int(random.integers(0, 300)))
            out.write(read)
        if unmapped:
            read = pysam.AlignedSegment(out.header)
            read.query_name, read.flag, read.query_sequence = "none", 4, "ACGT"
            out.write(read)
    return path


def brute(path: Path, windows: Windows, *, min_mapq: int = 0, dropped: int = 0x600) -> npt.NDArray[np.int64]:
    edges = windows.starts[:, None] + np.arange(windows.n_bins) * windows.bin
    names = np.array(windows.chromosomes)[windows.codes]
    counts = np.zeros(edges.shape, dtype=int)
    with pysam.AlignmentFile(str(path)) as reads:
        for read in reads:
            if read.is_unmapped or read.flag & dropped or read.mapping_quality < min_mapq:
                continue
            overlap = (read.reference_start < edges + windows.bin) & (edges < read.reference_end)
            counts += (names == read.reference_name)[:, None] & overlap
    return counts


ONE_NAME = Windows.around(["chr1", "chr1", "chr2", "chrM"], [5_000, 7_050, 9_000, 15_990])


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize(
    ("options", "dropped"),
    [
        ({}, 0x600),
        ({"keep_duplicates": True}, 0x200),
        ({"keep_secondary": False}, 0xF00),
        ({"min_mapq": 30}, 0x600),
    ],
)
def test_counts_equal_a_test_of_every_alignment_with_every_bin(
    tmp_path: Path, ordered: bool, options: dict[str, int], dropped: int
) -> None:
    path = write(tmp_path / "x.bam", 3_000, 1, ordered=ordered)
    counts, record = count_reads(path, ONE_NAME, **options)  # type: ignore[arg-type]
    assert np.array_equal(counts, brute(path, ONE_NAME, min_mapq=options.get("min_mapq", 0), dropped=dropped))
    assert record["filtered"]["unmapped"] == 1
    assert record["n_records"] + sum(record["filtered"].values()) == 3_001


@pytest.mark.skipif(shutil.which("bedtools") is None, reason="bedtools is not installed")
@pytest.mark.parametrize(
    ("options", "arguments"), [({}, []), ({"keep_duplicates": True}, ["-D"]), ({"min_mapq": 20}, ["-q", "20"])]
)
def test_counts_equal_bedtools_multicov(tmp_path: Path, options: dict[str, int], arguments: list[str]) -> None:
    path = write(tmp_path / "x.bam", 5_000, 2)
    pysam.index(str(path))
    bins = tmp_path / "bins.bed"
    edges = ONE_NAME.starts[:3, None] + np.arange(ONE_NAME.n_bins) * ONE_NAME.bin
    names = np.array(ONE_NAME.chromosomes)[ONE_NAME.codes[:3]]
    bins.write_text("".join(f"{c}\t{s}\t{s + 100}\n" for c, row in zip(names, edges, strict=True) for s in row))
    command = ["bedtools", "multicov", "-bams", str(path), "-bed", str(bins), *arguments]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    expected = [int(line.split("\t")[-1]) for line in answer.splitlines()]
    assert count_reads(path, ONE_NAME.take([0, 1, 2]), **options)[0].ravel().tolist() == expected  # type: ignore[arg-type]


def test_five_prime_ends_go_by_the_strand(tmp_path: Path) -> None:
    path = write(tmp_path / "x.bam", 500, 3)
    counts, _ = count_reads(path, ONE_NAME, count="five_prime")
    expected = np.zeros(counts.shape, dtype=int)
    edges = ONE_NAME.starts[:, None] + np.arange(100) * 100
    names = np.array(ONE_NAME.chromosomes)[ONE_NAME.codes]
    with pysam.AlignmentFile(str(path)) as reads:
        for read in reads:
            if not read.flag & 0x604:
                place = read.reference_end - 1 if read.is_reverse else read.reference_start
                expected += (names == read.reference_name)[:, None] & (edges <= place) & (place < edges + 100)
    assert np.array_equal(counts, expected)


def test_depth_equals_pysam(tmp_path: Path) -> None:
    path = write(tmp_path / "x.bam", 800, 4, ordered=False)
    expected = np.zeros(20_000, dtype=int)
    with pysam.AlignmentFile(str(path)) as reads:
        for read in reads:
            if not read.flag & 0x604 and read.reference_name == "chr2":
                expected[read.reference_start : read.reference_end] += 1
    assert np.array_equal(depth(path, {"chrom": ["2"], "start": [0], "end": [20_000]})[0], expected)


def test_small_blocks_and_long_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x.bam", 600, 5)
    monkeypatch.setattr("regulome.genome.bam._BLOCK", 64)
    assert np.array_equal(count_reads(path, ONE_NAME)[0], brute(path, ONE_NAME))


def test_a_damaged_bam_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "x.bam", 3_000, 6)
    data = path.read_bytes()
    path.write_bytes(data[:-28])
    with pytest.raises(InputError, match="BAM ends early"):
        count_reads(path, ONE_NAME)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="BAM ends early"):
        count_reads(path, ONE_NAME)
    path.write_text("chr1\t1\t5\n")
    with pytest.raises(InputError, match="is not BAM"):
        count_reads(path, ONE_NAME)
    write(path, 0, 7, unmapped=False)
    with pytest.raises(InputError, match="has no alignments"):
        count_reads(path, ONE_NAME)


def test_another_genome_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.bam", 100, 8)
    with pytest.raises(
        InputError, match=r"window 2 \(chr2:26,000-36,000\) is centred beyond the chromosome's end at 30,000"
    ):
        count_reads(path, Windows.around(["chr1", "chr2"], [1_000, 31_000]))
    with pytest.raises(
        InputError, match=r"none of its chromosomes \(chr1, chr2, chrM\) is among those of the windows \(II\)"
    ):
        count_reads(path, Windows.around(["II"], [1_000]))
    with pytest.raises(InputError, match=r"alignment \d+: ends beyond its chromosome"):
        count_reads(path, Windows.around(["chr1"], [100]), chromosome_sizes={"chr1": 5_000})


def test_the_other_names_are_found(tmp_path: Path) -> None:
    path = write(tmp_path / "x.bam", 1_000, 9)
    windows = Windows.around(["1", "2", "MT", "7"], [5_000, 9_000, 15_990, 5_000])
    counts, record = count_reads(path, windows)
    order = {"1": "chr1", "2": "chr2", "MT": "chrM"}
    assert record["aliases"] == order
    assert record["missing_chromosomes"] == ["7"]
    same = Windows.around(["chr1", "chr2", "chrM"], [5_000, 9_000, 15_990])
    assert np.array_equal(counts[:3], count_reads(path, same)[0])
    assert not counts[3].any()


def test_text_reads_have_no_mapping_quality(tmp_path: Path) -> None:
    path = tmp_path / "x.bed"
    path.write_text("chr1\t1\t5\n")
    with pytest.raises(InputError, match="has no mapping qualities to filter by"):
        count_reads(path, ONE_NAME, min_mapq=10)
