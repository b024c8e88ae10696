"""Published weights in: a file of tensors becomes a network that predicts. Nothing in such a file is ever executed."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy._core.multiarray import _reconstruct, scalar
from torch import Tensor, nn

from regulome.catalog.chromoformer_weights import chromoformer
from regulome.catalog.deepbind_text import is_deepbind_text, read_deepbind_text
from regulome.catalog.keras_weights import SIGNATURE, read_keras
from regulome.catalog.sequence_weights import Found, State, sequential
from regulome.errors import InputError
from regulome.models.one_hot import OneHot
from regulome.models.preprocess import Predictor, Preprocess
from regulome.models.registry import create
from regulome.storage import existing_file

#: The marks of the published Chromoformer, in their order.
CHROMOFORMER_MARKS = ("H3K4me1", "H3K4me3", "H3K9me3", "H3K27me3", "H3K36me3", "H3K27ac", "H3K9ac")
#: The marks of the published DeepChrome and AttentiveChrome tables, in their order.
DEEPCHROME_MARKS = ("H3K27me3", "H3K36me3", "H3K4me1", "H3K4me3", "H3K9me3")

# What arrays and numbers of numpy are pickled with, under its old names and its new ones.
_ARRAYS: list[Any] = [
    *(
        (make, f"numpy.{core}.multiarray.{make.__name__}")
        for core in ("core", "_core")
        for make in (_reconstruct, scalar)
    ),
    *(np.ndarray, np.dtype, *{type(np.dtype(letter)) for letter in "?bhilqBHILQefd"}),
]


class Weights(NamedTuple):
    """What a file of weights holds.

    Attributes:
        model: Name of the network, for :func:`regulome.models.create`.
        hyperparameters: Its hyperparameters, as far as the file tells them: ``marks`` among them but not ``bins``, or
            ``targets`` and, where the network has one, the ``length`` of its windows.
        state: Its state dict, float32.
    """

    model: str
    hyperparameters: dict[str, Any]
    state: State


def load_weights(path: str | PathLike[str], *, letters: str | None = None) -> Weights:
    """Read a file of weights and find out whose they are.

    Known are AttentiveChrome and LSTM-α under the names of the published checkpoints (Zenodo 2616712, Kipoi);
    Chromoformer under all of its published names (:mod:`regulome.catalog.chromoformer_weights`); the text
    files of DeepBind's published models; DeepSEA and Basset as Torch7 numbers their layers (Kipoi; the mapping stands
    in :mod:`regulome.catalog.sequence_weights`); and DanQ in Keras' HDF5 (:mod:`regulome.catalog.keras_weights`).

    Args:
        path: A PyTorch state dict in either layout (zip, or the plain pickle from before PyTorch 1.6), ``.npz``,
            ``.safetensors`` or Keras' HDF5; or a DeepBind model's ``.txt``. A ``module.`` prefix and a surrounding
            ``{"state_dict": …}`` or ``{"net": …}`` are taken off.
        letters: For DeepSEA, Basset and DanQ: the order of the letters in the file's input channels, such as "ACGT",
            which no file tells. None takes the published one: AGCT for DeepSEA and DanQ, ACGT for Basset.

    Raises:
        InputError: The file is missing, cut short or of another kind; it holds anything but tensors (which would have
            to be executed); it belongs to no known network; tensors are missing, left over or of the wrong shape.

    Example:
        >>> weights = load_weights("E003_attchrome_avgAUC_model.pt")  # doctest: +SKIP
        >>> weights.model, weights.hyperparameters                    # doctest: +SKIP
        ('attentivechrome', {'marks': 5, 'hidden': 32, 'layers': 1})
    """
    path = existing_file(path)
    if is_deepbind_text(path):
        return Weights("deepbind", *read_deepbind_text(path))
    state: State = {}
    try:
        if _is_hdf5(path):
            found: Found | None = _guarded(lambda path: read_keras(path, letters), path)
        else:
            state = _clean(_read(path), path)
            found = sequential(state, letters) or _attentivechrome(state) or chromoformer(state)
    except InputError as error:
        raise error if error.file else InputError(error.problem, file=path, cure=error.cure) from error
    if found is not None:
        weights = Weights(*found)
        _compare(weights, path)
        return weights
    first = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in list(state.items())[:3])
    raise InputError(
        f"belongs to no network that is known here (its first tensors: {first})",
        file=path,
        cure="weights of AttentiveChrome, LSTM-α, Chromoformer, DeepBind, DeepSEA, Basset and DanQ can be read",
    )


def open_weights(
    path: str | PathLike[str],
    *,
    bins: int = 100,
    length: int | None = None,
    letters: str | None = None,
    device: str | torch.device = "cpu",
    **hyperparameters: Any,
) -> nn.Module:
    """Make the network that a file of weights belongs to, ready to predict.

    Args:
        path: See :func:`load_weights`.
        bins: Number of bins of the windows to predict; the published networks had 100.
        length: Bases of the windows to predict, where the network reads sequences of any length; the file's own, or
            101, where it is not given.
        letters: See :func:`load_weights`.
        device: Where the network shall be.
        hyperparameters: What the tensors do not tell, such as ``task="regression"``.

    Returns:
        A :class:`~regulome.models.preprocess.Predictor` in eval mode: raw counts float32 [batch, mark, bin] in, logit
        [batch, 1] out. Marks of the published networks are in the order :data:`DEEPCHROME_MARKS`. For a network on
        sequences: codes uint8 [batch, base] or one-hot float32 [batch, 4, base] in, logits [batch, targets] out; the
        letters are in our order A, C, G, T whatever the file's was. Chromoformer comes as it is: a
        :class:`~regulome.models.regions.RegionBatch` of log-transformed features in, logits or values [batch, 1] out.

    Raises:
        InputError: See :func:`load_weights`.
    """
    weights = load_weights(path, letters=letters)
    marks = weights.hyperparameters.get("marks")
    size = {"length": length or weights.hyperparameters.get("length", 101)} if marks is None else {"bins": bins}
    if weights.model == "chromoformer":
        size = {}
    network = create(weights.model, **{**weights.hyperparameters, **size, **hyperparameters})
    try:
        network.load_state_dict(weights.state)
    except RuntimeError as error:
        settings = ", ".join(f"{name} {value}" for name, value in {**size, **hyperparameters}.items())
        raise InputError(f"its weights do not fit a {weights.model} with {settings}", file=path) from error
    if weights.model == "chromoformer":
        return network.to(device).eval()
    unknown: Any = getattr(network, "unknown", 0.0)
    return Predictor(OneHot(unknown) if marks is None else Preprocess(marks), network).to(device).eval()


def _read(path: Path) -> Any:
    readers: Mapping[str, Callable[[Path], Any]] = {".npz": _read_npz, ".safetensors": _read_safetensors}
    return _guarded(readers.get(path.suffix.lower(), _read_torch), path)


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


def _guarded(read: Callable[[Path], Any], path: Path) -> Any:
    """Read a file that may be damaged or hostile."""
    try:
        return read(path)
    except InputError:
        raise
    # A damaged file can fail in any way that its bytes happen to lead to.
    except Exception as error:
        reason = str(error)
        if "weights_only" in reason or "Weights only" in reason or "allow_pickle" in reason:
            raise InputError(
                "holds Python objects beside its tensors; reading them could run foreign code, so it is refused",
                file=path,
                cure="ask its authors for a plain state dict, or for .safetensors",
            ) from error
        raise InputError(
            f"is no readable file of weights ({type(error).__name__})", file=path, cure="download it again"
        ) from error


def _read_torch(path: Path) -> Any:
    # Some files hold scores as arrays of numbers beside their tensors. To make those runs no code of the file's.
    with torch.serialization.safe_globals(_ARRAYS):
        return torch.load(path, map_location="cpu", weights_only=True)


def _read_npz(path: Path) -> Any:
    if not zipfile.is_zipfile(path):
        raise InputError("is no .npz file, or cut short", file=path, cure="download it again")
    with np.load(path, allow_pickle=False) as arrays:
        return {name: torch.from_numpy(np.array(arrays[name])) for name in arrays.files}


def _read_safetensors(path: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(path)


def _clean(content: Any, path: Path) -> State:
    while isinstance(content, Mapping):
        inner = next((content[key] for key in ("state_dict", "model_state_dict", "net") if key in content), None)
        if not isinstance(inner, Mapping):
            break
        content = inner
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"expected named tensors, but it holds a {type(content).__name__}", file=path)
    state: State = {}
    for name, tensor in content.items():
        if not isinstance(tensor, Tensor):
            raise InputError(f"expected a tensor, but it is a {type(tensor).__name__}", file=path, record=str(name))
        if not bool(torch.isfinite(tensor).all()):
            raise InputError("has values that are not finite", file=path, record=str(name), cure="download it again")
        state[str(name).removeprefix("module.")] = tensor.float() if tensor.is_floating_point() else tensor
    return state


def _attentivechrome(state: State) -> Found | None:
    encoders = {int(found[1]) for name in state if (found := re.match(r"rnn_hms\.(\d+)\.", name))}
    recurrent = state.get("rnn_hms.0.rnn.weight_hh_l0")
    if not encoders or recurrent is None or recurrent.ndim != 2:
        return None
    layers = sum(1 for name in state if re.fullmatch(r"rnn_hms\.0\.rnn\.weight_hh_l\d+", name))
    attended = "hm_level_rnn_1.bin_attention.bin_context_vector" in state
    return (
        "attentivechrome" if attended else "lstm-alpha",
        {"marks": max(encoders) + 1, "hidden": recurrent.shape[1], "layers": layers},
        state,
    )


def _compare(weights: Weights, path: Path) -> None:
    with torch.device("meta"):
        bins = {"bins": 100} if "marks" in weights.hyperparameters and weights.model != "chromoformer" else {}
        network = create(weights.model, **weights.hyperparameters, **bins)
    expected = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {name: list(tensor.shape) for name, tensor in weights.state.items()}
    wrong = {
        "missing": [name for name in expected if name not in given],
        "left over": [name for name in given if name not in expected],
        "of another shape": [
            f"{name} {given[name]} instead of {shape}"
            for name, shape in expected.items()
            if name in given and given[name] != shape
        ],
    }
    told = "; ".join(f"{len(names)} {what}: {_few(names)}" for what, names in wrong.items() if names)
    if told:
        settings = ", ".join(f"{name} {value}" for name, value in weights.hyperparameters.items())
        raise InputError(f"looks like {weights.model} ({settings}), but has tensors {told}", file=path)


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
