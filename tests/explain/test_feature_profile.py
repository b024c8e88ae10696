from pathlib import Path

import numpy as np
import pytest
from tests.explain.sequence_run import LENGTH, TARGETS, fasta, letters, sequence_run

from regulome.errors import InputError
from regulome.explain import profile
from regulome.training.scorer import Scorer


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGULOME_CACHE", str(tmp_path / "cache"))


def test_features_stand_in_the_order_of_their_probability(tmp_path: Path) -> None:
    run, one, two = sequence_run(tmp_path), letters(LENGTH, 1), letters(10, 2)
    table = profile(run, fasta=fasta(tmp_path / "two.fa", {"one": one, "two": two}), device="cpu")
    assert table.columns == ["sequence", "rank", "feature", "cell", "assay", "treatment", "group", "probability"]
    padded = np.full(LENGTH, 4, np.uint8)
    padded[15:25] = two
    scores = Scorer.from_run(run, device="cpu").probabilities(np.stack([one, padded]))
    for name, values in zip(("one", "two"), scores, strict=True):
        part = table.filter(sequence=name)
        order = np.argsort(-values)
        assert part["rank"].to_list() == list(range(1, TARGETS + 1))
        assert part["feature"].to_list() == [f"F{i}" for i in order]
        assert part["cell"].to_list() == [f"cell {i % 3}" for i in order]
        np.testing.assert_allclose(part["probability"], values[order], atol=1e-6)


def test_a_region_names_a_place_whatever_its_width(tmp_path: Path) -> None:
    run, codes = sequence_run(tmp_path, task="regression", both=False), letters(200)
    genome = fasta(tmp_path / "g.fa", {"chr1": codes})
    table = profile(run, region=["chr1:61-140", "1:101"], genome=genome, device="cpu")
    assert table["sequence"].unique(maintain_order=True).to_list() == ["chr1:61-140", "chr1:101-101"]
    assert "value" in table.columns
    first, second = (part.drop("sequence") for part in table.partition_by("sequence", maintain_order=True))
    assert first.equals(second)
    values = Scorer.from_run(run, device="cpu").logits(codes[None, 80:120])[0]
    np.testing.assert_allclose(first["value"], np.sort(values)[::-1], atol=1e-5)


def test_a_record_that_would_go_partly_unseen_is_refused(tmp_path: Path) -> None:
    path = fasta(tmp_path / "long.fa", {"fits": letters(LENGTH), "long": letters(LENGTH + 1)})
    with pytest.raises(InputError, match=r"long: has 41 bases, the run sees 40 .*--region"):
        profile(sequence_run(tmp_path), fasta=path)


def test_a_record_without_a_known_letter_is_refused(tmp_path: Path) -> None:
    path = fasta(tmp_path / "n.fa", {"fits": letters(LENGTH), "gap": np.full(LENGTH, 4, np.uint8)})
    with pytest.raises(InputError, match=r"n.fa: the window around gap has no known letter"):
        profile(sequence_run(tmp_path), fasta=path)
