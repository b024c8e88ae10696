"""What the verbs print of runs that read DNA."""

from pathlib import Path

import pytest
from tests.report.sequence_runs import made_up_run
from tests.training.sequence_world import make_sequences


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Path]]:
    """Two runs with one, four and forty features."""
    folder = tmp_path_factory.mktemp("sequence")
    found = {}
    for targets in (1, 4, 40):
        data = make_sequences(folder / f"data{targets}", n=500, targets=targets)
        found[targets] = [made_up_run(folder / f"{targets}-{skill}", data, skill=skill).path for skill in (3.0, 1.0)]
    return found


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()]


def test_many_features_are_told_by_means_and_groups(runs, regulome):
    answer = regulome("evaluate", runs[40][0])
    assert answer.code == 0, answer.err
    for words in ("mean auroc", "median auprc", "features, of them scored", "DNase", "histone", "TF"):
        assert words in answer.out
    # Neither a row per feature nor one that says nothing.
    assert "cell7" not in answer.out
    assert len(rows(answer.out)) < 30
    assert max(len(line) for line in answer.out.splitlines()) < 120


def test_few_features_are_told_each(runs, regulome):
    answer = regulome("evaluate", runs[4][0])
    assert "mean auroc" in answer.out
    assert sum(row[0].startswith("cell") for row in rows(answer.out)) == 4


def test_one_output_is_told_as_for_marks(runs, regulome):
    answer = regulome("evaluate", runs[1][0])
    assert [row[0] for row in rows(answer.out)][2:5] == ["n", "auroc", "auprc"]
    assert "mean" not in answer.out
    assert "perplexity" in answer.out


@pytest.mark.parametrize("targets", [4, 40])
def test_runs_of_several_features_are_compared(targets, runs, regulome):
    answer = regulome("compare", *runs[targets])
    assert answer.code == 0, answer.err
    for words in ("mean auroc", "difference [95 %]", "first better", f"{targets}-3.0", "<0.001"):
        assert words in answer.out
    assert "-0.000" not in answer.out


@pytest.mark.parametrize("method", ["gradient", "attention", "class-map"])
def test_explanations_of_dna_are_elsewhere(method, runs, regulome, tmp_path):
    answer = regulome("explain", method, runs[1][0], "--out", tmp_path / "x")
    assert answer.code == 2
    assert len(answer.err.splitlines()) == 1
    for verb in ("regulome mutate", "regulome profile", "regulome variants"):
        assert verb in answer.err
    assert not (tmp_path / "x").exists()


def test_a_report_of_both_lines_is_refused(runs, trained, regulome, tmp_path):
    answer = regulome("report", trained, runs[1][0], "--out", tmp_path / "r.html")
    assert answer.code == 2
    assert len(answer.err.splitlines()) == 1
    assert "do not fit on one page" in answer.err


def test_models_and_recipes_say_the_line(regulome):
    models = regulome("models").out
    assert "(1,000 bp × 919 features)" in models
    assert "(101 bp × 1 feature)" in models
    assert "(5 marks × 100 bins)" in models
    told = {row[0]: row[2] for row in rows(regulome("recipes").out) if len(row) > 3}
    assert told["deepsea"] == "sequence"
    assert told["deepchrome"] == "expression"
