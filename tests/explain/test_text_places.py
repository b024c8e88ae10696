import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.explain.small_text import periodic_text

from regulome.datasets import Dataset
from regulome.errors import InputError
from regulome.explain.text_places import even_places, text_spans


@pytest.fixture(scope="module")
def periodic(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return periodic_text(tmp_path_factory.mktemp("periodic"))


def test_spans_join_blocks_of_one_record(periodic: Dataset) -> None:
    everything = text_spans(periodic, np.arange(len(periodic)))
    # N is no part of the text: letters beside it are neighbours.
    assert everything.tolist() == [[0, 1200], [1200, 2200]]
    blocks = np.asarray(periodic.inputs["block"])
    assert text_spans(periodic, [0, 1, 3]).tolist() == [[0, blocks[1, 1]], blocks[3].tolist()]
    assert text_spans(periodic, []).shape == (0, 2)


@settings(max_examples=60)
@given(widths=st.lists(st.integers(1, 40), min_size=1, max_size=6), length=st.integers(1, 40), count=st.integers(1, 60))
def test_places_lie_within_spans(widths: list[int], length: int, count: int) -> None:
    edges = np.cumsum([0, *(width + 3 for width in widths)])
    spans = np.stack([edges[:-1], edges[:-1] + widths], axis=1)
    possible = [p for a, b in spans.tolist() for p in range(a, b - length + 1)]
    if not possible:
        with pytest.raises(InputError, match="no stretch of the text has"):
            even_places(spans, length, count)
        return
    places = even_places(spans, length, count).tolist()
    assert len(places) == len(set(places)) == min(count, len(possible))
    assert set(places) <= set(possible)
    assert places == sorted(places)
    # At even distances among the possible places.
    steps = np.diff([possible.index(place) for place in places])
    assert len(steps) == 0 or steps.max() - steps.min() <= 1
