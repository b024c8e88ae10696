import numpy as np
import polars as pl
import pytest

from regulome.errors import InputError
from regulome.genome.windows import Windows


def test_windows_lie_around_their_positions() -> None:
    windows = Windows.around(pl.Series(["chr2", "chr1", "chr2"]), pl.Series([10_000, 100, 7]), window=400, bin=100)
    assert windows.chromosomes == ("chr1", "chr2")
    assert windows.codes.tolist() == [1, 0, 1]
    assert windows.starts.tolist() == [9_800, -100, -193]
    assert windows.ends.tolist() == [10_200, 300, 207]
    assert windows.centres.tolist() == [10_000, 100, 7]
    assert (windows.n_bins, windows.width, len(windows)) == (4, 400, 3)
    assert windows.codes.dtype == np.int32
    assert windows.describe(0) == "chr2:9,800-10,200"
    assert windows.take([2, 0]).starts.tolist() == [-193, 9_800]


@pytest.mark.parametrize(("window", "bin"), [(1000, 300), (0, 100), (50, 100), (100, 0)])
def test_a_window_must_be_a_multiple_of_its_bin(window: int, bin: int) -> None:
    with pytest.raises(InputError, match="cannot be cut into bins"):
        Windows.around(["chr1"], [5], window=window, bin=bin)


@pytest.mark.parametrize("position", [-1, 2**31])
def test_positions_out_of_range_are_told(position: int) -> None:
    with pytest.raises(InputError, match=f"window 2: position {position} is out of range"):
        Windows.around(["chr1", "chr1"], [5, position])
