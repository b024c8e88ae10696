"""Words and rhythm of texts: what a model writes beside what it was to learn."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome.datasets.dataset import Dataset
from regulome.datasets.language_text import Text
from regulome.explain.text_places import even_places, text_spans

Codes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

# Letters of the stretches in which a genome's words are counted.
_STRETCH = 2000


def some_text(dataset: Dataset, rows: npt.ArrayLike, letters: int = 1_000_000) -> Codes:
    """Read stretches of blocks, evenly spread over them.

    Args:
        dataset: A dataset of the line ``"language"``.
        rows: The blocks.
        letters: About how many letters, at most.

    Returns:
        uint8 [stretches, letters].
    """
    spans = text_spans(dataset, rows)
    lengths = spans[:, 1] - spans[:, 0]
    length = int(min(_STRETCH, lengths.max(initial=1), letters))
    count = max(1, min(letters, int(lengths[lengths >= length].sum())) // length)
    return Text(dataset).windows(even_places(spans, length, count), length)


def word_shares(codes: Codes, k: int) -> Floats:
    """Count the words of k letters within each row, as shares of all.

    Args:
        codes: uint8 [texts, letters], A C G T = 0 1 2 3.
        k: Letters of a word.

    Returns:
        float64 [4^k], in the order of the alphabet; all 0 where no text is as long.
    """
    places = max(codes.shape[1] - k + 1, 0)
    index = np.zeros((len(codes), places), np.int64)
    for offset in range(k):
        index *= 4
        index += codes[:, offset : offset + places]
    return np.asarray(np.bincount(index.ravel(), minlength=4**k) / max(index.size, 1), np.float64)


def compare_words(text: Codes, sample: Codes, k: int = 4) -> pl.DataFrame:
    """Set the words of a sample against those of a text.

    Args:
        text: uint8 [stretches, letters].
        sample: uint8 [samples, letters].
        k: Letters of a word.

    Returns:
        A row per word: ``word``, ``text`` and ``sample`` (shares), ``composition`` (its share if letters were drawn one
        by one, as often as they are in the text), ``gc`` (share of G and C in it).
    """
    letters = np.array(list("ACGT"))
    digits = np.arange(4**k)[:, None] // 4 ** np.arange(k - 1, -1, -1) % 4
    return pl.DataFrame(
        {
            "word": ["".join(row) for row in letters[digits]],
            "text": word_shares(text, k),
            "sample": word_shares(sample, k),
            "composition": word_shares(text, 1)[digits].prod(axis=1),
            "gc": ((digits == 1) | (digits == 2)).mean(axis=1),
        }
    )


def words_apart(table: pl.DataFrame, column: str = "sample") -> float:
    """Share of the words that would have to be others for the text's shares: half the sum of differences, 0 to 1."""
    return float((table[column] - table["text"]).abs().sum()) / 2


def equal_letters(codes: Codes, longest: int) -> Floats:
    """Measure how much more often than by chance letters at a distance are the same.

    Coding sequence shows at every third distance: a codon's places have letters of their own.

    Args:
        codes: uint8 [texts, letters].
        longest: Largest distance; each text has more letters.

    Returns:
        float64 [longest], for the distances 1, 2 …: the share of equal pairs minus that of pairs drawn at random.
    """
    chance = float((word_shares(codes, 1) ** 2).sum())
    return np.array([(codes[:, d:] == codes[:, :-d]).mean() - chance for d in range(1, longest + 1)])
