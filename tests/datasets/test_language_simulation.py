import filecmp
import json
import re

import numpy as np
import pysam
import pytest

from regulome.datasets import Text, prepare_language, simulate_language
from regulome.datasets.simulated_text import make_source
from regulome.errors import InputError

COMPLEMENT = str.maketrans("ACGT", "TGCA")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return simulate_language(tmp_path_factory.mktemp("texts") / "w", seed=3)


def letters(file):
    """All letters of a file, read by another program."""
    with pysam.FastaFile(str(file)) as fasta:
        records = {name: fasta.fetch(name) for name in fasta.references}
    file.with_name(file.name + ".fai").unlink()
    return records


def test_the_entropy_is_that_of_the_letters(world):
    truth = json.loads((world / "truth.json").read_text())["markov"]
    records = letters(world / "markov.fa")
    assert list(records) == truth["records"] == ["chrI", "chrII", "chrIII", "chrIV"]
    whole = "".join(records.values())
    assert set(whole) == set("ACGTNacgt")
    assert whole.count("N") == truth["unknown"]
    text = re.sub("N", "", whole.upper())
    assert len(text) == truth["letters"] == 1_000_000
    # Words of four letters counted in the text, against what the truth says.
    counts = np.zeros((64, 4))
    codes = np.frombuffer(text.translate(str.maketrans("ACGT", "\0\1\2\3")).encode(), np.uint8).astype(int)
    contexts = codes[:-3] * 16 + codes[1:-2] * 4 + codes[2:-1]
    np.add.at(counts, (contexts, codes[3:]), 1)
    following = counts / counts.sum(axis=1, keepdims=True)
    assert np.abs(counts.sum(axis=1) / counts.sum() - list(truth["contexts"].values())).max() < 0.002
    assert np.abs(following - list(truth["following"].values())).max() < 0.03
    found = -(counts * np.log2(following)).sum() / counts.sum()
    assert found == pytest.approx(truth["bits_per_base"], abs=0.003)
    assert truth["perplexity"] == pytest.approx(2 ** truth["bits_per_base"])
    last = [truth["following"][text[i - 3 : i]]["ACGT".index(text[i])] for i in range(900_000, 1_000_000)]
    assert -np.log2(last).mean() == pytest.approx(truth["held_out"]["bits_per_base"])


def test_both_strands_have_one_source():
    source = make_source(np.random.default_rng(1))
    words = {
        a + b + c + d: source.contexts[i * 16 + j * 4 + k] * source.following[i * 16 + j * 4 + k, m]
        for i, a in enumerate("ACGT")
        for j, b in enumerate("ACGT")
        for k, c in enumerate("ACGT")
        for m, d in enumerate("ACGT")
    }
    assert sum(words.values()) == pytest.approx(1)
    for word, share in words.items():
        assert share == pytest.approx(words[word[::-1].translate(COMPLEMENT)])
    # A step leaves the frequencies of contexts alone.
    for context in ("ACG", "TTT", "GAC"):
        assert sum(words[a + context] for a in "ACGT") == pytest.approx(sum(words[context + d] for d in "ACGT"))


def test_the_other_texts(world):
    assert letters(world / "repeat.fa") == {"repeat": "AGCTTGAGGC" * 3_000}
    (text,) = letters(world / "random.fa").values()
    assert len(text) == 30_000
    assert all(abs(text.count(letter) - 7_500) < 400 for letter in "ACGT")
    readme = (world / "README.txt").read_text()
    assert all((world / name).exists() for name in re.findall(r"^(\w+\.\w+) ", readme, re.MULTILINE))


def test_it_can_be_prepared(world, tmp_path):
    dataset = prepare_language([world / "markov.fa"], tmp_path / "d")
    assert Text(dataset).total == 1_000_000
    assert dataset.regions.filter(split="test")["letters"].sum() == 100_000


def test_a_seed_makes_one_world(world, tmp_path):
    again = simulate_language(tmp_path / "w", seed=3)
    names = sorted(path.name for path in world.iterdir())
    assert filecmp.cmpfiles(world, again, names, shallow=False)[0] == names
    with pytest.raises(InputError, match="no size 'huge'"):
        simulate_language(tmp_path / "x", size="huge")
    with pytest.raises(InputError, match="negative"):
        simulate_language(tmp_path / "x", seed=-1)
    with pytest.raises(InputError, match="exists already"):
        simulate_language(tmp_path / "w")
