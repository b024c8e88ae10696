import numpy as np
import pytest

from regulome.genome import encode, read_sequences
from regulome.genome.fasta_writer import write_record


@pytest.mark.parametrize("n", [1, 59, 60, 61, 120, 1_000])
def test_what_is_written_is_read(tmp_path, n):
    codes = np.random.default_rng(n).integers(0, 5, n, dtype=np.uint8)
    with (tmp_path / "x.fa").open("wb") as stream:
        write_record(stream, "a first", codes)
        write_record(stream, "b", codes[::-1], small=codes[::-1] < 2)
    found = read_sequences(tmp_path / "x.fa")
    assert found.names == ["a", "b"]
    assert (found.codes == np.r_[codes, codes[::-1]]).all()
    lines = (tmp_path / "x.fa").read_bytes().splitlines()
    assert max(map(len, lines)) <= 60


def test_masked_letters_are_small(tmp_path):
    with (tmp_path / "x.fa").open("wb") as stream:
        write_record(stream, "a", encode("ACGTN"), small=np.array([True, False, True, False, True]))
    assert (tmp_path / "x.fa").read_bytes() == b">a\naCgTN\n"
