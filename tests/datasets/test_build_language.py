import gzip
import os
import re

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regulome.datasets import Text, assign_split, open_dataset, prepare_language
from regulome.datasets.language_blocks import Kept, cut
from regulome.errors import InputError
from regulome.genome.letters import decode

SETTINGS = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def write(path, records, width=7):
    lines = []
    for name, text in records.items():
        lines += [f">{name} told more", *(text[i : i + width] for i in range(0, len(text), width))]
    path.write_text("\n".join(lines) + "\n")
    return path


@SETTINGS
@given(
    st.lists(st.text("ACGTacgtNnRY", min_size=1, max_size=60), min_size=1, max_size=8),
    st.integers(1, 40),
    st.sampled_from([0.0, 0.1, 0.5]),
    st.sampled_from([0.0, 0.02, 0.3]),
    st.integers(0, 8),
)
def test_blocks_are_the_letters_of_their_regions(tmp_path, texts, block, held_out, validation, second):
    texts = [text + "ACG" for text in texts]  # no file without letters
    names = [f"r{i}" for i in range(len(texts))]
    files = [
        dict(zip(names[:second], texts[:second], strict=True)),
        dict(zip(names[second:], texts[second:], strict=True)),
    ]
    paths = [write(tmp_path / f"{i}.fa", records) for i, records in enumerate(files) if records]
    dataset = prepare_language(
        paths, tmp_path / "d", length=2, block=block, held_out=held_out, validation=validation, overwrite=True
    )
    # The plain reference: letters of all records that are A, C, G or T, in order.
    expected = [re.sub("[^ACGT]", "", text.upper()) for text in texts]
    whole = "".join(expected)
    text = Text(dataset)
    assert text.total == len(whole)
    assert decode(text.codes(0, text.total)) == whole
    # Blocks cover it once, each within one record and one part.
    assert text.blocks[0, 0] == 0
    assert text.blocks[-1, 1] == len(whole)
    assert (text.blocks[1:, 0] == text.blocks[:-1, 1]).all()
    regions = dataset.regions
    assert regions["id"].n_unique() == len(dataset)
    for (low, high), row in zip(text.blocks.tolist(), regions.iter_rows(named=True), strict=True):
        record = texts[names.index(row["chrom"])][row["start"] : row["end"]].upper()
        assert record[0] in "ACGT"
        assert record[-1] in "ACGT"
        assert re.sub("[^ACGT]", "", record) == whole[low:high]
        assert row["letters"] == high - low <= block
    # The parts are the letters' shares, to the letter.
    test, valid = round(held_out * len(whole)), round(validation * len(whole))
    borders = [len(whole) - test - valid, len(whole) - test]
    parts = np.array(["train", "valid", "test"])[np.searchsorted(borders, text.blocks[:, 0], side="right")]
    assert regions["split"].to_list() == parts.tolist()
    assert regions.filter(split="test")["letters"].sum() == test
    assert regions.filter(split="valid")["letters"].sum() == valid
    assert sum(dataset.manifest.parameters["left_out"].values()) == sum(map(len, texts)) - len(whole)


@SETTINGS
@given(st.lists(st.lists(st.booleans(), max_size=30), min_size=1, max_size=6))
def test_places_of_letters_equal_counting(records):
    kept = np.concatenate([np.array(record, bool) for record in records])
    offsets = np.cumsum([0, *map(len, records)])
    runs = np.flatnonzero(np.diff(kept, prepend=True, append=True)).reshape(-1, 2)
    found = Kept(offsets, runs)
    assert found.begins.tolist() == [int(kept[:offset].sum()) for offset in offsets]
    assert found.place(np.arange(kept.sum())).tolist() == np.flatnonzero(kept).tolist()


def test_empty_records_have_no_block():
    blocks = cut(np.array([0, 0, 5, 5, 12, 12]), 4, valid=2, test=3)
    assert blocks.edges.tolist() == [[0, 2], [2, 5], [5, 7], [7, 9], [9, 12]]
    assert blocks.records.tolist() == [1, 1, 3, 3, 3]
    assert blocks.parts.tolist() == ["train", "train", "train", "valid", "test"]


@pytest.fixture
def genome(tmp_path):
    rng = np.random.default_rng(0)
    return write(tmp_path / "g.fa", {f"chr{i + 1}": "".join(rng.choice(list("ACGT"), 3_000)) for i in range(5)}, 60)


def test_pieces_do_not_matter(tmp_path, genome, monkeypatch):
    text = genome.read_text().replace("A", "N", 40).replace("AC", "NN", 90)
    genome.write_text(text)
    whole = prepare_language([genome], tmp_path / "whole")
    (tmp_path / "g2.fa.gz").write_bytes(gzip.compress(text.encode()))
    monkeypatch.setattr("regulome.genome.fasta._PIECE", 61)
    pieces = prepare_language([tmp_path / "g2.fa.gz"], tmp_path / "pieces")
    assert whole.checksum == pieces.checksum
    source = pieces.manifest.sources[0]
    assert (source["records"], source["letters"] + source["left_out"]) == (5, 15_000)
    whole.verify()


def test_it_says_what_it_is(tmp_path, genome, caplog):
    caplog.set_level("INFO", "regulome")
    dataset = prepare_language([genome], tmp_path / "d", length=50, strands="both")
    assert (dataset.line, dataset.task, dataset.length, dataset.target_names) == ("language", "unlabelled", 50, [])
    assert dataset.targets.shape == (len(dataset), 0)
    assert "a text of 15,000 letters, read 50 at a time" in str(dataset)
    assert "15,000 letters of 5 records" in caplog.text
    assert "13,200 train, 300 valid, 1,500 test" in caplog.text
    assert dataset.manifest.parameters["block"] == 50
    forward = prepare_language([genome], tmp_path / "f", length=50)
    assert forward.checksum != dataset.checksum


def test_every_split(tmp_path, genome):
    dataset = prepare_language([genome], tmp_path / "d")
    column = dataset.regions["split"].to_numpy()
    assert (assign_split(dataset) == column).all()
    assert (assign_split(dataset, "published") == column).all()
    chromosomes = assign_split(dataset, test_chromosomes=["2"], valid_chromosomes=["chr3"])
    assert set(dataset.regions["chrom"].to_numpy()[chromosomes == "test"]) == {"chr2"}
    assert "" not in assign_split(dataset, "blocks", seed=1)
    fold = assign_split(dataset, "fold:2/5")
    assert dataset.regions["chrom"].to_numpy()[fold == "test"].tolist() == ["chr2"] * 30
    pl.DataFrame({"id": dataset.regions["id"], "split": fold}).write_csv(tmp_path / "s.tsv", separator="\t")
    assert (assign_split(dataset, tmp_path / "s.tsv") == fold).all()


BAD = {
    "empty": (b"", "is empty"),
    "no_letters": (b">a\n>b\n", "a: has no sequence"),
    "all_n": (b">a\nNNnn\n", "has no letter A, C, G or T"),
    "short": (b">a\nACGT\n>b\nACGTACGT\n", "windows of 100 letters are longer than every sequence, the longest has 8"),
    "protein": (b">p\nMKVLAAGIVG\n", "'L' at position 4 .* is this a protein"),
    "star": (b">p\nACGT*\n", r"'\*' at position 5"),
    "digit": (b">p\nACGT\nAC1\n", r"'1' at position 7 \(line 3\)"),
    "twice": (b">a\nACGT\n>b\nAC\n>a\nACGT\n", "a: the name is used twice, by record 1 and again by record 3"),
    "latin": (b">a\xff\nACGT\n", "not UTF-8"),
    "bytes": (b">a\nAC\xc3\xa9T\n", "byte 0xc3"),
    "cut.gz": (gzip.compress(b">a\n" + np.random.default_rng(0).bytes(9_000).hex().encode())[:900], "gzip ends early"),
    "text": (b"ACGTACGT\n", "has text before the first >"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_one_line_and_leave_nothing(tmp_path, name):
    content, words = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as error:
        prepare_language([tmp_path / name], tmp_path / "out")
    assert "\n" not in str(error.value)
    assert name in str(error.value)
    assert os.listdir(tmp_path) == [name]  # noqa: PTH208


def test_a_name_of_two_files_names_both(tmp_path):
    first, second = write(tmp_path / "1.fa", {"a": "ACGT", "b": "ACG"}), write(tmp_path / "2.fa", {"b": "ACGT"})
    with pytest.raises(InputError, match=r"2\.fa: b: the name is used twice, by record 2 of .*1\.fa and by record 1"):
        prepare_language([first, second], tmp_path / "out", length=2)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"length": 0}, "a length of 0"),
        ({"block": 0}, "blocks of 0"),
        ({"held_out": 1.0}, "share of 1.0"),
        ({"validation": -0.1}, "share of -0.1"),
        ({"held_out": 0.6, "validation": 0.4}, "leave nothing to train"),
        ({"strands": "reverse"}, "unknown strands"),
    ],
)
def test_bad_settings(tmp_path, genome, setting, words):
    with pytest.raises(InputError, match=words):
        prepare_language([genome], tmp_path / "out", **setting)
    with pytest.raises(InputError, match="no file was given"):
        prepare_language([], tmp_path / "out")


def test_a_dataset_whose_blocks_leave_the_text_is_refused(tmp_path, genome):
    dataset = prepare_language([genome], tmp_path / "d")
    edges = np.load(tmp_path / "d/inputs/block.npy")
    edges[3, 1] += 1
    np.save(tmp_path / "d/inputs/block.npy", edges)
    with pytest.raises(InputError, match="do not follow each other"):
        open_dataset(dataset.path)
