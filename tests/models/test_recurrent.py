import weakref
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from regulome.models import create
from regulome.models.recurrent import attend_many, lstm_many, stack_weights, threads_for

Gradients = list[Tensor]


def gradients(loss: Tensor, wanted: list[Tensor]) -> Gradients:
    return list(torch.autograd.grad(loss, wanted))


def lstms(number: int, inputs: int, hidden: int, dtype: torch.dtype) -> list[nn.LSTM]:
    return [nn.LSTM(inputs, hidden, bidirectional=True, batch_first=True).to(dtype) for _ in range(number)]


@settings(max_examples=15, deadline=None)
@given(
    number=st.integers(1, 4),
    inputs=st.integers(1, 3),
    hidden=st.sampled_from([1, 3, 5, 8, 16, 19, 32]),
    steps=st.integers(1, 8),
    examples=st.sampled_from([1, 2, 5, 16, 17, 65]),
    scale=st.sampled_from([0.1, 1.0, 30.0]),
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_equals_torch_lstm(
    dtype: torch.dtype, tolerance: float, number: int, inputs: int, hidden: int, steps: int, examples: int, scale: float
) -> None:
    torch.manual_seed(steps)
    # Large inputs leave gradients that are small differences of large numbers.
    tolerance *= max(1, scale / 5)
    many = lstms(number, inputs, hidden, dtype)
    parameters = [p for lstm in many for p in lstm.parameters()]
    x = (torch.randn(examples, number, steps, inputs, dtype=dtype) * scale).requires_grad_()
    expected = torch.stack([lstm(x[:, n])[0] for n, lstm in enumerate(many)], 1)
    states = lstm_many(x, stack_weights(many), hidden)
    ours = torch.cat((states[0::2], states[1::2]), 3).permute(2, 0, 1, 3)
    torch.testing.assert_close(ours, expected, atol=tolerance, rtol=0)
    # A weight's gradient is a sum over all of these, and rounds with each.
    tolerance *= max(1, examples * steps / 40)
    upstream = torch.randn_like(expected)
    for mine, theirs in zip(
        gradients((ours * upstream).sum(), [x, *parameters]),
        gradients((expected * upstream).sum(), [x, *parameters]),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, atol=tolerance * max(1, float(theirs.abs().max())), rtol=0)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_attention_equals_softmax_over_torch_lstm(dtype: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(0)
    many = lstms(3, 2, 5, dtype)
    contexts = torch.randn(3, 10, dtype=dtype, requires_grad=True)
    wanted = [contexts, *(p for lstm in many for p in lstm.parameters())]
    x = torch.randn(4, 3, 7, 2, dtype=dtype, requires_grad=True)
    states = torch.stack([lstm(x[:, n])[0] for n, lstm in enumerate(many)], 1)
    weights = torch.einsum("bnth,nh->bnt", states, contexts).softmax(2)
    vectors = torch.einsum("bnt,bnth->bnh", weights, states)
    ours, attention = attend_many(x, stack_weights(many), contexts)
    torch.testing.assert_close(ours, vectors, atol=tolerance, rtol=0)
    torch.testing.assert_close(attention, weights, atol=tolerance, rtol=0)
    up, side = torch.randn_like(vectors), torch.randn_like(weights)
    for mine, theirs in zip(
        gradients((ours * up).sum() + (attention * side).sum(), [x, *wanted]),
        gradients((vectors * up).sum() + (weights * side).sum(), [x, *wanted]),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, atol=tolerance * max(1, float(theirs.abs().max())), rtol=0)


def test_gradcheck() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(4, 12, 6, dtype=torch.float64, requires_grad=True)
    contexts = torch.randn(2, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, w: lstm_many(a, w, 3), (x, weights))
    assert torch.autograd.gradcheck(attend_many, (x, weights, contexts))


def test_without_gradients_nothing_else_changes() -> None:
    torch.manual_seed(0)
    many = lstms(2, 1, 4, torch.float32)
    contexts, x = torch.randn(2, 8, requires_grad=True), torch.randn(3, 2, 6, 1)
    kept = attend_many(x, stack_weights(many), contexts)
    with torch.no_grad():
        lean = attend_many(x, stack_weights(many), contexts)
    assert torch.equal(kept[0], lean[0])
    assert torch.equal(kept[1], lean[1])


def test_graphs_that_live_side_by_side_do_not_share_memory() -> None:
    """Working memory is used again only after the graph that kept it is gone."""
    torch.manual_seed(0)
    many = lstms(2, 1, 4, torch.float64)
    contexts = torch.randn(2, 8, dtype=torch.float64, requires_grad=True)
    wanted = [contexts, *(p for lstm in many for p in lstm.parameters())]
    first, second = torch.randn(2, 3, 2, 6, 1, dtype=torch.float64)

    def loss(x: Tensor) -> Tensor:
        vectors, _ = attend_many(x, stack_weights(many), contexts)
        return vectors.square().sum()

    alone = [gradients(loss(first), wanted), gradients(loss(second), wanted)]
    a, b = loss(first), loss(second)
    loss(first)
    together = [gradients(a, wanted), gradients(b, wanted)]
    kept = loss(first)
    again = [list(torch.autograd.grad(kept, wanted, retain_graph=True)) for _ in range(2)]
    for expected, ours in zip([*alone, alone[0], alone[0]], [*together, *again], strict=True):
        for one, other in zip(expected, ours, strict=True):
            torch.testing.assert_close(one, other, atol=0, rtol=1e-12)


def test_memory_goes_back_with_the_graph() -> None:
    many = lstms(2, 1, 4, torch.float32)
    contexts, x = torch.randn(2, 8, requires_grad=True), torch.randn(3, 2, 6, 1)
    for loss in (
        attend_many(x, stack_weights(many), contexts)[0].sum(),
        lstm_many(x, stack_weights(many), 4).sum(),
    ):
        assert loss.grad_fn is not None
        tape = weakref.ref(loss.grad_fn.next_functions[0][0].tape)
        assert tape() is not None
        loss.backward()
    del loss
    assert tape() is None


def test_second_derivatives_are_refused() -> None:
    x = torch.randn(2, 1, 3, 2, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, 12, 6, dtype=torch.float64)
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(lstm_many(x, weights, 3).sum(), x, create_graph=True)


def test_training_under_autocast() -> None:
    """The recurrence stays in float32 where the rest of a network runs in bfloat16, forwards and backwards."""
    torch.manual_seed(0)
    many = lstms(2, 1, 4, torch.float32)
    contexts, x = torch.randn(2, 8, requires_grad=True), torch.randn(3, 2, 6, 1, requires_grad=True)
    wanted = [x, contexts, *(p for lstm in many for p in lstm.parameters())]
    exact = gradients(attend_many(x, stack_weights(many), contexts)[0].sum(), wanted)
    with torch.autocast("cpu", torch.bfloat16):
        vectors, _ = attend_many(x, stack_weights(many), contexts)
    assert vectors.dtype == torch.float32
    for ours, expected in zip(gradients(vectors.sum(), wanted), exact, strict=True):
        torch.testing.assert_close(ours, expected)


def test_inference_mode_then_training() -> None:
    torch.manual_seed(0)
    many = lstms(2, 1, 4, torch.float32)
    contexts, x = torch.randn(2, 8, requires_grad=True), torch.randn(3, 2, 6, 1)
    with torch.inference_mode():
        quick = attend_many(x, stack_weights(many), contexts)[0].clone()
    vectors = attend_many(x, stack_weights(many), contexts)[0]
    vectors.sum().backward()
    assert torch.equal(quick, vectors)


def trained(threads: int) -> list[Tensor]:
    """What comes out of a step on 70 examples, on a number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        torch.manual_seed(0)
        many = lstms(3, 2, 8, torch.float32)
        contexts, x = torch.randn(3, 16, requires_grad=True), torch.randn(70, 3, 20, 2, requires_grad=True)
        vectors, attention = attend_many(x, stack_weights(many), contexts)
        wanted = [x, contexts, *(p for lstm in many for p in lstm.parameters())]
        return [t.detach() for t in (vectors, attention, *gradients(vectors.square().sum(), wanted))]
    finally:
        torch.set_num_threads(before)


def test_threads_do_not_change_a_bit() -> None:
    one = trained(1)
    for threads in (2, 3, 7):
        assert all(torch.equal(a, b) for a, b in zip(one, trained(threads), strict=True))


def in_child(threads: int) -> list[object]:
    return [tensor.tolist() for tensor in trained(threads)]


# Newer Pythons warn of any fork of a process that has threads.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_threads_in_child_processes(method: str) -> None:
    here = [tensor.tolist() for tensor in trained(2)]
    with ProcessPoolExecutor(1, mp_context=get_context(method)) as pool:
        assert pool.submit(in_child, 2).result(timeout=120) == here


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30])
def test_what_is_not_finite_comes_out_as_in_torch(dtype: torch.dtype, value: float) -> None:
    torch.manual_seed(0)
    many = lstms(1, 1, 5, dtype)
    x = torch.randn(3, 1, 8, 1, dtype=dtype)
    x[1, 0, 4] = value
    with torch.no_grad():
        states = lstm_many(x, stack_weights(many), 5)
        torch.testing.assert_close(
            torch.cat((states[0], states[1]), 2).transpose(0, 1), many[0](x[:, 0])[0], equal_nan=True, atol=1e-6, rtol=0
        )
        vectors, attention = attend_many(x, stack_weights(many), torch.randn(1, 10, dtype=dtype))
    if value != value:
        assert vectors[1].isnan().all()
        assert attention[1].isnan().all()
    assert vectors[[0, 2]].isfinite().all()


def test_empty_batch() -> None:
    many = lstms(2, 1, 4, torch.float32)
    vectors, attention = attend_many(torch.randn(0, 2, 6, 1), stack_weights(many), torch.randn(2, 8))
    assert vectors.shape == (0, 2, 8)
    assert attention.shape == (0, 2, 6)


@pytest.mark.parametrize(("name", "own"), [("attentivechrome", True), ("lstm", True), ("deepchrome", False)])
def test_a_recurrent_network_has_all_threads_to_itself(name, own):
    network = create(name, marks=2, bins=60)
    before = torch.get_num_threads()
    x = torch.randn(30, 2, 60)
    outside = network.eval()(x)
    with threads_for(network):
        assert torch.get_num_threads() == (1 if own else before)
        torch.testing.assert_close(network(x), outside)
    assert torch.get_num_threads() == before
