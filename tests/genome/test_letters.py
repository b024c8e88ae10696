import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulome.errors import InputError
from regulome.genome.letters import CODE_OF, INVALID, decode, encode, one_hot, pack, reverse_complement, unpack

IUPAC = "ACGTURYSWKMBDHVN"
texts = st.text(alphabet=IUPAC + IUPAC.lower(), max_size=300)
codes_1d = st.lists(st.integers(0, 4), max_size=200).map(lambda x: np.array(x, dtype=np.uint8))


def expected(text: str) -> list[int]:
    return ["ACGT".find(c) if c in "ACGT" else 4 for c in text.upper().replace("U", "T")]


@given(texts)
def test_letters_there_and_back(text):
    codes = encode(text)
    assert codes.dtype == np.uint8
    assert codes.tolist() == encode(text.encode()).tolist() == expected(text)
    plain = "".join(c if c in "ACGT" else "N" for c in text.upper().replace("U", "T"))
    assert decode(codes) == plain
    complement = plain[::-1].translate(str.maketrans("ACGT", "TGCA"))
    assert decode(reverse_complement(codes)) == complement
    assert (reverse_complement(reverse_complement(codes)) == codes).all()


def test_every_byte_is_a_letter_or_refused():
    for byte in range(256):
        known = chr(byte) in IUPAC + IUPAC.lower()
        assert (CODE_OF[byte] != INVALID) == known
        text = b"ACGT" * 20 + bytes([byte])
        if known:
            assert encode(text)[-1] == expected(chr(byte))[0]
        else:
            with pytest.raises(InputError, match="at position 81 is no letter of DNA"):
                encode(text)


@pytest.mark.parametrize(("letter", "cure"), [("E", "protein"), ("-", "gaps"), ("X", "as N"), ("é", "IUPAC")])
def test_refused_letters_come_with_a_cure(letter, cure):
    with pytest.raises(InputError, match=cure):
        encode("ACG" + letter)


def test_shapes_are_kept():
    text = np.frombuffer(b"ACGTNA", dtype=np.uint8).reshape(2, 3)
    assert encode(text).tolist() == [[0, 1, 2], [3, 4, 0]]
    assert reverse_complement([[0, 1, 4], [3, 3, 2]]).tolist() == [[4, 2, 3], [1, 0, 0]]


@given(st.integers(0, 4), st.integers(0, 70), st.sampled_from([0.0, 0.25]), st.randoms(use_true_random=False))
def test_one_hot_is_a_row_of_the_identity(n, length, unknown, random):
    codes = np.array([[random.randrange(5) for _ in range(length)] for _ in range(n)], dtype=np.uint8)
    table = np.vstack([np.eye(4), np.full((1, 4), unknown)]).astype(np.float32)
    wanted = table[codes.reshape(n, length)].transpose(0, 2, 1)
    result = one_hot(codes.reshape(n, length), unknown)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, wanted)


@given(codes_1d, st.data())
def test_pack_and_unpack(codes, data):
    packed, runs = pack(codes)
    assert len(packed) == (len(codes) + 3) // 4
    known = np.where(codes < 4, codes, 0)
    for i in range(len(codes)):
        assert (packed[i // 4] >> (2 * (i % 4))) & 3 == known[i]
    inside = np.zeros(len(codes), dtype=bool)
    for begin, end in runs.tolist():
        assert begin < end
        assert not inside[max(begin - 1, 0) : end].any()
        inside[begin:end] = True
    np.testing.assert_array_equal(inside, codes == 4)
    start = data.draw(st.integers(0, len(codes)))
    end = data.draw(st.integers(start, len(codes)))
    np.testing.assert_array_equal(unpack(packed, runs, start, end), codes[start:end])


def test_unpack_refuses_what_is_not_there():
    packed, runs = pack([0, 1, 2])
    with pytest.raises(ValueError, match="bases 0 to 5 of 4"):
        unpack(packed, runs, 0, 5)
