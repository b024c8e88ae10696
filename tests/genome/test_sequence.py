import logging
import multiprocessing
import os
import pickle
import threading
import time

import numpy as np
import polars as pl
import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.genome.two_bit_writer import write_two_bit

from regulome.errors import InputError
from regulome.genome import code_cache
from regulome.genome.code_cache import cache_folder
from regulome.genome.letters import decode, one_hot
from regulome.genome.sequence import Genome, open_genome

TEXTS = {
    name: "".join(np.random.default_rng(i).choice(list("ACGTacgtN"), 300 + 500 * i))
    for i, name in enumerate(["chr1", "chr2", "chrX", "chrM"])
}


def write_fasta(path, texts=TEXTS):
    path.write_text("".join(f">{name}\n{text}\n" for name, text in texts.items()))
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("REGULOME_CACHE", str(folder))
    return folder / "genomes"


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genome")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGULOME_CACHE", str(folder))
        return open_genome(write_fasta(folder / "x.fa"))


def slice_of(name: str, start: int, length: int, reverse: bool) -> str:
    text = TEXTS[name].upper()
    window = "".join(text[i] if 0 <= i < len(text) else "N" for i in range(start, start + length))
    return window[::-1].translate(str.maketrans("ACGT", "TGCA")) if reverse else window


@pytest.mark.parametrize("kind", ["fa", "fa.gz", "bgz", "2bit"])
def test_every_format_gives_the_same_codes(tmp_path, kind, cache):
    plain = write_fasta(tmp_path / "x.fa")
    path = tmp_path / f"y.{kind}"
    if kind == "2bit":
        write_two_bit(path, TEXTS, order=">")
    elif kind == "fa":
        path = plain
    else:
        with pysam.BGZFile(str(path), "w") as stream:
            stream.write(plain.read_bytes())
    genome = open_genome(path)
    assert genome.names == tuple(TEXTS)
    assert genome.lengths == genome.sizes == {name: len(text) for name, text in TEXTS.items()}
    for name, text in TEXTS.items():
        codes = genome.codes(name)
        assert isinstance(codes, np.memmap)
        assert not codes.flags.writeable
        assert decode(codes) == text.upper()
    assert [file.suffix for file in cache.iterdir() if not file.name.startswith(".")] == [".codes"]


windows = st.lists(
    st.tuples(st.sampled_from(sorted(TEXTS)), st.integers(-50, 2_000), st.booleans()), min_size=1, max_size=40
)


@given(windows, st.integers(0, 90), st.sampled_from([0.0, 0.25]))
def test_windows_equal_slices_of_the_text(genome, rows, length, unknown):
    names, starts, reverse = (list(column) for column in zip(*rows, strict=True))
    wanted = [slice_of(*row[:2], length, row[2]) for row in rows]
    codes = genome.windows(names, starts, length, reverse=reverse)
    assert codes.shape == (len(rows), length)
    assert [decode(row) for row in codes] == wanted
    letters = genome.one_hot(pl.Series(names), starts, length, reverse=reverse, unknown=unknown)
    np.testing.assert_array_equal(letters, one_hot(codes, unknown))
    forward = genome.windows(names, starts, length)
    assert [decode(row) for row in forward] == [slice_of(*row[:2], length, False) for row in rows]


def test_ways_to_name_a_chromosome(genome):
    starts = np.array([0, 10])
    wanted = genome.windows(["chrM", "chr1"], starts, 8)
    for same in (["MT", "1"], ["M", "Chr1"], pl.Series(["MT", "chr1"]), np.array(["chrM", "1"]), np.array([3, 0])):
        np.testing.assert_array_equal(genome.windows(same, starts, 8), wanted)
    np.testing.assert_array_equal(genome.windows("M", starts, 8)[0], wanted[0])
    assert genome.find("x") == 2
    assert (genome.codes("2") == genome.codes("chr2")).all()
    with pytest.raises(InputError, match=r"x\.fa: has no chromosome chr7, it has chr1, chr2, chrX, chrM"):
        genome.windows(["chr1", "chr7"], starts, 8)
    with pytest.raises(ValueError, match="from 0 to 3"):
        genome.windows(np.array([0, 4]), starts, 8)
    with pytest.raises(ValueError, match="1 chromosomes for 2 windows"):
        genome.windows(["chr1"], starts, 8)
    with pytest.raises(ValueError, match="1 strands for 2 windows"):
        genome.windows("chr1", starts, 8, reverse=[True])


def test_an_array_to_write_to(genome):
    out = np.empty((2, 4, 8), dtype=np.float32)
    assert genome.one_hot("chr1", [0, 5], 8, out=out) is out
    np.testing.assert_array_equal(out, genome.one_hot("chr1", [0, 5], 8))
    with pytest.raises(ValueError, match="expected float32"):
        genome.one_hot("chr1", [0, 5], 9, out=out)


def test_the_cache_is_made_once_and_again_when_the_source_changes(tmp_path, caplog):
    caplog.set_level(logging.INFO, "regulome")
    path = write_fasta(tmp_path / "x.fa")
    first = open_genome(path)
    assert "x.fa: is read for the first time" in caplog.text
    caplog.clear()
    (file,) = cache_folder().glob("*.codes")
    made = file.stat().st_mtime_ns
    assert open_genome(path).lengths == first.lengths
    assert file.stat().st_mtime_ns == made
    assert not caplog.text
    write_fasta(path, {"chr1": "ACGTA"})
    assert open_genome(path).lengths == {"chr1": 5}
    assert "x.fa: has changed since" in caplog.text
    # What was open before goes on with what it had.
    assert decode(first.codes("chr2")) == TEXTS["chr2"].upper()
    assert decode(open_genome(path).codes("chr1")) == "ACGTA"


@pytest.mark.parametrize("damage", ["cut", "empty", "text"])
def test_a_damaged_cache_is_made_again(tmp_path, damage):
    path = write_fasta(tmp_path / "x.fa")
    open_genome(path)
    (file,) = cache_folder().glob("*.codes")
    data = file.read_bytes()
    file.write_bytes({"cut": data[100:], "empty": b"", "text": data[:-20] + b"x" * 4 + data[-16:]}[damage])
    assert decode(open_genome(path).codes("chrX")) == TEXTS["chrX"].upper()


def test_a_bad_genome_leaves_nothing(tmp_path, cache):
    path = tmp_path / "x.fa"
    path.write_text(">chr1\nACGT\n>chr1\nAC\n")
    with pytest.raises(InputError, match="the name is used twice"):
        open_genome(path)
    (tmp_path / "x.2bit").write_text(">chr1\nACGT\n")
    with pytest.raises(InputError, match="is not 2bit"):
        open_genome(tmp_path / "x.2bit")
    with pytest.raises(InputError, match="no such file"):
        open_genome(tmp_path / "none.fa")
    assert {file.suffix for file in cache.iterdir()} == {".lock"}


def test_remains_of_a_killed_process_go_away(tmp_path, cache):
    path = write_fasta(tmp_path / "x.fa")
    open_genome(path)
    (file,) = cache.glob("*.codes")
    left = cache / f".{file.name}.0123abcd.tmp.fa.codes"
    left.write_bytes(b"x")
    os.utime(path, (5, 5))
    open_genome(path)
    assert not left.exists()


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    path = write_fasta(tmp_path / "x.fa")
    monkeypatch.setenv("REGULOME_CACHE", str(path))
    with pytest.raises(InputError, match=r"cannot be written: Not a directory .*REGULOME_CACHE"):
        open_genome(path)

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("REGULOME_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(code_cache, "_write", full)
    with pytest.raises(InputError, match=r"No space left on device .*free some space"):
        open_genome(path)


def test_a_source_that_is_still_being_written(tmp_path, monkeypatch):
    path = write_fasta(tmp_path / "x.fa")
    write = code_cache._write

    def grow(*arguments):
        write(*arguments)
        path.write_text(path.read_text() + ">more\nA\n")

    monkeypatch.setattr(code_cache, "_write", grow)
    with pytest.raises(InputError, match="changed while it was read"):
        open_genome(path)


def _open_in_another_process(path, answers) -> None:
    answers.put(decode(open_genome(path).codes("chrX")))


def test_processes_that_open_it_at_once(tmp_path, cache):
    path = write_fasta(tmp_path / "x.fa")
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    others = [context.Process(target=_open_in_another_process, args=(path, answers)) for _ in range(2)]
    for other in others:
        other.start()
    assert [answers.get() for _ in others] == [TEXTS["chrX"].upper()] * 2
    for other in others:
        other.join()
    assert len([file for file in cache.iterdir() if file.suffix != ".lock"]) == 1


def test_who_comes_second_waits_and_reads_nothing(tmp_path, monkeypatch):
    path = write_fasta(tmp_path / "x.fa")
    write, written = code_cache._write, []

    def slowly(*arguments):
        time.sleep(0.2)
        written.append(1)
        write(*arguments)

    monkeypatch.setattr(code_cache, "_write", slowly)
    genomes: list[Genome] = []
    threads = [threading.Thread(target=lambda: genomes.append(open_genome(path))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(genomes) == 3
    assert written == [1]


def test_without_locks_it_is_made_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(code_cache, "fcntl", None)
    assert open_genome(write_fasta(tmp_path / "x.fa")).names == tuple(TEXTS)


def test_it_travels_without_its_bases(genome, tmp_path, monkeypatch):
    monkeypatch.setenv("REGULOME_CACHE", str(genome.path.parent))
    sent = pickle.dumps(genome)
    assert len(sent) < 1_000
    other = pickle.loads(sent)
    assert (other.codes("chr2") == genome.codes("chr2")).all()
    assert repr(other) == f"Genome({str(genome.path)!r}: 4 sequences, {sum(map(len, TEXTS.values())):,} bases)"


def test_a_stale_index_is_told_once(tmp_path, caplog):
    path = write_fasta(tmp_path / "x.fa")
    pysam.faidx(str(path))
    open_genome(path)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    os.utime(tmp_path / "x.fa.fai", (1, 1))
    open_genome(path)
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "x.fa: its index x.fa.fai is older than it and was not used" in warning.getMessage()


def test_memory_does_not_grow_with_the_genome(tmp_path):
    import resource

    path = tmp_path / "long.fa"
    with path.open("wb") as stream:
        stream.write(b">chr1\n")
        for _ in range(200):
            stream.write(b"ACGTACGTAC" * 100_000 + b"\n")
    open_genome(write_fasta(tmp_path / "x.fa"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    genome = open_genome(path)
    assert genome.lengths == {"chr1": 200_000_000}
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 60_000
