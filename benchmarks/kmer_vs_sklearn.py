"""Counts of all words of 1 to 5 letters in sequences, as a sparse table of 1,364 columns.

Ours: :func:`regulome.genome.count_kmers` on codes. Peer: scikit-learn's ``CountVectorizer(analyzer="char",
ngram_range=(1, 5))`` with the same words as its vocabulary, on strings. 2,000 sequences of 1,000 bases, as DeepSEA's
windows; ``short`` gives ours and the ratio on 10,000 sequences of 101 bases, as DeepBind's. The tables are equal.

Millions of bases per CPU second, median of interleaved repetitions.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import sklearn
from sklearn.feature_extraction.text import CountVectorizer

from benchmarks.measure import interleaved, result
from regulome.genome.kmers import count_kmers, kmer_names
from regulome.genome.letters import decode


def run(data_dir: Path) -> dict[str, object]:
    random = np.random.default_rng(7)
    long = _compare(random.integers(0, 4, (2_000, 1_000), dtype=np.uint8))
    short = _compare(random.integers(0, 4, (10_000, 101), dtype=np.uint8))
    return result(
        long["ours"],
        long["peer"],
        unit="Mb/CPU s",
        peer_name=f"CountVectorizer (scikit-learn {sklearn.__version__})",
        short={"ours": round(short["ours"], 1), "ratio": round(short["ours"] / short["peer"], 1)},
    )


def _compare(codes: np.ndarray) -> dict[str, float]:
    texts = [decode(row) for row in codes]
    vectorizer = CountVectorizer(analyzer="char", ngram_range=(1, 5), lowercase=False, vocabulary=kmer_names(1, 5))
    tables = {"ours": count_kmers(codes), "peer": vectorizer.transform(texts)}
    if (tables["ours"] != tables["peer"]).nnz:
        raise AssertionError("the tables differ")
    works = {"ours": lambda: count_kmers(codes), "peer": lambda: vectorizer.transform(texts)}
    return {name: codes.size / 1e6 / time for name, time in interleaved(works, repeats=3).items()}
