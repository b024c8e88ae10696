import gzip
import os

import numpy as np
import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulome.errors import InputError
from regulome.genome import fasta as module
from regulome.genome.fasta import Fasta, read_sequences, stale_index
from regulome.genome.letters import decode

LETTERS = "ACGTUNRYSWKMBDHVacgtunryswkmbdhv"
sequences = st.text(alphabet=LETTERS, min_size=1, max_size=400)
# The name, what follows it on the line, and a width of lines for each record.
records = st.lists(st.tuples(sequences, st.sampled_from(["", " a b", "\tx", " >"]), st.integers(1, 130)), max_size=8)


def plain(text: str) -> str:
    return "".join(c if c in "ACGT" else "N" for c in text.upper().replace("U", "T"))


def write(path, data: bytes, compression: str = "none"):
    if compression == "gzip":
        data = gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :])
    if compression == "bgzip":
        with pysam.BGZFile(str(path), "w") as stream:
            stream.write(data)
    else:
        path.write_bytes(data)
    return path


@given(
    records.filter(bool),
    st.sampled_from(["\n", "\r\n", " \n", "\n\n", " \r\n"]),
    st.booleans(),
    st.sampled_from(["none", "gzip", "bgzip"]),
    st.sampled_from([7, 64, 1 << 22]),
    st.sampled_from([b"", b"\xef\xbb\xbf", b"\n \n"]),
)
def test_records_come_back(tmp_path_factory, rows, end, ended, compression, piece, before):
    text = ""
    for i, (sequence, description, width) in enumerate(rows):
        lines = [sequence[at : at + width] for at in range(0, len(sequence), width)]
        text += end.join([f">näme{i}{description}", *lines, ""])
    data = before + (text if ended else text.rstrip("\r\n ")).encode()
    path = write(tmp_path_factory.mktemp("fasta") / "x.fa", data, compression)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", piece)
        found = read_sequences(path)
    assert found.names == [f"näme{i}" for i in range(len(rows))]
    assert len(found) == len(rows)
    assert found.lengths.tolist() == [len(sequence) for sequence, _, _ in rows]
    for i, (sequence, _, _) in enumerate(rows):
        assert decode(found.codes[found.offsets[i] : found.offsets[i + 1]]) == plain(sequence)


def test_the_same_as_pysam(tmp_path):
    random = np.random.default_rng(3)
    texts = {f"chr{i}": "".join(random.choice(list("ACGTacgtN"), 70 * i + i)) for i in range(1, 20)}
    path = tmp_path / "x.fa"
    path.write_text("".join(f">{name} d\n" + "\n".join(_lines(text)) + "\n" for name, text in texts.items()))
    found = read_sequences(path)
    with pysam.FastaFile(str(path)) as other:
        assert list(other.references) == found.names
        for i, name in enumerate(found.names):
            codes = found.codes[found.offsets[i] : found.offsets[i + 1]]
            assert decode(codes) == other.fetch(name).upper() == texts[name].upper()


def _lines(text: str) -> list[str]:
    return [text[i : i + 60] for i in range(0, len(text), 60)]


BAD = [
    (b"hello\n>a\nACG\n", "line 1: has text before the first >"),
    (b"\n\n", "has no record, no line begins with >"),
    (b">a\nACG\nACEFG\n", "a: 'E' at position 6 \\(line 3\\) is no letter of DNA .*protein"),
    (b">b d\nAC-GT\n", "b: '-' at position 3 .*take the gaps out"),
    (b">b\nAC\0GT\n", "b: byte 0x00 at position 3"),
    (b">a\nACG\n>b\nACG\n>a\nACG\n", "a: the name is used twice, by record 1 and again by record 3"),
    (b">a\n>b\nACG\n", "a: has no sequence"),
    (b">a\nACG\n>b", "b: has no sequence"),
    (b">a\nACG\n> \nACG\n", "record 2: has no name"),
    (b">a\nACG\n>\xff\nACG\n", "record 2: its name is not UTF-8 text"),
]


@pytest.mark.parametrize(("data", "message"), BAD)
def test_bad_files_are_told_in_one_line(tmp_path, data, message):
    path = write(tmp_path / "x.fa", data)
    with pytest.raises(InputError, match=message) as caught:
        read_sequences(path)
    assert str(caught.value).startswith(str(path))
    assert caught.value.cure
    assert "\n" not in str(caught.value)


def test_all_problems_are_collected(tmp_path):
    path = write(tmp_path / "x.fa", b"".join(data for data, _ in BAD if b"\xff" not in data).replace(b"hello", b"?"))
    fasta = Fasta(path, strict=False)
    n = sum(len(codes) for codes in fasta)
    names, offsets = fasta.finish()
    assert (names[0], len(names), offsets[-1]) == ("a", 12, n)
    told = " | ".join(map(str, fasta.problems))
    assert fasta.n_problems == len(fasta.problems) == 14
    for word in (
        "text before",
        "'E' at",
        "'-' at",
        "0x00 at",
        "again by record 5",
        "no sequence",
        "no name",
    ):
        assert word in told


def test_many_problems_are_counted(tmp_path):
    path = write(tmp_path / "x.fa", b"".join(b">s%d\nMEV\n" % i for i in range(300)))
    fasta = Fasta(path, strict=False)
    for _ in fasta:
        pass
    fasta.finish()
    assert len(fasta.problems) == module.KEPT_PROBLEMS
    assert fasta.n_problems == 300


def test_a_cut_gzip_file(tmp_path):
    data = gzip.compress(b">a\n" + np.random.default_rng(0).choice(np.frombuffer(b"ACGT", np.uint8), 99_999).tobytes())
    path = write(tmp_path / "x.fa.gz", data[:-2_000])
    with pytest.raises(InputError, match="gzip ends early"):
        read_sequences(path)


def test_an_index_that_does_not_fit(tmp_path):
    path = write(tmp_path / "x.fa", b">a\nACGT\n>b\nAC\n")
    lengths = {"a": 4, "b": 2}
    assert stale_index(path, lengths) is None
    pysam.faidx(str(path))
    assert stale_index(path, lengths) is None
    os.utime(path.with_name("x.fa.fai"), (1, 1))
    assert stale_index(path, lengths) == "its index x.fa.fai is older than it and was not used"
    assert stale_index(path, {"a": 4, "b": 3}) == "its index x.fa.fai contradicts it and was not used"
