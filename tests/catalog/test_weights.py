import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from regulome import models
from regulome.catalog import load_weights, open_weights
from regulome.errors import InputError


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return models.create("attentivechrome", marks=3, bins=20, hidden=4).eval()


def write(path: Path, state: dict[str, Tensor]) -> None:
    if path.suffix == ".npz":
        np.savez(path, **{name: tensor.numpy() for name, tensor in state.items()})
    elif path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=path.suffix == ".pt")


@pytest.mark.parametrize("suffix", [".pt", ".old", ".npz", ".safetensors"])
def test_every_layout_gives_the_same_network(network: nn.Module, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    write(path, network.state_dict())
    weights = load_weights(path)
    assert weights.model == "attentivechrome"
    assert weights.hyperparameters == {"marks": 3, "hidden": 4, "layers": 1}
    x = torch.rand(5, 3, 20)
    opened = open_weights(path, bins=20)
    assert not opened.training
    assert torch.equal(opened(x), network(x))
    assert torch.equal(opened.attention(x)["marks"], network.attention(x)["marks"])


def test_wrapped_and_prefixed_names(network: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v.double() for k, v in network.state_dict().items()}}, path)
    x = torch.rand(5, 3, 20)
    torch.testing.assert_close(open_weights(path)(x), network(x))


def test_lstm_alpha_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(models.create("lstm-alpha", marks=2, bins=20, layers=2).state_dict(), path)
    assert load_weights(path)[:2] == ("lstm-alpha", {"marks": 2, "hidden": 32, "layers": 2})


class Hostile:
    """Unpickling this makes a file: the mark that code was run."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("layout", ["zip", "old", "bare", "npz"])
def test_hostile_pickle_is_never_executed(layout: str, tmp_path: Path) -> None:
    mark, path = tmp_path / "mark", tmp_path / ("weights.npz" if layout == "npz" else "weights.pt")
    content = {"rnn_hms.0.rnn.weight_hh_l0": torch.zeros(4, 1), "x": Hostile(mark)}
    if layout == "bare":
        path.write_bytes(pickle.dumps(content))
    elif layout == "npz":
        buffer = io.BytesIO()
        np.save(buffer, np.array([Hostile(mark)], dtype=object), allow_pickle=True)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", buffer.getvalue())
    else:
        torch.save(content, path, _use_new_zipfile_serialization=layout == "zip")
    with pytest.raises(InputError, match="could run foreign code, so it is refused") as refused:
        load_weights(path)
    assert not mark.exists()
    assert "\n" not in str(refused.value)
    # The mark does appear where somebody unpickles without care, so its absence above means something.
    os.system(f"touch {mark}")
    assert mark.exists()


@pytest.mark.parametrize("suffix", [".pt", ".old", ".npz", ".safetensors"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_truncated_file(network: nn.Module, tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"weights{suffix}"
    write(path, network.state_dict())
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError) as refused:
        load_weights(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_another_architecture(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(nn.Linear(3, 2).state_dict(), path)
    with pytest.raises(InputError, match=r"belongs to no network that is known here \(its first tensors: weight"):
        load_weights(path)


def change(state: dict[str, Tensor], how: str) -> dict[str, Any]:
    if how == "missing":
        del state["fdiff1_1.bias"]
    elif how == "left over":
        state["extra.weight"] = torch.zeros(2)
    elif how == "shape":
        state["fdiff1_1.weight"] = torch.zeros(1, 9)
    elif how == "nan":
        state["fdiff1_1.bias"] = torch.tensor([float("nan")])
    return state


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (
            "missing",
            r"looks like attentivechrome \(marks 3, hidden 4, layers 1\), but has tensors 1 missing: f",
        ),
        ("left over", "1 left over: extra.weight"),
        ("shape", r"1 of another shape: fdiff1_1.weight \[1, 9\] instead of \[1, 4\]"),
        ("nan", "fdiff1_1.bias: has values that are not finite"),
    ],
)
def test_tensors_that_do_not_fit(network: nn.Module, tmp_path: Path, how: str, message: str) -> None:
    path = tmp_path / "weights.pt"
    torch.save(change(dict(network.state_dict()), how), path)
    with pytest.raises(InputError, match=message):
        load_weights(path)


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04 nor a zip"])
def test_other_files(tmp_path: Path, content: bytes) -> None:
    for name in ("a.pt", "a.npz", "a.safetensors"):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(InputError):
            load_weights(path)


def test_list_instead_of_a_state_dict(tmp_path: Path) -> None:
    torch.save([torch.zeros(2)], tmp_path / "a.pt")
    with pytest.raises(InputError, match="expected named tensors, but it holds a list"):
        load_weights(tmp_path / "a.pt")
    torch.save({"a": 3}, tmp_path / "a.pt")
    with pytest.raises(InputError, match="a: expected a tensor, but it is a int"):
        load_weights(tmp_path / "a.pt")
