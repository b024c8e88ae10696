import copy

import pytest
import torch
from torch import Tensor, nn

from regulome.models.recurrent import all_threads
from regulome.models.text_recurrence import State, recurrence

CELLS = [nn.RNN, nn.GRU, nn.LSTM]
Network = nn.RNN | nn.GRU | nn.LSTM


def torch_way(module: Network, x: Tensor, state: State | None) -> tuple[Tensor, State]:
    before = None if state is None else tuple(part.transpose(0, 1).contiguous() for part in state)
    if isinstance(module, nn.LSTM):
        y, (h, c) = module(x, None if before is None else (before[0], before[1]))
        return y, (h.transpose(0, 1), c.transpose(0, 1))
    y, h = module(x, None if before is None else before[0])
    return y, (h.transpose(0, 1),)


def start_of(module: Network, batch: int) -> State:
    shape = (batch, module.num_layers, module.hidden_size)
    parts = 2 if isinstance(module, nn.LSTM) else 1
    return tuple(torch.randn(shape, dtype=module.weight_ih_l0.dtype).requires_grad_() for _ in range(parts))


def loss_of(y: Tensor, state: State) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return sum(((part * torch.randn(part.shape, generator=generator)).sum() for part in (y, *state)), torch.zeros(()))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("layers", "inputs", "hidden", "batch", "steps", "bias", "given"),
    [
        (1, 5, 16, 7, 11, True, True),
        (2, 10, 128, 40, 20, True, True),
        (3, 4, 64, 33, 9, False, True),
        (2, 16, 48, 131, 7, True, False),
        (1, 130, 32, 1, 300, True, True),
        (2, 4, 32, 65, 1, True, True),
        # Those that the kernel leaves to torch: a hidden size, and few letters.
        (2, 3, 20, 16, 6, True, True),
        (2, 3, 16, 2, 3, True, False),
    ],
)
def test_equals_torch(
    cell: type[Network], layers: int, inputs: int, hidden: int, batch: int, steps: int, bias: bool, given: bool
) -> None:
    torch.manual_seed(steps)
    module = cell(inputs, hidden, layers, bias=bias, batch_first=True)
    x = torch.randn(batch, steps, inputs, requires_grad=True)
    state = start_of(module, batch) if given else None
    wanted = [x, *(state or ()), *module.parameters()]
    ours, theirs = recurrence(module, x, state), torch_way(module, x, state)
    for mine, torchs in zip((ours[0], *ours[1]), (theirs[0], *theirs[1]), strict=True):
        torch.testing.assert_close(mine, torchs, atol=2e-6, rtol=0)
    gradients = [torch.autograd.grad(loss_of(*way), wanted) for way in (ours, theirs)]
    for mine, torchs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, torchs, atol=5e-6 * max(1, float(torchs.abs().max())), rtol=0)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_differences(cell: type[Network]) -> None:
    torch.manual_seed(0)
    module = cell(3, 16, 2, batch_first=True)
    x = torch.randn(9, 8, 3)
    state = start_of(module, 9)
    loss_of(*recurrence(module, x, state)).backward()
    for tensor in (*state, *module.parameters()):
        assert tensor.grad is not None
        direction = tensor.grad / tensor.grad.norm()
        sides = []
        for size in (0.01, -0.01):
            with torch.no_grad():
                tensor += size * direction
                sides.append(float(loss_of(*recurrence(module, x, state))))
                tensor -= size * direction
        assert (sides[0] - sides[1]) / 0.02 == pytest.approx(float(tensor.grad.norm()), rel=0.01)


@pytest.mark.parametrize("cell", CELLS)
def test_without_gradients_it_goes_by_pieces_and_threads_do_not_matter(
    cell: type[Network], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    module = cell(6, 32, 2, batch_first=True)
    x, state = torch.randn(35, 50, 6), start_of(module, 35)
    expected = recurrence(module, x, state)
    weights = list(module.parameters())
    gradients = torch.autograd.grad(loss_of(*expected), weights)
    monkeypatch.setattr("regulome.models.text_recurrence._PIECE", 300)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with all_threads():
            with torch.no_grad():
                got = recurrence(module, x, state)
            again = torch.autograd.grad(loss_of(*recurrence(module, x, state)), weights)
    finally:
        torch.set_num_threads(before)
    for mine, other in zip((got[0], *got[1]), (expected[0], *expected[1]), strict=True):
        assert torch.equal(mine, other)
        assert not mine.requires_grad
    assert all(torch.equal(mine, other) for mine, other in zip(again, gradients, strict=True))


@pytest.mark.parametrize("cell", CELLS)
def test_only_what_is_wanted_gets_gradients(cell: type[Network]) -> None:
    torch.manual_seed(0)
    module = cell(4, 16, batch_first=True)
    x = torch.randn(10, 12, 4)
    y, state = recurrence(module, x)
    expected = torch.autograd.grad(loss_of(*torch_way(module, x, None)), list(module.parameters()))
    (loss_of(y, state)).backward(retain_graph=True)
    for parameter, gradient in zip(module.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-5, rtol=1e-5)
    loss_of(y, state).backward()
    module.requires_grad_(False)
    x.requires_grad_()
    assert torch.autograd.grad(recurrence(module, x)[0].sum(), x)[0].shape == x.shape


@pytest.mark.parametrize("cell", CELLS)
def test_second_derivatives_and_transformed_functions_are_torchs(cell: type[Network]) -> None:
    torch.manual_seed(0)
    module = cell(4, 16, 1, batch_first=True)
    x = torch.randn(8, 10, 4, requires_grad=True)
    seconds = []
    for way in (recurrence, torch_way):
        y, _ = way(module, x, None)
        (first,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        seconds.append(torch.autograd.grad(first.square().sum(), [x, *module.parameters()]))
    for mine, torchs in zip(*seconds, strict=True):
        torch.testing.assert_close(mine, torchs, atol=1e-4, rtol=1e-4)
    by_function = torch.func.grad(lambda inputs: recurrence(module, inputs)[0].square().sum())(x.detach())
    torch.testing.assert_close(by_function, first.detach(), atol=1e-5, rtol=1e-5)


def test_doubles_are_torchs() -> None:
    torch.manual_seed(0)
    module = nn.GRU(3, 16, batch_first=True).double()
    x = torch.randn(8, 10, 3, dtype=torch.float64)
    assert torch.equal(recurrence(module, x)[0], module(x)[0])


def test_dropout_acts_between_layers_in_training() -> None:
    torch.manual_seed(0)
    module = nn.LSTM(4, 32, 2, batch_first=True, dropout=0.5)
    x = torch.randn(40, 30, 4)
    plain = copy.deepcopy(module)
    plain.dropout = 0.0
    expected = recurrence(plain, x)[0]
    assert torch.equal(recurrence(module.eval(), x)[0], expected)
    module.train()
    ours, theirs = (
        torch.stack([way(module, x, None)[0].detach() for _ in range(20)]) for way in (recurrence, torch_way)
    )
    assert not torch.equal(ours[0], ours[1])
    torch.testing.assert_close(ours.mean(dim=(0, 1)), theirs.mean(dim=(0, 1)), atol=0.02, rtol=0)
    torch.testing.assert_close(ours.std(dim=0).mean(), theirs.std(dim=0).mean(), atol=0.003, rtol=0)
