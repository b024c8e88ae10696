from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulome.errors import InputError
from regulome.explain.perturbation_places import make_places, published_places


def _plain(window: int, chunk: int, promoter: int) -> list[tuple[float, float]]:
    """Base by base: which chunk of the grid, and which side of the promoter."""
    pieces: dict[tuple[int, bool], list[int]] = {}
    for base in range(window):
        at = base - window // 2
        if not -promoter / 2 <= at < promoter / 2:
            pieces.setdefault((base // chunk, at >= 0 and promoter > 0), []).append(at)
    return sorted((min(bases), max(bases) + 1) for bases in pieces.values())


@given(
    half=st.integers(10, 60), chunk=st.integers(4, 60), promoter=st.integers(0, 40).map(lambda n: 2 * n),
    bin_size=st.sampled_from([1, 2, 4]),
)  # fmt: skip
def test_chunks_tile_the_window_without_the_promoter(half: int, chunk: int, promoter: int, bin_size: int) -> None:
    window = 4 * half
    chunk, promoter = min(chunk, window), min(promoter, window - 2)
    places = make_places("distal", window, bin_size, chunk=max(chunk, bin_size), promoter=promoter)
    truth = _plain(window, max(chunk, bin_size), promoter)
    assert list(zip(places.begins, places.ends, strict=True)) == truth
    np.testing.assert_array_equal(places.distances, [(a + b) / 2 for a, b in truth])
    shares = places.shares(window // bin_size, bin_size)
    for place, (begin, end) in enumerate(truth):
        bases = np.zeros(window)
        bases[begin + window // 2 : end + window // 2] = 1
        np.testing.assert_allclose(shares[place], bases.reshape(-1, bin_size).mean(axis=1), atol=1e-6)


def test_the_published_bins_and_distances() -> None:
    promoter = published_places("promoter", 40_000)
    for bins, size, wanted in ((20, 2000, (8, 10)), (80, 500, (34, 45)), (400, 100, (170, 229))):
        (share,) = promoter.shares(bins, size)
        assert np.flatnonzero(share).tolist() == list(range(wanted[0], wanted[1] + 1))
        assert set(share[share > 0]) == {1.0}
    distal = published_places("distal", 40_000)
    bins = [*range(8), *range(11, 20)]
    assert distal.names == tuple(map(str, bins))
    for place, number in enumerate(bins):
        assert np.flatnonzero(distal.shares(20, 2000)[place]).tolist() == [number]
        assert np.flatnonzero(distal.shares(80, 500)[place]).tolist() == list(range(4 * number, 4 * number + 4))
        wanted = -(20_000 - 2_000 * number) if number <= 7 else (number - 9) * 2_000
        assert distal.distances[place] == wanted
    with pytest.raises(InputError, match="not of 10,000 bp"):
        published_places("distal", 10_000)
    with pytest.raises(InputError, match="has no region 'pcre'"):
        published_places("pcre", 40_000)


def test_the_exact_window_at_every_resolution() -> None:
    promoter = make_places("promoter", 40_000, 100)
    assert (promoter.begins[0], promoter.ends[0]) == (-3000, 3000)
    # Bins of 2 kb do not end at 3 kb: half of the outer two is promoter.
    assert promoter.shares(20, 2000)[0].tolist() == [0.0] * 8 + [0.5, 1, 1, 0.5] + [0.0] * 8
    assert promoter.shares(400, 100)[0].sum() == 60
    assert len(make_places("distal", 40_000, 100)) == 18
    small = make_places("distal", 10_000, 100)
    assert small.ends[0] - small.begins[0] == 500
    assert small.ends[8] == -750


@pytest.mark.parametrize("minus", [False, True])
def test_places_on_the_chromosome(minus: bool) -> None:
    places = make_places("-300:100", 1_000, 100)
    begins, ends = places.on_chromosome(np.array([500]), np.array([1500]), np.array([minus]))
    assert (begins[0, 0], ends[0, 0]) == ((900, 1300) if minus else (700, 1100))


@pytest.mark.parametrize("region", ["100:-100", "-600:0", "1:2:3", ""])
def test_wrong_stretches(region: str) -> None:
    with pytest.raises(InputError, match=r"inside the window|unknown region"):
        make_places(region, 1_000, 100)
