import pytest
import torch

from regulome.errors import InputError
from regulome.models import OneHot, Predictor, create
from regulome.models.one_hot import ALPHABET


@pytest.mark.parametrize("unknown", [0.0, 0.25])
def test_equals_a_table(unknown: float) -> None:
    codes = torch.randint(0, 6, (7, 33), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    table = torch.cat((torch.eye(4), torch.full((2, 4), unknown)))
    channels = OneHot(unknown)(codes)
    assert channels.dtype == torch.float32
    assert channels.is_contiguous()
    assert torch.equal(channels, table[codes.long()].transpose(1, 2))
    assert torch.equal(OneHot(unknown)(codes[:, 3:20]), channels[:, :, 3:20])


def test_order_of_letters() -> None:
    codes = torch.tensor([["ACGT".index(letter) for letter in "TTAC"]], dtype=torch.uint8)
    assert "".join(ALPHABET[n] for n in OneHot()(codes)[0].argmax(dim=0)) == "TTAC"


def test_numbers_pass() -> None:
    x = torch.rand(2, 4, 5, requires_grad=True)
    assert OneHot()(x) is x


def test_dtype_follows_the_network() -> None:
    codes = torch.zeros(1, 3, dtype=torch.uint8)
    assert OneHot(0.25).double()(codes).dtype == torch.float64
    assert OneHot().state_dict() == {}


@pytest.mark.parametrize("x", [torch.zeros(2, 5), torch.zeros(2, 5, 4), torch.zeros(2, 4, 5, dtype=torch.uint8)])
def test_other_inputs(x: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"expected codes \[batch, base\] or one-hot \[batch, 4, base\], but got \[2,"):
        OneHot()(x)


def test_impossible_padding() -> None:
    with pytest.raises(InputError, match=r"expected `unknown` to be a number in \[0, 1\), but got -1"):
        OneHot(-1)


def test_takes_the_place_of_preprocessing() -> None:
    network = create("deepchrome", marks=4, bins=20).eval()
    predictor = Predictor(OneHot(), network).eval()
    codes = torch.randint(0, 4, (3, 20), dtype=torch.uint8)
    assert torch.equal(predictor(codes), network(OneHot()(codes)))
