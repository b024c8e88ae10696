"""Counting the contexts of a Markov model, and learning its mixing weights, on a text of 2-bit letters.

Ours: :func:`regulome.models.markov_counts.count_contexts`, which counts all orders up to k, on 20 million random
letters. Peers, of words of k + 1 letters only, k = 8: ``numpy.bincount`` of the words' numbers on 2 million of these
letters (``peer``), and a ``collections.Counter`` of the words in Python on 200,000 (``counter``). The counts are equal.
``orders`` gives ours for k from 1 to 12; ``training`` for k = 8 with everything that :command:`regulome train` does to
make probabilities: weights learned on a part, counts of all, probabilities mixed.

Millions of letters per CPU second, median of interleaved repetitions.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.measure import interleaved, result
from regulome.genome.letters import decode, pack
from regulome.models.markov_counts import count_contexts
from regulome.models.markov_mixing import learn_weights, mix_orders

_LETTERS, _NUMPY, _PYTHON, _ORDER = 20_000_000, 2_000_000, 200_000, 8


def run(data_dir: Path) -> dict[str, object]:
    codes = np.random.default_rng(7).integers(0, 4, _LETTERS, dtype=np.uint8)
    letters = pack(codes)[0]
    _check(codes[:_PYTHON], letters)
    text = decode(codes[:_PYTHON])
    rate = _rates(
        {
            "ours": (_LETTERS, lambda: _ours(letters, _LETTERS)),
            "numpy": (_NUMPY, lambda: _numpy(codes[:_NUMPY])),
            "counter": (_PYTHON, lambda: _counter(text)),
            "training": (_LETTERS, lambda: _train(letters)),
        }
    )
    orders = {k: (_LETTERS, lambda k=k: _ours(letters, _LETTERS, k)) for k in range(1, 13)}
    return result(
        rate["ours"],
        rate["numpy"],
        unit="Mb/CPU s",
        peer_name=f"numpy.bincount (numpy {np.__version__})",
        counter=round(rate["counter"], 2),
        training=round(rate["training"], 1),
        orders={str(k): round(value, 1) for k, value in _rates(orders).items()},
    )


def _rates(works: dict) -> dict:
    for _, work in works.values():
        work()
    times = interleaved({name: work for name, (_, work) in works.items()}, repeats=3)
    return {name: works[name][0] / 1e6 / time for name, time in times.items()}


def _ours(letters: np.ndarray, n: int, order: int = _ORDER) -> np.ndarray:
    return count_contexts(letters, [[0, n]], order)[order].ravel()


def _numpy(codes: np.ndarray) -> np.ndarray:
    n = len(codes) - _ORDER
    words = np.zeros(n, np.int64)
    for i in range(_ORDER + 1):
        words = 4 * words + codes[i : n + i]
    return np.bincount(words, minlength=4 ** (_ORDER + 1))


def _counter(text: str) -> Counter[str]:
    return Counter(text[i : i + _ORDER + 1] for i in range(len(text) - _ORDER))


def _train(letters: np.ndarray) -> None:
    where = [[0, _LETTERS]]
    weights = learn_weights(letters, where, _ORDER)
    for _ in mix_orders(count_contexts(letters, where, _ORDER), weights):
        pass


def _check(codes: np.ndarray, letters: np.ndarray) -> None:
    ours, peer = _ours(letters, len(codes)), _numpy(codes)
    plain = sorted(_counter(decode(codes)).values())
    if (ours != peer).any() or sorted(ours[ours > 0].tolist()) != plain:
        raise AssertionError("the counts differ")
