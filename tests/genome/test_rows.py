import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regulome.errors import InputError
from regulome.genome.chromosomes import Names
from regulome.genome.rows import Rows, first_rows

fields = st.sampled_from(
    ["chr1", "chr2", "chrUn", "0", "7", "12", "007", "2147483647", "2147483648", "", "x", "-1", "+", "-"]
)
fields |= st.sampled_from(["1.5", "-2e3", "1e", ".", " 5", "5 ", "\x07", "ü", "track", "#"])
lines = st.lists(st.lists(fields, min_size=1, max_size=7).map("\t".join), max_size=12)
ends = st.sampled_from(["\n", "\r\n"])


def number(text: str) -> float | None:
    """Read a decimal number as the row parser does: no white space, no words, no underscores."""
    try:
        return float(text) if text and set(text) <= set("0123456789+-.eE") else None
    except ValueError:
        return None


def reference(text: list[str], sizes: dict[str, int]) -> tuple[list[tuple[str, int, int, str, float]], list[int]]:
    """Parse tab-separated rows the slow way: those that are valid, and the lines of those that are not."""
    good, bad, columns = [], [], 0
    for line, row in enumerate(text, start=1):
        if not row.strip(" \t\r") or row.startswith(("#", "track ")) or row in {"track", "browser"}:
            continue
        values = row.split("\t")
        if not columns and len(values) >= 6:
            columns = len(values)
        if len(values) != columns or columns < 6:
            bad.append(line)
            continue
        start, end = ((int(v) if v.isascii() and v.isdigit() else 2**31) for v in values[1:3])
        value = number(values[4])
        limit = min(sizes.get(values[0], 2**31 - 1), 2**31 - 1)
        if start >= end or end > limit or value is None or values[5] not in {"+", "-"}:
            bad.append(line)
        else:
            good.append((values[0], start, end, values[5], value))
    return good, bad


@settings(max_examples=400, deadline=None)
@given(lines, ends, st.booleans())
def test_rows_equal_a_slow_parser(
    tmp_path_factory: pytest.TempPathFactory, text: list[str], end: str, compressed: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / ("x.bed.gz" if compressed else "x.bed")
    # The first row settles that columns are separated by tabs.
    text = ["chr1\t1\t2\tname\t3\t+", *text]
    data = (end.join(text) + end).encode()
    path.write_bytes(gzip.compress(data) if compressed else data)
    wanted, sizes = ["chr1", "chr2"], {"chr2": 10}
    rows = Rows(path, Names(wanted, sizes=sizes, file=path), strand=True, value=5, skip_invalid=True)
    found = [
        (wanted[code], start, stop, "+-"[reverse], value)
        for block in rows
        for code, start, stop, reverse, value in zip(
            block.codes.tolist(), block.starts.tolist(), block.ends.tolist(), block.reverse.tolist(),
            block.values.tolist(), strict=True,
        )
    ]  # fmt: skip
    good, bad = reference(text, sizes)
    # A number is no name of a chromosome where the chromosomes are known.
    unknown = [row for row in good if row[0].isdigit()]
    assert found == [row for row in good if row[0] in wanted]
    assert rows.tally.skipped == len(bad) + len(unknown)
    assert rows.tally.records == len(good) - len(unknown)
    assert rows.tally.rows.tolist() == [sum(row[0] == name for row in good) for name in wanted]
    if bad and not unknown and rows.tally.first_skipped:
        assert rows.tally.first_skipped[0] == bad[0]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text("chr1\t 09\n\r+-.#e", max_size=120).map(str.encode))
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "x.bed"
    path.write_bytes(data)
    for skip_invalid in (False, True):
        rows = Rows(path, Names(["chr1"], file=path), strand=True, value=5, skip_invalid=skip_invalid)
        message = ""
        try:
            list(rows)
        except InputError as error:
            message = str(error)
        assert message or rows.tally.records
        assert "\n" not in message


def test_many_names_and_unsorted_rows(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    names = [f"contig_{i}" for i in range(3_000)]
    order = random.integers(0, 3_000, 20_000)
    path = tmp_path / "x.bed"
    path.write_text("".join(f"{names[i]}\t{j}\t{j + 1}\n" for j, i in enumerate(order.tolist())))
    rows = Rows(path, Names(names, file=path))
    codes, starts = zip(*((block.codes.copy(), block.starts.copy()) for block in rows), strict=True)
    assert np.array_equal(np.concatenate(codes), order)
    assert np.array_equal(np.concatenate(starts), np.arange(20_000))


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regulome.genome.rows._LONGEST_LINE", 1 << 20)
    path = tmp_path / "x.bed"
    path.write_text("chr1\t1\t2\nchr1" + "x" * (1 << 21))
    with pytest.raises(InputError, match="line 2: line is too long for a table"):
        list(Rows(path, Names(["chr1"], file=path)))


def test_the_first_rows_are_those_below_the_header(tmp_path: Path) -> None:
    path = tmp_path / "x.bed.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf# x\ntrack name=a\nbrowser position chr1\n\nchr1 1 2\r\nchr1 3 4\n"))
    assert first_rows(path, 5) == [["chr1", "1", "2"], ["chr1", "3", "4"]]
    path.write_bytes(gzip.compress(b"# x\n"))
    with pytest.raises(InputError, match="has no rows"):
        first_rows(path, 5)
    path.write_bytes(b"BZh91AY")
    with pytest.raises(InputError, match="is compressed with bzip2"):
        first_rows(path, 5)
