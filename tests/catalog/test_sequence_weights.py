"""Files are written from networks built here in functions of torch, in the layout that Torch7 leaves; outputs agree."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from regulome.catalog import load_weights, open_weights
from regulome.errors import InputError

State = dict[str, Tensor]


def random_state(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> State:
    random = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes.items():
        scale = 1.0 if len(shape) == 1 else (2 / torch.Size(shape[1:]).numel()) ** 0.5
        state[name] = scale * torch.randn(shape, generator=random)
        if name.endswith("running_var"):
            state[name] = state[name].abs() + 0.5
    return state


def layer(name: str, *shape: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.{kind}": (width,) for kind in ("weight", "bias", "running_mean", "running_var")}


def deepsea(positions: int = 53) -> State:
    return random_state(
        {
            **layer("0", 6, 4, 1, 8),
            **layer("4", 7, 6, 1, 8),
            **layer("8", 5, 7, 1, 8),
            **layer("12.1", 9, 5 * positions),
            **layer("14.1", 3, 9),
        }
    )


def run_deepsea(s: State, x: Tensor) -> Tensor:
    """The layers of the published listing, on letters [n, 4, 1, length] in the order A, G, C, T."""
    for name, pooled in (("0", True), ("4", True), ("8", False)):
        x = F.threshold(F.conv2d(x, s[f"{name}.weight"], s[f"{name}.bias"]), 0, 1e-6)
        x = F.max_pool2d(x, (1, 4), (1, 4)) if pooled else x
    x = F.threshold(F.linear(x.view(x.size(0), -1), s["12.1.weight"], s["12.1.bias"]), 0, 1e-6)
    return torch.sigmoid(F.linear(x, s["14.1.weight"], s["14.1.bias"]))


def basset() -> State:
    return random_state(
        {
            **layer("0", 6, 4, 19, 1),
            **norm("1", 6),
            **layer("4", 7, 6, 11, 1),
            **norm("5", 7),
            **layer("8", 5, 7, 7, 1),
            **norm("9", 5),
            **layer("13.1", 8, 50),
            **norm("14", 8),
            **layer("17.1", 9, 8),
            **norm("18", 9),
            **layer("21.1", 3, 9),
        }
    )


def run_basset(s: State, x: Tensor) -> Tensor:
    """The layers of the published listing, on letters [n, 4, length, 1] in the order A, C, G, T."""

    def normed(x: Tensor, name: str) -> Tensor:
        mean, variance, *scale = (s[f"{name}.{kind}"] for kind in ("running_mean", "running_var", "weight", "bias"))
        return F.relu(F.batch_norm(x, mean, variance, *scale, eps=1e-5))

    for name, after, pool in (("0", "1", 3), ("4", "5", 4), ("8", "9", 4)):
        x = F.max_pool2d(normed(F.conv2d(x, s[f"{name}.weight"], s[f"{name}.bias"]), after), (pool, 1))
    x = x.view(x.size(0), -1)
    for name, after in (("13", "14"), ("17", "18")):
        x = normed(F.linear(x, s[f"{name}.1.weight"], s[f"{name}.1.bias"]), after)
    return torch.sigmoid(F.linear(x, s["21.1.weight"], s["21.1.bias"]))


def windows(length: int) -> tuple[Tensor, Callable[[str], Tensor]]:
    """Codes with unknown letters among them, and the same one-hot in any order of letters."""
    codes = torch.randint(0, 5, (4, length), generator=torch.Generator().manual_seed(9), dtype=torch.uint8)

    def one_hot(letters: str) -> Tensor:
        return torch.stack([(codes == "ACGT".index(letter)).float() for letter in letters], dim=1)

    return codes, one_hot


@pytest.mark.parametrize("prefix", ["", "1.", "2.", "module.model."])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_deepsea(prefix: str, suffix: str, tmp_path: Path) -> None:
    state, path = deepsea(), tmp_path / f"deepsea{suffix}"
    named = {prefix + name: tensor for name, tensor in state.items()}
    save_file(named, path) if suffix == ".safetensors" else torch.save(named, path)
    weights = load_weights(path)
    assert weights.model == "deepsea"
    assert weights.hyperparameters == {
        "length": 1000,
        "targets": 3,
        "filters": [6, 7, 5],
        "kernels": [8, 8, 8],
        "hidden": 9,
    }
    codes, one_hot = windows(1000)
    network = open_weights(path)
    assert not network.training
    torch.testing.assert_close(network(codes).sigmoid(), run_deepsea(state, one_hot("AGCT")[:, :, None]))
    other = open_weights(path, letters="acgt")
    torch.testing.assert_close(other(codes).sigmoid(), run_deepsea(state, one_hot("ACGT")[:, :, None]))


def test_deepsea_of_other_windows(tmp_path: Path) -> None:
    """Windows of 163 … 178 bases leave one position; the file does not tell which of them it had."""
    state = deepsea(positions=1)
    torch.save(state, tmp_path / "deepsea.pth")
    assert load_weights(tmp_path / "deepsea.pth").hyperparameters["length"] == 163
    codes, one_hot = windows(170)
    network = open_weights(tmp_path / "deepsea.pth", length=170)
    torch.testing.assert_close(network(codes).sigmoid(), run_deepsea(state, one_hot("AGCT")[:, :, None]))
    with pytest.raises(InputError, match="its weights do not fit a deepsea with length 300"):
        open_weights(tmp_path / "deepsea.pth", length=300)


@pytest.mark.parametrize("nested", [True, False])
def test_basset(nested: bool, tmp_path: Path) -> None:
    state, path = basset(), tmp_path / "basset.pth"
    named = {name if nested or name.count(".") == 1 else name.replace(".1.", "."): t for name, t in state.items()}
    if nested:
        named["1.num_batches_tracked"] = torch.tensor(7)
    torch.save(named, path)
    weights = load_weights(path)
    assert weights.model == "basset"
    assert weights.hyperparameters == {
        "length": 600,
        "targets": 3,
        "filters": [6, 7, 5],
        "kernels": [19, 11, 7],
        "hidden": [8, 9],
    }
    codes, one_hot = windows(600)
    torch.testing.assert_close(open_weights(path)(codes).sigmoid(), run_basset(state, one_hot("ACGT")[:, :, :, None]))


def without(state: State, name: str) -> State:
    return {key: tensor for key, tensor in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: without(s, "14.1.bias"), r"looks like deepsea \(.*\), but has tensors 1 missing: head.3.bias"),
        (lambda s: {**s, "16.weight": torch.zeros(3)}, "1 left over: 16.weight"),
        (lambda s: {**s, "4.bias": torch.zeros(3)}, r"1 of another shape: convolutions.4.bias \[3\] instead of \[7\]"),
        (
            lambda s: {**s, "12.1.weight": torch.zeros(9, 264)},
            "its first Linear has 264 inputs, which is no multiple of 5",
        ),
        (
            lambda s: {**s, "0.weight": torch.zeros(6, 4, 2, 8)},
            r"expected 0.weight to be one letter high, but it is \[6, 4",
        ),
        (lambda s: without(without(s, "14.1.weight"), "12.1.weight"), "looks like deepsea, but has 0 of its Linears"),
        (lambda s: without(s, "8.weight"), "belongs to no network that is known here"),
    ],
)
def test_tensors_that_do_not_fit(change: Callable[[State], Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "deepsea.pth"
    torch.save(change(deepsea()), path)
    with pytest.raises(InputError, match=message) as refused:
        load_weights(path)
    assert str(path) in str(refused.value)


def test_unknown_letters(tmp_path: Path) -> None:
    torch.save(deepsea(), tmp_path / "deepsea.pth")
    with pytest.raises(InputError, match="expected `letters` to be an order of A, C, G and T, but got 'ACGG'"):
        load_weights(tmp_path / "deepsea.pth", letters="ACGG")
