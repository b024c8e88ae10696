"""Chromoformer's published layout, against a plain reading of its files, and what is wrong with such files."""

import numpy as np
import pytest
from tests.datasets.published_world import (
    GENES,
    HEADER,
    MARKS,
    WIDTHS,
    WINDOW,
    gene,
    reference,
    write_depths,
    write_table,
)

from regulome.datasets import Batches, RegionBatches, open_dataset
from regulome.datasets.build_published_contacts import prepare_published_contacts
from regulome.datasets.promoter_windows import PromoterWindows
from regulome.datasets.regions import RegionTable
from regulome.datasets.views import choose_view
from regulome.errors import InputError

OPTIONS = {"window": WINDOW, "resolutions": WIDTHS, "marks": MARKS, "max_region": WINDOW}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_depths(tmp_path_factory.mktemp("world") / "npy")


@pytest.fixture(scope="module")
def dataset(folder):
    table = write_table(folder.parent / "genes.csv", GENES, HEADER[::-1])
    return prepare_published_contacts(table, folder, folder.parent / "dataset", **OPTIONS)


#: Neighbours by rank: threshold 1.5, the first score of a duplicate counts, ties by name.
RANKED = [
    [("chr1:7000-7400", 2.5), ("chr1:100-101", 1.9), ("chr1:5000-5130", 1.9)],
    [("chr1:5000-5130", 3.0)],
    [],
    [("chr2:4000-4100", 7.0)],
    [("chr1:5000-5130", 2.0), ("chr1:9000-9199", 2.0)],
]


def promoter(row):
    tss = int(row["start"])
    return f"{row['chrom']}:{tss - WINDOW // 2}-{tss + WINDOW // 2}"


def test_the_table_is_kept(dataset):
    assert dataset.regions["id"].to_list() == [row["gene_id"] for row in GENES]
    assert dataset.regions["fold"].to_list() == [1, 2, 3, 4, 1]
    assert dataset.targets.ravel().tolist() == [0, 1, 0, 1, 0]
    assert dataset.regions["start"].to_list() == [800, 700, 800, -50, 900]
    assert (dataset.marks, dataset.bins, dataset.bin_size) == (MARKS, WINDOW // 20, 20)
    assert "contacts" in str(dataset)
    dataset.verify()


def test_each_region_is_stored_once(dataset):
    table = RegionTable(dataset)
    names = {table.regions.describe(i) for i in range(len(table.regions))}
    assert len(table.regions) == len(names) == 4 + 5
    assert table.span == WINDOW


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 1], [2]])
def test_batches_are_those_of_the_published_data_set(dataset, folder, order, held, monkeypatch):
    if not held:
        monkeypatch.setattr("regulome.datasets.region_batches.fits", lambda *_: False)
    (batch,) = RegionBatches(dataset, order, batch_size=5)
    x = batch.inputs
    assert batch.index.tolist() == order
    names = [promoter(GENES[i]) for i in order] + [name for i in order for name, _ in RANKED[i]]
    turned = [GENES[i]["strand"] == "-" for i in order] + [False] * (len(names) - len(order))
    assert x.gene.tolist() == [place for place, i in enumerate(order) for _ in RANKED[i]]
    assert x.frequency.tolist() == pytest.approx([score for i in order for _, score in RANKED[i]])
    for r, width in enumerate(WIDTHS):
        expected = [reference(folder, name, width, turn) for name, turn in zip(names, turned, strict=True)]
        np.testing.assert_allclose(x.features[r], np.concatenate([rows for rows, _ in expected]), atol=1e-6)
        assert x.bins[r].tolist() == [len(rows) for rows, _ in expected]
        assert x.first[r].tolist() == [first for _, first in expected]


def test_marks_resolutions_and_top_are_chosen(dataset):
    (whole,) = RegionBatches(dataset, batch_size=5)
    (some,) = RegionBatches(dataset, batch_size=5, marks=["c", "A"], resolutions=[40], top=1)
    promoters = whole.inputs.features[1][: 5 * 10]
    np.testing.assert_array_equal(some.inputs.features[0][: 5 * 10], promoters[:, [2, 0]])
    assert some.inputs.gene.tolist() == [0, 1, 3, 4]


@pytest.mark.parametrize("held", [True, False])
def test_a_smaller_window_is_cut_out_of_promoters(dataset, folder, held, monkeypatch):
    if not held:
        monkeypatch.setattr("regulome.datasets.region_batches.fits", lambda *_: False)
    # 120 bases in bins of 40 begin 140 bases into the window: inside of a stored bin of 40, so that 20s are merged.
    (batch,) = RegionBatches(dataset, [1, 0], batch_size=2, window=120, resolutions=[40, 20])
    depth = np.load(folder / "chr2:700-1100.npy").astype(float)[:, 140:260]
    expected = np.log(depth.reshape(3, 3, 40).mean(2).T + 1)[::-1]
    np.testing.assert_allclose(batch.inputs.features[0][:3], expected, atol=1e-6)
    assert batch.inputs.bins[:, :2].tolist() == [[3, 3], [6, 6]]
    # Of 10 slots 3 are taken: 4 are left on the left, 3 where the promoter is turned.
    assert batch.inputs.first[0, :2].tolist() == [3, 4]
    with pytest.raises(InputError, match="borders inside of the stored bins"):
        RegionBatches(dataset, batch_size=2, window=100, resolutions=[100])


def test_every_gene_comes_once_in_an_order_of_its_own(dataset):
    batches = RegionBatches(dataset, batch_size=2, shuffle=True, seed=3)
    seen = []
    for epoch in range(2):
        batches.set_epoch(epoch)
        parts = list(batches)
        assert [len(part.inputs) for part in parts] == [2, 2, 1]
        assert len(batches) == 3
        seen.append(np.concatenate([part.index for part in parts]).tolist())
    assert sorted(seen[0]) == sorted(seen[1]) == list(range(5))
    assert seen[0] != seen[1]
    batches.load_state_dict({**batches.state_dict(), "epoch": 1, "position": 2})
    (last,) = batches
    assert last.index.tolist() == seen[1][4:]


def test_promoters_are_ordinary_windows(dataset, folder):
    rows = PromoterWindows(dataset)
    assert rows.shape == (5, 3, 20)
    np.testing.assert_allclose(
        np.log(rows[np.array([1])][0].T + 1), reference(folder, promoter(GENES[1]), 20, False)[0]
    )
    assert np.array_equal(rows[np.array([3, 0]), :, slice(5, 9)], rows[:][[3, 0], :, 5:9])
    assert np.array_equal(rows[np.array([[3], [0]]), np.array([2, 0]), slice(5, 9)], rows[:][[3, 0]][:, [2, 0], 5:9])
    (batch,) = Batches(dataset, batch_size=5, orient=True)
    assert np.array_equal(batch.inputs[1], rows[:][1][:, ::-1])
    view = choose_view(dataset, ["C", "A"], window=200, bin=40)
    (part,) = Batches(dataset, batch_size=5, view=view)
    merged = rows[:][:, [2, 0], 5:15].reshape(5, 2, 5, 2).mean(3)
    np.testing.assert_allclose(part.inputs, merged, rtol=1e-6)
    assert not rows[:][3, :, :2].any(), "two bins lie before the chromosome's start"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"neighbors": "chr1:5000"}, "line 2: the neighbour 'chr1:5000' is not CHROM:START-END"),
        ({"neighbors": "chr1:5130-5000"}, "line 2: the neighbour chr1:5130-5000 does not begin before its end"),
        ({"neighbors": "chr1:5000-5130;chr1:7000-7400"}, "line 2: 2 neighbours, but 1 scores"),
        ({"scores": "high"}, "line 2: the score 'high' is no finite number"),
        ({"neighbors": "chr1:5000-5900"}, "is 900 bases long, at most 400 are allowed"),
        ({"neighbors": "chr9:1-5"}, "1 neighbours have no depths, the first is chr9:1-5.npy"),
        ({"start": "77"}, "1 promoters have no depths, the first is chr1:-123-277.npy"),
        ({"start": "-3"}, "line 2: start '-3' is not a whole number"),
        ({"expression": "nan"}, "line 2: expression 'nan' is no finite number"),
        ({"strand": "."}, "line 2: strand '.' is not"),
        ({"label": "7"}, "line 2: the label is not 0 or 1"),
        ({"gene_id": GENES[1]["gene_id"]}, r"line 3: the gene ENSG\d+ comes twice in one cell"),
    ],
)
def test_a_wrong_row_is_one_line_or_left_out(folder, tmp_path, change, message):
    rows = [gene(7, "chr1", 1000, "+", [("chr1:5000-5130", 2)]) | change, *GENES[1:]]
    table = write_table(tmp_path / "genes.csv", rows)
    with pytest.raises(InputError, match=message) as error:
        prepare_published_contacts(table, folder, tmp_path / "d", **OPTIONS)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "d").exists()
    kept = prepare_published_contacts(table, folder, tmp_path / "d", **OPTIONS, skip_invalid=True)
    assert 4 <= len(kept) <= 5


@pytest.mark.parametrize(
    ("depth", "message"),
    [
        (np.full((3, 130), np.float16(np.inf)), "float16 holds at most 65,504"),
        (np.full((3, 130), -1.0), "below 0"),
        (np.ones((7, 130)), "name the marks in the order of its rows"),
        (np.ones((3, 129)), "has depths of 129 bases, its name says 130"),
        (np.ones((3, 130), dtype="U1"), "expected 3 marks"),
    ],
)
def test_a_wrong_file_of_depths_is_one_line(tmp_path, depth, message):
    folder = write_depths(tmp_path / "npy")
    np.save(folder / "chr1:5000-5130.npy", depth)
    with pytest.raises(InputError, match=message):
        prepare_published_contacts(write_table(tmp_path / "genes.csv", GENES), folder, tmp_path / "d", **OPTIONS)


def test_weak_neighbours_are_left_out_and_said(folder, tmp_path, caplog):
    table = write_table(tmp_path / "genes.csv", GENES)
    made = prepare_published_contacts(table, folder, tmp_path / "d", **OPTIONS, threshold=2.0)
    assert "left out 5 neighbours with a score of 2 or less" in caplog.text
    assert RegionTable(made).frequency.tolist() == [2.5, 3.0, 7.0, 9.0]


def test_cells_targets_and_no_contacts(folder, tmp_path):
    rows = [gene(i, "chr1", 1000, "+", eid=cell) for cell in ("E003", "E004") for i in range(3)]
    table = write_table(tmp_path / "genes.csv", rows)
    with pytest.raises(InputError, match=r"has 2 cells \(choose one with --sample: E003, E004\)"):
        prepare_published_contacts(table, folder, tmp_path / "d", **OPTIONS)
    made = prepare_published_contacts(table, folder, tmp_path / "d", **OPTIONS, sample="E004", target="log2")
    assert made.targets.ravel().tolist() == pytest.approx(np.log2(np.arange(3) * 1.5 + 1).tolist())
    (batch,) = RegionBatches(open_dataset(made.path), batch_size=3)
    assert len(batch.inputs) == 3
    assert len(batch.inputs.gene) == 0
    assert len(RegionTable(made).regions) == 1
