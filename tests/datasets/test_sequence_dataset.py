"""The format of sequences: writer, windows and checks, against decoding by hand."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regulome.datasets import new_sequence_dataset, open_dataset, sequence_writer, window_codes
from regulome.errors import InputError

quick = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


class World:
    """Two chromosomes in memory, with the part of the genome's interface that the writer uses."""

    def __init__(self, seed=0, lengths=(900, 333)):
        rng = np.random.default_rng(seed)
        self.sequences = {f"chr{i + 1}": rng.integers(0, 4, n).astype(np.uint8) for i, n in enumerate(lengths)}
        for codes in self.sequences.values():
            codes[rng.integers(0, len(codes), 5)] = 4
            codes[40:60] = 4

    def codes(self, name):
        return self.sequences[name]


def table(n, strands="+"):
    return pl.DataFrame(
        {
            "id": [f"w{i}" for i in range(n)],
            "chrom": ["chr1"] * n,
            "start": np.arange(n),
            "end": np.arange(n) + 10,
            "strand": [strands[i % len(strands)] for i in range(n)],
        }
    )


def text(codes):
    return "".join("ACGTN"[code] for code in codes)


def by_hand(sequence, start, length, *, shift=0, flip=False, margin=0):
    """Window of a chromosome as text, position by position."""
    letters = []
    for position in range(start + shift, start + shift + length):
        near = start - margin <= position < start + length + margin
        letters.append("ACGTN"[sequence[position]] if near and 0 <= position < len(sequence) else "N")
    word = "".join(letters)
    return word[::-1].translate(str.maketrans("ACGT", "TGCA")) if flip else word


@quick
@given(
    length=st.integers(1, 70),
    margin=st.integers(0, 12),
    strands=st.sampled_from(["+", "-", ".", "+-"]),
    starts=st.lists(st.lists(st.integers(-80, 950), max_size=25), min_size=1, max_size=4),
    data=st.data(),
)
def test_genome_windows_read_back(tmp_path, length, margin, strands, starts, data):
    world = World(len(starts))
    n = sum(map(len, starts))
    if not n:
        return
    names = [data.draw(st.sampled_from(["chr1", "chr2"])) for _ in starts]
    block = data.draw(st.sampled_from([sequence_writer.BLOCK, 7, 64]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequence_writer, "BLOCK", block)
        with new_sequence_dataset(tmp_path / "d", length=length, margin=margin, overwrite=True) as writer:
            for name, some in zip(names, starts, strict=True):
                writer.add_genome_windows(world, name, np.array(some, np.int64))
            writer.add_targets(np.arange(n)[:, None] % 2)
            writer.finish(regions=table(n, strands), target_names=["x"])
    dataset = open_dataset(tmp_path / "d", verify=True)
    assert dataset.length == length
    rows = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=30)))
    shift = np.array(data.draw(st.lists(st.integers(-90, 90), min_size=len(rows), max_size=len(rows))), np.int32)
    flip = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    codes = window_codes(dataset, rows, shift=shift, flip=flip)
    assert codes.shape == (len(rows), length)
    assert codes.dtype == np.uint8
    places = [(name, start) for name, some in zip(names, starts, strict=True) for start in some]
    for i, row in enumerate(rows):
        name, start = places[row]
        turned = flip[i] ^ (strands[row % len(strands)] == "-")
        options = {"shift": int(shift[i]), "flip": turned, "margin": margin}
        assert text(codes[i]) == by_hand(world.codes(name), start, length, **options)


@quick
@given(
    windows=st.lists(st.text("ACGTN", min_size=9, max_size=9), min_size=1, max_size=20),
    margin=st.integers(0, 4),
    pieces=st.integers(1, 5),
)
def test_given_windows_read_back(tmp_path, windows, margin, pieces):
    codes = np.array([["ACGTN".index(letter) for letter in window] for window in windows], np.uint8)
    length = 9 - 2 * margin
    with new_sequence_dataset(
        tmp_path / "d", length=length, margin=margin, task="unlabelled", overwrite=True
    ) as writer:
        for part in np.array_split(codes, pieces):
            writer.add_codes(part)
        writer.finish(regions=table(len(codes)))
    dataset = open_dataset(tmp_path / "d", verify=True)
    assert [text(row) for row in window_codes(dataset, np.arange(len(codes)))] == [
        window[margin : 9 - margin] for window in windows
    ]
    runs = dataset.inputs["unknown"]
    assert int((runs[:, 1] - runs[:, 0]).sum()) == sum(window.count("N") for window in windows)
    assert (runs[1:, 0] > runs[:-1, 1]).all()
    assert len(dataset.inputs["letters"]) == -(-9 * len(codes) // 4)


def test_overlapping_windows_are_stored_once(tmp_path):
    world = World(lengths=(100_000,))
    starts = np.arange(1000, 90_000, 50)
    with new_sequence_dataset(tmp_path / "d", length=1000, margin=20) as writer:
        writer.add_genome_windows(world, "chr1", starts)
        writer.add_targets(np.zeros((len(starts), 3), np.uint8))
        features = [{"name": "a", "cell": "K562"}, {"name": "b"}, {"name": "c", "group": "TF"}]
        writer.finish(regions=table(len(starts)), target_names=["a", "b", "c"], features=features)
    dataset = open_dataset(tmp_path / "d")
    bases = starts[-1] - starts[0] + 1040
    assert dataset.manifest.inputs["letters"].bases == bases
    assert dataset.inputs["letters"].nbytes == -(-bases // 4)
    assert dataset.targets.dtype == np.uint8
    assert dataset.features.columns == ["name", "cell", "assay", "treatment", "group"]
    assert dataset.features.rows()[2] == ("c", "", "", "", "TF")
    words = f"{len(starts):,} examples, classification, windows of 1,000 letters ({bases:,} stored), 3 features"
    assert words in str(dataset)


def test_features_come_from_names_alone(tmp_path):
    with new_sequence_dataset(tmp_path / "d", length=4) as writer:
        writer.add_codes(np.zeros((2, 4), np.uint8))
        writer.add_targets(np.zeros((2, 2), np.uint8))
        writer.finish(regions=table(2), target_names=["a", "b"])
    assert open_dataset(tmp_path / "d").features.rows() == [("a", "", "", "", ""), ("b", "", "", "", "")]


def test_other_lines_have_no_length(make):
    with pytest.raises(InputError, match="a dataset of the line 'expression' has no sequences"):
        _ = make(5).length


def test_nothing_is_left_of_a_dataset_that_failed(tmp_path):
    def fail():
        with new_sequence_dataset(tmp_path / "d", length=4) as writer:
            writer.add_codes(np.zeros((2, 4), np.uint8))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def broken(folder, change):
    path = folder / "dataset.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m["inputs"]["letters"].update(bases=999), "30 bytes of letters, expected 250"),
        (lambda m: m["inputs"]["letters"].pop("bases"), "does not say 'bases'"),
        (lambda m: m["inputs"]["start"].pop("length"), "does not say 'length' or 'margin'"),
        (lambda m: m["inputs"]["start"].update(length=9), "leaves the 120 letters"),
        (lambda m: m["inputs"]["start"].update(margin=3), "leaves the 120 letters"),
        (lambda m: m["inputs"].pop("unknown"), "without the input 'unknown'"),
        (lambda m: m["inputs"]["letters"].update(axes=["base"]), "the input 'letters' has axes"),
        (lambda m: m["targets"].update(features=[{"cell": "x"}]), "a feature without a name"),
        (lambda m: m["targets"].update(features=[]), "0 features for 1 columns"),
    ],
)
def test_a_dataset_that_contradicts_itself_is_refused(tmp_path, change, words):
    with new_sequence_dataset(tmp_path / "d", length=8, margin=2) as writer:
        writer.add_codes(np.full((10, 12), 4, np.uint8))
        writer.add_targets(np.zeros((10, 1), np.uint8))
        writer.finish(regions=table(10), target_names=["x"])
    broken(tmp_path / "d", change)
    with pytest.raises(InputError, match=words.replace("(", r"\(")):
        open_dataset(tmp_path / "d")


@pytest.mark.parametrize("runs", [[[5, 3]], [[0, 5], [4, 8]], [[-1, 3]], [[0, 121]]])
def test_wrong_runs_of_unknown_letters_are_refused(tmp_path, runs):
    with new_sequence_dataset(tmp_path / "d", length=12, task="unlabelled") as writer:
        writer.add_codes(np.tile(np.r_[np.full(6, 4), np.zeros(6)].astype(np.uint8), (10, 1)))
        writer.finish(regions=table(10))
    broken(tmp_path / "d", lambda manifest: manifest["inputs"]["unknown"].update(shape=[len(runs), 2]))
    np.save(tmp_path / "d" / "inputs" / "unknown.npy", np.array(runs, np.int64))
    with pytest.raises(InputError, match="runs of unknown letters"):
        open_dataset(tmp_path / "d")
