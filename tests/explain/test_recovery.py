import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from regulome.errors import InputError
from regulome.explain import explain, score_recovery
from regulome.explain.explanation import Explanation, summarize
from regulome.explain.recovery import Rule, Truth, importance_map, planted_cells, read_truth
from regulome.training import Run

MARKS = ["a", "b", "decoy"]
TRUTH = Truth((Rule("a", -200, 0, 1), Rule("b", 100, 400, -1)), ("decoy",))


def _gradient(signal: np.ndarray, slope: np.ndarray, *, orient: bool = True) -> Explanation:
    """An explanation whose importance map is ``signal``."""
    zero = np.zeros_like(signal)
    means = {
        "gradient": {"high": slope, "low": slope, "all": slope},
        "gradient_x_input": {"high": signal, "low": zero, "all": signal / 2},
        "input": {"high": zero, "low": zero, "all": zero},
    }
    starts = np.arange(-500, 500, 100)
    table = summarize(means, MARKS, starts, starts + 100)
    bins = {"from": starts.tolist(), "to": (starts + 100).tolist()}
    return Explanation(Path("x"), {"method": "gradient", "marks": MARKS, "orient": orient, "bins": bins}, table)


def _planted() -> tuple[np.ndarray, np.ndarray]:
    signal, slope = np.zeros((3, 10)), np.zeros((3, 10))
    signal[0, 3:5], signal[1, 6:9] = 1, 0.5
    slope[0, 3:5], slope[1, 6:9] = 1, -1
    return signal, slope


def test_a_perfect_map_is_found() -> None:
    found = score_recovery(_gradient(*_planted()), TRUTH)
    assert found["marks_found"] is True
    assert found["bins_found"] is True
    assert found["directions_right"] is True
    assert found["cell_auprc"] == pytest.approx(1)
    assert found["cell_chance"] == pytest.approx(5 / 30)
    assert found["mark_ranking"] == ["a", "b", "decoy"]


def test_each_criterion_can_fail_alone() -> None:
    signal, slope = _planted()
    decoy = signal.copy()
    decoy[2] = 0.4
    found = score_recovery(_gradient(decoy, slope), TRUTH)
    assert (found["marks_found"], found["bins_found"], found["directions_right"]) == (False, True, True)
    beside = np.roll(signal, 3, axis=1)
    found = score_recovery(_gradient(beside, slope), TRUTH)
    assert (found["marks_found"], found["bins_found"], found["directions_right"]) == (True, False, True)
    found = score_recovery(_gradient(signal, np.abs(slope)), TRUTH)
    assert (found["marks_found"], found["bins_found"], found["directions_right"]) == (True, True, False)


def test_noise_is_not_found() -> None:
    random = np.random.default_rng(0)
    found = [score_recovery(_gradient(*random.normal(size=(2, 3, 10))), TRUTH) for _ in range(200)]
    # Of three marks the decoy is last in a third of the draws; both top bins are planted in 0.2 · 0.3 of them.
    assert np.mean([one["marks_found"] for one in found]) == pytest.approx(1 / 3, abs=0.1)
    assert np.mean([one["bins_found"] for one in found]) == pytest.approx(0.06, abs=0.05)
    assert np.mean([one["directions_right"] for one in found]) == pytest.approx(0.25, abs=0.1)


def test_the_area_is_that_of_scikit_learn() -> None:
    signal = np.random.default_rng(1).normal(size=(3, 10)).round(1)
    explanation = _gradient(signal, signal)
    cells = planted_cells(TRUTH, MARKS, explanation.edges, mirrored=False)
    expected = average_precision_score(cells.ravel(), signal.ravel())
    assert score_recovery(explanation, TRUTH)["cell_auprc"] == pytest.approx(expected)


def test_without_orientation_the_mirror_image_counts() -> None:
    edges = np.arange(-500, 501, 100.0)
    one = planted_cells(TRUTH, MARKS, edges, mirrored=False)
    both = planted_cells(TRUTH, MARKS, edges, mirrored=True)
    np.testing.assert_array_equal(both, one | one[:, ::-1])
    assert score_recovery(_gradient(*_planted(), orient=False), TRUTH)["mirrored"] is True


def test_a_saturating_repressor_is_important() -> None:
    """It is absent where genes are high and the slope is steep, present where they are low and the slope is gone."""
    high_slope, low_slope = -1.0, -0.1
    high_input, low_input = 1.0, 5.0
    means = {
        "gradient": {"high": np.full((1, 1), high_slope), "low": np.full((1, 1), low_slope)},
        "gradient_x_input": {
            "high": np.full((1, 1), high_slope * high_input),
            "low": np.full((1, 1), low_slope * low_input),
        },
        "input": {"all": np.full((1, 1), (high_input + low_input) / 2)},
    }
    table = summarize(means, ["m"], [0], [100])
    explanation = Explanation(Path("x"), {"method": "gradient"}, table)
    assert importance_map(explanation)[0, 0] == pytest.approx(-1 * (1 - 3) - -0.1 * (5 - 3))


def test_real_runs_find_what_was_planted(linear: Run, truth: Path, tmp_path: Path) -> None:
    found = score_recovery(explain("gradient", linear, out=tmp_path / "g", split="all", device="cpu"), truth)
    assert found["marks_found"]
    assert found["bins_found"]
    assert found["directions_right"]
    assert found["cell_auprc"] > 0.8


def test_attention_ranks_marks_by_beta(attentive: Run, convolutional: Run, truth: Path, tmp_path: Path) -> None:
    found = explain("attention", attentive, out=tmp_path / "a", device="cpu")
    scored = score_recovery(found, truth)
    beta = found.mean("beta", "high") + found.mean("beta", "low")
    assert scored["mark_ranking"][0] == found.marks[int(beta.argmax())]
    assert scored["directions_right"] is None
    joint = score_recovery(explain("attention", convolutional, out=tmp_path / "c", device="cpu"), truth)
    assert joint["marks_found"] is None
    assert set(joint["bin_precision"]) == {"all marks"}


def test_class_maps_are_not_scored(linear: Run, truth: Path, tmp_path: Path) -> None:
    found = explain("class-map", linear, out=tmp_path / "m", steps=2, restarts=1, device="cpu")
    with pytest.raises(InputError, match="not on class-map"):
        score_recovery(found, truth)


def test_another_world_is_refused(tmp_path: Path, truth: Path) -> None:
    content = json.loads(truth.read_text())
    other = tmp_path / "truth.json"
    other.write_text(json.dumps({"line": "sequence"}))
    with pytest.raises(InputError, match="is not the truth of an expression world"):
        read_truth(other)
    other.write_text(json.dumps(content | {"rules": []}))
    with pytest.raises(InputError, match="holds no rules"):
        read_truth(other)
    with pytest.raises(InputError, match="no such file"):
        read_truth(tmp_path / "none.json")
    with pytest.raises(InputError, match="names mark up, which the run does not have"):
        score_recovery(_gradient(*_planted()), truth)
