"""Depth in the bins of regions against a plain array of bases, bedtools, and a whole sort of the reads' priorities."""

import shutil
import subprocess

import numpy as np
import pybigtools
import pysam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regulome.errors import InputError
from regulome.genome.read_depth import depth
from regulome.genome.read_sample import ReadSample, _nth_priority, _priorities
from regulome.genome.region_bins import Regions, RegionSums, bin_means
from regulome.genome.region_depth import sum_depth
from regulome.genome.rows import Block

SIZE = 30_000


def block(codes, starts, ends, values=None):
    n = len(codes)
    columns = (np.array(codes, np.int32), np.array(starts, np.int32), np.array(ends, np.int32))
    return Block(*columns, np.full(n, 2, np.uint8), np.ones(n) if values is None else np.array(values, float))


def plain(regions, bin, bases):
    """Sum arrays of bases, one per chromosome, over bins; bases outside of them are 0."""
    out = []
    for code, start, end in zip(regions.codes, regions.starts, regions.ends, strict=True):
        whole = np.zeros(end - start)
        left, right = max(start, 0), min(end, SIZE)
        if left < right:
            whole[left - start : right - start] = bases[code][left:right]
        out.append(np.add.reduceat(whole, np.arange(0, len(whole), bin)))
    return np.concatenate(out)


places = st.tuples(st.integers(0, 1), st.integers(-3000, SIZE - 1), st.integers(1, 9000))
intervals = st.tuples(st.integers(0, 1), st.integers(0, SIZE - 1), st.integers(1, 20_000), st.integers(-3, 9))


@settings(max_examples=30, deadline=None)
@given(st.lists(places, min_size=1, max_size=12), st.lists(intervals, max_size=30), st.sampled_from([1, 7, 100]))
def test_sums_are_those_of_single_bases(some, many, bin):
    codes, starts, lengths = map(np.array, zip(*some, strict=True))
    regions = Regions(("a", "b"), codes.astype(np.int32), starts, starts + lengths)
    bases = np.zeros((2, SIZE))
    sums = RegionSums(regions, bin)
    for code, start, length, value in many:
        end = min(start + length, SIZE)
        bases[code, start:end] += value
        one = block([code], [start], [end], [value])
        assert sums.near(one)[0] or not plain(regions, bin, block_bases(code, start, end)).any()
        sums.add(one)
    expected = plain(regions, bin, bases)
    np.testing.assert_allclose(sums.result(), expected, atol=1e-9)
    for factor in (1, 3):
        wide = plain(regions, bin * factor, bases)
        widths = np.concatenate([np.diff([*range(0, n, bin * factor), n]) for n in regions.lengths])
        np.testing.assert_allclose(bin_means(sums.result(), regions, bin, bin * factor), wide / widths, rtol=1e-6)


def block_bases(code, start, end):
    bases = np.zeros((2, SIZE))
    bases[code, start:end] = 1
    return bases


@pytest.fixture(scope="module")
def reads(tmp_path_factory):
    """3,000 reads of 20 to 60 bases on two chromosomes, in no order."""
    folder = tmp_path_factory.mktemp("reads")
    rng = np.random.default_rng(1)
    n = 3000
    codes, starts = rng.integers(0, 2, n), rng.integers(0, SIZE - 60, n)
    ends, strands = starts + rng.integers(20, 61, n), rng.choice(["+", "-"], n)
    rows = list(zip([f"chr{c + 1}" for c in codes], starts, ends, strands, strict=True))
    text = "".join(f"{c}\t{s}\t{e}\tN\t1000\t{strand}\n" for c, s, e, strand in rows)
    (folder / "r.tagAlign").write_text(text)
    (folder / "sizes").write_text(f"chr1\t{SIZE}\nchr2\t{SIZE}\n")
    with pysam.AlignmentFile(
        str(folder / "r.bam"), "wb", reference_names=["chr1", "chr2"], reference_lengths=[SIZE] * 2
    ) as bam:
        for chrom, start, end, strand in rows:
            read = pysam.AlignedSegment(bam.header)
            read.query_name, read.reference_name, read.reference_start = "r", chrom, int(start)
            read.flag, read.mapping_quality, read.cigarstring = 16 * (strand == "-"), 30, f"{end - start}M"
            bam.write(read)
    return folder, rows


REGIONS = Regions.of(["chr1", "chr2", "chr1", "chr2"], [-500, 100, 4000, 4095], [3500, 12_345, 4001, 8193])


def bases_of(rows, trim=None):
    bases = np.zeros((2, SIZE))
    for chrom, start, end, strand in rows:
        if trim and strand == "+":
            end = min(end, start + trim)
        elif trim:
            start = max(start, end - trim)
        bases[int(chrom[3]) - 1, start:end] += 1
    return bases


@pytest.mark.parametrize("name", ["r.tagAlign", "r.bam"])
@pytest.mark.parametrize("trim", [None, 25, 300])
def test_reads_of_either_kind_trimmed(reads, name, trim):
    folder, rows = reads
    sums, record = sum_depth(folder / name, REGIONS, 100, trim=trim)
    np.testing.assert_array_equal(sums, plain(REGIONS, 100, bases_of(rows, trim)))
    assert record["n_records"] == 3000
    assert record["parameters"]["trim"] == trim


def test_depth_is_that_of_genomecov(reads):
    folder, rows = reads
    table = {"chrom": ["chr1", "chr2"], "start": [0, 0], "end": [SIZE, SIZE]}
    ours = depth(folder / "r.tagAlign", table)
    np.testing.assert_array_equal(ours, bases_of(rows))
    if shutil.which("bedtools") is None:
        pytest.skip("bedtools is not installed")
    ordered = subprocess.run(["sort", "-k1,1", folder / "r.tagAlign"], check=True, capture_output=True).stdout
    command = ["bedtools", "genomecov", "-d", "-i", "stdin", "-g", folder / "sizes"]
    text = subprocess.run(command, input=ordered, check=True, capture_output=True).stdout.decode()
    theirs = np.array([int(line.split("\t")[2]) for line in text.splitlines()]).reshape(2, SIZE)
    np.testing.assert_array_equal(ours, theirs)


def test_tracks(reads, tmp_path):
    rng = np.random.default_rng(2)
    edges = np.unique(rng.integers(0, SIZE, 400))
    values = rng.integers(0, 50, len(edges) - 1) / 4
    rows = [("chr1", int(a), int(b), float(v)) for a, b, v in zip(edges, edges[1:], values, strict=False)]
    bases = np.zeros((2, SIZE))
    for _, start, end, value in rows:
        bases[0, start:end] = value
    text = "".join(f"{c}\t{s}\t{e}\t{v}\n" for c, s, e, v in rows)
    (tmp_path / "t.bedGraph").write_text(text + f"chr2\t{SIZE - 1}\t{SIZE}\t0\n")
    pybigtools.open(str(tmp_path / "t.bw"), "w").write({"chr1": SIZE, "chr2": SIZE}, iter(rows))
    for name in ("t.bedGraph", "t.bw"):
        sums, record = sum_depth(tmp_path / name, REGIONS, 100)
        np.testing.assert_allclose(sums, plain(REGIONS, 100, bases), rtol=1e-6)
        assert record["kind"] == "track"


@pytest.mark.parametrize("size", [1, 700, 2999, 3000, 9000])
def test_a_sample_has_so_many_reads_and_is_the_same_again(reads, size):
    folder, _ = reads
    everything = Regions.of(["chr1", "chr2"], [0, 0], [SIZE, SIZE])
    first, record = sum_depth(folder / "r.tagAlign", everything, SIZE, reads=size, trim=20, seed=4)
    assert record["n_sampled"] == min(size, 3000)
    # Cut to 20 bases every read counts 20 times.
    assert first.sum() == 20 * min(size, 3000)
    again, _ = sum_depth(folder / "r.tagAlign", everything, SIZE, reads=size, trim=20, seed=4)
    np.testing.assert_array_equal(first, again)


def test_a_sample_is_the_lowest_priorities_however_it_is_cut_into_blocks():
    n, size = 5000, 300
    everything = _priorities(np.uint64(7), 0, n)
    assert len(np.unique(everything)) == n
    for nth in (1, 2, 300, n):
        assert _nth_priority(np.uint64(7), n, nth) == np.sort(everything)[nth - 1]
    chosen = []
    for cut in (37, 1000, n):
        sample = ReadSample(size, seed=3)
        for at in range(0, n, cut):
            ids = np.arange(at, min(at + cut, n))
            sample.add(block(ids * 0, ids, ids + 1), ids % 2 == 0)
        chosen.append(np.concatenate([part.starts for part in sample.blocks(n + 1000)]))
    np.testing.assert_array_equal(chosen[0], chosen[1])
    np.testing.assert_array_equal(chosen[0], chosen[2])
    # Of the 300 of 6,000, those among the 2,500 even ones that were seen: 125 ± 10.
    assert 90 < len(chosen[0]) < 160


def test_every_read_is_chosen_equally_often():
    counts = np.zeros(50)
    for seed in range(400):
        sample = ReadSample(10, seed)
        ids = np.arange(50)
        sample.add(block(ids * 0, ids, ids + 1), np.ones(50, bool))
        counts[np.concatenate([part.starts for part in sample.blocks(50)])] += 1
    assert counts.sum() == 4000
    # Binomial, 80 ± 8.
    assert abs(counts - 80).max() < 36


def test_what_cannot_be_depth_is_one_line(reads, tmp_path):
    folder, _ = reads
    (tmp_path / "p.narrowPeak").write_text("chr1\t1\t5\tp\t1\t.\t1\t1\t1\t1\n")
    with pytest.raises(InputError, match="is a file of peaks, which have no depth"):
        sum_depth(tmp_path / "p.narrowPeak", REGIONS, 100)
    beyond = Regions.of(["chr1"], [SIZE], [SIZE + 100])
    with pytest.raises(InputError, match="centred beyond the chromosome's end at 30,000"):
        sum_depth(folder / "r.bam", beyond, 100)
    for option in ("trim", "reads"):
        with pytest.raises(InputError, match=f"--{option} 0 is not positive"):
            sum_depth(folder / "r.bam", REGIONS, 100, **{option: 0})
    with pytest.raises(InputError, match="start 5 is not before end 5"):
        Regions.of(["chr1"], [5], [5])
