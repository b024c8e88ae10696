from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.explain.small_text import periodic_text

from regulome.datasets.language_text import Text
from regulome.explain.text_words import compare_words, equal_letters, some_text, word_shares, words_apart


def test_text_is_read_from_all_over(tmp_path: Path) -> None:
    periodic = periodic_text(tmp_path)
    text = Text(periodic)
    codes = some_text(periodic, np.arange(len(periodic)), 600)
    assert codes.shape == (1, 600)
    whole = text.codes(0, text.total).tobytes()
    assert all(row.tobytes() in whole for row in some_text(periodic, [2, 3, 9], 1000))


@settings(max_examples=40)
@given(rows=st.integers(1, 4), letters=st.integers(1, 30), k=st.integers(1, 4), seed=st.integers(0, 9))
def test_words_are_counted_within_each_text(rows: int, letters: int, k: int, seed: int) -> None:
    codes = np.random.default_rng(seed).integers(0, 4, (rows, letters)).astype(np.uint8)
    texts = ["".join("ACGT"[code] for code in row) for row in codes]
    counts = Counter(text[i : i + k] for text in texts for i in range(letters - k + 1))
    table = compare_words(codes, codes, k)
    assert table["word"].to_list() == sorted(table["word"])
    total = max(counts.total(), 1)
    assert table["text"].to_list() == pytest.approx([counts[word] / total for word in table["word"]])
    assert table["gc"].to_list() == pytest.approx([sum(c in "GC" for c in word) / k for word in table["word"]])
    shares = word_shares(codes, 1)
    expected = [np.prod([shares["ACGT".index(c)] for c in word]) for word in table["word"]]
    assert table["composition"].to_list() == pytest.approx(expected)
    assert words_apart(table) == 0


def test_how_far_words_are_apart() -> None:
    table = pl.DataFrame({"text": [0.5, 0.5, 0.0], "sample": [0.5, 0.25, 0.25]})
    assert words_apart(table) == pytest.approx(0.25)


def test_equal_letters_show_a_period() -> None:
    rng = np.random.default_rng(0)
    frame = np.stack([rng.integers(0, 4, 4000), np.full(4000, 2), rng.integers(0, 4, 4000)], axis=1)
    found = equal_letters(frame.reshape(10, -1).astype(np.uint8), 6)
    # One of three places always holds a G, the others all four alike: 1/3 + 2/3 · 1/4 in frame, 1/4 out of it.
    chance = 0.5**2 + 3 * (1 / 6) ** 2
    expected = np.where(np.arange(1, 7) % 3 == 0, 1 / 3 + 2 / 3 / 4, 1 / 4) - chance
    assert found == pytest.approx(expected, abs=0.02)
