from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regulome.errors import InputError
from regulome.genome.peaks import bin_peaks, choose_value
from regulome.genome.windows import Windows

Peak = tuple[str, int, int, float]
numbers = st.floats(0.001, 1e6).map(lambda x: float(f"{x:.6g}"))
peaks = st.lists(
    st.tuples(st.sampled_from(["chr1", "chr2"]), st.integers(0, 400), st.integers(1, 200), numbers).map(
        lambda p: (p[0], p[1], p[1] + p[2], p[3])
    ),
    min_size=1,
    max_size=20,
)
centres = st.lists(st.tuples(st.sampled_from(["chr1", "chr2"]), st.integers(0, 450)), min_size=1, max_size=6)


@settings(max_examples=100, deadline=None)
@given(peaks, centres, st.sampled_from(["max", "sum"]), st.sampled_from(["score", "signalValue", "presence"]))
def test_bins_equal_a_test_of_every_peak_with_every_bin(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[Peak],
    places: list[tuple[str, int]],
    statistic: str,
    value: str,
) -> None:
    path = tmp_path_factory.getbasetemp() / "x.narrowPeak"
    rows = [*rows, ("chr1", 9_000, 9_001, 1.0), ("chr2", 9_000, 9_001, 1.0)]
    path.write_text("".join(f"{c}\t{s}\t{e}\tn\t{v!r}\t.\t{v / 2!r}\t-1\t-1\t5\n" for c, s, e, v in rows))
    windows = Windows.around([c for c, _ in places], [p for _, p in places], window=80, bin=16)
    edges = windows.starts[:, None] + np.arange(5) * 16
    names = np.array(windows.chromosomes)[windows.codes][:, None]
    expected = np.zeros(edges.shape)
    for chrom, start, end, number in rows:
        inside = (names == chrom) & (start < edges + 16) & (edges < end)
        number = {"score": number, "signalValue": number / 2, "presence": 1.0}[value]
        expected = np.where(inside, expected + number if statistic == "sum" else np.maximum(expected, number), expected)
    found, record = bin_peaks(path, windows, statistic=statistic, value=value)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert record["parameters"] == {"statistic": statistic, "value": value}


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ("chr1\t1\t5", "presence"),
        ("chr1\t1\t5\tname", "presence"),
        ("chr1\t1\t5\tname\t9", "score"),
        ("chr1\t1\t5\tname\t9\t+", "score"),
        ("chr1\t1\t5\tname\t9\t.\t3.5\t-1\t-1", "signalValue"),
        ("chr1\t1\t5\tname\t9\t.\t1\t5\t255,0,0", "score"),
        ("chr1\t1\t5\tname\t9\t.\t1\t5\t0", "score"),
        ("chr1\t1\t5\tname\t9\t.\t3.5\t-1\t-1\t2", "signalValue"),
        ("chr1\t1\t5\tname\t9\t.\t1\t5\t0\t1\t4\t0", "score"),
    ],
)
def test_the_value_goes_by_the_number_of_columns(tmp_path: Path, row: str, value: str) -> None:
    path = tmp_path / "x.bed"
    path.write_text(f"track name=x\n{row}\n")
    assert choose_value(path) == value


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *[("7", 7), ("7.25", 7.25), ("-1.00000", -1), ("1e3", 1000), ("1.5E-3", 0.0015), (".5", 0.5), ("+2.", 2)],
        *[("0.000000000000000000000000012345", 1.2345e-26), ("123456789012345678901234567890", 1.2345678901234568e29)],
    ],
)
def test_numbers_are_read_in_every_spelling(tmp_path: Path, text: str, number: float) -> None:
    path = tmp_path / "x.bed"
    path.write_text(f"chr1\t1\t5\t.\t{text}\n")
    values, _ = bin_peaks(path, Windows.around(["chr1"], [3], window=2, bin=2))
    assert values[0, 0] == np.float32(number)


@pytest.mark.parametrize("text", ["", ".", "x", "1.2.3", "1e", "e5", "nan", "inf", "1e999", "1,5", "- 1", "0x10"])
def test_text_in_a_number_column_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.bed"
    path.write_text(f"chr1\t1\t5\t.\t3\nchr1\t1\t5\t.\t{text}\n")
    with pytest.raises(InputError, match=r"line 2: value .* in column 5 is not a number"):
        bin_peaks(path, Windows.around(["chr1"], [3], window=2, bin=2))


def test_a_value_that_the_file_lacks_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.bed"
    path.write_text("chr1\t1\t5\n")
    with pytest.raises(InputError, match="line 1: has 3 columns, expected at least 7"):
        bin_peaks(path, Windows.around(["chr1"], [3], window=2, bin=2), value="signalValue")
    with pytest.raises(InputError, match="unknown statistic 'mean' of peaks"):
        bin_peaks(path, Windows.around(["chr1"], [3]), statistic="mean")
    with pytest.raises(InputError, match="unknown value 'height' of peaks"):
        bin_peaks(path, Windows.around(["chr1"], [3]), value="height")
