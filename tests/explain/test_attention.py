import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from regulome.errors import InputError
from regulome.explain import Average, attention_maps, positions
from regulome.models import create
from regulome.models.preprocess import Predictor, Preprocess


def test_maps_are_what_the_model_says() -> None:
    torch.manual_seed(1)
    model = create("attentivechrome", marks=3, bins=15).eval()
    x = torch.rand(7, 3, 15) * 5
    with torch.no_grad():
        truth = model.attention(x)
    found = attention_maps(model, x.split(2))
    np.testing.assert_allclose(found.bins, truth["bins"].numpy(), atol=1e-6)
    assert found.marks is not None
    np.testing.assert_allclose(found.marks, truth["marks"].numpy(), atol=1e-6)
    np.testing.assert_allclose(found.bins.sum(axis=2), 1, atol=1e-5)
    np.testing.assert_allclose(found.marks.sum(axis=1), 1, atol=1e-5)


def test_preprocessing_comes_first() -> None:
    network = create("attentivechrome", marks=2, bins=15)
    predictor = Predictor(Preprocess(2, "log1p"), network)
    x = torch.rand(3, 2, 15) * 50
    np.testing.assert_allclose(
        attention_maps(predictor, [x]).bins, attention_maps(network, [torch.log1p(x)]).bins, atol=1e-6
    )


def test_an_ensemble_gives_mean_distributions() -> None:
    members = [create("attentivechrome", marks=2, bins=15) for _ in range(2)]
    x = torch.rand(3, 2, 15)
    found = attention_maps(Average(members), [x])
    np.testing.assert_allclose(found.bins, np.mean([attention_maps(m, [x]).bins for m in members], axis=0), atol=1e-6)
    np.testing.assert_allclose(found.bins.sum(axis=2), 1, atol=1e-5)


def test_a_model_without_attention_is_refused() -> None:
    model = create("deepchrome", marks=2, bins=30)
    for refused in (model, Predictor(Preprocess(2), model), Average([model])):
        with pytest.raises(InputError, match="has no attention"):
            attention_maps(refused, [torch.rand(1, 2, 30)])


@given(bins=st.integers(1, 300), width=st.integers(1, 40))
def test_positions_are_centres_of_receptive_fields(bins: int, width: int) -> None:
    width = min(width, bins)
    found = positions(bins - width + 1, bins)
    fields = np.lib.stride_tricks.sliding_window_view(np.arange(bins), width)
    np.testing.assert_allclose(found, fields.mean(axis=1))


def test_more_positions_than_bins_cannot_be() -> None:
    with pytest.raises(InputError, match="at most 3 attended positions, but got 4"):
        positions(4, 3)
