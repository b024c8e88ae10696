import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from regulome.explain.groups import GroupMeans, high_genes, sample


def test_classes_by_label_values_by_median() -> None:
    high, rule = high_genes(np.array([1.0, 0, 1]), "classification")
    assert high.tolist() == [True, False, True]
    assert "label 1" in rule
    high, rule = high_genes(np.array([3.0, 1, 2, 2]), "regression")
    assert high.tolist() == [True, False, False, False]
    assert "2" in rule


@given(ups=st.integers(0, 40), downs=st.integers(0, 40), limit=st.integers(1, 60))
def test_a_sample_is_balanced_where_it_can_be(ups: int, downs: int, limit: int) -> None:
    high = np.random.default_rng(0).permutation(np.r_[np.ones(ups, bool), np.zeros(downs, bool)])
    picked = sample(high, limit, 1)
    assert len(picked) == min(limit, ups + downs)
    assert (np.diff(picked) > 0).all()
    n_up = high[picked].sum()
    assert n_up >= min(ups, limit // 2)
    assert len(picked) - n_up >= min(downs, limit // 2)


def test_means_over_batches_are_means_over_all() -> None:
    values = np.random.default_rng(0).normal(size=(9, 2, 3)).astype(np.float32)
    high = np.arange(9) % 3 == 0
    sums = GroupMeans(high)
    for begin in (0, 4, 8):
        sums.add("x", begin, values[begin : begin + 4])
    found = sums.means()["x"]
    np.testing.assert_allclose(found["high"], values[high].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found["low"], values[~high].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found["all"], values.mean(axis=0), rtol=1e-5)


def test_an_empty_group_is_left_out() -> None:
    sums = GroupMeans(np.ones(2, bool))
    sums.add("x", 0, np.ones((2, 1), np.float32))
    assert set(sums.means()["x"]) == {"high", "all"}
    unknown = GroupMeans(np.zeros(2, bool), labelled=False)
    unknown.add("x", 0, np.ones((2, 1), np.float32))
    assert set(unknown.means()["x"]) == {"all"}
