"""Surprise along genomes and of records, against one letter at a time."""

import gzip

import numpy as np
import polars as pl
import pyBigWig
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.training.language_run import letter_bits, make_run

from regulome.errors import InputError
from regulome.genome.letters import decode
from regulome.training import predict_surprise, predict_text, surprise
from regulome.training.surprise import cut


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run") / "run", members=2)


def write_fasta(path, records):
    path.write_text("".join(f">{name} of the test\n{decode(codes)}\n" for name, codes in records.items()))
    return path


@pytest.fixture(scope="module")
def records():
    rng = np.random.default_rng(5)
    letters = {name: rng.integers(0, 4, size).astype(np.uint8) for name, size in (("chrB", 700), ("chrA", 90))}
    letters["chrB"][300:340] = 4
    letters["chrB"][:3] = 4
    letters["chrB"][-1] = 4
    return {**letters, "gap": np.full(50, 4, np.uint8)}


def test_the_track_has_every_known_letter_but_the_first(run, records, tmp_path, monkeypatch):
    # Pieces and chunks that end inside the gap, before it and in the last letters.
    monkeypatch.setattr(surprise, "_PIECE", 320)
    monkeypatch.setattr(surprise, "_VALUES", 64)
    fasta = write_fasta(tmp_path / "genome.fa", records)
    out = predict_surprise(run, fasta, tmp_path / "out.bw", context=40)
    with pyBigWig.open(str(out)) as track:
        # The format leaves out a chromosome without any value.
        assert track.chroms() == {"chrA": 90, "chrB": 700}
        for name in ("chrA", "chrB"):
            found = np.array(track.values(name, 0, len(records[name])))
            known = np.flatnonzero(records[name] < 4)
            assert np.flatnonzero(~np.isnan(found)).tolist() == known[1:].tolist()
            letters, values = records[name][known], found[known]
            # A small network forgets: 40 letters of context are as good as all.
            for place in [1, 2, 17, 39, 40, 41, *range(75, len(letters), 97), len(letters) - 1]:
                assert values[place] == pytest.approx(letter_bits(run, letters, 0, place), abs=1e-3), (name, place)


def test_chosen_chromosomes_are_the_same_as_among_all(run, records, tmp_path):
    fasta = write_fasta(tmp_path / "genome.fa", records)
    whole = predict_surprise(run.path, fasta, tmp_path / "all.bw")
    some = predict_surprise(run, fasta, tmp_path / "some.bw", chromosomes="A")
    with pyBigWig.open(str(whole)) as one, pyBigWig.open(str(some)) as other:
        assert other.intervals("chrA") == one.intervals("chrA")
        assert list(other.chroms()) == ["chrA"]


def test_records_have_the_mean_of_their_letters(run, records, tmp_path, monkeypatch):
    monkeypatch.setattr(surprise, "_LONGEST", 128)
    fasta = write_fasta(tmp_path / "records.fa", {**records, "one": np.array([2], np.uint8)})
    assert predict_text(run, fasta, tmp_path / "out.tsv", context=50) == 4
    table = pl.read_csv(tmp_path / "out.tsv", separator="\t")
    assert table.columns == ["record", "letters", "bits", "perplexity"]
    assert table["record"].to_list() == ["chrB", "chrA", "gap", "one"]
    assert table["letters"].to_list() == [700 - 44 - 1, 89, 0, 0]
    assert table["bits"][2:].to_list() == table["perplexity"][2:].to_list() == [None, None]
    codes = records["chrA"]
    bits = np.mean([letter_bits(run, codes, 0, place) for place in range(1, len(codes))])
    assert table["bits"][1] == pytest.approx(bits, abs=1e-5)
    assert table["perplexity"][1] == pytest.approx(2**bits, abs=1e-4)
    # The same letters along a genome.
    with pyBigWig.open(str(predict_surprise(run, fasta, tmp_path / "out.bw"))) as track:
        assert table["bits"][0] == pytest.approx(track.stats("chrB", 0, 700, exact=True)[0], abs=1e-3)


def test_many_records_come_in_the_order_of_the_file(run, tmp_path):
    rng = np.random.default_rng(0)
    many = {f"r{i}": rng.integers(0, 4, rng.integers(2, 40)).astype(np.uint8) for i in range(600)}
    plain = write_fasta(tmp_path / "many.fa", many)
    (tmp_path / "many.fa.gz").write_bytes(gzip.compress(plain.read_bytes()))
    predict_text(run, tmp_path / "many.fa.gz", tmp_path / "out.parquet")
    table = pl.read_parquet(tmp_path / "out.parquet")
    assert table["record"].to_list() == list(many)
    assert table["letters"].to_list() == [len(codes) - 1 for codes in many.values()]
    for row in (0, 255, 256, 599):
        codes = many[f"r{row}"]
        bits = np.mean([letter_bits(run, codes, 0, place) for place in range(1, len(codes))])
        assert table["bits"][row] == pytest.approx(bits, abs=1e-5)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=20), st.integers(1, 300))
def test_chunks_cover_their_stretch(sizes, longest):
    ends = np.cumsum(sizes)
    rows, starts, stops = cut(ends - sizes, ends, longest)
    assert (stops > starts).all()
    assert (stops - starts <= longest).all()
    covered = [place for row, start, stop in zip(rows, starts, stops, strict=True) for place in range(start, stop)]
    assert covered == list(range(ends[-1]))
    assert np.bincount(rows, stops - starts, len(sizes)).tolist() == sizes


def test_bad_requests(run, records, tmp_path):
    fasta = write_fasta(tmp_path / "genome.fa", records)
    with pytest.raises(InputError, match=r"out\.tsv.*no name for a bigWig.*ends in \.bw"):
        predict_surprise(run, fasta, tmp_path / "out.tsv")
    with pytest.raises(InputError, match="has no ending"):
        predict_text(run, fasta, tmp_path / "out.bw")
    with pytest.raises(InputError, match="no chromosome chrZ"):
        predict_surprise(run, fasta, tmp_path / "out.bw", chromosomes=["chrZ"])
    with pytest.raises(InputError, match=r"genome\.fa: has no letter after another"):
        predict_surprise(run, fasta, tmp_path / "out.bw", chromosomes=["gap"])
    with pytest.raises(InputError, match="context must be at least 1"):
        predict_surprise(run, fasta, tmp_path / "out.bw", context=0)
    other = run.info.model_copy(update={"line": "sequence"})
    with pytest.raises(InputError, match="'sequence', which does not predict the next letter"):
        predict_text(type(run)(run.path, other, run.recipe), fasta, tmp_path / "out.tsv")
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix in (".bw", ".tsv", ".tmp")) == []
