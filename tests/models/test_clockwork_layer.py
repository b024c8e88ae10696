"""The layer against its definition, written out step by step and unit by unit, in outputs and all gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from regulome.errors import InputError
from regulome.models import ClockworkLayer


def full_weights(layer: ClockworkLayer) -> Tensor:
    """The recurrent weights with their zeros [to, from]."""
    modules = len(layer.periods)
    blocks = []
    for i, own in enumerate(layer.weight_hh):
        reads = range(i, modules) if layer.direction == "slow-to-fast" else range(i + 1)
        parts = dict(zip(reads, own.split(layer.width, dim=1), strict=True))
        zeros = torch.zeros(layer.width, layer.width, dtype=own.dtype)
        blocks.append(torch.cat([parts.get(j, zeros) for j in range(modules)], dim=1))
    return torch.cat(blocks)


def by_definition(layer: ClockworkLayer, x: Tensor, h: Tensor, offset: int = 0) -> Tensor:
    weights, states = full_weights(layer), []
    for t in range(len(x)):
        bias = 0 if layer.bias is None else layer.bias
        new = torch.tanh(x[t] @ layer.weight_ih.T + bias + h @ weights.T)
        ticks = torch.tensor([(offset + t) % period == 0 for period in layer.periods])
        h = torch.where(ticks.repeat_interleave(layer.width), new, h)
        states.append(h)
    return torch.stack(states)


def with_gradients(states: Tensor, wanted: list[Tensor]) -> list[Tensor]:
    weigh = torch.linspace(-1, 1, states.numel(), dtype=states.dtype).reshape(states.shape)
    return [states, *torch.autograd.grad((states * weigh).sum(), wanted, materialize_grads=True)]


@settings(deadline=None, max_examples=25)
@given(
    periods=st.lists(st.integers(1, 9), min_size=1, max_size=4, unique=True).map(sorted),
    width=st.sampled_from([1, 3, 16, 21]),
    steps=st.integers(1, 14),
    batch=st.sampled_from([1, 5, 33]),
    offset=st.integers(0, 20),
    direction=st.sampled_from(["slow-to-fast", "fast-to-slow"]),
    bias=st.booleans(),
)
def test_equals_its_definition(
    periods: list[int], width: int, steps: int, batch: int, offset: int, direction: str, bias: bool
) -> None:
    torch.manual_seed(0)
    layer = ClockworkLayer(3, width * len(periods), periods=periods, direction=direction, bias=bias).double()
    x = torch.randn(steps, batch, 3, dtype=torch.float64, requires_grad=True)
    h = torch.randn(1, batch, layer.hidden_size, dtype=torch.float64, requires_grad=True)
    wanted = [x, h, *layer.parameters()]
    output, last = layer(x, h, offset=offset)
    assert torch.equal(last, output[-1:])
    truth = with_gradients(by_definition(layer, x, h[0], offset), wanted)
    torch.testing.assert_close(with_gradients(output, wanted), truth, atol=1e-10, rtol=1e-10)
    # What runs on a GPU, module by module.
    other = with_gradients(layer._by_modules(x, h[0], offset), wanted)
    torch.testing.assert_close(other, truth, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("direction", ["slow-to-fast", "fast-to-slow"])
def test_float32_at_full_size(direction: str) -> None:
    torch.manual_seed(0)
    layer = ClockworkLayer(4, 128, direction=direction)
    x, h = torch.randn(150, 40, 4), torch.zeros(1, 40, 128)
    wanted = list(layer.parameters())
    ours, truth = (with_gradients(run, wanted) for run in (layer(x)[0], by_definition(layer, x, h[0])))
    torch.testing.assert_close(ours[0], truth[0], atol=2e-6, rtol=1e-5)
    for gradient, true in zip(ours[1:], truth[1:], strict=True):
        assert float((gradient - true).norm() / true.norm()) < 1e-5


def test_one_module_is_a_simple_rnn() -> None:
    torch.manual_seed(0)
    layer, simple = ClockworkLayer(4, 20, periods=(1,)), torch.nn.RNN(4, 20)
    with torch.no_grad():
        simple.weight_ih_l0.copy_(layer.weight_ih)
        simple.weight_hh_l0.copy_(layer.weight_hh[0])
        simple.bias_ih_l0.copy_(layer.bias)
        simple.bias_hh_l0.zero_()
    x = torch.randn(30, 3, 4)
    torch.testing.assert_close(layer(x), simple(x))


@pytest.mark.parametrize("cuts", [(7,), (1, 2, 13), (8, 16)])
def test_pieces_with_carried_states_are_the_whole(cuts: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer = ClockworkLayer(4, 16, periods=(1, 2, 5, 8))
    x = torch.randn(24, 3, 4)
    state, pieces = None, []
    for begin, end in zip((0, *cuts), (*cuts, 24), strict=True):
        output, state = layer(x[begin:end], state, offset=begin)
        pieces.append(output)
    torch.testing.assert_close(torch.cat(pieces), layer(x)[0])


def test_idle_modules_keep_their_state_and_slow_ones_are_not_told_of_fast_ones() -> None:
    layer = ClockworkLayer(4, 6, periods=(1, 2, 4))
    output, _ = layer(torch.randn(8, 1, 4))
    assert torch.equal(output[0::2, 0, 2:4], output[1::2, 0, 2:4])
    assert len(output[:4, 0, 4:].unique(dim=0)) == 1
    with torch.no_grad():
        layer.weight_hh[0].mul_(2)
    x = torch.randn(8, 1, 4)
    before = layer(x)[0]
    with torch.no_grad():
        layer.weight_ih[:2].zero_()
    after = layer(x)[0]
    assert torch.equal(before[..., 2:], after[..., 2:])
    assert not torch.equal(before[..., :2], after[..., :2])


def test_layouts_of_nn_rnn() -> None:
    torch.manual_seed(0)
    layer, x = ClockworkLayer(4, 8, periods=(1, 2)), torch.randn(9, 3, 4)
    output, state = layer(x)
    first = ClockworkLayer(4, 8, periods=(1, 2), batch_first=True)
    first.load_state_dict(layer.state_dict())
    torch.testing.assert_close(first(x.transpose(0, 1)), (output.transpose(0, 1), state))
    torch.testing.assert_close(layer(x[:, 0]), (output[:, 0], state[:, 0]))
    torch.testing.assert_close(layer(x[:, 0], torch.zeros(1, 8))[0], output[:, 0])
    backwards = ClockworkLayer(4, 8, periods=(1, 2), reverse=True)
    backwards.load_state_dict(layer.state_dict())
    torch.testing.assert_close(backwards(x.flip(0)), (output.flip(0), state))


def test_threads_do_not_change_the_numbers() -> None:
    torch.manual_seed(0)
    layer, x, threads = ClockworkLayer(4, 32, periods=(1, 2)), torch.randn(20, 100, 4), torch.get_num_threads()
    answers = []
    for number in (1, 3):
        torch.set_num_threads(number)
        answers.append(with_gradients(layer(x)[0], list(layer.parameters())))
    torch.set_num_threads(threads)
    for one, other in zip(*answers, strict=True):
        assert torch.equal(one, other)


def test_no_second_derivatives() -> None:
    layer, x = ClockworkLayer(4, 8, periods=(1, 2)), torch.randn(3, 2, 4, requires_grad=True)
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(layer(x)[0].sum(), x, create_graph=True)


def test_wrong_shapes() -> None:
    layer = ClockworkLayer(4, 8, periods=(1, 2))
    with pytest.raises(InputError, match=r"expected inputs \[step, batch, 4\], but got \[3, 2, 5\]"):
        layer(torch.zeros(3, 2, 5))
    with pytest.raises(InputError, match=r"expected states \[1, 2, 8\], but got \[2, 8\]"):
        layer(torch.zeros(3, 2, 4), torch.zeros(2, 8))
    with pytest.raises(InputError, match=r"expected states \[1, 8\], but got \[1, 2, 8\]"):
        layer(torch.zeros(3, 4), torch.zeros(1, 2, 8))
    with pytest.raises(InputError, match="at least one step"):
        layer(torch.zeros(0, 2, 4))
    with pytest.raises(InputError, match="`offset` to be an integer of at least 0"):
        layer(torch.zeros(3, 2, 4), offset=-1)
