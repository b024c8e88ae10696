"""Figures of runs that predict letters."""

from collections.abc import Callable
from itertools import product

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

from regulome.report.figures.language import along_figure, block_difference_figure, perplexity_history_figure
from regulome.report.figures.learned import context_figure, rhythm_figure, words_figure
from regulome.report.figures.style import to_svg

HOSTILE = "$x_1$ <script>"
_RNG = np.random.default_rng(0)


def _blocks(records: int, blocks: int = 6) -> pl.DataFrame:
    start = np.tile(np.arange(blocks) * 100 + 50, records)
    names = np.repeat([f"{HOSTILE} {i}" for i in range(records)], blocks)
    bits = _RNG.normal(1.9, 0.02, records * blocks)
    return pl.DataFrame({"chrom": names, "start": start, "end": start + 100, "bits": bits})


_LOSSES = pl.DataFrame({"member": [0, 0, 1], "epoch": [1, 2, 1], "train_loss": [1.39, 1.3, 1.37]}).with_columns(
    valid_loss=pl.Series([1.38, 1.35, None])
)
_NOTHING = pl.DataFrame({"member": [0], "epoch": [1]})
_FOUND = {"difference": -0.01, "low": -0.02, "high": 0.001}
_CURVE = pl.DataFrame({"from": [1, 2, 3], "to": [1, 2, 4], "perplexity": [3.9, 3.8, 3.7]}).with_columns(
    low=pl.col("perplexity") - 0.1, high=pl.lit(None, pl.Float64)
)
_SHARES = _RNG.dirichlet(np.ones(256))
_WORDS = pl.DataFrame({"word": ["".join(word) for word in product("ACGT", repeat=4)], "text": _SHARES}).with_columns(
    sample=pl.Series(_RNG.multinomial(3000, _SHARES) / 3000), gc=pl.lit(0.5)
)
_RHYTHM = pl.DataFrame({"distance": range(1, 61), "text": _RNG.normal(size=60), "sample": _RNG.normal(size=60)})
FIGURES: dict[str, Callable[[], Figure]] = {
    "history": lambda: perplexity_history_figure({HOSTILE: _LOSSES, "b": _NOTHING}, (HOSTILE, 3.8)),
    "no history": lambda: perplexity_history_figure({"b": _NOTHING}, ("a", float("nan"))),
    "one record": lambda: along_figure({"a": _blocks(1)}),
    "records": lambda: along_figure({"a": _blocks(9), HOSTILE: _blocks(9)}),
    "many blocks": lambda: along_figure({"a": _blocks(2, 300)}),
    "differences": lambda: block_difference_figure([(HOSTILE, "b", _RNG.normal(size=40), _FOUND)] * 4),
    "no difference": lambda: block_difference_figure([("a", "b", np.zeros(3), dict.fromkeys(_FOUND))]),
    "context": lambda: context_figure({HOSTILE: _CURVE, "b": _CURVE[:1]}, [3, 100]),
    "words": lambda: words_figure({HOSTILE: _WORDS}),
    "words of a repeat": lambda: words_figure(
        dict.fromkeys("abcd", _WORDS.with_columns(text=pl.Series([0.1] * 10 + [0.0] * 246), sample=pl.lit(0.0)))
    ),
    "rhythm": lambda: rhythm_figure({HOSTILE: _RHYTHM, "b": _RHYTHM}),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_draw_whatever_the_names_are(name: str) -> None:
    svg = to_svg(FIGURES[name]())
    assert svg.startswith("<?xml")
    assert "<script" not in svg


def test_losses_are_drawn_as_perplexity() -> None:
    left, right = perplexity_history_figure({"a": _LOSSES}, ("m", 3.8)).axes[:2]
    assert left.lines[0].get_ydata() == pytest.approx(np.exp([1.39, 1.3]))
    assert right.lines[0].get_ydata() == pytest.approx(np.exp([1.38, 1.35]))
    # Guessing, and the baseline.
    levels = [line.get_ydata()[0] for line in right.lines if len(set(line.get_ydata())) == 1]
    assert levels == [4.0, 3.8]
    assert left.get_ylim() == right.get_ylim()
    assert left.get_ylim()[1] > 4


def test_a_run_without_a_curve_keeps_its_colour() -> None:
    first = perplexity_history_figure({"a": _LOSSES, "b": _LOSSES}, None).axes[0]
    second = perplexity_history_figure({"a": _LOSSES[:0], "b": _LOSSES}, None).axes[0]
    assert second.lines[0].get_color() == first.lines[2].get_color()


def test_blocks_lie_where_they_are() -> None:
    table = _blocks(1).filter(pl.col("start") != 250)
    axes = along_figure({"a": table}).axes[0]
    x, y = np.asarray(axes.lines[0].get_xdata()), np.asarray(axes.lines[0].get_ydata())
    known = ~np.isnan(x)
    assert x[known].tolist() == [v for s in table["start"] for v in (s, s + 100)]
    assert y[known] == pytest.approx(np.repeat(table["bits"], 2))
    # The line breaks once: where a block is of another part.
    assert np.flatnonzero(np.isnan(x)).tolist() == [4]


def test_records_follow_each_other() -> None:
    axes = along_figure({"a": _blocks(3)}).axes[0]
    x = np.asarray(axes.lines[0].get_xdata())
    assert (np.diff(x[~np.isnan(x)]) >= 0).all()
    assert np.isnan(x).sum() == 2
    assert x[0] == 0
    assert [label.get_text() for label in axes.get_xticklabels()] == [f"{HOSTILE} {i}" for i in range(3)]


def test_every_block_counts_once_and_none_across_zero() -> None:
    values = np.r_[_RNG.normal(-0.01, 0.02, 200), 5.0, 0.0]
    axes = block_difference_figure([("a", "b", values, _FOUND)]).axes[0]
    better, worse = axes.containers
    assert sum(bar.get_height() for bar in better) == (values < 0).sum()
    assert sum(bar.get_height() for bar in worse) == (values >= 0).sum()
    assert all(bar.get_x() + bar.get_width() <= 1e-12 for bar in better if bar.get_height())
    assert all(bar.get_x() >= -1e-12 for bar in worse if bar.get_height())
    told = [text.get_text() for text in axes.texts]
    assert told == [f"a\nbetter: {100 * (values < 0).mean():.0f} %", f"b\nbetter: {100 * (values >= 0).mean():.0f} %"]


def test_names_of_words_do_not_overlap() -> None:
    axes = words_figure({"a": _WORDS}).axes[0]
    named = [text.xy for text in axes.texts]
    assert 1 <= len(named) <= 5
    low, high = axes.get_xlim()
    for i, (x, y) in enumerate(named):
        for u, v in named[:i]:
            apart = np.abs(np.log([x / u, y / v])) / np.log(high / low)
            assert apart[0] >= 0.22 or apart[1] >= 0.06
