"""Sequences drawn from a run: what the file holds, and that it can be drawn again."""

import gzip

import numpy as np
import pytest
import torch
from tests.training.language_run import make_run

from regulome.errors import InputError
from regulome.genome.fasta import read_sequences
from regulome.genome.letters import decode
from regulome.training import sample_text


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run") / "my run", members=2)


def test_the_file(run, tmp_path):
    out = sample_text(run, tmp_path / "out.fa", length=130, count=3, temperature=0.5, seed=7)
    lines = out.read_text().splitlines()
    names = [line for line in lines if line.startswith(">")]
    assert names == [f">my_run_temperature_0.5_seed_7_{number}" for number in (1, 2, 3)]
    assert [len(line) for line in lines if not line.startswith(">")] == [60, 60, 10] * 3
    found = read_sequences(out)
    assert found.lengths.tolist() == [130] * 3
    assert len({found.codes[i * 130 : (i + 1) * 130].tobytes() for i in range(3)}) == 3
    assert found.codes.max() <= 3


def test_the_same_seed_draws_the_same(run, tmp_path):
    first = sample_text(run, tmp_path / "a.fa", length=50, count=2, seed=1).read_bytes()
    assert sample_text(run.path, tmp_path / "b.fa.gz", length=50, count=2, seed=1).suffix == ".gz"
    assert gzip.decompress((tmp_path / "b.fa.gz").read_bytes()) == first
    sample_text(run, tmp_path / "c.fa.gz", length=50, count=2, seed=1)
    assert (tmp_path / "b.fa.gz").read_bytes() == (tmp_path / "c.fa.gz").read_bytes()
    assert sample_text(run, tmp_path / "d.fa", length=50, count=2, seed=2).read_bytes() != first


def test_the_likeliest_letters_after_a_prompt(run, tmp_path):
    out = sample_text(run, tmp_path / "out.fa", length=20, temperature=0, prompt="ACGTTGCAN")
    text = [0, 1, 2, 3, 3, 2, 1, 0, 4]
    models = run.models()
    with torch.no_grad():
        for _ in range(20):
            p = sum(torch.softmax(model(torch.tensor([text]))[0][0, -1], 0) for model in models)
            text.append(int(p.argmax()))
    assert decode(read_sequences(out).codes) == decode(text[9:])


def test_letters_are_as_frequent_as_they_are_likely(run, tmp_path):
    out = sample_text(run, tmp_path / "out.fa", length=1, count=2000, prompt="ACGTACCA")
    with torch.no_grad():
        codes = torch.tensor([[0, 1, 2, 3, 0, 1, 1, 0]])
        p = sum(torch.softmax(model(codes)[0][0, -1].double(), 0) for model in run.models()).numpy() / 2
    counts = np.bincount(read_sequences(out).codes, minlength=4)
    # Five standard deviations.
    assert (np.abs(counts - 2000 * p) < 5 * np.sqrt(2000 * p * (1 - p)) + 1).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"length": 0}, "length must be at least 1, got 0"),
        ({"count": 0}, "count must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"temperature": -0.5}, "temperature must be a number from 0 on, got -0.5"),
        ({"temperature": float("nan")}, "temperature must be a number from 0 on, got nan"),
        ({"prompt": "ACGX"}, "prompt: 'X' at position 4 is no letter of DNA"),
    ],
)
def test_values_that_cannot_be(run, tmp_path, changed, message):
    with pytest.raises(InputError, match=message):
        sample_text(run, tmp_path / "out.fa", **{"length": 10, **changed})
    assert not list(tmp_path.iterdir())


def test_files_that_cannot_be(run, tmp_path):
    with pytest.raises(InputError, match=r"out\.txt: has no ending that says FASTA"):
        sample_text(run, tmp_path / "out.txt", length=10)
    (tmp_path / "out.fa").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        sample_text(run, tmp_path / "out.fa", length=10)
