import gzip
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regulome.errors import InputError
from regulome.genome.tracks import bigwig_sizes, summarize_track
from regulome.genome.windows import Windows

pybigwig = pytest.importorskip("pyBigWig")

SIZES = {"chr1": 700, "chr2": 400}
Track = dict[str, npt.NDArray[np.float64]]


def make_track(seed: int) -> Track:
    """A value (in eighths, exact as float32) or NaN for each base."""
    random = np.random.default_rng(seed)
    out = {}
    for name, size in SIZES.items():
        cuts = np.unique(np.r_[0, size, random.integers(1, size, random.integers(0, 25))])
        values = np.full(size, np.nan)
        for begin, end in pairwise(cuts.tolist()):
            if random.random() < 0.6:
                values[begin:end] = random.integers(-400, 4000) / 8
        values[0] = 1.0  # so that no chromosome is empty
        out[name] = values
    return out


def runs(values: npt.NDArray[np.float64]) -> tuple[list[int], list[int], list[float]]:
    cuts = np.flatnonzero(~((values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1])))) + 1
    begins, ends = np.append(0, cuts), np.append(cuts, len(values))
    kept = ~np.isnan(values[begins])
    return begins[kept].tolist(), ends[kept].tolist(), values[begins[kept]].tolist()


def write_bigwig(path: Path, track: Track) -> Path:
    with pybigwig.open(str(path), "w") as out:
        out.addHeader(list(SIZES.items()))
        for name, values in track.items():
            starts, ends, numbers = runs(values)
            out.addEntries([name] * len(starts), starts, ends=ends, values=numbers)
    return path


def write_bedgraph(path: Path, track: Track, seed: int = 0) -> Path:
    rows = [f"{name} {s}  {e} {v}\n" for name, values in track.items() for s, e, v in zip(*runs(values), strict=True)]
    np.random.default_rng(seed).shuffle(rows)
    path.write_bytes(gzip.compress(("track type=bedGraph\n" + "".join(rows)).encode()))
    return path


def brute(track: Track, windows: Windows, statistic: str, uncovered: str) -> npt.NDArray[np.float64]:
    out = np.zeros((len(windows), windows.n_bins))
    for w in range(len(windows)):
        values = track[windows.chromosomes[windows.codes[w]]]
        places = np.arange(windows.starts[w], windows.ends[w])
        inside = (places >= 0) & (places < len(values))
        bases = np.where(inside, values[np.clip(places, 0, len(values) - 1)], np.nan).reshape(windows.n_bins, -1)
        for b, row in enumerate(bases):
            row = np.nan_to_num(row) if uncovered == "zero" else row[~np.isnan(row)]
            if len(row):
                out[w, b] = {"mean": np.mean, "max": np.max, "sum": np.sum}[statistic](row)
    return out


centres = st.lists(
    st.one_of(st.tuples(st.just("chr1"), st.integers(0, 699)), st.tuples(st.just("chr2"), st.integers(0, 399))),
    min_size=1,
    max_size=8,
)


@pytest.mark.parametrize("uncovered", ["zero", "ignore"])
@pytest.mark.parametrize("statistic", ["mean", "max", "sum"])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), places=centres, shape=st.sampled_from([(100, 10), (64, 64), (60, 6), (8, 1)]))
def test_bins_equal_a_sum_over_bases(
    tmp_path_factory: pytest.TempPathFactory,
    statistic: str,
    uncovered: str,
    seed: int,
    places: list[tuple[str, int]],
    shape: tuple[int, int],
) -> None:
    folder, track = tmp_path_factory.getbasetemp(), make_track(seed)
    windows = Windows.around([c for c, _ in places], [p for _, p in places], window=shape[0], bin=shape[1])
    expected = brute(track, windows, statistic, uncovered)
    for path in (write_bigwig(folder / "x.bigWig", track), write_bedgraph(folder / "x.bedGraph.gz", track)):
        found, _ = summarize_track(path, windows, statistic=statistic, uncovered=uncovered)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6, err_msg=path.name)


@pytest.fixture
def bigwig(tmp_path: Path) -> Path:
    return write_bigwig(tmp_path / "x.bw", {name: np.arange(size, dtype=float) for name, size in SIZES.items()})


def test_a_bigwig_under_any_name(bigwig: Path) -> None:
    other = bigwig.rename(bigwig.with_name("x.data"))
    windows = Windows.around(["1"], [50], window=20, bin=10)
    values, record = summarize_track(other, windows)
    assert values[0].tolist() == [44.5, 54.5]
    assert record["aliases"] == {"1": "chr1"}
    assert bigwig_sizes(other) == SIZES


def test_chromosomes_that_a_bigwig_lacks_are_zero_and_said(bigwig: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="regulome"):
        values, record = summarize_track(bigwig, Windows.around(["chr1", "chrM"], [50, 50], window=20, bin=10))
    assert values.tolist() == [[44.5, 54.5], [0, 0]]
    assert record["missing_chromosomes"] == ["chrM"]
    assert "x.bw: nothing on chrM; the windows there are 0" in caplog.messages


def test_another_assembly_is_refused(bigwig: Path) -> None:
    with pytest.raises(InputError, match=r"window 2 .* is centred beyond the chromosome's end at 700; 1 of 2 windows"):
        summarize_track(bigwig, Windows.around(["chr1", "chr1"], [50, 701], window=20, bin=10))
    with pytest.raises(
        InputError, match=r"none of its chromosomes \(chr1, chr2\) is among those of the windows \(II\)"
    ):
        summarize_track(bigwig, Windows.around(["II"], [50]))


def test_damaged_bigwigs_are_told(bigwig: Path) -> None:
    windows = Windows.around(["chr1"], [50], window=20, bin=10)
    data = bigwig.read_bytes()
    for size in (100, 200, len(data) // 2):
        bigwig.write_bytes(data[:size])
        with pytest.raises(InputError, match="bigWig is damaged or ends early"):
            summarize_track(bigwig, windows)
    bigwig.write_text("chr1\t1\t5\t2\n")
    with pytest.raises(InputError, match="is not bigWig, as its name says"):
        summarize_track(bigwig, windows)
    bigwig.write_bytes(b"\xeb\xf2\x89\x87" + bytes(100))
    with pytest.raises(InputError, match="is bigBed, expected bigWig or bedGraph"):
        summarize_track(bigwig, windows)


def test_a_bedgraph_s_wrong_rows_are_told(tmp_path: Path) -> None:
    path = tmp_path / "x.bedGraph"
    path.write_text("chr1\t1\t5\t2\nchr1\t5\t9\tNA\n")
    windows = Windows.around(["chr1"], [5], window=10, bin=5)
    with pytest.raises(InputError, match="line 2: value 'NA' in column 4 is not a number"):
        summarize_track(path, windows)
    values, record = summarize_track(path, windows, skip_invalid=True)
    assert record["n_skipped"] == 1
    assert values[0].tolist() == pytest.approx([1.6, 0])


def test_unknown_choices_are_told(bigwig: Path) -> None:
    with pytest.raises(InputError, match="unknown statistic 'median' of a track"):
        summarize_track(bigwig, Windows.around(["chr1"], [50]), statistic="median")
    with pytest.raises(InputError, match="unknown way 'drop' with uncovered bases"):
        summarize_track(bigwig, Windows.around(["chr1"], [50]), uncovered="drop")


def test_a_bigwig_with_any_byte_wrong_is_read_or_refused(tmp_path: Path) -> None:
    path = write_bigwig(tmp_path / "x.bw", make_track(3))
    data, random = path.read_bytes(), np.random.default_rng(0)
    windows = Windows.around(["chr1", "chr2", "chr1"], [50, 390, 300], window=200, bin=10)
    refused = 0
    for _ in range(300):
        wrong = bytearray(data)
        wrong[int(random.integers(0, len(data)))] = int(random.integers(0, 256))
        path.write_bytes(wrong)
        try:
            summarize_track(path, windows)
        except InputError:
            refused += 1
    assert refused


@pytest.mark.parametrize("spacing", ["fixed", "variable"])
def test_bigwigs_of_fixed_and_variable_steps(tmp_path: Path, spacing: str) -> None:
    path, numbers = tmp_path / "x.bw", [1.0, 2.0, 3.0, 4.0]
    with pybigwig.open(str(path), "w") as out:
        out.addHeader(list(SIZES.items()))
        if spacing == "fixed":
            out.addEntries("chr1", 100, values=numbers, span=10, step=20)
        else:
            out.addEntries("chr1", [100, 120, 140, 160], values=numbers, span=10)
    values, _ = summarize_track(path, Windows.around(["chr1"], [140], window=80, bin=20), statistic="sum")
    assert values[0].tolist() == [10, 20, 30, 40]
