from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tests.explain.sequence_run import fasta, letters, sequence_run

from regulome.errors import InputError
from regulome.explain import mutate
from regulome.report import mutation_figures
from regulome.report.figures.mutations import base_effects, mutation_figure


def test_support_is_minus_the_mean_effect_of_the_substitutions() -> None:
    codes = np.array([0, 3, 4], np.uint8)
    effects = np.array([[9.0, 1, 1], [1, 2, 2], [2, 3, 3], [3, 9, 4]])
    np.testing.assert_allclose(base_effects(codes, effects), [-2, -2, -2.5])


@pytest.mark.parametrize("count", [1, 20, 100, 101, 1000])
def test_figures_of_any_length_keep_their_words_inside(count: int) -> None:
    rng = np.random.default_rng(0)
    effects = rng.normal(size=(4, count)) * (count > 1)
    title = 'A feature with <b> and $x_1$ in its name, "chr20:42,984,161-42,985,160", and so on'
    figure = mutation_figure(letters(count), effects, start=42_984_160, title=title, unit="change (ln)", chrom="chr20")
    figure.draw_without_rendering()
    frame = figure.bbox
    for text in figure.findobj(lambda one: hasattr(one, "get_text") and bool(one.get_text())):
        box = text.get_window_extent()
        assert frame.x0 - 1 <= box.x0 < box.x1 <= frame.x1 + 1, text
        assert frame.y0 - 1 <= box.y0 < box.y1 <= frame.y1 + 1, text
    for axes in figure.axes[1:-1:2]:
        ticks = [label.get_window_extent() for label in axes.get_xticklabels()]
        assert all(one.x1 < other.x0 for one, other in pairwise(ticks))


def test_positions_are_counted_from_one() -> None:
    figure = mutation_figure(letters(12), np.ones((4, 12)), start=995, title="t", unit="u")
    heat = figure.axes[1]
    marks = {label.get_text(): place for label, place in zip(heat.get_xticklabels(), heat.get_xticks(), strict=True)}
    # The base called 1,000 lies from 999 to 1,000 of the 0-based axis.
    assert marks["1,000"] == 999.5
    assert heat.get_xlim() == (995, 1007)


def test_each_feature_and_stretch_gets_its_files(tmp_path: Path) -> None:
    run = sequence_run(tmp_path, members=1)
    path = fasta(tmp_path / "two.fa", {"one/1": letters(9), "two": letters(12)})
    found = mutate(run, fasta=path, out=tmp_path / "out", features=["F1", "F2", "F3"])
    files = mutation_figures(found, features=["F2", "F3"], formats=["png", "svg"])
    assert [file.name for file in files] == [
        f"{feature}.{part}.{ending}"
        for feature in ("F2", "F3")
        for part in ("one-1_1-9", "two_1-12")
        for ending in ("png", "svg")
    ]
    assert all(file.parent == tmp_path / "out" / "figures" and file.stat().st_size > 1000 for file in files)
    # Without a wish: by the size of their effects.
    largest = np.abs(found.array("effects")).max(axis=(1, 2))
    drawn = mutation_figures(found.path, formats=["svg"], out=tmp_path / "elsewhere")
    assert [file.name[:2] for file in drawn[::2]] == [found.features[i] for i in np.argsort(-largest)]
    with pytest.raises(InputError, match="exists"):
        mutation_figures(found, formats=["svg"], out=tmp_path / "elsewhere", overwrite=False)
    with pytest.raises(InputError, match="unknown format"):
        mutation_figures(found, formats=["bmp"])
    with pytest.raises(InputError, match="no feature"):
        mutation_figures(found, features="G1")
