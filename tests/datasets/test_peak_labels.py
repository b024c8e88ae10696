import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from regulome.datasets.peak_labels import covered_bases, label_bins, label_places, merge, needed_bases, touches

SIZE = 300
intervals = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(1, 90)), max_size=12).map(
    lambda rows: (
        np.array([start for start, _ in rows], np.int32),
        np.array([start + width for start, width in rows], np.int32),
    )
)
places = st.lists(st.integers(-60, SIZE + 60), max_size=20).map(lambda values: np.array(sorted(values), np.int64))


def overlaps(peaks, begin, end):
    return [min(stop, end) - max(start, begin) for start, stop in zip(*peaks, strict=True)]


def bases(peaks, begin, end):
    covered = np.zeros(SIZE + 400, bool)
    for start, stop in zip(*peaks, strict=True):
        covered[start:stop] = True
    return int(covered[max(begin, 0) : max(end, 0)].sum())


@given(peaks=intervals, bin=st.integers(1, 70), share=st.floats(0.01, 1), together=st.booleans())
def test_bins(peaks, bin, share, together):
    needed = needed_bases(share, bin)
    n_bins = SIZE // bin
    expected = [
        i
        for i in range(n_bins)
        if (
            bases(peaks, i * bin, i * bin + bin)
            if together
            else max(overlaps(peaks, i * bin, i * bin + bin), default=0)
        )
        >= needed
    ]
    found = label_bins(*peaks, bin=bin, n_bins=n_bins, needed=needed, together=together)
    assert found.tolist() == expected


@given(peaks=intervals, places=places, width=st.integers(1, 70), share=st.floats(0.01, 1), together=st.booleans())
def test_places(peaks, places, width, share, together):
    needed = needed_bases(share, width)
    expected = [
        i
        for i, begin in enumerate(places.tolist())
        if (bases(peaks, begin, begin + width) if together else max(overlaps(peaks, begin, begin + width), default=0))
        >= needed
    ]
    assert label_places(*peaks, places, width=width, needed=needed, together=together).tolist() == expected
    assert covered_bases(*peaks, places, width).tolist() == [bases(peaks, p, p + width) for p in places.tolist()]
    touched = [any(shared > 0 for shared in overlaps(peaks, p, p + width)) for p in places.tolist()]
    assert touches(places, places + width, *peaks).tolist() == touched


@given(peaks=intervals)
def test_merged(peaks):
    starts, ends = merge(*peaks)
    assert (starts < ends).all()
    assert (starts[1:] > ends[:-1]).all()
    assert sum((ends - starts).tolist()) == bases(peaks, 0, SIZE + 400)


def test_half_of_a_bin():
    assert needed_bases(0.5, 200) == 100
    assert needed_bases(0.5, 25) == 13
    assert needed_bases(0.3, 10) == 3
    assert needed_bases(0.001, 10) == 1
