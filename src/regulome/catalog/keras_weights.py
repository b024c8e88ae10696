"""Weights of DanQ as Keras left them, in HDF5: which array is which of ours.

Read are weights alone and whole models, of Keras 2 (``kernel``, ``recurrent_kernel``, ``bias`` per layer) and of the
Keras 0.2 that DanQ was published with (``layer_N/param_M``). Four layers have weights, in this order:

- Convolution: [k, in, out] is transposed. In Keras 0.2 it is [out, in, k, 1] and was applied by Theano, whose
  convolution reads the filter from its end: it is flipped.
- LSTM of both directions, forwards first: [in, 4·units] is transposed; the gates are in torch's order (input, forget,
  cell, output), with one bias. In Keras 0.2 each gate has its own three arrays, in the order input, cell, forget,
  output. The gates' sigmoid is "hard" unless the file says otherwise, or says that it is of Keras 2.3 or later.
- Two Dense: [in, out] is transposed. The flattened states are ordered (position, unit), as ours are.

The first convolution's channels, A, G, C, T in DeepSEA's data, become A, C, G, T.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from regulome.catalog.sequence_weights import Found, State, in_our_order, window_length
from regulome.errors import InputError

Array = npt.NDArray[Any]

#: First bytes of an HDF5 file.
SIGNATURE = b"\x89HDF\r\n\x1a\n"
#: Arrays of networks are smaller; a file can name sizes that no memory has.
_LARGEST = 1 << 33
_DIRECTIONS = ("", "_reverse")
#: Windows and poolings of the two published networks.
_LENGTH, _POOLS = 1000, (13, 15)


def read_keras(path: Path, letters: str | None = None) -> Found:
    """Read DanQ's weights from a Keras file.

    Args:
        path: The file.
        letters: Order of the input channels; None takes the published one, AGCT.

    Raises:
        InputError: The layers are not DanQ's, or their shapes do not go together.
    """
    import h5py

    with h5py.File(path, "r") as file:
        settings = _settings(file)
        layers = [arrays for arrays in _layers(file, path) if arrays]
    shapes = [[list(array.shape) for array in arrays] for arrays in layers]
    counts = [len(arrays) for arrays in layers]
    if counts not in ([2, 6, 2, 2], [2, 24, 2, 2]):
        told = "; ".join(", ".join(map(str, layer[:2])) + (" …" if len(layer) > 2 else "") for layer in shapes[:6])
        raise InputError(
            f"belongs to no Keras network that is known here ({len(layers)} layers with weights: {told})",
            file=path,
            cure="of Keras' files those of DanQ can be read",
        )
    (kernel, bias), recurrent, first, last = layers
    try:
        state = {"convolutions.0.weight": _convolution(kernel), "convolutions.0.bias": bias, **_lstm(recurrent)}
        for name, (weight, offset) in (("head.2", first), ("head.4", last)):
            state |= {f"{name}.weight": weight.T, f"{name}.bias": offset}
        tensors = {name: torch.from_numpy(np.array(array, np.float32, order="C")) for name, array in state.items()}
        tensors["convolutions.0.weight"] = in_our_order(tensors["convolutions.0.weight"], letters or "AGCT")
        return ("danq", _hyperparameters(tensors, settings, legacy=len(recurrent) == 24), tensors)
    except (ValueError, IndexError) as error:
        raise InputError(f"looks like DanQ, but its arrays do not go together: {shapes}", file=path) from error


def _layers(file: Any, path: Path) -> Iterator[list[Array]]:
    root = file.get("model_weights", file)
    if "layer_names" in root.attrs:
        for name in _texts(root.attrs["layer_names"]):
            yield [_array(root[name], weight, path) for weight in _texts(root[name].attrs.get("weight_names", ()))]
    elif "layer_0" in root:
        for number in range(sum(1 for name in root if name.startswith("layer_"))):
            layer = root[f"layer_{number}"]
            yield [_array(layer, f"param_{n}", path) for n in range(len(layer))]
    else:
        raise InputError(
            "is no file of Keras weights as Keras 2 or 0.2 wrote them",
            file=path,
            cure="load it with its Keras and save its weights in the HDF5 layout",
        )


def _array(group: Any, name: str, path: Path) -> Array:
    if name not in group:
        raise InputError("is missing, though the layer names it", file=path, record=f"{group.name}/{name}")
    found = group[name]
    if getattr(getattr(found, "dtype", None), "kind", "") != "f" or math.prod(found.shape) * 4 > _LARGEST:
        raise InputError("expected an array of numbers", file=path, record=f"{group.name}/{name}")
    values = np.asarray(found[()])
    if not np.isfinite(values).all():
        raise InputError(
            "has values that are not finite", file=path, record=f"{group.name}/{name}", cure="download it again"
        )
    return values


def _texts(values: Any) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _settings(file: Any) -> dict[str, Any]:
    """Collect the settings of the layers of a whole model, and its version; nothing of it is evaluated."""
    found: dict[str, Any] = {}

    def collect(part: Any) -> None:
        if isinstance(part, Mapping):
            for key, value in part.items():
                if not isinstance(value, Mapping) and value is not None:
                    found.setdefault(str(key), value)
                collect(value)
        elif isinstance(part, list):
            for value in part:
                collect(value)

    text = file.attrs.get("model_config", "{}")
    try:
        collect(json.loads(text.decode() if isinstance(text, bytes) else text))
    except (ValueError, RecursionError):
        found.clear()
    for group in (file, file.get("model_weights", file)):
        if "keras_version" in group.attrs:
            found["version"] = _texts([group.attrs["keras_version"]])[0]
    return found


def _hyperparameters(state: State, settings: Mapping[str, Any], *, legacy: bool) -> dict[str, Any]:
    filters, _, kernel = state["convolutions.0.weight"].shape
    units = state["lstm.weight_hh_l0"].shape[1]
    features = state["head.2.weight"].shape[1]
    pool = _number(settings.get("pool_size", settings.get("pool_length")))
    shape = settings.get("batch_input_shape")
    length = shape[1] if isinstance(shape, list) and len(shape) == 3 and isinstance(shape[1], int) else _LENGTH
    fitting = [p for p in ([pool] if pool else _POOLS) if (length - kernel + 1) // p == features // (2 * units)]
    pool = fitting[0] if fitting else pool or _POOLS[0]
    return {
        "length": window_length(features, 2 * units, [(kernel, pool)], published=length),
        "targets": len(state["head.4.weight"]),
        "filters": filters,
        "kernel": kernel,
        "pool": pool,
        "units": units,
        "hidden": len(state["head.2.weight"]),
        "gates": _gates(settings, legacy=legacy),
    }


def _gates(settings: Mapping[str, Any], *, legacy: bool) -> str:
    named = settings.get("recurrent_activation", settings.get("inner_activation"))
    if named is not None:
        if named not in ("sigmoid", "hard_sigmoid"):
            raise InputError(f"has gates of the kind {named!r}, which DanQ has not")
        return str(named).replace("_", "-")
    major, minor = (*(_number(part) or 0 for part in str(settings.get("version", "0.0")).split(".")), 0, 0)[:2]
    return "hard-sigmoid" if legacy or (major, minor) < (2, 3) else "sigmoid"


def _number(value: Any) -> int:
    """Return a setting as a whole number: [13] and "13" are 13; 0 where it is none."""
    value = value[0] if isinstance(value, list) and value else value
    return int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdigit()) else 0


def _convolution(kernel: Array) -> Array:
    if kernel.ndim == 4 and kernel.shape[3] == 1 and kernel.shape[1] == 4:
        return kernel[:, :, ::-1, 0]
    if kernel.ndim == 4 and kernel.shape[1] == 1:
        kernel = kernel[:, 0]
    if kernel.ndim != 3 or kernel.shape[1] != 4:
        raise ValueError
    return kernel.transpose(2, 1, 0)


def _lstm(arrays: list[Array]) -> dict[str, Array]:
    state: dict[str, Array] = {}
    half = len(arrays) // 2
    for direction, own in zip(_DIRECTIONS, (arrays[:half], arrays[half:]), strict=True):
        if half == 12:
            # Input, cell, forget, output; torch's cell is third.
            i, c, f, o = (own[n : n + 3] for n in range(0, 12, 3))
            own = [np.concatenate(parts, axis=-1) for parts in zip(i, f, c, o, strict=True)]
        inputs, recurrent, bias = own
        if inputs.ndim != 2 or recurrent.shape != (bias.size // 4, bias.size) or inputs.shape[1] != bias.size:
            raise ValueError
        state |= {
            f"lstm.weight_ih_l0{direction}": inputs.T,
            f"lstm.weight_hh_l0{direction}": recurrent.T,
            f"lstm.bias_hh_l0{direction}": bias,
        }
    return state
