import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from regulome import models
from regulome.errors import InputError
from regulome.models import Predictor, Preprocess

TRANSFORMS = {"none": lambda x: x, "log1p": np.log1p, "arcsinh": np.arcsinh}


@pytest.mark.parametrize("transform", TRANSFORMS)
@given(seed=st.integers(0, 1000), offset=st.sampled_from([0.0, 1e4]), pieces=st.integers(1, 5))
def test_standard_scale_equals_numpy(transform: str, seed: int, offset: float, pieces: int) -> None:
    x = np.random.default_rng(seed).gamma(2.0, 3.0, (13, 3, 7)).astype(np.float32) + np.float32(offset)
    preprocess = Preprocess(3, transform, "standard").fit(torch.from_numpy(x).tensor_split(pieces))
    t = TRANSFORMS[transform](x.astype(np.float64))
    np.testing.assert_allclose(preprocess.mean, t.mean((0, 2)), rtol=1e-5)
    np.testing.assert_allclose(preprocess.std, t.std((0, 2)), rtol=1e-5)
    if offset == 0:
        expected = (t - t.mean((0, 2))[:, None]) / t.std((0, 2))[:, None]
        np.testing.assert_allclose(preprocess(torch.from_numpy(x)), expected, atol=1e-4)


def test_max_scale() -> None:
    x = torch.tensor([[[0.0, -4.0], [0.0, 0.0]], [[2.0, 1.0], [0.0, 0.0]]])
    preprocess = Preprocess(2, "none", "max").fit([x])
    assert preprocess.std.tolist() == [4.0, 1.0]
    assert preprocess(x).abs().max() == 1


def test_constant_mark_is_left_alone() -> None:
    x = torch.full((4, 1, 3), 0.1)
    assert Preprocess(1, "none", "standard").fit([x])(x).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "there is no training example"),
        ([torch.zeros(2, 3, 4)], r"expected batches \[batch, 2 marks, bins\], but got \[2, 3, 4\]"),
        ([torch.full((1, 2, 3), float("nan"))], "values that transform 'log1p' cannot take"),
        ([torch.full((1, 2, 3), -1.0)], "values that transform 'log1p' cannot take"),
    ],
)
def test_what_cannot_be_fitted(batches: list[torch.Tensor], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Preprocess(2, "log1p").fit(batches)


def test_predictor_passes_attention_through() -> None:
    preprocess = Preprocess(2, "log1p", "standard").fit([torch.rand(8, 2, 20)])
    x = torch.rand(3, 2, 20)
    network = models.create("attentivechrome", marks=2, bins=20).eval()
    predictor = Predictor(preprocess, network)
    assert torch.equal(predictor(x), network(preprocess(x)))
    assert torch.equal(predictor.attention(x)["bins"], network.attention(preprocess(x))["bins"])
    assert not hasattr(Predictor(preprocess, models.create("deepchrome", marks=2, bins=20)), "attention")
    assert "preprocess.mean" in predictor.state_dict()
