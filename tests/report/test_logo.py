import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch

from regulome.report.figures.logo import LETTER_COLORS, draw_letters, draw_logo


def axes() -> Axes:
    return Figure().add_subplot()


def boxes(drawn: Axes) -> dict[str, list[tuple[float, float, float, float]]]:
    """Left, right, lower and upper edge of every outline, by letter."""
    letters = {color: letter for letter, color in LETTER_COLORS.items()}
    found: dict[str, list[tuple[float, float, float, float]]] = {}
    for patch in drawn.patches:
        assert isinstance(patch, PathPatch)
        columns: dict[int, list[np.ndarray]] = {}
        for polygon in patch.get_path().to_polygons(closed_only=False):
            columns.setdefault(int(np.floor(polygon[:, 0].mean())), []).append(polygon)
        for parts in columns.values():
            x, y = np.concatenate(parts).T
            letter = letters[to_hex(patch.get_facecolor())]
            found.setdefault(letter, []).append((x.min(), x.max(), y.min(), y.max()))
    return found


def test_letters_are_as_tall_as_asked_and_hang_below_zero() -> None:
    drawn = axes()
    draw_letters(drawn, "ACGTN", np.array([1.0, -2, 0, 0.5, 3]), start=10)
    found = boxes(drawn)
    assert set(found) == set("ACTN")
    for letter, column, low, high in (("A", 10, 0, 1), ("C", 11, -2, 0), ("T", 13, 0, 0.5), ("N", 14, 0, 3)):
        assert found[letter] == [pytest.approx((column + 0.04, column + 0.96, low, high), abs=0.02)]


def test_a_stack_has_its_largest_letter_on_top_and_the_most_negative_at_the_bottom() -> None:
    drawn = axes()
    draw_logo(drawn, np.array([[0.2], [1.0], [-0.5], [-1.5]]))
    found = {letter: place[0][2:] for letter, place in boxes(drawn).items()}
    assert found["A"] == pytest.approx((0, 0.2), abs=0.02)
    assert found["C"] == pytest.approx((0.2, 1.2), abs=0.02)
    assert found["G"] == pytest.approx((-0.5, 0), abs=0.02)
    assert found["T"] == pytest.approx((-2, -0.5), abs=0.02)
