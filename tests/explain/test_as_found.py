import pytest
import torch
from torch import nn

from regulome.errors import InputError
from regulome.explain import attention_maps, class_maps, gradients, untouched
from regulome.explain.as_found import inputs_of
from regulome.models import create


def _odd_model() -> nn.Module:
    """A model in a mixed state: some layers in training mode, some parameters frozen, a hook, a stored gradient."""
    torch.manual_seed(3)
    model = create("attentivechrome", marks=2, bins=12)
    model.train()
    first = next(iter(model.children()))
    first.eval()
    parameters = list(model.parameters())
    parameters[0].requires_grad_(False)
    parameters[1].grad = torch.ones_like(parameters[1])
    return model


def _state(model: nn.Module) -> tuple[object, ...]:
    return (
        [module.training for module in model.modules()],
        [parameter.requires_grad for parameter in model.parameters()],
        [None if p.grad is None else p.grad.clone().tolist() for p in model.parameters()],
        [value.clone().tolist() for value in model.state_dict().values()],
        [len(module._forward_hooks) for module in model.modules()],
        torch.get_rng_state().tolist(),
    )


@pytest.mark.parametrize("method", ["attention", "gradient", "class-map"])
def test_every_method_leaves_the_model_as_found(method: str) -> None:
    model = _odd_model()
    calls: list[int] = []
    model.register_forward_hook(lambda *_: calls.append(1))
    before = _state(model)
    x = torch.rand(3, 2, 12)
    before = (*before[:-1], torch.get_rng_state().tolist())
    if method == "attention":
        attention_maps(model, [x])
    elif method == "gradient":
        gradients(model, [x])
        assert calls
    else:
        class_maps(model, (2, 12), steps=3, restarts=2)
        assert calls
    assert _state(model) == before
    assert not x.requires_grad


def test_it_is_restored_after_an_exception() -> None:
    model = _odd_model()
    before = _state(model)

    def fail() -> None:
        with untouched(model):
            assert not any(module.training for module in model.modules())
            assert not any(parameter.requires_grad for parameter in model.parameters())
            torch.rand(3)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert _state(model) == before


def test_explanations_work_where_gradients_are_off() -> None:
    model = create("deepchrome-linear", marks=2, bins=12)
    with torch.no_grad():
        without = gradients(model, [torch.ones(1, 2, 12)]).gradient
    with torch.inference_mode():
        inference = gradients(model, [torch.ones(1, 2, 12)]).gradient
    assert (without == inference).all()
    assert without.any()


def test_a_batch_without_a_tensor_is_refused() -> None:
    with pytest.raises(InputError, match="expected a batch with one input tensor, but got dict"):
        inputs_of({"a": 1}, torch.device("cpu"))
    assert inputs_of(torch.ones(2, dtype=torch.int32), torch.device("cpu")).dtype == torch.float32
