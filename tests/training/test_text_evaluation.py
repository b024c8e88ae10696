"""Metrics of blocks of a text, against sums over letters and a simulation."""

import math

import numpy as np
import polars as pl
import pytest

from regulome.errors import InputError
from regulome.training.comparison import _difference
from regulome.training.text_evaluation import evaluate_text, replicate_text


def blocks(rng, n, *, mean=1.9, between=0.1):
    """Blocks of many lengths, each with a level of its own; the expected bits do not depend on the length."""
    letters = rng.integers(1, 400, n)
    bits = np.maximum(mean + rng.normal(0, between, n), 0)
    return pl.DataFrame({"letters": letters, "bits": bits, "accuracy": rng.uniform(0.2, 0.4, n)})


def test_letters_count_alike_however_long_their_block_is():
    table = pl.DataFrame({"letters": [100, 300, 0], "bits": [1.0, 2.0, None], "accuracy": [0.5, 0.25, None]})
    found = evaluate_text(table)
    assert (found["n"], found["letters"]) == (3, 400)
    assert found["bits_per_base"]["value"] == pytest.approx(700 / 400)
    assert found["perplexity"]["value"] == pytest.approx(2 ** (700 / 400))
    assert found["perplexity"]["value"] == pytest.approx(math.exp((100 * math.log(2) + 300 * math.log(4)) / 400))
    assert found["accuracy"]["value"] == pytest.approx((50 + 75) / 400)
    # Resamples have between nothing but the easy block and nothing but the hard one.
    assert 1 <= found["bits_per_base"]["low"] < 1.75 < found["bits_per_base"]["high"] <= 2


def test_resamples_are_those_of_blocks():
    table = blocks(np.random.default_rng(0), 40)
    found = replicate_text(table, replicates=50, seed=3)["bits_per_base"]
    assert np.array_equal(found, replicate_text(table, replicates=50, seed=3)["bits_per_base"])
    generator = np.random.default_rng(3)
    for value in found[1:]:
        some = table[generator.integers(0, 40, 40)]
        assert value == pytest.approx((some["bits"] * some["letters"]).sum() / some["letters"].sum())


def test_the_interval_covers():
    rng = np.random.default_rng(1)
    covered = 0
    for number in range(200):
        low, high = (
            evaluate_text(blocks(rng, 60), replicates=200, seed=number)["bits_per_base"][e] for e in ("low", "high")
        )
        covered += low < 1.9 < high
    # Percentile intervals of 60 blocks cover a little less than 95 %; chance is 3 of 200 either way.
    assert 0.89 <= covered / 200 <= 0.98


def test_less_is_better():
    table = blocks(np.random.default_rng(2), 40)
    worse = table.with_columns(pl.col("bits") + 0.05)
    a, b = replicate_text(table), replicate_text(worse)
    for metric in ("perplexity", "bits_per_base"):
        assert _difference(metric, "a", "b", a[metric], b[metric])["better"] == "a"
    assert _difference("accuracy", "a", "b", a["accuracy"], b["accuracy"])["better"] is None


def test_nothing_scored_is_told():
    table = pl.DataFrame({"letters": [0], "bits": [None], "accuracy": [None]})
    with pytest.raises(InputError, match="no letters to evaluate"):
        evaluate_text(table)
