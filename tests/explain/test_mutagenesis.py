from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from tests.explain.sequence_run import LENGTH, OpenRun, fasta, letters, sequence_run

from regulome.errors import InputError
from regulome.explain import mutate, open_mutagenesis
from regulome.training.scorer import Scorer

Codes = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGULOME_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def chromosome() -> Codes:
    codes = letters(100)
    codes[[7, 50]] = 4
    return codes


@pytest.fixture
def genome(tmp_path: Path, chromosome: Codes) -> Path:
    return fasta(tmp_path / "genome.fa", {"chrA": letters(60, 1), "chrB": chromosome})


def truth(run: OpenRun, window: Codes, position: int, **settings: bool) -> NDArray[np.float64]:
    """Probability and log odds of the window with each letter at a position, [2, 4, targets], by scoring it."""
    mutants = np.repeat(window[None], 4, 0)
    mutants[:, position] = range(4)
    scorer = Scorer.from_run(run, device="cpu", **settings)
    return np.stack([scorer.probabilities(mutants), scorer.log_odds(mutants)]).astype(np.float64)


def pad(codes: Codes, begin: int) -> Codes:
    """The window of the run's length that begins at ``begin``, written out base by base."""
    return np.array([codes[i] if 0 <= i < len(codes) else 4 for i in range(begin, begin + LENGTH)], np.uint8)


@pytest.mark.parametrize("both", [True, False])
def test_every_number_is_that_of_the_mutated_sequence(
    tmp_path: Path, genome: Path, chromosome: Codes, both: bool
) -> None:
    run = sequence_run(tmp_path)
    # 1-based and inclusive: the bases 5 … 24, counted from 0; the alias finds chrB.
    found = mutate(
        run, region="B:6-25", genome=genome, out=tmp_path / "out", features="*", both_strands=both, device="cpu"
    )
    window = pad(chromosome, 15 - LENGTH // 2)
    assert found.features == run.info.target_names
    assert found.manifest["reused"]
    np.testing.assert_array_equal(found.array("codes"), chromosome[5:25])
    for base in range(20):
        probability, log_odds = truth(run, window, 10 + base, both_strands=both)
        scorer = Scorer.from_run(run, device="cpu", both_strands=both)
        reference, own = scorer.probabilities(window[None])[0], scorer.log_odds(window[None])[0]
        np.testing.assert_allclose(found.array("reference")[:, base], reference, atol=1e-5)
        np.testing.assert_allclose(found.array("difference")[:, :, base].T, probability - reference, atol=1e-5)
        np.testing.assert_allclose(found.array("effects")[:, :, base].T, log_odds - own, atol=1e-5)


def test_the_table_says_what_the_arrays_say(tmp_path: Path, genome: Path, chromosome: Codes) -> None:
    run = sequence_run(tmp_path, members=1)
    found = mutate(run, region=["chrB:6-9", "chrA:60"], genome=genome, out=tmp_path / "out", features=["F3", "f1?"])
    table = found.table()
    assert found.features == ["F3", "F10", "F11"]
    assert table.columns == [
        *("region", "chrom", "position", "ref", "alt", "feature"),
        *("reference", "alternative", "difference", "log_odds"),
    ]
    # Four bases and one; the unknown letter has four alternatives.
    assert len(table) == 3 * (3 + 3 + 4 + 3 + 3)
    assert table["region"].unique(maintain_order=True).to_list() == ["chrB:6-9", "chrA:60-60"]
    effects, difference, reference = (found.array(name) for name in ("effects", "difference", "reference"))
    offsets = {("chrB", 5 + i): i for i in range(4)} | {("chrA", 59): 4}
    for row in table.iter_rows(named=True):
        column = offsets[row["chrom"], row["position"]]
        feature, letter = found.features.index(row["feature"]), "ACGT".index(row["alt"])
        code = found.array("codes")[column]
        assert row["ref"] == "ACGTN"[code] != row["alt"]
        assert row["reference"] == pytest.approx(reference[feature, column], abs=1e-6)
        assert row["difference"] == pytest.approx(difference[feature, letter, column], abs=1e-6)
        assert row["alternative"] - row["reference"] == pytest.approx(row["difference"], abs=1e-6)
        assert row["log_odds"] == pytest.approx(effects[feature, letter, column], abs=1e-6)
    parts = found.parts
    assert [(part.chrom, part.start, part.end, part.offset) for part in parts] == [
        ("chrB", 5, 9, 0),
        ("chrA", 59, 60, 4),
    ]
    assert str(found).startswith("5 bases mutated, 3 features: ")
    assert found.manifest["features"][0] == {
        "name": "F3", "cell": "cell 0", "assay": "CTCF", "treatment": "none", "group": "TF"
    }  # fmt: skip
    assert open_mutagenesis(found.path).manifest == found.manifest


@pytest.mark.parametrize(("tile", "sizes"), [(None, [20] * 5), (40, [33, 33, 34]), (100, None)])
def test_a_long_region_is_mutated_in_tiles_around_their_own_middles(
    tmp_path: Path, genome: Path, chromosome: Codes, tile: int | None, sizes: list[int] | None
) -> None:
    run = sequence_run(tmp_path, both=False, members=1)
    options = {"region": "chrB:1-100", "genome": genome, "out": tmp_path / "out", "features": "F2", "tile": tile}
    if sizes is None:
        with pytest.raises(InputError, match="from 1 to 40"):
            mutate(run, **options)
        return
    found = mutate(run, **options)
    assert found.manifest["regions"][0]["tiles"] == len(sizes)
    begin = 0
    for size in sizes:
        window = pad(chromosome, (2 * begin + size) // 2 - LENGTH // 2)
        first = (2 * begin + size) // 2 - LENGTH // 2
        for base in (begin, begin + size - 1):
            probability, _ = truth(run, window, base - first)
            np.testing.assert_allclose(
                found.array("difference")[0, :, base] + found.array("reference")[0, base], probability[:, 2], atol=1e-5
            )
        begin += size


def test_without_a_wish_the_most_probable_features_are_kept(tmp_path: Path) -> None:
    run = sequence_run(tmp_path)
    short, exact = letters(11, 3), letters(LENGTH, 4)
    path = fasta(tmp_path / "two.fa", {"short": short, "exact": exact})
    found = mutate(run, fasta=path, out=tmp_path / "out")
    windows = np.stack([pad(short, 5 - LENGTH // 2), exact])
    highest = Scorer.from_run(run, device="cpu").probabilities(windows).max(axis=0)
    assert set(found.features) == {f"F{i}" for i in np.argsort(-highest)[:10]}
    assert [part.name for part in found.parts] == ["short", "exact"]
    assert found.array("effects").shape == (10, 4, 51)


def test_values_have_no_odds(tmp_path: Path) -> None:
    run = sequence_run(tmp_path, task="regression")
    codes = letters(LENGTH)
    found = mutate(run, fasta=fasta(tmp_path / "one.fa", {"one": codes}), out=tmp_path / "out", features="F0")
    assert "log_odds" not in found.table().columns
    np.testing.assert_array_equal(found.array("effects"), found.array("difference"))
    mutant = codes.copy()
    mutant[17] = (codes[17] + 1) % 4
    values = Scorer.from_run(run, device="cpu").logits(np.stack([codes, mutant]))[:, 0]
    assert found.array("effects")[0, mutant[17], 17] == pytest.approx(values[1] - values[0], abs=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either regions of a genome or a FASTA"),
        ({"region": "chrA:1-5"}, "needs a genome"),
        ({"region": [], "genome": "g"}, "no region"),
        ({"region": "chrA:1-61", "genome": "g"}, "which has 60 bases"),
        ({"region": "chrC:1-5", "genome": "g"}, "no chromosome chrC"),
        ({"region": "chrA:1-5", "genome": "g", "features": "G*"}, "no feature"),
        ({"fasta": "g", "genome": "g"}, "need no genome"),
    ],
)
def test_impossible_requests_are_told_and_leave_nothing(
    tmp_path: Path, genome: Path, options: dict[str, object], message: str
) -> None:
    options = {key: genome if value == "g" else value for key, value in options.items()}
    with pytest.raises(InputError, match=message):
        mutate(sequence_run(tmp_path), out=tmp_path / "out", **options)
    assert not list(tmp_path.glob("*out*"))


def test_a_folder_is_not_replaced_unasked(tmp_path: Path) -> None:
    run, path = sequence_run(tmp_path, members=1), fasta(tmp_path / "one.fa", {"one": letters(9)})
    mutate(run, fasta=path, out=tmp_path / "out")
    with pytest.raises(InputError, match="exists already"):
        mutate(run, fasta=path, out=tmp_path / "out")
    assert len(mutate(run, fasta=path, out=tmp_path / "out", overwrite=True).parts) == 1


@pytest.mark.parametrize(
    ("content", "message"), [(None, "is no mutagenesis"), ("{", "is not JSON"), ("{}", "expected regulome-mutagenesis")]
)
def test_what_is_no_such_folder_is_told(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "mutagenesis.json").write_text(content)
    with pytest.raises(InputError, match=message):
        open_mutagenesis(tmp_path)


def test_an_unknown_array_is_told(tmp_path: Path) -> None:
    path = fasta(tmp_path / "one.fa", {"one": letters(9)})
    found = mutate(sequence_run(tmp_path, members=1), fasta=path, out=tmp_path / "out")
    with pytest.raises(InputError, match="holds no array"):
        found.array("alpha")
    assert isinstance(found.table(), pl.DataFrame)
