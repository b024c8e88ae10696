import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from regulome.explain.number_text import key_values

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
near = st.floats(-2, 2, width=32)
edges = st.sampled_from([0.0, 1.0, 10.0, 1e5, 999999.5, 1e6, 0.1, 1e-4, 9.999999e-5, 1e-5, 0.99999994, 3.4e38, 1e-45])


@settings(max_examples=300, deadline=None)
@given(st.lists(floats | near | edges, min_size=1, max_size=20))
def test_numbers_are_as_c_writes_them(numbers):
    values = np.array(numbers, np.float32)[:, None]
    every = np.arange(len(values))
    texts = key_values(["K"], values, every, every, len(values))
    for text, value in zip(texts, values[:, 0].tolist(), strict=True):
        found = text.removeprefix("K=")
        # Where the seventh digit is a five to within float64's rounding, either neighbour is right.
        near = abs(float(found) - value) <= 0.5000001e-5 * abs(value)
        assert found == f"{value + 0:.6g}" or (near and len(found) <= 13)


def test_alleles_share_a_key():
    values = np.array([[0.5, 1], [2, 3], [4, 5]], np.float32)
    texts = key_values(["A", "é"], values, np.array([0, 0, 1, 2, 2]), np.array([0, -1, -1, 1, 2]), 3)
    assert texts == ["A=0.5,.;é=1,.", "A=.;é=.", "A=2,4;é=3,5"]


def test_numbers_are_exact_where_no_digit_is_lost():
    values = np.array([[0.001, -0.25, 123456, 1000, 1e-5, 2.5e10, 100000, 1e6]], np.float32)
    one = np.zeros(1, np.int64)
    (text,) = key_values(list("abcdefgh"), values, one, one, 1)
    assert text == "a=0.001;b=-0.25;c=123456;d=1000;e=1e-05;f=2.5e+10;g=100000;h=1e+06"
