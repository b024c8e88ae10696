import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from regulome.errors import InputError
from regulome.models.windows import check_series, check_shares, count_positions, least_length

stages = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 4)), min_size=1, max_size=3)


@given(length=st.integers(1, 200), stages=stages)
def test_equals_torch(length: int, stages: list[tuple[int, int]]) -> None:
    layers = [layer for k, p in stages for layer in (nn.Conv1d(1, 1, k), nn.MaxPool1d(p))]
    assume(length >= least_length(1, stages))
    assert count_positions(length, stages) == nn.Sequential(*layers)(torch.zeros(1, 1, length)).shape[2]


@given(positions=st.integers(1, 40), stages=stages)
def test_least_length_is_the_least(positions: int, stages: list[tuple[int, int]]) -> None:
    least = least_length(positions, stages)
    assert count_positions(least, stages) == positions
    if positions > 1:
        assert count_positions(least - 1, stages) == positions - 1
    elif least > 1:
        with pytest.raises(InputError, match=f"at least {least} are needed"):
            count_positions(least - 1, stages)


def test_checks() -> None:
    assert check_series("kernels", [3, 4], like=[1, 1], of="filters") == (3, 4)
    assert check_shares("dropout", [0, 0.5], 2) == (0.0, 0.5)
    with pytest.raises(InputError, match="expected `kernels` to have as many numbers"):
        check_series("kernels", [3], like=[1, 1], of="filters")
    with pytest.raises(InputError, match="expected `dropout` to be a list of 1 numbers"):
        check_shares("dropout", 0.5, 1)  # type: ignore[arg-type]
