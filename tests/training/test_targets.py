import numpy as np

from regulome.training import targets
from regulome.training.targets import summarize_targets


def test_blocks_give_what_the_whole_gives(many, values, monkeypatch):
    monkeypatch.setattr(targets, "_BLOCK", 1000)
    rows = np.arange(0, 1200, 3)
    found = summarize_targets(many, rows)
    whole = np.asarray(many.targets)[rows].astype(np.float64)
    np.testing.assert_array_equal(found.low, whole.min(axis=0))
    np.testing.assert_array_equal(found.high, whole.max(axis=0))
    np.testing.assert_allclose(found.mean, whole.mean(axis=0))
    np.testing.assert_array_equal(found.constant, np.flatnonzero(whole.sum(axis=0) == 0))
    assert (found.n, found.finite) == (400, True)
    np.testing.assert_allclose(summarize_targets(values, np.arange(300)).mean, values.targets.mean(), rtol=1e-6)
