import struct

import numpy as np
import py2bit
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.genome.two_bit_writer import write_two_bit

from regulome.errors import InputError
from regulome.genome import twobit
from regulome.genome.letters import decode
from regulome.genome.twobit import TwoBit, is_two_bit

texts = st.lists(st.text(alphabet="ACGTNacgtn", min_size=1, max_size=200), min_size=1, max_size=5)


@given(texts, st.sampled_from("<>"), st.sampled_from([0, 1]), st.sampled_from([4, 64, 1 << 22]), st.data())
def test_sequences_come_back(tmp_path_factory, sequences, order, version, piece, data):
    named = {f"chr{i}ß": text for i, text in enumerate(sequences)}
    path = write_two_bit(tmp_path_factory.mktemp("2bit") / "x.2bit", named, order=order, version=version)
    packed = TwoBit(path)
    assert is_two_bit(path)
    assert packed.names == tuple(named)
    assert packed.lengths == {name: len(text) for name, text in named.items()}
    for name, text in named.items():
        assert decode(packed.codes(name)) == text.upper()
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, len(text)))
        assert decode(packed.codes(name, start, end)) == text[start:end].upper()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(twobit, "_PIECE", piece)
        assert decode(np.concatenate([codes.copy() for codes in packed])) == "".join(sequences).upper()
    names, offsets = packed.finish()
    assert names == list(named)
    assert np.diff(offsets).tolist() == [*map(len, sequences)]


def test_the_same_as_py2bit(tmp_path):
    random = np.random.default_rng(4)
    named = {f"chr{i}": "".join(random.choice(list("ACGTNacgtn"), 1_000 + i)) for i in range(5)}
    path = write_two_bit(tmp_path / "x.2bit", named)
    other = py2bit.open(str(path))
    packed = TwoBit(path)
    assert other.chroms() == packed.lengths
    for name in named:
        assert other.sequence(name) == decode(packed.codes(name))
    other.close()


def test_damaged_files(tmp_path):
    whole = write_two_bit(tmp_path / "x.2bit", {"chr1": "ACGTNNNACG" * 10, "chr2": "ACGT" * 30}).read_bytes()
    path = tmp_path / "y.2bit"
    for length in [*range(4, 40), len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"2bit is damaged or ends early .*again"):
            TwoBit(path)
    path.write_bytes(b">chr1\nACGT\n")
    with pytest.raises(InputError, match="is not 2bit"):
        TwoBit(path)
    path.write_bytes(whole[:4] + struct.pack("<I", 2) + whole[8:])
    with pytest.raises(InputError, match="2bit of version 2"):
        TwoBit(path)
    path.write_bytes(whole.replace(b"chr2", b"chr1"))
    with pytest.raises(InputError, match="chr1: the name is used twice"):
        TwoBit(path)
    path.write_bytes(whole.replace(b"chr2", b"\xff\xff\xff\xff"))
    with pytest.raises(InputError, match="record 2: its name is not UTF-8"):
        TwoBit(path)
    with pytest.raises(InputError, match="chr1: has no sequence"):
        TwoBit(write_two_bit(path, {"chr1": ""}))
    with pytest.raises(InputError, match="has no sequence"):
        TwoBit(write_two_bit(path, {}))
    with pytest.raises(ValueError, match="bases 0 to 101 of 100"):
        TwoBit(tmp_path / "x.2bit").codes("chr1", 0, 101)
