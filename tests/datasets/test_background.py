import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from regulome.datasets.background import choose, choose_alike, composition


@given(letters=st.text("ACGTN", min_size=1, max_size=60), start=st.integers(-30, 70), length=st.integers(1, 40))
def test_composition(letters, start, length):
    codes = np.array(["ACGTN".index(letter) for letter in letters], np.uint8)
    window = "".join(letters[p] if 0 <= p < len(letters) else "N" for p in range(start, start + length))
    gc, unknown = composition(codes, np.array([start]), length)
    known = length - window.count("N")
    assert gc[0] == (window.count("G") + window.count("C")) / max(known, 1)
    assert unknown[0] == window.count("N") / length


@given(
    gc=st.lists(st.floats(0, 1), max_size=60),
    like=st.lists(st.floats(0, 1), min_size=1, max_size=30),
    wanted=st.integers(0, 80),
    seed=st.integers(0, 9),
)
def test_as_many_as_there_are(gc, like, wanted, seed):
    chosen = choose_alike(np.array(gc), np.array(like), wanted, np.random.default_rng(seed))
    assert len(chosen) == min(wanted, len(gc))
    assert (np.diff(chosen) > 0).all()
    assert len(choose(len(gc), wanted, np.random.default_rng(seed))) == len(chosen)


def test_gc_is_spread_alike():
    rng = np.random.default_rng(0)
    gc, like = rng.normal(0.4, 0.1, 50_000).clip(0, 1), rng.normal(0.55, 0.05, 2_000).clip(0, 1)
    chosen = gc[choose_alike(gc, like, 4_000, rng)]
    classes = [np.bincount((values * 50).astype(int), minlength=50) for values in (chosen, like)]
    assert np.array_equal(classes[0], 2 * classes[1])


def test_the_next_class_helps_out():
    gc = np.array([0.10, 0.11, 0.30, 0.90])
    chosen = choose_alike(gc, np.array([0.31, 0.31, 0.31]), 3, np.random.default_rng(0))
    assert chosen.tolist() == [0, 1, 2]
