"""Mark sets by word and by name."""

from types import SimpleNamespace

import pytest

from regulome.errors import InputError
from regulome.training.grid_marks import common_marks, mark_sets

CELLS = {
    "x": SimpleNamespace(marks=["H3K4me3", "H3K27ac", "DNase"], path="x"),
    "y": SimpleNamespace(marks=["H3K27AC", "H3K4me3", "H3K9me3"], path="y"),
}
COMMON = ["H3K4me3", "H3K27ac"]


def test_marks_that_all_cells_have(caplog):
    caplog.set_level("INFO")
    assert common_marks(CELLS) == COMMON
    assert "x: not every cell has DNase: left out" in caplog.text
    assert "y: not every cell has H3K9me3: left out" in caplog.text
    with pytest.raises(InputError, match="no mark in common"):
        common_marks({"x": CELLS["x"], "z": SimpleNamespace(marks=["a"], path="z")})


def test_words():
    common = ["a", "b", "c"]
    assert mark_sets(["each"], common, {}) == {"a": ["a"], "b": ["b"], "c": ["c"]}
    assert list(mark_sets(["pairs"], common, {})) == ["a+b", "a+c", "b+c"]
    assert mark_sets(["all"], common, {}) == {"all": common}
    assert mark_sets(["each", "all"], ["a"], {}) == {"a": ["a"]}
    # What is asked for twice is there once, in the order of the cell.
    assert list(mark_sets(["a", ["c", "A"], "each", "pairs"], common, {})) == ["a", "a+c", "b", "c", "a+b", "b+c"]
    assert mark_sets([{"active": ["c", "a"]}], common, {}) == {"active": ["a", "c"]}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (["H3K4me"], r"x: marks: the cell x has no mark 'H3K4me' \(did you mean H3K4me3"),
        (["H3K9me3"], "x: marks: the cell x has no mark 'H3K9me3'"),
        ([[]], "the set '' is empty"),
        (["each", {"one": ["H3K4me3"]}], "the sets 'H3K4me3' and 'one' are the same"),
        ([{"one": ["H3K4me3"]}, {"one": ["H3K27ac"]}], "two sets are called 'one'"),
    ],
)
def test_sets_that_cannot_be(wanted, said):
    with pytest.raises(InputError, match=said):
        mark_sets(wanted, COMMON, CELLS)
