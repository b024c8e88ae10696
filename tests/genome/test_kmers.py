import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

from regulome.errors import InputError
from regulome.genome import kmers
from regulome.genome.kmers import count_kmers, kmer_names
from regulome.genome.letters import decode


def oracle(texts: list[str], k_min: int, k_max: int):
    counter = CountVectorizer(
        analyzer="char", ngram_range=(k_min, k_max), lowercase=False, vocabulary=kmer_names(k_min, k_max)
    )
    return counter.transform(texts)


@pytest.mark.parametrize(("k_min", "k_max"), [(1, 5), (3, 3), (2, 6), (1, 1)])
def test_counts_equal_scikit_learn(k_min, k_max):
    codes = np.random.default_rng(1).choice(5, (60, 150), p=[0.3, 0.3, 0.2, 0.15, 0.05]).astype(np.uint8)
    table = count_kmers(codes, k_max, k_min)
    assert table.dtype == np.float32
    assert table.has_canonical_format
    assert (table != oracle([decode(row) for row in codes], k_min, k_max)).nnz == 0


@given(st.lists(st.text(alphabet="ACGTN", max_size=30), max_size=12), st.integers(1, 3), st.integers(0, 2))
def test_unequal_lengths(texts, k_min, more):
    codes = np.array(["ACGTN".index(c) for text in texts for c in text], dtype=np.uint8)
    offsets = np.cumsum([0, *map(len, texts)])
    table = count_kmers(codes, k_min + more, k_min, offsets=offsets).toarray()
    for text, row in zip(texts, table, strict=True):
        for name, count in zip(kmer_names(k_min, k_min + more), row.tolist(), strict=True):
            places = range(len(text) - len(name) + 1)
            assert count == sum(text.startswith(name, i) for i in places)


def test_parts_make_no_difference(monkeypatch):
    codes = np.random.default_rng(2).integers(0, 5, (500, 40), dtype=np.uint8)
    whole = count_kmers(codes)
    monkeypatch.setattr(kmers, "_ENTRIES", 1_000)
    assert (whole != count_kmers(codes)).nnz == 0


def test_names_and_bounds():
    names = kmer_names()
    assert len(names) == 1364
    assert names[:5] == ["A", "C", "G", "T", "AA"]
    assert names[-1] == "TTTTT"
    assert count_kmers(np.zeros((0, 10), dtype=np.uint8)).shape == (0, 1364)
    with pytest.raises(InputError, match="from 1 to 12"):
        count_kmers([[0]], 13)
    with pytest.raises(ValueError, match="offsets must ascend"):
        count_kmers([0, 1], offsets=[0, 3])
    with pytest.raises(ValueError, match=r"expected \[n, L\]"):
        count_kmers([0, 1])
