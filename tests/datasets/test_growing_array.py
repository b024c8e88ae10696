import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regulome.datasets.growing_array import GrowingArray


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    parts=st.lists(st.integers(0, 2000), max_size=8),
    row=st.sampled_from([(), (3,), (2, 0), (919,)]),
    dtype=st.sampled_from(["uint8", "int64", "float32"]),
)
def test_it_is_an_ordinary_array(tmp_path, parts, row, dtype):
    rng = np.random.default_rng(0)
    pieces = [rng.integers(0, 200, (n, *row)) for n in parts]
    array = GrowingArray(tmp_path / "a.npy", dtype, row)
    for piece in pieces:
        array.append(piece)
    array.flush()
    array.flush()
    expected = np.concatenate([np.empty((0, *row)), *pieces]).astype(dtype)
    found = np.load(tmp_path / "a.npy", mmap_mode="r" if expected.size else None)
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)
    assert array.shape == expected.shape


def test_other_rows_are_refused(tmp_path):
    array = GrowingArray(tmp_path / "a.npy", "uint8", (3,))
    with pytest.raises(ValueError, match=r"rows of shape \(2,\)"):
        array.append(np.zeros((5, 2)))
    array.close()
