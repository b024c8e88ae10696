"""prepare_sequence against labels counted base by base."""

import logging
import re
import shutil
import subprocess
from collections import Counter

import numpy as np
import polars as pl
import pytest
from tests.datasets.peak_world import PeakWorld, as_text

from regulome.datasets import assign_split, open_dataset, prepare_sequence, window_codes
from regulome.errors import InputError


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("REGULOME_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def world(tmp_path):
    return PeakWorld(tmp_path / "world")


def bins_by_hand(world, bin, needed, *, together=False, counted=("F0", "F1", "F2")):
    """Chromosome, start and labels of the bins that are kept."""
    found = []
    for name in ("1", "2", "10"):
        for start in range(0, world.sizes[name] // bin * bin, bin):
            labels = [
                int(world.coverage(f, name, start, start + bin, together=together) >= needed) for f in world.intervals
            ]
            if any(label for feature, label in zip(world.intervals, labels, strict=True) if feature in counted):
                found.append((f"chr{name}", start, labels))
    return found


def check_letters(world, dataset, rows=None):
    """Every window holds the letters of its place."""
    rows = np.arange(len(dataset)) if rows is None else rows
    table = dataset.regions[rows]
    expected = [
        world.window(chrom.removeprefix("chr"), start, end - start)
        for chrom, start, end in table.select("chrom", "start", "end").iter_rows()
    ]
    assert as_text(window_codes(dataset, rows)) == expected


@pytest.mark.parametrize(
    ("bin", "length", "overlap", "together"),
    [
        (200, 1000, 0.5, False),
        (200, 1000, 0.5, True),
        (50, 201, 0.5, False),
        (25, 100, 0.3, True),
        (300, 300, 1, False),
    ],
)
def test_bins_are_labelled_by_half_a_peak(world, tmp_path, bin, length, overlap, together):
    dataset = prepare_sequence(
        world.genome, world.files, tmp_path / "d",
        bin=bin, length=length, overlap=overlap, merge_peaks=together, max_unknown=1,
    )  # fmt: skip
    expected = bins_by_hand(world, bin, int(np.ceil(overlap * bin)), together=together)
    regions = dataset.regions
    assert list(regions.select("chrom", "bin_start").iter_rows()) == [(c, s) for c, s, _ in expected]
    assert dataset.targets.tolist() == [labels for _, _, labels in expected]
    assert (regions["bin_end"] - regions["bin_start"] == bin).all()
    assert (regions["start"] == regions["bin_start"] + bin // 2 - length // 2).all()
    assert (regions["end"] - regions["start"] == length).all()
    assert regions["id"][0] == f"{expected[0][0]}:{expected[0][1]}-{expected[0][1] + bin}"
    assert dataset.target_names == ["F0", "F1", "F2"]
    assert dataset.manifest.targets.rule["positives"] == dataset.targets.sum(0).tolist()
    check_letters(world, dataset)
    open_dataset(tmp_path / "d", verify=True)


@pytest.mark.skipif(shutil.which("bedtools") is None, reason="bedtools is not installed")
def test_labels_are_those_of_bedtools(tmp_path):
    world = PeakWorld(tmp_path / "w", seed=3, peaks=150, sizes={"1": 90_000, "2": 60_000})
    dataset = prepare_sequence(world.genome, world.files, tmp_path / "d", max_unknown=1)
    bins = tmp_path / "bins.bed"
    bins.write_text(
        "".join(
            f"chr{n}\t{s}\t{s + 200}\n" for n, size in world.sizes.items() for s in range(0, size // 200 * 200, 200)
        )
    )
    found = set()
    for number, file in enumerate(world.files):
        command = ["bedtools", "intersect", "-a", str(bins), "-b", str(file), "-f", "0.5", "-u"]
        for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
            chrom, start, _ = line.split("\t")
            found.add((chrom, int(start), number))
    rows, columns = np.nonzero(dataset.targets)
    places = dataset.regions.select("chrom", "bin_start").rows()
    assert {(*places[row], int(column)) for row, column in zip(rows, columns, strict=True)} == found


def test_only_counted_features_make_a_bin_worth_keeping(world, tmp_path):
    metadata = tmp_path / "about.tsv"
    metadata.write_text("name\tgroup\tcell\nF0\tDNase\tK562\nF1\tTF\tK562\nF2\thistone\t\nother\tTF\t\n")
    options = {"metadata": metadata, "max_unknown": 1}
    dataset = prepare_sequence(world.genome, world.files, tmp_path / "d", **options)
    expected = bins_by_hand(world, 200, 100, counted=("F1",))
    assert list(dataset.regions.select("chrom", "bin_start").iter_rows()) == [(c, s) for c, s, _ in expected]
    assert dataset.targets.tolist() == [labels for _, _, labels in expected]
    assert dataset.features.rows()[1] == ("F1", "K562", "", "", "TF")
    every = prepare_sequence(world.genome, world.files, tmp_path / "e", group="any", **options)
    assert len(every) == len(bins_by_hand(world, 200, 100))
    with pytest.raises(InputError, match=r"about.tsv: no feature is of the group 'ATAC' \(give --group any"):
        prepare_sequence(world.genome, world.files, tmp_path / "f", group="ATAC", **options)


def test_all_bins(world, tmp_path):
    dataset = prepare_sequence(world.genome, world.files, tmp_path / "d", negatives="all", max_unknown=1)
    assert len(dataset) == sum(size // 200 for size in world.sizes.values())
    kept = dataset.regions["origin"] == "positive"
    assert kept.to_list() == dataset.targets.any(1).tolist()
    assert int(kept.sum()) == len(bins_by_hand(world, 200, 100))


def test_windows_are_left_out(world, tmp_path):
    blacklist = tmp_path / "black.bed"
    blacklist.write_text("1\t5000\t5001\n1\t9000\t9500\nchr7\t1\t2\n")
    dataset = prepare_sequence(
        world.genome, world.files, tmp_path / "d", negatives="all", ends="drop", max_unknown=0.25, blacklist=[blacklist]
    )
    expected = []
    for name in ("1", "2", "10"):
        for start in range(0, world.sizes[name] // 200 * 200, 200):
            low, high = start - 400, start + 600
            black = name == "1" and ((low < 5001 and high > 5000) or (low < 9500 and high > 9000))
            text = world.window(name, low, 1000)
            if low >= 0 and high <= world.sizes[name] and not black and text.count("N") <= 250:
                expected.append((f"chr{name}", low))
    assert dataset.regions.select("chrom", "start").rows() == expected
    counts = dataset.manifest.parameters["left_out"]
    assert sum(counts.values()) == sum(size // 200 for size in world.sizes.values()) - len(expected)
    assert [source["role"] for source in dataset.manifest.sources][:2] == ["genome", "blacklist"]


@pytest.mark.parametrize("negatives", ["random", "gc-matched"])
@pytest.mark.parametrize("examples", ["bins", "peaks"])
def test_background_lies_away_from_peaks(tmp_path, examples, negatives):
    world = PeakWorld(tmp_path / "w", sizes={"1": 300_000, "2": 200_000}, peaks=30, seed=5)
    options = {"examples": examples, "negatives": negatives, "bin": 100, "length": 200, "ratio": 2.0}
    dataset = prepare_sequence(world.genome, world.files, tmp_path / "d", seed=1, **options)
    origin = dataset.regions["origin"].to_numpy()
    background = np.flatnonzero(origin == "background")
    assert len(background) == 2 * (origin == "positive").sum()
    assert not dataset.targets[background].any()
    assert dataset.regions["id"].is_unique().all()
    edges = ("bin_start", "bin_end") if examples == "bins" else ("start", "end")
    for chrom, begin, end in dataset.regions[background].select("chrom", *edges).iter_rows():
        assert not world.touched(chrom.removeprefix("chr"), begin, end)
    check_letters(world, dataset)
    for _, part in dataset.regions.group_by("chrom"):
        kinds = dict(part["origin"].value_counts().iter_rows())
        assert kinds["background"] == 2 * kinds["positive"]
    texts = as_text(window_codes(dataset, np.arange(len(dataset))))
    gc = np.array([sum(map(text.count, "GC")) / max(1, 200 - text.count("N")) for text in texts])
    apart = abs(np.sort(gc[background])[::2] - np.sort(gc[origin == "positive"])).mean()
    assert apart < 0.02 or negatives == "random"
    again = prepare_sequence(world.genome, world.files, tmp_path / "e", seed=1, **options)
    other = prepare_sequence(world.genome, world.files, tmp_path / "f", seed=2, **options)
    assert again.checksum == dataset.checksum != other.checksum


@pytest.mark.parametrize(("length", "margin"), [(101, 0), (101, 7), (60, 100)])
def test_shuffles_have_the_place_and_the_dinucleotides_of_their_positive(world, tmp_path, length, margin):
    options = {"examples": "peaks", "length": length, "margin": margin, "ratio": 2}
    dataset = prepare_sequence(world.genome, world.files[:1], tmp_path / "d", max_unknown=1, **options)
    regions = dataset.regions
    texts = as_text(window_codes(dataset, np.arange(len(dataset))))
    positive = np.flatnonzero(regions["origin"] == "positive")
    check_letters(world, dataset, positive)
    assert dataset.targets[positive].all()
    place = {regions["id"][int(i)]: int(i) for i in positive}
    seen = Counter()
    for i in np.flatnonzero(regions["origin"] == "shuffle").tolist():
        name, _, mark = regions["id"][i].partition("/")
        twin = place[name]
        seen[mark] += 1
        assert regions.row(i)[1:5] == regions.row(twin)[1:5]
        pairs = [Counter(text[k : k + 2] for k in range(length - 1)) for text in (texts[i], texts[twin])]
        assert pairs[0] == pairs[1]
        assert dataset.targets[i].tolist() == [0]
        near = np.int32(min(margin, 3))
        shifted = as_text(window_codes(dataset, [i], shift=np.array([near])))[0]
        assert shifted.endswith(texts[twin][-1] + world.window(regions["chrom"][i][3:], regions["end"][i], near))
    assert seen == {"shuffle1": len(positive), "shuffle2": len(positive)}
    assert np.mean([a == b for a, b in zip(texts[: len(positive)], texts[len(positive) :], strict=False)]) < 0.5
    parts = assign_split(dataset, "blocks")
    by_place = pl.DataFrame({"place": regions["start"], "chrom": regions["chrom"], "part": parts}).unique()
    assert not by_place.select("place", "chrom").is_duplicated().any()


def test_windows_around_summits(world, tmp_path):
    dataset = prepare_sequence(
        world.genome, world.files, tmp_path / "d", examples="peaks", length=101, bin=50, negatives="none", max_unknown=1
    )
    own: dict[tuple[str, int], set[str]] = {}
    for feature, rows in world.intervals.items():
        for name, start, end, offset in rows:
            centre = start + (offset if offset >= 0 else (end - start) // 2)
            own.setdefault((name, centre), set()).add(feature)
    expected = []
    for name in ("1", "2", "10"):
        for _, centre in sorted(place for place in own if place[0] == name):
            around = (name, centre - 25, centre + 25)
            labels = [int(f in own[name, centre] or world.coverage(f, *around) >= 25) for f in world.intervals]
            expected.append((f"chr{name}", centre - 50, labels))
    assert dataset.regions.select("chrom", "start").rows() == [(c, s) for c, s, _ in expected]
    assert dataset.targets.tolist() == [labels for *_, labels in expected]


def test_given_negatives(world, tmp_path, caplog):
    file = tmp_path / "negatives.bed"
    name, start, *_ = world.intervals["F0"][0]
    rows = [("1", 7000, 7100), ("1", 7001, 7099), ("2", 3000, 3050), (name, start, start + 2)]
    file.write_text("".join(f"chr{c}\t{s}\t{e}\n" for c, s, e in rows))
    dataset = prepare_sequence(world.genome, world.files, tmp_path / "d", negatives=file, length=100, max_unknown=1)
    given = (dataset.regions["origin"] == "given").to_numpy()
    assert set(dataset.regions.filter(given).select("chrom", "start").rows()) == {
        (f"chr{c}", (s + e) // 2 - 50) for c, s, e in rows
    }
    assert given.sum() == 3
    assert not dataset.targets[given].any()
    places = {(c, (s + e) // 2 - 100) for c, s, e in rows}
    near = sum(world.touched(c, bin_start, bin_start + 200) for c, bin_start in places)
    assert near
    assert f"{near} of the given negatives share a base with a peak" in caplog.text


def test_files_of_one_name_are_one_feature(world, tmp_path):
    a, b, c = world.files
    dataset = prepare_sequence(world.genome, [f"X={a}", f"X={b}", c], tmp_path / "d", max_unknown=1)
    single = prepare_sequence(world.genome, world.files, tmp_path / "e", max_unknown=1)
    assert dataset.target_names == ["X", "F2"]
    assert dataset.targets[:, 0].tolist() == single.targets[:, :2].max(1).tolist()


def test_chromosomes_can_be_chosen(world, tmp_path, caplog):
    caplog.set_level(logging.INFO, "regulome")
    dataset = prepare_sequence(world.genome, world.files, tmp_path / "d", chromosomes=["2", "chr10"])
    assert dataset.regions["chrom"].unique().sort().to_list() == ["chr10", "chr2"]
    assert "peaks: chromosome chr1 = 1 of the genome and 2 more alike" in caplog.text
    rest = prepare_sequence(world.genome, world.files, tmp_path / "e", exclude_chromosomes=["chr2", "10"])
    assert rest.regions["chrom"].unique().to_list() == ["chr1"]
    with pytest.raises(
        InputError, match=r"no file has peaks on chromosome 'chrX' \(there are peaks on chr1, chr2, chr10"
    ):
        prepare_sequence(world.genome, world.files, tmp_path / "f", chromosomes=["chrX"])


def test_other_chromosomes_are_left_out_and_counted(world, tmp_path, caplog):
    caplog.set_level(logging.INFO, "regulome")
    with world.files[0].open("a") as stream:
        stream.write("chr5\t10\t500\t.\t0\t.\t1\t-1\t-1\t5\nchrX\t10\t500\t.\t0\t.\t1\t-1\t-1\t5\n")
    dataset = prepare_sequence(world.genome, world.files, tmp_path / "d")
    assert "F0.narrowPeak: 2 peaks on chromosomes that the genome lacks are left out" in caplog.text
    assert dataset.manifest.sources[1]["n_elsewhere"] == 2


def test_a_feature_without_positives_is_named(world, tmp_path, caplog):
    nothing = tmp_path / "tiny.bed"
    nothing.write_text("chr1\t100\t110\n")
    dataset = prepare_sequence(world.genome, [*world.files, nothing], tmp_path / "d")
    assert "no positives for tiny: nothing can be learned of them" in caplog.text
    assert dataset.targets[:, 3].sum() == 0
    with pytest.raises(InputError, match="no peak labels a window") as caught:
        prepare_sequence(world.genome, [nothing], tmp_path / "e")
    assert "--bin" in caught.value.cure
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ("chr1\t500\t300\n", "line 1: start 500 is not before end 300"),
        ("chr1\t100\t400\nchr1\t19000\t20001\n", "line 2: end 20001 is beyond the end of chr1 at 20000"),
        ("chr1\tx\t400\n", "line 1: start 'x' is not a whole number"),
        ("", "is empty"),
    ],
)
def test_wrong_peaks(world, tmp_path, rows, match):
    file = tmp_path / "wrong.bed"
    file.write_text(rows)
    with pytest.raises(InputError, match=match) as caught:
        prepare_sequence(world.genome, [*world.files, file], tmp_path / "d")
    assert "wrong.bed" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "d").exists()


def test_a_file_of_other_chromosomes(world, tmp_path, caplog):
    file = tmp_path / "other.bed"
    file.write_text("chr8\t1\t400\n")
    words = "none of its chromosomes (chr8) is in the genome (1, 2, 10)"
    dataset = prepare_sequence(world.genome, [*world.files, file], tmp_path / "d", blacklist=[world.files[2]])
    assert f"other.bed: {words}" in caplog.text
    assert "no positives for F2, other" in caplog.text
    assert dataset.targets[:, :2].sum(0).all()
    with pytest.raises(InputError, match=f"other.bed: {re.escape(words)}"):
        prepare_sequence(world.genome, [file], tmp_path / "e")


def test_invalid_rows_can_be_skipped(world, tmp_path, caplog):
    file = tmp_path / "wrong.bed"
    file.write_text("chr1\t500\t300\nchr1\t7000\t7400\n")
    dataset = prepare_sequence(world.genome, [file], tmp_path / "d", skip_invalid=True)
    assert dataset.regions["bin_start"].to_list() == [7000, 7200]
    assert dataset.manifest.sources[1]["n_skipped"] == 1
    assert "1 invalid rows left out, the first: line 1" in caplog.text


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"examples": "genes"}, "unknown --examples 'genes'"),
        ({"ends": "wrap"}, "unknown --ends 'wrap'"),
        ({"bin": 0}, "--bin 0 is too small"),
        ({"length": 0}, "--length 0 is too small"),
        ({"margin": -1}, "--margin -1 is too small"),
        ({"overlap": 0}, "--overlap 0 is no share"),
        ({"overlap": 1.5}, "--overlap 1.5 is no share"),
        ({"max_unknown": 2}, "--max-unknown 2 is no share"),
        ({"negatives": "some"}, "unknown negatives 'some', and no such file"),
        ({"negatives": "all", "examples": "peaks"}, "--examples peaks has none"),
        ({"negatives": "shuffle", "ratio": 1.5}, "--ratio 1.5 of shuffled negatives"),
        ({"negatives": "random", "ratio": 0}, "--ratio 0 is no number"),
        ({"seed": -1}, "--seed -1 is negative"),
        ({"chromosomes": ["1"], "exclude_chromosomes": ["chr1"]}, "no chromosome is left"),
    ],
)
def test_options_that_cannot_be(world, tmp_path, options, match):
    with pytest.raises(InputError, match=match) as caught:
        prepare_sequence(world.genome, world.files, tmp_path / "d", **options)
    assert caught.value.cure
    assert not (tmp_path / "d").exists()


def test_names_that_cannot_be(world, tmp_path):
    again = tmp_path / "F0.bed"
    again.write_text("chr1\t1\t500\n")
    genome, files, out = world.genome, world.files, tmp_path / "d"
    for peaks, match in (
        ([], "no file of peaks was given"),
        ([files[0], files[0]], "is named twice"),
        ([files[0], again], "would be called F0"),
        ([f"={files[0]}"], "a feature has no name"),
        ([tmp_path / "none.bed"], "no such file"),
    ):
        with pytest.raises(InputError, match=match):
            prepare_sequence(genome, peaks, out)
    for text, match in (
        ("cell\tassay\nx\ty\n", "has no column name, only cell, assay"),
        ("name\tcell\nF0\tx\nF0\ty\n", "tells of F0 twice"),
        ("name\tcell\nG0\tx\n", r"tells of none of the features \(F0, …\)"),
    ):
        (tmp_path / "about.tsv").write_text(text)
        with pytest.raises(InputError, match=match):
            prepare_sequence(genome, files, out, metadata=tmp_path / "about.tsv")
