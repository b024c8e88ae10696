import numpy as np
import polars as pl
import pyBigWig
import pytest

from regulome.errors import InputError
from regulome.genome.bigwig_writer import write_bigwig
from regulome.training import track_predictions
from regulome.training.track_predictions import predict_tracks, smoothed

from .sequence_stand_in import NAMES, answer, make_scorer, window, write_genome

STRIDE = 10


@pytest.fixture(autouse=True)
def small(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("REGULOME_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(track_predictions, "_BINS", 4)


@pytest.fixture
def genome(tmp_path):
    return write_genome(tmp_path)


def truth(text, feature):
    """[(start, end, value)] of a chromosome, one window at a time."""
    found = []
    for start in range(0, len(text), STRIDE):
        letters = window(text, start + STRIDE // 2)
        if set(letters) != {"N"}:
            found.append((start, min(start + STRIDE, len(text)), answer(letters, both_strands=True)[feature]))
    return found


def check(path, expected):
    with pyBigWig.open(str(path)) as file:
        for name, intervals in expected.items():
            # A chromosome without a value is not in the file at all.
            found = (file.intervals(name) if name in file.chroms() else None) or ()
            assert [row[:2] for row in found] == [row[:2] for row in intervals]
            np.testing.assert_allclose([row[2] for row in found], [row[2] for row in intervals], rtol=1e-5)


def test_a_folder_of_tracks(genome, tmp_path):
    path, texts = genome
    files = predict_tracks(make_scorer(both_strands=True), path, tmp_path / "out", stride=STRIDE)
    assert [file.name for file in files] == ["share_C.bw", "share_G.bw", "share_T.bw"]
    for feature, file in enumerate(files):
        check(file, {name: truth(text, feature) for name, text in texts.items()})
    table = pl.read_csv(tmp_path / "out" / "tracks.tsv", separator="\t")
    assert table.rows() == list(zip([file.name for file in files], NAMES, strict=True))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g.fa", "out"]
    with pyBigWig.open(str(files[0])) as file:
        assert file.chroms() == {name: len(text) for name, text in texts.items()}
    assert len(truth(texts["chr1"], 0)) < 15


def test_one_track_of_some_regions(genome, tmp_path):
    path, texts = genome
    settings = {"features": "*G", "stride": STRIDE}
    scorer = make_scorer(both_strands=True)
    (file,) = predict_tracks(scorer, path, tmp_path / "o.bw", chromosomes="10", **settings)
    check(file, {"chr2": [], "chr10": truth(texts["chr10"], 1), "chr1": []})
    regions = ["2:15-16", "chr2:5-31", "chr2:101-110", "1:121-125"]
    (file,) = predict_tracks(scorer, path, tmp_path / "o.bw", regions=regions, overwrite=True, **settings)
    two, one = truth(texts["chr2"], 1), truth(texts["chr1"], 1)
    kept = [row for row in one if row[0] == 120]
    check(file, {"chr2": [*two[:4], two[10]], "chr10": [], "chr1": kept})
    bed = tmp_path / "r.bed"
    bed.write_text("2\t14\t16\n2\t4\t31\nchr2\t100\t110\n1\t120\t125\n")
    (again,) = predict_tracks(scorer, path, tmp_path / "p.bw", regions=bed, **settings)
    assert again.read_bytes() == file.read_bytes()
    (file,) = predict_tracks(scorer, path, tmp_path / "q.bigWig", regions=str(bed), chromosomes=["chr2"], **settings)
    check(file, {"chr2": [*two[:4], two[10]], "chr1": []})


def test_smoothing(genome, tmp_path):
    path, texts = genome
    settings = {"features": "*C", "stride": STRIDE, "smooth": 30}
    (file,) = predict_tracks(make_scorer(both_strands=True), path, tmp_path / "o.bw", **settings)
    for name, text in texts.items():
        rows = truth(text, 0)
        by_start = {start: value for start, _, value in rows}
        means = []
        for start, end, _ in rows:
            near = [by_start[s] for s in (start - STRIDE, start, start + STRIDE) if s in by_start]
            means.append((start, end, np.mean(near)))
        check(file, {name: means})


def test_smoothed():
    values = np.array([1, 2, np.nan, 4, 8], np.float32)
    np.testing.assert_allclose(smoothed(values, 0), values)
    np.testing.assert_allclose(smoothed(values, 1), [1.5, 1.5, np.nan, 6, 6])
    np.testing.assert_allclose(smoothed(values, 9), [3.75, 3.75, np.nan, 3.75, 3.75])


def test_bad_input(genome, tmp_path):
    scorer, out = make_scorer(), tmp_path / "o.bw"

    def refused(match, **settings):
        with pytest.raises(InputError, match=match):
            predict_tracks(scorer, genome[0], settings.pop("out", out), **settings)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["g.fa"]

    refused("3 features cannot be in one bigWig")
    refused("no chromosome chr7", features="*C", chromosomes=["chr7"])
    refused("is no region", features="*C", regions=["chr1"])
    refused("ends beyond the end of chr10", features="*C", regions=["chr10:90-96"])
    refused("none of the regions lies on", features="*C", regions=["chr10:9-9"], chromosomes="2")
    refused("no window has a known letter", features="*C", regions=["chr1:66-75"], stride=STRIDE)
    refused("stride 0", stride=0)


def test_a_bigwig_that_cannot_be_written_is_an_error(tmp_path, monkeypatch):
    def fail():
        yield "chr1", np.array([0]), np.array([5]), np.array([1.0], np.float32)
        raise RuntimeError("network")

    with pytest.raises(RuntimeError, match="network"):
        write_bigwig(tmp_path / "a.bw", {"chr1": 10}, fail())
    with pytest.raises(InputError, match="there is no value"):
        write_bigwig(tmp_path / "a.bw", {"chr1": 10}, [])
    beyond = [("chr1", np.array([0, 5]), np.array([5, 20]), np.ones(2, np.float32))]
    with pytest.raises(InputError, match="could not be written to its end"):
        write_bigwig(tmp_path / "a.bw", {"chr1": 10}, beyond)
