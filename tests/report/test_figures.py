from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from sklearn.metrics import auc, roc_curve

from regulome.errors import InputError
from regulome.report import comparison_figure, save_figure
from regulome.report.figures.features import (
    against_figure,
    group_names,
    positives_figure,
    prevalence_figure,
    strip_figure,
)
from regulome.report.figures.maps import Box, heat_figure, mark_figure, signal_figure
from regulome.report.figures.scores import (
    calibration_figure,
    curve_points,
    distribution_figure,
    reliability,
    roc_figure,
    scatter_figure,
)
from regulome.report.figures.style import to_svg
from regulome.report.figures.training import history_figure
from regulome.report.wording import wording

EDGES = np.arange(-500, 501, 100.0)


@given(n=st.integers(10, 3000), digits=st.integers(1, 6), seed=st.integers(0, 20))
def test_roc_points_are_those_of_scikit_learn(n: int, digits: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = np.r_[0, 1, rng.integers(0, 2, n - 2)].astype(float)
    score = np.clip(0.3 * truth + 0.7 * rng.random(n), 0, 1).round(digits)
    table = curve_points(truth, score)
    expected = roc_curve(truth, score, drop_intermediate=False)
    reference = dict(zip(expected[2], zip(expected[0], expected[1], strict=True), strict=True))
    for row in table.iter_rows(named=True):
        assert (row["false_positive_rate"], row["recall"]) == pytest.approx(reference[row["threshold"]])
    assert len(table) <= 302
    area = auc([0, *table["false_positive_rate"]], [0, *table["recall"]])
    # Thinning to a few hundred points costs almost nothing.
    assert area == pytest.approx(auc(*expected[:2]), abs=0.005)
    assert table["precision"][-1] == pytest.approx(truth.mean())


def test_reliability_counts_every_gene_once() -> None:
    truth = np.array([0, 0, 1, 1, 1.0])
    table = reliability(truth, np.array([0.05, 0.05, 0.05, 0.95, 1.0]))
    assert table["genes"].to_list() == [3, 2]
    assert table["observed"].to_list() == pytest.approx([1 / 3, 1])
    assert table["predicted"].to_list() == pytest.approx([0.05, 0.975])
    # Wilson's interval of 1 of 3, from its formula.
    assert table["low"][0] == pytest.approx(0.0615, abs=1e-3)
    assert table["high"][0] == pytest.approx(0.7923, abs=1e-3)


_RNG = np.random.default_rng(0)
TRUTH, SCORE = _RNG.integers(0, 2, 200).astype(float), _RNG.random(200)
RUNS = {"one": (TRUTH, SCORE), "$x_1$ <b>": (TRUTH, SCORE), "three": (TRUTH, SCORE), "four": (TRUTH, SCORE)}
MARKS = ["m", "$\\frac{", "<script>"]
MAP = _RNG.normal(size=(3, 10))
HISTORY = pl.DataFrame({"member": [0, 0, 1, 1], "epoch": [1, 2, 1, 2], "train_loss": [3.0, 2, 3, 1]}).with_columns(
    valid_loss=pl.lit(None, pl.Float64), valid_auroc=pl.Series([0.5, 0.6, 0.5, None])
)
TABLE = pl.DataFrame(
    {
        "metric": ["auroc", "auroc", "brier"],
        "a": ["one", "one", "one"],
        "b": ["two", "three", "two"],
        "difference": [0.1, None, -0.1],
        "low": [0.05, None, -0.2],
        "high": [0.2, None, 0.1],
    }
)
_N = 45
FEATURES = pl.DataFrame(
    {
        "name": [f"$f_{{{i}}} <b>" for i in range(_N)],
        "group": ["TF", "DNase", "histone", "<script>", ""] * (_N // 5),
        "prevalence": np.geomspace(1e-4, 0.5, _N),
        "auroc": _RNG.random(_N),
        "auprc": [None, *_RNG.random(_N - 1)],
    }
)
EVERY = dict.fromkeys(("one", "$x_1$ <b>", "three", "four"), FEATURES)
ALIKE = {"one": FEATURES[:3].with_columns(group=pl.lit(""), auprc=pl.lit(None, pl.Float64))}
COUNTS = FEATURES.select("name", train=pl.int_range(_N) * 100, valid=pl.int_range(_N), test=pl.lit(0))
BOX = Box("m", -100, 200)
FIGURES: dict[str, Callable[[], Figure]] = {
    "roc": lambda: roc_figure({name: curve_points(*pair) for name, pair in RUNS.items()}, {n: n for n in RUNS}, 0.5),
    "calibration": lambda: calibration_figure({name: reliability(*pair) for name, pair in RUNS.items()}),
    "distribution": lambda: distribution_figure(RUNS),
    "scatter": lambda: scatter_figure(RUNS, "expression"),
    "heat": lambda: heat_figure([[("high", MAP), ("low", MAP)]], MARKS, EDGES, units=["u"], orient=True, boxes=[BOX]),
    "signed": lambda: heat_figure(
        [[("x", MAP)], [("y", MAP * 0)]], MARKS, EDGES, units=["u", "v"], orient=False, signed=True, boxes=[BOX]
    ),
    "marks": lambda: mark_figure(MAP[:, 0], MAP[:, 1], MARKS),
    "signal": lambda: signal_figure({"high": MAP, "low": MAP}, MARKS, EDGES, unit="reads", orient=True),
    "history": lambda: history_figure({"a": HISTORY, "b": HISTORY[:0]}, "valid_auroc", {"a": "epoch", "b": "epoch"}),
    "comparison": lambda: comparison_figure(TABLE),
    "metrics": lambda: comparison_figure(TABLE, ("brier",)),
    "strips": lambda: strip_figure(EVERY, ("auroc", "auprc")),
    "strip": lambda: strip_figure(ALIKE, ("auroc", "auprc")),
    "against": lambda: against_figure(EVERY, ("auroc", "auprc")),
    "against one": lambda: against_figure({"a": FEATURES, "b": FEATURES}, ("auroc", "auprc")),
    "prevalence": lambda: prevalence_figure(EVERY),
    "no prevalence": lambda: prevalence_figure(ALIKE),
    "positives": lambda: positives_figure(COUNTS),
    "named positives": lambda: positives_figure(COUNTS[:4]),
    "pooled": lambda: calibration_figure({"a": reliability(TRUTH, SCORE)}, wording("sequence"), counted="n", log=True),
    "empty": lambda: comparison_figure(TABLE[:0]),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_draw_whatever_the_names_are(name: str) -> None:
    before = dict(mpl.rcParams)
    svg = to_svg(FIGURES[name]())
    assert svg.startswith("<?xml")
    assert "<script" not in svg
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", ["roc", "heat"])
def test_the_same_data_draw_the_same_figure(name: str) -> None:
    assert to_svg(FIGURES[name]()) == to_svg(FIGURES[name]())


def test_text_stays_text_and_is_escaped() -> None:
    svg = to_svg(FIGURES["heat"]())
    assert "&lt;script&gt;" in svg
    assert "bp from the TSS" in svg


def test_the_words_of_a_line_are_on_the_axes() -> None:
    curves = {"a": curve_points(TRUTH, SCORE)}
    svg = to_svg(roc_figure(curves, {"a": "a"}, 0.5, wording("sequence", ["bound"])))
    assert "bound sequences found (recall)" in svg
    assert "high" not in svg
    assert "negative windows" in to_svg(distribution_figure(RUNS, wording("sequence")))


def test_groups_have_an_order() -> None:
    assert group_names(pl.Series(["", "x", "histone", "TF", None])) == ["TF", "histone", "x", ""]
    ticks = [label.get_text() for label in FIGURES["strips"]().axes[0].get_yticklabels()]
    assert ticks == ["TF", "DNase", "histone", "<script>", "other"]
    assert [label.get_text() for label in FIGURES["strip"]().axes[0].get_yticklabels()] == ["all features"]


def test_every_feature_is_a_dot_and_the_median_a_stroke() -> None:
    axes = strip_figure({"a": FEATURES.with_columns(group=pl.lit(""))}, ("auroc",)).axes[0]
    assert sorted(axes.collections[0].get_offsets()[:, 0]) == pytest.approx(sorted(FEATURES["auroc"]))
    assert any(set(line.get_xdata()) == {np.median(FEATURES["auroc"])} for line in axes.lines)


def test_differences_of_errors_are_turned() -> None:
    """Right of zero the first run is better, also where less is better."""
    table = pl.DataFrame(
        {"metric": ["brier"], "a": ["x"], "b": ["y"], "difference": [-0.1], "low": [-0.2], "high": [-0.05]}
    )
    axes = comparison_figure(table, ("brier",)).axes[0]
    assert sorted(float(x) for x in axes.lines[0].get_xdata()) == pytest.approx([0.05, 0.2])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["x − y"]


@pytest.mark.parametrize(("suffix", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_figures_are_saved_by_their_suffix(tmp_path: Path, suffix: str, start: bytes) -> None:
    path = save_figure(FIGURES["empty"](), tmp_path / f"x.{suffix}")
    assert path.read_bytes().startswith(start)
    with pytest.raises(InputError, match="exists already"):
        save_figure(FIGURES["empty"](), path, overwrite=False)


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.svg, \.pdf or \.png"):
        save_figure(Figure(), tmp_path / "x.jpeg")
    assert not list(tmp_path.iterdir())
