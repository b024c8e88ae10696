from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from regulome.catalog import load_weights, open_weights
from regulome.catalog.chromoformer_weights import is_unused, newest_name
from regulome.errors import InputError
from regulome.models.chromoformer import Chromoformer

SIZES: dict[str, Any] = {
    "marks": 3,
    "task": "classification",
    "resolutions": (2000, 500),
    "width": 8,
    "head": 6,
    "embedding": (4, 10),
    "pairwise": (2, 1, 12),
    "regulation": (3, 4, 16, 10),
}


def published(network: Chromoformer) -> dict[str, torch.Tensor]:
    """A state dict with the published network's unused parameters."""
    state = dict(network.state_dict())
    for resolution in SIZES["resolutions"]:
        state |= {f"pairwise_interaction.{resolution}.ln.{kind}": torch.ones(8) for kind in ("weight", "bias")}
        for part, layers, heads in (("embed", 1, 4), ("pairwise_interaction", 2, 1), ("regulation", 3, 4)):
            for layer in range(layers):
                start = f"{part}.{resolution}.transformer.layers.{layer}.self_att"
                state[f"{start}.gamma_f"] = state.get(f"{start}.gamma_f", torch.ones(heads))
                if part != "pairwise_interaction":
                    state[f"{start}.w_bias.weight"] = torch.zeros(heads, 2)
    return state


def older(name: str) -> str:
    for new, old in (("embed.", "embed"), ("pairwise_interaction.", "pw_int"), ("regulation.", "reg")):
        name = old + name.removeprefix(new) if name.startswith(new) else name
    return name


def oldest(name: str) -> str:
    part, _, rest = name.partition(".")
    resolution, _, rest = rest.partition(".")
    rest = rest.replace("lin_proj_pcre", "lin_proj_c")
    if part == "regulation":
        return f"transformer{resolution}.{rest.removeprefix('transformer.')}"
    suffix = {"embed": "a", "pairwise_interaction": "b"}.get(part)
    return f"embed{resolution}_{suffix}.{rest}" if suffix else name


@pytest.mark.parametrize("generation", [str, older, oldest, "module.{}".format])
@pytest.mark.parametrize("kind", [".pt", ".npz", ".safetensors"])
def test_all_generations(generation: Any, kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Chromoformer(**SIZES)
    state = {generation(name): tensor for name, tensor in published(network).items()}
    path = tmp_path / f"weights{kind}"
    if kind == ".pt":
        scores = {"last_val_auc": np.float64(0.9), "val_score": np.zeros(3, np.float32), "val_label": np.arange(3)}
        optimizer = torch.optim.AdamW(network.parameters()).state_dict()
        torch.save({"net": state, "optimizer": optimizer, "epoch": 9, "last_val_loss": 0.4, **scores}, path)
    elif kind == ".npz":
        np.savez(path, **{name: tensor.numpy() for name, tensor in state.items()})
    else:
        save_file(state, path)
    weights = load_weights(path)
    assert weights.model == "chromoformer"
    assert weights.hyperparameters == SIZES
    assert set(weights.state) == set(network.state_dict())
    loaded = open_weights(path, window=30_000)
    assert not loaded.training
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name])


def test_our_own_state(tmp_path: Path) -> None:
    network = Chromoformer(**{**SIZES, "task": "regression", "embedding": (2, 10), "pairwise": (1, 2, 12)})
    path = tmp_path / "weights.safetensors"
    save_file(network.state_dict(), path)
    found = load_weights(path).hyperparameters
    assert found == {**SIZES, "task": "regression", "embedding": (2, 10), "pairwise": (1, 2, 12)}


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    state = published(Chromoformer(**SIZES))
    path = tmp_path / "weights.safetensors"
    save_file({name: tensor for name, tensor in state.items() if name != "fc_head.2.weight"}, path)
    with pytest.raises(InputError, match=r"looks like chromoformer, but has no matrix fc_head\.2\.weight"):
        load_weights(path)
    save_file({name: tensor for name, tensor in state.items() if "500.lin_proj." not in name}, path)
    with pytest.raises(InputError, match="looks like chromoformer"):
        load_weights(path)


def test_names() -> None:
    assert newest_name("reg100.transformer.layers.5.ff.l1.bias") == "regulation.100.transformer.layers.5.ff.l1.bias"
    assert newest_name("fc_head.0.weight") == "fc_head.0.weight"
    assert is_unused("pairwise_interaction.500.ln.weight")
    assert not is_unused("pairwise_interaction.500.transformer.layers.0.ff.ln.weight")
    assert not is_unused("regulation.500.transformer.layers.0.self_att.gamma_f")
