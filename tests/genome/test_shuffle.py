import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from regulome.genome.letters import encode
from regulome.genome.shuffle import shuffle_dinucleotides


def pairs(row) -> Counter:
    return Counter(zip(row[:-1].tolist(), row[1:].tolist(), strict=True))


def all_shuffles(sequence: list[int]) -> list[tuple[int, ...]]:
    """Enumerate the sequences with the same pairs and first letter (the last one follows)."""
    found, left = set(), Counter(itertools.pairwise(sequence))

    def walk(path: list[int]) -> None:
        if len(path) == len(sequence):
            found.add(tuple(path))
            return
        for letter in range(5):
            if left[path[-1], letter]:
                left[path[-1], letter] -= 1
                walk([*path, letter])
                left[path[-1], letter] += 1

    walk([sequence[0]])
    return sorted(found)


@given(st.lists(st.lists(st.integers(0, 4), max_size=60), max_size=8), st.integers(0, 2**64 - 1))
def test_pairs_and_ends_are_kept(rows, seed):
    codes = np.array([code for row in rows for code in row], dtype=np.uint8)
    offsets = np.cumsum([0, *map(len, rows)])
    shuffled = shuffle_dinucleotides(codes, seed=seed, offsets=offsets)
    for begin, end in itertools.pairwise(offsets):
        before, after = codes[begin:end], shuffled[begin:end]
        assert pairs(before) == pairs(after)
        assert (before[:1] == after[:1]).all()
        assert (before[-1:] == after[-1:]).all()


@pytest.mark.parametrize("text", ["ACAGACCAGTAC", "ACGCATGACTTG", "AACAACAGAA", "ANANCNAACNA", "CACACACGCGTGTC"])
def test_all_shuffles_are_equally_likely(text):
    sequence = encode(text)
    every = all_shuffles(sequence.tolist())
    assert len(every) > 5
    drawn = shuffle_dinucleotides(np.tile(sequence, (400 * len(every), 1)), seed=3)
    counts = Counter(map(tuple, drawn.tolist()))
    assert set(counts) == set(every)
    assert chisquare([counts[other] for other in every]).pvalue > 1e-3


def test_a_row_depends_on_its_number_and_the_seed_alone():
    codes = np.random.default_rng(1).integers(0, 4, (50, 101), dtype=np.uint8)
    whole = shuffle_dinucleotides(codes, seed=7)
    np.testing.assert_array_equal(shuffle_dinucleotides(codes[20:], seed=7, first_row=20), whole[20:])
    ragged = shuffle_dinucleotides(codes.reshape(-1), seed=7, offsets=np.arange(51) * 101)
    np.testing.assert_array_equal(ragged.reshape(50, 101), whole)
    assert (shuffle_dinucleotides(codes, seed=8) != whole).any(axis=1).all()
    assert (whole != codes).any(axis=1).all()
    same = shuffle_dinucleotides(np.tile(codes[:1], (2, 1)), seed=7)
    assert (same[0] != same[1]).any()


def test_long_runs_with_one_way_out_are_quick():
    codes = np.array([0, 1] * 100_000 + [2, 0, 1] + [2, 3] * 100_000 + [0, 3], dtype=np.uint8)
    assert pairs(shuffle_dinucleotides(codes[None], seed=1)[0]) == pairs(codes)
