"""HDF5 files in the layouts of Keras 2 and 0.2, from a DanQ written here in numpy by Keras' equations."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
import torch

from regulome.catalog import load_weights, open_weights
from regulome.errors import InputError

Array = npt.NDArray[np.float64]
Layers = list[list[Array]]

FILTERS, KERNEL, POOL, UNITS, HIDDEN, TARGETS = 5, 8, 6, 3, 4, 2
LENGTH = 60
POSITIONS = (LENGTH - KERNEL + 1) // POOL


def layers(seed: int = 0) -> Layers:
    """Arrays in the shapes and order that Keras 2 gives them."""
    random = np.random.default_rng(seed)

    def draw(*shape: int) -> Array:
        return random.normal(size=shape).astype(np.float32)

    lstm = [draw(*shape) for _ in range(2) for shape in ((FILTERS, 4 * UNITS), (UNITS, 4 * UNITS), (4 * UNITS,))]
    return [
        [draw(KERNEL, 4, FILTERS), draw(FILTERS)],
        lstm,
        [draw(POSITIONS * 2 * UNITS, HIDDEN), draw(HIDDEN)],
        [draw(HIDDEN, TARGETS), draw(TARGETS)],
    ]


def danq(weights: Layers, x: Array, gate: Any) -> Array:
    """What Keras computes of letters [n, length, 4]."""
    (kernel, bias), lstm, (first, first_bias), (last, last_bias) = weights
    steps = x.shape[1] - KERNEL + 1
    y = sum(x[:, k : k + steps] @ kernel[k] for k in range(KERNEL)) + bias
    y = np.maximum(y, 0)[:, : POSITIONS * POOL].reshape(len(x), POSITIONS, POOL, FILTERS).max(axis=2)

    def read(y: Array, kernel: Array, recurrent: Array, bias: Array) -> Array:
        h = c = np.zeros((len(y), UNITS))
        states = []
        for t in range(POSITIONS):
            i, f, g, o = np.split(y[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
            c = gate(f) * c + gate(i) * np.tanh(g)
            h = gate(o) * np.tanh(c)
            states.append(h)
        return np.stack(states, axis=1)

    states = np.concatenate((read(y, *lstm[:3]), read(y[:, ::-1], *lstm[3:])[:, ::-1]), axis=2)
    hidden = np.maximum(states.reshape(len(x), -1) @ first + first_bias, 0)
    return 1 / (1 + np.exp(-(hidden @ last + last_bias)))


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def hard_sigmoid(z: Array) -> Array:
    return np.clip(0.2 * z + 0.5, 0, 1)


def config(**of_lstm: Any) -> str:
    lstm = {"class_name": "LSTM", "config": {"units": UNITS, **of_lstm}}
    parts = [
        {"class_name": "Conv1D", "config": {"filters": FILTERS, "batch_input_shape": [None, LENGTH, 4]}},
        {"class_name": "MaxPooling1D", "config": {"pool_size": [POOL], "strides": [POOL]}},
        {"class_name": "Bidirectional", "config": {"layer": lstm}},
    ]
    return json.dumps({"class_name": "Sequential", "config": {"layers": parts}})


def write_keras2(path: Path, weights: Layers, *, version: str = "2.2.4", model: str | None = None) -> None:
    names = ["conv1d_1", "max_pooling1d_1", "bidirectional_1", "flatten_1", "dense_1", "dense_2"]
    of_layers = iter(weights)
    with h5py.File(path, "w") as file:
        root = file if model is None else file.create_group("model_weights")
        if model is not None:
            file.attrs["model_config"] = model.encode()
            file.create_group("optimizer_weights")["training/x"] = np.zeros(3)
        root.attrs["layer_names"] = [name.encode() for name in names]
        root.attrs["keras_version"] = version.encode()
        for name in names:
            group, arrays = root.create_group(name), []
            if "pool" not in name and "flatten" not in name:
                arrays = next(of_layers)
            kinds = ["kernel:0", "bias:0"] if len(arrays) == 2 else [f"{d}/{n}:0" for d in "fb" for n in "krb"]
            group.attrs["weight_names"] = [f"{name}/{kind}".encode() for kind in kinds[: len(arrays)]]
            for kind, array in zip(kinds, arrays, strict=False):
                group[f"{name}/{kind}"] = array


def write_keras02(path: Path, weights: Layers) -> None:
    """Theano turns a filter round, and each gate has arrays of its own: input, cell, forget, output."""
    (kernel, bias), lstm, first, last = weights
    gates: list[Array] = []
    for direction in (lstm[:3], lstm[3:]):
        for gate in (0, 2, 1, 3):
            gates += [array[..., gate * UNITS : (gate + 1) * UNITS] for array in direction]
    of_layers = [[kernel.transpose(2, 1, 0)[:, :, ::-1, None], bias], [], [], gates, [], [], first, [], last, []]
    with h5py.File(path, "w") as file:
        file.attrs["nb_layers"] = len(of_layers)
        for number, arrays in enumerate(of_layers):
            group = file.create_group(f"layer_{number}")
            group.attrs["nb_params"] = len(arrays)
            for place, array in enumerate(arrays):
                group[f"param_{place}"] = array


def windows() -> tuple[torch.Tensor, Array]:
    codes = torch.randint(0, 5, (6, LENGTH), generator=torch.Generator().manual_seed(4), dtype=torch.uint8)
    agct = np.stack([codes.numpy() == "ACGT".index(letter) for letter in "AGCT"], axis=2)
    return codes, agct.astype(np.float64)


@pytest.mark.parametrize(
    ("version", "of_lstm", "gate"),
    [
        ("2.2.4", {}, hard_sigmoid),
        ("2.4.0", {}, sigmoid),
        ("2.2.4", {"recurrent_activation": "sigmoid"}, sigmoid),
        ("2.4.0", {"recurrent_activation": "hard_sigmoid"}, hard_sigmoid),
    ],
)
def test_whole_models_of_keras_2(version: str, of_lstm: dict[str, str], gate: Any, tmp_path: Path) -> None:
    path = tmp_path / "danq.h5"
    write_keras2(path, layers(), version=version, model=config(**of_lstm))
    codes, x = windows()
    assert load_weights(path).hyperparameters == {
        "length": LENGTH,
        "targets": TARGETS,
        "filters": FILTERS,
        "kernel": KERNEL,
        "pool": POOL,
        "units": UNITS,
        "hidden": HIDDEN,
        "gates": "sigmoid" if gate is sigmoid else "hard-sigmoid",
    }
    answer = open_weights(path)(codes).sigmoid().numpy(force=True)
    np.testing.assert_allclose(answer, danq(layers(), x, gate), rtol=2e-4, atol=1e-6)


def test_weights_of_keras_02(tmp_path: Path) -> None:
    path = tmp_path / "danq.hdf5"
    write_keras02(path, layers())
    # Nothing in the file tells the pooling: with the published one of 13 bases other windows give as many positions.
    weights = load_weights(path)
    assert (weights.model, weights.hyperparameters["gates"]) == ("danq", "hard-sigmoid")
    assert weights.hyperparameters["pool"] == 13
    codes, x = windows()
    answer = open_weights(path, length=LENGTH, pool=POOL)(codes).sigmoid().numpy(force=True)
    np.testing.assert_allclose(answer, danq(layers(), x, hard_sigmoid), rtol=2e-4, atol=1e-6)
    acgt = x[:, :, [0, 2, 1, 3]]
    other = open_weights(path, letters="ACGT", length=LENGTH, pool=POOL)(codes).sigmoid().numpy(force=True)
    np.testing.assert_allclose(other, danq(layers(), acgt, hard_sigmoid), rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize(("kernel", "pool", "positions"), [(26, 13, 75), (30, 15, 64)])
def test_published_sizes_are_told(kernel: int, pool: int, positions: int, tmp_path: Path) -> None:
    weights = layers()
    weights[0][0] = np.zeros((kernel, 4, FILTERS), np.float32)
    weights[2][0] = np.zeros((positions * 2 * UNITS, HIDDEN), np.float32)
    write_keras2(tmp_path / "danq.h5", weights)
    found = load_weights(tmp_path / "danq.h5").hyperparameters
    assert (found["length"], found["pool"], found["kernel"]) == (1000, pool, kernel)


def change(weights: Layers, how: str) -> Layers:
    if how == "three layers":
        weights[3] = []
    elif how == "one direction":
        weights[1] = weights[1][:3]
    elif how == "convolution":
        weights[0][0] = np.zeros((KERNEL, 5, FILTERS))
    elif how == "lstm":
        weights[1][4] = np.zeros((UNITS, 4 * UNITS + 1))
    elif how == "flattened":
        weights[2][0] = np.zeros((POSITIONS * 2 * UNITS + 1, HIDDEN))
    elif how == "last":
        weights[3][0] = np.zeros((HIDDEN + 1, TARGETS))
    elif how == "nan":
        weights[0][1] = np.full(FILTERS, np.nan)
    elif how == "integers":
        weights[0][1] = np.zeros(FILTERS, np.int64)
    return weights


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (
            "three layers",
            r"belongs to no Keras network that is known here \(3 layers with weights: \[8, 4, 5\], \[5\]; ",
        ),
        ("one direction", "belongs to no Keras network"),
        ("convolution", r"looks like DanQ, but its arrays do not go together: \[\[\[8, 5, 5\]"),
        ("lstm", "looks like DanQ, but its arrays do not go together"),
        ("flattened", "its first Linear has 49 inputs, which is no multiple of 6 per position"),
        ("last", r"looks like danq .* 1 of another shape: head.4.weight \[2, 5\] instead of \[2, 4\]"),
        ("nan", "conv1d_1/bias:0: has values that are not finite"),
        ("integers", "conv1d_1/bias:0: expected an array of numbers"),
    ],
)
def test_layers_that_do_not_fit(how: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "danq.h5"
    write_keras2(path, change(layers(), how))
    with pytest.raises(InputError, match=message) as refused:
        load_weights(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_truncated(share: float, tmp_path: Path) -> None:
    path = tmp_path / "danq.h5"
    write_keras2(path, layers())
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError, match=r"danq\.h5: is no readable file of weights"):
        load_weights(path)


def test_other_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.zeros(3)
    with pytest.raises(InputError, match=r"is no file of Keras weights as Keras 2 or 0\.2 wrote them"):
        load_weights(path)


def test_config_is_never_evaluated(tmp_path: Path) -> None:
    path = tmp_path / "danq.h5"
    code = {
        "class_name": "Lambda",
        "config": {"function": ["4wEAAAA", None, None], "recurrent_activation": "os.system"},
    }
    write_keras2(path, layers(), model=json.dumps({"config": {"layers": [code]}}))
    with pytest.raises(InputError, match=r"has gates of the kind 'os\.system', which DanQ has not"):
        load_weights(path)
    write_keras2(path, layers(), model="[" * 100_000)
    assert load_weights(path).hyperparameters["gates"] == "hard-sigmoid"
