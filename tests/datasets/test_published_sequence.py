"""Published sequences of every layout, in files made here from planted codes."""

import gzip
import logging

import h5py
import numpy as np
import polars as pl
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from regulome.datasets.published_sequence import prepare_published_sequence
from regulome.datasets.sequence_windows import window_codes
from regulome.errors import InputError

LETTERS = "ACGTN"
ORDERS = {"deepsea": (0, 2, 1, 3), "basset": (0, 1, 2, 3)}


def plant(n, length=20, features=3, seed=0):
    """Codes [n, length] with some unknown letters, and labels [n, features]."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, length)).astype(np.uint8)
    codes[rng.random((n, length)) < 0.02] = 4
    labels = (rng.random((n, features)) < 0.4).astype(np.uint8)
    labels[0] = 1
    return codes, labels


def one_hot(codes, order):
    """[n, 4, length] with the channels in an order, zeros where a letter is unknown."""
    return np.stack([codes == channel for channel in order], axis=1).astype(np.uint8)


def write_v5(path, split, codes, labels, dtype=np.uint8, **options):
    x = one_hot(codes, ORDERS["deepsea"]).astype(dtype)
    scipy.io.savemat(path, {f"{split}xdata": x, f"{split}data": labels.astype(dtype)}, **options)
    return path


def write_v73(path, split, codes, labels, dtype=np.uint8, chunks=(None, None), **options):
    with h5py.File(path, "w", userblock_size=512) as stream:
        x = one_hot(codes, ORDERS["deepsea"]).transpose(2, 1, 0).astype(dtype)
        stream.create_dataset(f"{split}xdata", data=x, chunks=chunks[0], **options)
        stream.create_dataset(f"{split}data", data=labels.T.astype(dtype), chunks=chunks[1], **options)
    return path


def read(dataset):
    """All codes and labels of a dataset."""
    return window_codes(dataset, np.arange(len(dataset))), np.asarray(dataset.targets)


def check(dataset, *planted):
    codes, labels = read(dataset)
    np.testing.assert_array_equal(codes, np.concatenate([part[0] for part in planted]))
    np.testing.assert_array_equal(labels, np.concatenate([part[1] for part in planted]))


@pytest.fixture
def small_budget(monkeypatch):
    """Make the readers work in many pieces on small files."""
    monkeypatch.setattr("regulome.datasets.one_hot_planes.BUDGET", 1 << 10)
    monkeypatch.setattr("regulome.datasets.hdf5_planes.BUDGET", 1 << 10)
    monkeypatch.setattr("regulome.datasets.matlab5.BUDGET", 1 << 10)


def test_deepseas_three_files(tmp_path):
    planted = [plant(24, seed=1), plant(5, seed=2), plant(7, seed=3)]
    train = write_v73(tmp_path / "train.mat", "train", *planted[0])
    valid = write_v5(tmp_path / "valid.mat", "valid", *planted[1])
    test = write_v5(tmp_path / "test.mat", "test", *planted[2], do_compression=True)
    dataset = prepare_published_sequence("deepsea", train, valid, test, tmp_path / "d")
    check(dataset, *planted)
    assert (dataset.line, dataset.task, dataset.length) == ("sequence", "classification", 20)
    assert dataset.target_names == ["feature1", "feature2", "feature3"]
    assert dataset.regions["split"].to_list() == ["train"] * 24 + ["valid"] * 5 + ["test"] * 7
    assert dataset.regions["id"].to_list()[22:26] == ["train_23", "train_24", "valid_1", "valid_2"]
    assert dataset.regions.select("chrom", "start", "end", "strand").unique().rows() == [(".", -1, -1, ".")]
    assert [record["role"] for record in dataset.manifest.sources] == ["train", "valid", "test"]


@pytest.mark.parametrize("dtype", [np.uint8, np.float64, np.float32, bool, np.int16])
@pytest.mark.parametrize("compressed", [False, True])
def test_matlab_v5_in_every_form(tmp_path, small_budget, dtype, compressed):
    planted = plant(130, length=17)
    test = write_v5(tmp_path / "test.mat", "test", *planted, dtype, do_compression=compressed)
    check(prepare_published_sequence("deepsea", None, None, test, tmp_path / "d"), planted)


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
@pytest.mark.parametrize(
    "chunks", [(None, None), ((1, 1, 150), (1, 150)), ((5, 4, 3), (3, 50)), ((17, 4, 1), (3, 7)), ((4, 2, 64), (2, 64))]
)
def test_hdf5_with_every_kind_of_chunk(tmp_path, small_budget, chunks, dtype):
    planted = plant(150, length=17)
    options = {} if chunks[0] is None else {"compression": 1}
    valid = write_v73(tmp_path / "valid.mat", "valid", *planted, dtype, chunks, **options)
    check(prepare_published_sequence("deepsea", None, valid, None, tmp_path / "d"), planted)
    assert {path.name for path in tmp_path.iterdir()} == {"valid.mat", "d"}


def test_hdf5_with_the_example_first(tmp_path):
    codes, labels = plant(9)
    with h5py.File(tmp_path / "test.mat", "w") as stream:
        stream["testxdata"] = one_hot(codes, ORDERS["deepsea"])
        stream["testdata"] = labels
    check(prepare_published_sequence("deepsea", None, None, tmp_path / "test.mat", tmp_path / "d"), (codes, labels))


@given(
    n=st.integers(1, 40),
    length=st.integers(1, 12),
    features=st.integers(1, 5),
    budget=st.sampled_from([1, 100, 1000, 1 << 20]),
    compressed=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_size_of_any_kind(tmp_path_factory, n, length, features, budget, compressed, seed):
    folder = tmp_path_factory.mktemp("any")
    planted = [plant(n, length, features, seed), plant(n + 1, length, features, seed + 1)]
    rng = np.random.default_rng(seed)
    along = int(rng.integers(1, n + 1))
    chunks = ((int(rng.integers(1, length + 1)), int(rng.integers(1, 5)), along), (features, along))
    train = write_v73(folder / "train.mat", "train", *planted[0], chunks=chunks)
    test = write_v5(folder / "test.mat", "test", *planted[1], do_compression=compressed)
    with pytest.MonkeyPatch.context() as patch:
        for module in ("one_hot_planes", "hdf5_planes", "matlab5"):
            patch.setattr(f"regulome.datasets.{module}.BUDGET", budget)
        check(prepare_published_sequence("deepsea", train, None, test, folder / "d"), *planted)


def test_reverse_complements_are_found(tmp_path, caplog):
    codes, labels = plant(30, length=40)
    turned = np.where(codes < 4, 3 - codes, 4).astype(np.uint8)[:, ::-1]
    planted = np.concatenate([codes, turned]), np.concatenate([labels, labels])
    train = write_v73(tmp_path / "train.mat", "train", *planted)
    with caplog.at_level(logging.INFO, "regulome"):
        dataset = prepare_published_sequence("deepsea", train, None, None, tmp_path / "d")
    check(dataset, planted)
    assert dataset.manifest.parameters["parts"][0]["reverse_complements"] == 30
    assert dataset.manifest.sources[0]["reverse_complements"] == 30
    assert "train.mat: 30 of 60 windows are reverse complements of windows in the first half" in caplog.text


def test_the_919_features(tmp_path):
    codes, labels = plant(3, features=919)
    test = write_v5(tmp_path / "test.mat", "test", codes, labels)
    dataset = prepare_published_sequence("deepsea", None, None, test, tmp_path / "d")
    assert dataset.target_names[0] == "8988T_DNase"
    assert dataset.features["group"].value_counts(sort=True).rows() == [("TF", 690), ("DNase", 125), ("histone", 104)]
    assert dataset.features.columns == ["name", "cell", "assay", "treatment", "group"]


def fails(match, layout, folder, *files, **options):
    with pytest.raises(InputError, match=match) as caught:
        prepare_published_sequence(layout, *files, folder / "d", **options)
    assert "\n" not in str(caught.value)
    assert not (folder / "d").exists()
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("kind", ["v73", "v5", "v5 compressed"])
def test_a_mat_cut_in_half(tmp_path, kind):
    write = write_v73 if kind == "v73" else write_v5
    options = {"do_compression": True} if "compressed" in kind else {}
    path = write(tmp_path / "train.mat", "train", *plant(300), **options)
    whole = path.read_bytes()
    for size in (len(whole) // 2, len(whole) - 1, 300, 60):
        path.write_bytes(whole[:size])
        fails(r"train\.mat: .*(is cut short|no HDF5 file|damaged)", "deepsea", tmp_path, path, None, None)


def test_damaged_compressed_data(tmp_path):
    path = write_v5(tmp_path / "test.mat", "test", *plant(3000), do_compression=True)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    path.write_bytes(data)
    fails(r"test\.mat: (its compressed data is damaged|is cut short|.*no)", "deepsea", tmp_path, None, None, path)


def test_a_wrong_checksum_at_the_end_of_compressed_data(tmp_path):
    path = write_v5(tmp_path / "test.mat", "test", *plant(50), do_compression=True)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    fails(r"test\.mat: its compressed data is damaged", "deepsea", tmp_path, None, None, path)


def test_wrong_keys_and_shapes(tmp_path):
    path = write_v5(tmp_path / "x.mat", "valid", *plant(5))
    fails(
        r"has no array 'trainxdata', it has validdata, validxdata \(give it as --valid\)",
        "deepsea",
        tmp_path,
        path,
        None,
        None,
    )
    path = write_v73(tmp_path / "x.h5", "valid", *plant(5))
    fails(r"has no array 'testxdata', it has validdata, validxdata", "deepsea", tmp_path, None, None, path)
    scipy.io.savemat(path, {"testxdata": np.zeros((3, 5, 7)), "testdata": np.zeros((3, 2))})
    fails(r"are \(3, 5, 7\) and \(3, 2\), expected \(N, 4, L\)", "deepsea", tmp_path, None, None, path)
    scipy.io.savemat(path, {"testxdata": np.zeros((3, 4, 7)), "testdata": np.zeros((2, 2))})
    fails(r"3 windows in testxdata, 2 in testdata", "deepsea", tmp_path, None, None, path)
    scipy.io.savemat(path, {"testxdata": "text", "testdata": np.zeros((2, 2))})
    fails(r"are no numbers and \(2, 2\)", "deepsea", tmp_path, None, None, path)
    path.write_text("this is no MATLAB file\n" * 20)
    fails("is no HDF5 file", "deepsea", tmp_path, path, None, None)


def test_columns_that_are_not_one_hot(tmp_path):
    codes, labels = plant(5, length=6)
    x = one_hot(codes, ORDERS["deepsea"])
    x[3, :, 4] = (1, 0, 1, 0)
    scipy.io.savemat(tmp_path / "t.mat", {"testxdata": x, "testdata": labels})
    match = r"t\.mat: testxdata, example 4: position 5 is 1, 0, 1, 0, expected a single 1"
    fails(match, "deepsea", tmp_path, None, None, tmp_path / "t.mat")
    x[3, :, 4] = (1, 0, 0, 0)
    labels[2, 1] = 7
    scipy.io.savemat(tmp_path / "t.mat", {"testxdata": x, "testdata": labels})
    match = r"testdata, example 3: the label of feature 2 is 7, expected 0 or 1"
    fails(match, "deepsea", tmp_path, None, None, tmp_path / "t.mat")


def test_files_that_do_not_belong_together(tmp_path):
    train = write_v73(tmp_path / "train.mat", "train", *plant(5, length=10))
    test = write_v5(tmp_path / "test.mat", "test", *plant(5, length=11))
    fails(r"test\.mat: its sequences have 11 letters, those of .*train\.mat 10", "deepsea", tmp_path, train, None, test)
    test = write_v5(tmp_path / "test.mat", "test", *plant(5, length=10, features=4))
    fails(r"test\.mat: has 4 features, .*train\.mat has 3", "deepsea", tmp_path, train, None, test)


def test_no_positives_at_all_and_of_a_feature(tmp_path, caplog):
    codes, labels = plant(5)
    path = write_v5(tmp_path / "t.mat", "test", codes, labels * 0)
    fails("has no positives", "deepsea", tmp_path, None, None, path)
    labels[:, 1] = 0
    path = write_v5(tmp_path / "t.mat", "test", codes, labels)
    prepare_published_sequence("deepsea", None, None, path, tmp_path / "d")
    assert "1 features have no positives, the first is feature2" in caplog.text


# ---- Basset


def write_basset(path, parts, *, tall=True, dtype=np.uint8, labels=True, **options):
    with h5py.File(path, "w") as stream:
        for split, (codes, targets) in parts.items():
            x = one_hot(codes, ORDERS["basset"]).astype(dtype)
            if np.dtype(dtype).kind == "f":
                x = np.where((codes == 4)[:, None], np.array(0.25, dtype), x)
            stream.create_dataset(f"{split}_in", data=x[:, :, None] if tall else x, **options)
            stream[f"{split}_out"] = targets
        if labels:
            stream["target_labels"] = [b"K562", b"HepG2", b"K562"]
    return path


@pytest.mark.parametrize(
    ("tall", "dtype", "options"),
    [(True, np.uint8, {}), (False, bool, {"chunks": (64, 4, 2)}), (True, np.float16, {"chunks": (150, 1, 1, 20)})],
)
def test_bassets_file(tmp_path, small_budget, tall, dtype, options):
    parts = {"train": plant(150, seed=1), "valid": plant(150, seed=2), "test": plant(150, seed=3)}
    path = write_basset(tmp_path / "b.h5", parts, tall=tall, dtype=dtype, **options)
    dataset = prepare_published_sequence("basset", path, None, None, tmp_path / "d")
    check(dataset, *parts.values())
    assert dataset.target_names == ["K562", "HepG2", "K562.2"]
    assert dataset.regions["split"].to_list() == [split for split in parts for _ in range(150)]


def test_bassets_parts_in_files_of_their_own(tmp_path):
    train, test = {"train": plant(4, seed=1)}, {"test": plant(3, seed=2)}
    first = write_basset(tmp_path / "a.h5", train, labels=False)
    second = write_basset(tmp_path / "b.h5", test, labels=False)
    dataset = prepare_published_sequence("basset", first, None, second, tmp_path / "d")
    check(dataset, train["train"], test["test"])
    assert dataset.target_names == ["feature1", "feature2", "feature3"]


def test_bad_basset_files(tmp_path):
    path = tmp_path / "b.h5"
    path.write_bytes(b"PK" * 500)
    fails("b.h5: is no HDF5 file", "basset", tmp_path, path, None, None)
    with h5py.File(path, "w") as stream:
        stream["train_in"] = np.zeros((3, 5, 1, 7))
        stream["train_out"] = np.zeros((3, 2))
    fails(r"are \(3, 5, 1, 7\) and \(3, 2\), expected", "basset", tmp_path, path, None, None)
    fails("has no array 'test_in', it has train_in, train_out", "basset", tmp_path, None, None, path)
    write_basset(path, {"train": plant(2000)})
    path.write_bytes(path.read_bytes()[:9000])
    fails("HDF5 file is cut short", "basset", tmp_path, path, None, None)


# ---- text layouts


def text_of(codes):
    return ["".join(LETTERS[code] for code in row) for row in codes]


def write_deepbind(path, codes, labels, ids, header="FoldID\tEventID\tseq\tBound"):
    rows = [f"A\t{i}\t{text}\t{label}" for i, text, label in zip(ids, text_of(codes), labels, strict=True)]
    path.write_bytes(gzip.compress("\n".join([header, *rows, ""]).encode()))
    return path


def pairs(row):
    return sorted(zip(row[:-1].tolist(), row[1:].tolist(), strict=True))


def deepbind_set(folder, n=40):
    codes, _ = plant(n, length=31, seed=1)
    train = write_deepbind(folder / "x_AC.seq.gz", codes, [1] * n, [f"seq_{i:05}_peak" for i in range(n)])
    test, labels = plant(10, length=31, features=1, seed=2)
    ids = [f"test_{i}_{'peak' if label else 'shuf'}" for i, label in enumerate(labels[:, 0])]
    return codes, train, (test, labels), write_deepbind(folder / "x_B.seq.gz", test, labels[:, 0], ids)


@pytest.mark.parametrize("negatives", [1, 3])
def test_deepbinds_pair(tmp_path, negatives):
    codes, train, planted, test = deepbind_set(tmp_path)
    options = {"seed": 5, "negatives_per_positive": negatives, "valid_fraction": 0.2}
    dataset = prepare_published_sequence("deepbind", train, None, test, tmp_path / "d", **options)
    found, labels = read(dataset)
    regions = dataset.regions
    rows = {split: (regions["split"] == split).to_numpy() for split in ("train", "valid", "test")}
    assert [int(part.sum()) for part in rows.values()] == [32 * (1 + negatives), 8 * (1 + negatives), 10]
    np.testing.assert_array_equal(found[rows["test"]], planted[0])
    np.testing.assert_array_equal(labels[rows["test"]], planted[1])
    assert dataset.target_names == ["bound"]

    by_id = {name: (found[i], int(labels[i, 0]), regions["split"][i]) for i, name in enumerate(regions["id"])}
    for i, row in enumerate(codes):
        sequence, label, split = by_id[f"seq_{i:05}_peak"]
        np.testing.assert_array_equal(sequence, row)
        assert label == 1
        for j in range(1, negatives + 1):
            shuffle, label, other = by_id[f"seq_{i:05}_peak_shuffle{j}"]
            assert (label, other) == (0, split)
            assert pairs(shuffle) == pairs(row)
            assert (shuffle != row).any()

    again = prepare_published_sequence("deepbind", train, None, test, tmp_path / "again", **options)
    assert again.checksum == dataset.checksum
    other = prepare_published_sequence("deepbind", train, None, test, tmp_path / "other", **{**options, "seed": 6})
    assert other.checksum != dataset.checksum


def test_deepbind_with_its_own_validation_and_negatives(tmp_path):
    codes, train, planted, test = deepbind_set(tmp_path)
    dataset = prepare_published_sequence("deepbind", train, test, None, tmp_path / "d")
    found, _ = read(dataset)
    valid = (dataset.regions["split"] == "valid").to_numpy()
    np.testing.assert_array_equal(found[valid], planted[0])
    assert (~valid).sum() == 80
    # Own negatives are not added to, and stay with their positives in what is carved.
    pair = [name for i in range(20) for name in (f"s_{i}_peak", f"s_{i}_shuf")]
    path = write_deepbind(tmp_path / "own.seq.gz", codes, [1, 0] * 20, pair)
    dataset = prepare_published_sequence("deepbind", path, None, None, tmp_path / "own", valid_fraction=0.25)
    assert len(dataset) == 40
    stems = dataset.regions.select(pl.col("id").str.extract(r"^(s_\d+)_"), "split").unique()
    assert stems.height == stems["id"].n_unique() == 20
    assert (dataset.regions["split"] == "valid").sum() == 10


def test_bad_deepbind_tables(tmp_path):
    codes, _ = plant(4, length=8)
    ids = ["a", "b", "c", "d"]

    def bad(match, *arguments, path=tmp_path / "t.seq.gz", **options):
        write_deepbind(path, *arguments, **options)
        fails(match, "deepbind", tmp_path, None, None, path)

    bad(r"t\.seq\.gz: has no positives", codes, [0] * 4, ids)
    bad(r"line 3: Bound is '0\.7', expected 0 or 1", codes, [1, 0.7, 1, 0], ids)
    bad(r"line 4: the EventID 'a' occurs twice", codes, [1, 0, 1, 0], ["a", "b", "a", "d"])
    bad(r"line 1: has no column 'seq'", codes, [1, 0, 1, 0], ids, header="FoldID\tEventID\tsequence\tBound")
    path = tmp_path / "t.seq.gz"
    path.write_text("x")
    text = "FoldID\tEventID\tseq\tBound\nA\tp\tACGT\t1\nA\tq\tACG\t0\n"
    for content, match in (
        (text, r"line 3: a sequence of 3 letters, that of line 2 has 4 \(cut or pad all sequences to one length\)"),
        (text.replace("ACG\t", "AC!G\t"), r"line 3: '!' at position 3 is no letter of DNA"),
        (text.replace("\t0", ""), r"line 3: has 3 columns, the header has 4"),
        (text[:25], "has a header and no sequences"),
    ):
        path.write_bytes(gzip.compress(content.encode()))
        fails(match, "deepbind", tmp_path, path, None, None)
    whole = write_deepbind(path, *plant(3000, features=1)[:1], [1] * 3000, range(3000)).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    fails(r"t\.seq\.gz: gzip ends early", "deepbind", tmp_path, path, None, None)


def write_demo(path, codes, labels):
    path.write_text("".join(f">{label}\n{text}\n" for label, text in zip(labels, text_of(codes), strict=True)))
    return path


def test_the_dashboards_files(tmp_path):
    planted = [plant(n, features=1, seed=n) for n in (30, 8, 9)]
    names = ("train", "valid", "test")
    files = [write_demo(tmp_path / f"{name}.fa", c, y[:, 0]) for name, (c, y) in zip(names, planted, strict=True)]
    check(prepare_published_sequence("demo", *files, tmp_path / "d"), *planted)
    dataset = prepare_published_sequence("demo", files[0], None, files[2], tmp_path / "carved", valid_fraction=0.2)
    assert dataset.regions["split"].value_counts(sort=True).rows() == [("train", 24), ("test", 9), ("valid", 6)]
    found, labels = read(dataset)
    order = [int(name.split("_")[1]) - 1 for name in dataset.regions["id"][:30]]
    assert sorted(order) == list(range(30))
    np.testing.assert_array_equal(found[:30], planted[0][0][order])
    np.testing.assert_array_equal(labels[:30], planted[0][1][order])
    assert set(labels[24:30, 0]) == {0, 1}


def test_bad_files_of_the_dashboard(tmp_path):
    path = tmp_path / "t.fa"
    for text, match in (
        (">1\nACGT\n>2\nACGT\n", r"line 3: the label is '2', expected 0 or 1"),
        (">1\nACGT\nACGT\n", r"line 3: expected a line with a label, such as >1"),
        (">1\n>0\nACGT\n", r"line 2: expected a line with a sequence"),
        (">1\nACGT\n>0\n", r"line 3: expected a line with a sequence"),
        (">1\nACGT\n>0\nAC\n", r"line 4: a sequence of 2 letters, that of line 2 has 4"),
        (">1\nACGT\n>0\nAC T\n", r"line 4: byte 0x20 at position 3 is no letter of DNA"),
        (">0\nACGT\n>0\nACTT\n", "has no positives: all labels are 0"),
        (">1\nACGT\n>1\nACTT\n", "has no negatives: all labels are 1"),
    ):
        path.write_text(text)
        fails(match, "demo", tmp_path, None, None, path)


def test_wrong_requests(tmp_path):
    path = write_v5(tmp_path / "t.mat", "test", *plant(5))
    fails("unknown layout 'deapsea'", "deapsea", tmp_path, None, None, path)
    fails("no file was given", "deepsea", tmp_path, None, None, None)
    fails("no such file", "deepsea", tmp_path, tmp_path / "no.mat", None, None)
    fails("0 negatives per positive", "deepsea", tmp_path, None, None, path, negatives_per_positive=0)
    fails("a validation share of 1", "deepsea", tmp_path, None, None, path, valid_fraction=1)
    prepare_published_sequence("deepsea", None, None, path, tmp_path / "d")
    with pytest.raises(InputError, match="exists already"):
        prepare_published_sequence("deepsea", None, None, path, tmp_path / "d")
    prepare_published_sequence("deepsea", None, None, path, tmp_path / "d", overwrite=True)
