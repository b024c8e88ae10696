"""The questions that every network has to answer; a new one joins with a few lines.

class TestDeepChrome(ModelTester):
    name = "deepchrome"
    parameters = 644_177
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from regulome import models

ACTIVATIONS = (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.Softmax, nn.LogSoftmax, nn.GELU, nn.ELU, nn.SiLU, nn.MaxPool1d)
FUNCTIONS = {"relu", "relu_", "tanh", "tanh_", "sigmoid", "sigmoid_", "softmax", "log_softmax", "gelu", "elu", "silu"}


class ModelTester:
    name: ClassVar[str]
    #: The paper's count at ``sizes``.
    parameters: ClassVar[int]
    sizes: ClassVar[dict[str, int]] = {"marks": 5, "bins": 100}
    other_sizes: ClassVar[list[dict[str, int]]] = [
        {"marks": 1, "bins": 14},
        {"marks": 2, "bins": 37},
        {"marks": 7, "bins": 210},
    ]
    #: AUROC that training on the planted signal reaches on fresh examples.
    score: ClassVar[float] = 0.9
    learning_rate: ClassVar[float] = 0.01
    steps: ClassVar[int] = 150
    differentiable: ClassVar[bool] = True
    #: Shapes of the attention maps at ``sizes`` for 4 examples; None where there is no attention.
    attention: ClassVar[dict[str, tuple[int, ...]] | None] = None
    #: Gates and weights inside a fused recurrence are part of one operation, not activations of the network.
    fused: ClassVar[frozenset[str]] = frozenset()

    def create(self, **hyperparameters: Any) -> nn.Module:
        torch.manual_seed(0)
        return models.create(self.name, **{**self.sizes, **hyperparameters})

    def inputs(self, n: int = 4, seed: int = 1, **sizes: int) -> Tensor:
        sizes = sizes or self.sizes
        return torch.poisson(
            torch.full((n, sizes["marks"], sizes["bins"]), 2.0), generator=torch.Generator().manual_seed(seed)
        )

    def test_parameter_count(self) -> None:
        assert sum(p.numel() for p in self.create().parameters()) == self.parameters
        listed = {info.name: info for info in models.list_models()}[self.name]
        assert listed.parameters == self.parameters

    @pytest.mark.parametrize("mode", ["eval", "train"])
    def test_row_does_not_depend_on_others(self, mode: str) -> None:
        network = self.create()
        network.train(mode == "train")
        for module in network.modules():
            if isinstance(module, nn.Dropout | nn.LSTM):
                module.eval()
        x = self.inputs(6)
        together = network(x)
        alone = torch.cat([network(row) for row in x.split(1)])
        elsewhere = network(torch.cat((self.inputs(3, seed=9), x)))[3:]
        torch.testing.assert_close(alone, together, atol=2e-6, rtol=1e-5)
        torch.testing.assert_close(elsewhere, together, atol=2e-6, rtol=1e-5)

    def test_two_sizes_side_by_side(self) -> None:
        first = self.create().eval()
        x = self.inputs()
        before = first(x)
        for sizes in self.other_sizes:
            other = self.create(**sizes).eval()
            assert other(self.inputs(**sizes)).shape == (4, 1)
        assert torch.equal(first(x), before)
        assert torch.equal(self.create().eval()(x), before)

    def test_eval_is_deterministic(self) -> None:
        network = self.create().eval()
        x = self.inputs()
        assert torch.equal(network(x), network(x))

    def test_bfloat16_agrees(self) -> None:
        network = self.create().eval()
        x = self.inputs(16)
        exact = network(x)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(x)
        torch.testing.assert_close(rough.float(), exact, atol=0.02, rtol=0.05)

    def test_save_and_load(self, tmp_path: Path) -> None:
        network = self.create().eval()
        save_file(network.state_dict(), tmp_path / "weights.safetensors")
        torch.manual_seed(7)
        other = models.create(self.name, **self.sizes).eval()
        other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
        x = self.inputs()
        assert torch.equal(other(x), network(x))

    def test_one_module_per_activation(self) -> None:
        network = self.create().eval()
        calls: Counter[str] = Counter()
        inside = [0]
        for path, module in network.named_modules():
            if not list(module.children()):
                module.register_forward_pre_hook(lambda *_, path=path: calls.update([path]))
            if isinstance(module, ACTIVATIONS):
                module.register_forward_pre_hook(lambda *_: inside.__setitem__(0, 1))
                module.register_forward_hook(lambda *_: inside.__setitem__(0, 0))
        loose: set[str] = set()

        class Watch(TorchFunctionMode):
            def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                if not inside[0]:
                    loose.add(getattr(func, "__name__", ""))
                return func(*args, **(kwargs or {}))

        with Watch():
            network(self.inputs())
        assert {path for path, count in calls.items() if count > 1} == set()
        assert loose & FUNCTIONS <= self.fused

    def test_input_gradient(self) -> None:
        if not self.differentiable:
            pytest.skip("has no gradient")
        network = self.create().eval()
        x = self.inputs().requires_grad_()
        network(x).sum().backward()
        assert x.grad is not None
        assert torch.isfinite(x.grad).all()
        assert (x.grad != 0).any()

    def test_regression_head(self) -> None:
        network = self.create(task="regression")
        assert network(self.inputs()).shape == (4, 1)

    def test_attention(self) -> None:
        network = self.create().eval()
        assert hasattr(network, "attention") == (self.attention is not None)
        if self.attention is None:
            return
        maps = network.attention(self.inputs())
        assert {name: tuple(weights.shape) for name, weights in maps.items()} == self.attention
        for weights in maps.values():
            assert (weights >= 0).all()
            torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))

    def test_learns_a_planted_signal(self) -> None:
        network = self.create(marks=2, bins=20)
        self.fit(network, *planted(1024, seed=3))
        network.eval()
        x, y = planted(512, seed=4)
        with torch.no_grad():
            assert auroc(network(x), y) >= self.score

    def fit(self, network: nn.Module, x: Tensor, y: Tensor) -> None:
        optimizer = torch.optim.Adam(network.parameters(), self.learning_rate)
        shuffle = torch.Generator().manual_seed(5)
        for _ in range(self.steps):
            rows = torch.randint(len(x), (64,), generator=shuffle)
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(network(x[rows]), y[rows]).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()


def planted(n: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Two marks over 20 bins: the first rises around the middle in half of the examples, the second is noise."""
    random = torch.Generator().manual_seed(seed)
    y = (torch.arange(n) % 2).float()[:, None]
    rate = torch.full((n, 2, 20), 1.0)
    rate[:, 0, 8:13] += 1.5 * y
    return torch.log1p(torch.poisson(rate, generator=random)), y


def auroc(score: Tensor, y: Tensor) -> float:
    """Share of (high, low) pairs in the right order."""
    high, low = score[y == 1], score[y == 0]
    return float((high[:, None] > low).float().mean() + (high[:, None] == low).float().mean() / 2)
