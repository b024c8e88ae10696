"""The questions that every network has to answer; a new one joins with a few lines.

class TestDeepChrome(ModelTester):
    name = "deepchrome"
    parameters = 644_177

Networks on sequences are asked the same and a few more questions:

class TestBasset(SequenceTester):
    name = "basset"
    parameters = 4_135_064
    sizes = {"length": 600, "targets": 164}
    small = {"filters": [8, 8, 8], "hidden": [16, 16]}
    least = 60
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
from regulome.errors import InputError
from regulome.models import OneHot, Predictor

ACTIVATIONS = (
    *(nn.ReLU, nn.Threshold, nn.Tanh, nn.Sigmoid, nn.Hardsigmoid, nn.Softmax, nn.LogSoftmax),
    *(nn.GELU, nn.ELU, nn.SiLU, nn.MaxPool1d, nn.AdaptiveMaxPool1d),
)
FUNCTIONS = {
    *("relu", "relu_", "threshold", "threshold_", "tanh", "tanh_", "sigmoid", "sigmoid_", "softmax", "log_softmax"),
    *("gelu", "elu", "silu", "max_pool1d", "adaptive_max_pool1d"),
}


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
    #: Hyperparameters of a small version, with which everything but the parameters' count is asked.
    small: ClassVar[dict[str, Any]] = {}
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
        return models.create(self.name, **{**self.sizes, **self.small, **hyperparameters})

    def inputs(self, n: int = 4, seed: int = 1, **sizes: int) -> Tensor:
        sizes = sizes or self.sizes
        return torch.poisson(
            torch.full((n, sizes["marks"], sizes["bins"]), 2.0), generator=torch.Generator().manual_seed(seed)
        )

    def test_parameter_count(self) -> None:
        with torch.device("meta"):
            network = models.create(self.name, **self.sizes)
        assert sum(p.numel() for p in network.parameters()) == self.parameters
        listed = {info.name: info for info in models.list_models()}[self.name]
        assert listed.parameters == self.parameters

    @pytest.mark.parametrize("mode", ["eval", "train"])
    def test_row_does_not_depend_on_others(self, mode: str) -> None:
        network = self.create()
        network.train(mode == "train")
        for module in network.modules():
            # What draws numbers, or looks at the whole batch while training.
            if isinstance(module, nn.Dropout | nn.RNNBase | nn.BatchNorm1d):
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
            assert other(self.inputs(**sizes)).shape == (4, sizes.get("targets", 1))
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
        other = models.create(self.name, **{**self.sizes, **self.small}).eval()
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

    def planted(self, n: int, *, seed: int) -> tuple[Tensor, Tensor]:
        return planted(n, seed=seed)

    def learner(self) -> nn.Module:
        """The network that has to find the planted signal."""
        return self.create(marks=2, bins=20)

    def test_learns_a_planted_signal(self) -> None:
        network = self.learner()
        self.fit(network, *self.planted(1024, seed=3))
        network.eval()
        x, y = self.planted(512, seed=4)
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


class SequenceTester(ModelTester):
    sizes: ClassVar[dict[str, int]] = {"length": 1000, "targets": 919}
    other_sizes: ClassVar[list[dict[str, int]]] = [{"length": 201, "targets": 1}, {"length": 388, "targets": 3}]
    #: The shortest window that the small version takes; one base less is refused. None where any length will do.
    least: ClassVar[int | None] = None
    #: Length of the windows in which a motif is planted.
    learns_at: ClassVar[int] = 60
    #: Hyperparameters beside ``small`` with which the planted motif is learned.
    learns_with: ClassVar[dict[str, Any]] = {}

    def inputs(self, n: int = 4, seed: int = 1, **sizes: int) -> Tensor:
        return dna(n, (sizes or self.sizes)["length"], seed=seed)

    def planted(self, n: int, *, seed: int) -> tuple[Tensor, Tensor]:
        return planted_motif(n, self.learns_at, seed=seed)

    def learner(self) -> nn.Module:
        return self.create(length=self.learns_at, targets=1, **self.learns_with)

    def test_regression_head(self) -> None:
        """Values come out as logits do."""

    def test_targets_have_a_column_each(self) -> None:
        for targets in (1, 2, 5):
            assert self.create(targets=targets).eval()(self.inputs()).shape == (4, targets)

    def test_codes_in_its_predictor(self) -> None:
        network = self.create().eval()
        codes = torch.randint(0, 5, (4, self.sizes["length"]), generator=torch.Generator().manual_seed(1))
        table = torch.cat((torch.eye(4), torch.full((1, 4), float(network.unknown))))
        predictor = Predictor(OneHot(float(network.unknown)), network).eval()
        assert torch.equal(predictor(codes.to(torch.uint8)), network(table[codes].transpose(1, 2).contiguous()))

    def test_shortest_window(self) -> None:
        if self.least is None:
            assert self.create(length=1).eval()(self.inputs(length=1)).isfinite().all()
            return
        assert self.create(length=self.least).eval()(self.inputs(length=self.least)).isfinite().all()
        with pytest.raises(InputError, match=rf"at least {self.least}\b"):
            self.create(length=self.least - 1)


def dna(n: int, length: int, *, seed: int) -> Tensor:
    """Random sequences, one-hot [n, 4, length]."""
    codes = torch.randint(0, 4, (n, length), generator=torch.Generator().manual_seed(seed))
    return torch.eye(4)[codes].transpose(1, 2).contiguous()


def planted_motif(n: int, length: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Random sequences; in every second one TGACTCA stands somewhere."""
    x = dna(n, length, seed=seed)
    motif = torch.eye(4)[["ACGT".index(letter) for letter in "TGACTCA"]].T
    places = torch.randint(0, length - 6, (n,), generator=torch.Generator().manual_seed(seed + 1))
    for row in range(1, n, 2):
        x[row, :, places[row] : places[row] + 7] = motif
    return x, (torch.arange(n) % 2).float()[:, None]


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
