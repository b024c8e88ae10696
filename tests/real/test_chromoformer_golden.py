"""Chromoformer against its authors' code: captured outputs, gradients and a step of training."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from regulome.catalog import load_weights
from regulome.catalog.chromoformer_weights import is_unused
from regulome.models.chromoformer import Chromoformer
from regulome.models.regions import RegionBatch, from_published

RESOLUTIONS = (2000, 500, 100)


@pytest.fixture
def golden(shared: Path) -> Path:
    folder = shared / "golden" / "chromoformer"
    if not folder.is_dir():
        pytest.skip(f"no reference outputs at {folder}")
    return folder


@pytest.fixture
def batch(golden: Path) -> RegionBatch:
    arrays = np.load(golden / "inputs_first8.npz")

    def all_resolutions(name: str) -> dict[int, Tensor]:
        return {r: torch.from_numpy(arrays[f"{name}.{r}"]) for r in RESOLUTIONS}

    return from_published(
        *map(all_resolutions, ("promoter_feats", "promoter_pad_masks", "pcre_feats", "pcre_pad_masks")),
        torch.from_numpy(arrays["interaction_masks.2000"]),
        torch.from_numpy(arrays["interaction_freq"]),
    )


def fill(network: Chromoformer, arrays: Any, prefix: str = "", head: Any = None) -> Chromoformer:
    """Give a network its published parameters, the unused ones left out."""
    state = {name.removeprefix(prefix): torch.from_numpy(arrays[name]) for name in arrays if name.startswith(prefix)}
    state |= {name: torch.from_numpy(head[name]) for name in head or ()}
    assert set(network.state_dict()) <= set(state)
    network.load_state_dict({name: state[name] for name in network.state_dict()})
    return network


def check(network: Chromoformer, batch: RegionBatch, expected: Any, prefix: str = "") -> None:
    """Compare what the parts and the head give."""
    seen: dict[str, Tensor] = {}
    for resolution in map(str, network.resolutions):
        for part in ("embed", "pairwise_interaction", "regulation"):
            module = getattr(network, part)[resolution]
            module.register_forward_hook(
                lambda *args, name=f"{part}.{resolution}": seen.update(
                    {name: args[2][0] if isinstance(args[2], tuple) else args[2]}
                )
            )
    network.fc_head.register_forward_hook(lambda *args: seen.update(out=args[2]))
    with torch.no_grad():
        answer = network.eval()(batch)
    rank = np.concatenate([np.arange(n) for n in np.bincount(batch.gene, minlength=len(batch))])
    for resolution in network.resolutions:
        for name, right in (
            (f"embed.{resolution}", expected[f"{prefix}embed_tss.{resolution}"][:, 0]),
            (f"pairwise_interaction.{resolution}", expected[f"{prefix}pairwise.{resolution}"][batch.gene, rank]),
            (f"regulation.{resolution}", expected[f"{prefix}regulation.{resolution}"][:, 0]),
        ):
            np.testing.assert_allclose(seen[name], right, atol=5e-5, rtol=0)
    out = expected[f"{prefix}out"]
    np.testing.assert_allclose(seen["out"], out, atol=1e-5, rtol=0)
    high = out[:, 1:] - out[:, :1] if out.shape[1] == 2 else out
    np.testing.assert_allclose(answer, high, atol=1e-5, rtol=0)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_reference_outputs(golden: Path, batch: RegionBatch, task: str) -> None:
    arrays = np.load(golden / "classifier_seed123_state.npz")
    name, head = "classifier", None
    if task == "regression":
        name, head = "regressor", np.load(golden / "regressor_seed123_fc_head.npz")
    network = fill(Chromoformer(7, task=task), arrays, head=head)
    check(network, batch, np.load(golden / f"{name}_seed123_outputs_first8.npz"))


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_reference_outputs_of_a_small_network(golden: Path, batch: RegionBatch, task: str) -> None:
    sizes = json.loads((golden / "tiny_config.json").read_text())
    embed, pairwise, regulation = (sizes[f"{n}_kws"] for n in ("embed", "pairwise_interaction", "regulation"))
    network = Chromoformer(
        sizes["n_feats"],
        task=task,
        resolutions=sizes["binsizes"],
        width=sizes["d_emb"],
        head=sizes["d_head"],
        embedding=(embed["n_heads"], embed["d_ff"]),
        pairwise=(pairwise["n_layers"], pairwise["n_heads"], pairwise["d_ff"]),
        regulation=tuple(regulation[key] for key in ("n_layers", "n_heads", "d_model", "d_ff")),
    )
    arrays = np.load(golden / ("tiny_classifier.npz" if task == "classification" else "tiny_regressor.npz"))
    check(fill(network, arrays, "state/"), batch, arrays, "outputs/")


def test_reference_training_step(golden: Path, batch: RegionBatch) -> None:
    expected = np.load(golden / "classifier_seed123_train_step.npz")
    label = torch.from_numpy(np.load(golden / "inputs_first8.npz")["label"]).float()[:, None]
    network = fill(Chromoformer(7), np.load(golden / "classifier_seed123_state.npz")).train()
    optimizer = torch.optim.AdamW(network.parameters(), 3e-5)
    # The logit of "high" is the difference of the two, so this is the published cross-entropy.
    loss = nn.functional.binary_cross_entropy_with_logits(network(batch), label)
    loss.backward()
    norms = {name: float(p.grad.norm()) for name, p in network.named_parameters() if p.grad is not None}
    used = ~np.isnan(expected["grad_norm"])
    assert set(norms) == set(expected["param_names"][used]) == set(network.state_dict())
    for name, norm in zip(expected["param_names"][used], expected["grad_norm"][used], strict=True):
        assert norms[name] == pytest.approx(norm, rel=1e-4, abs=1e-6), name
    assert float(loss.detach()) == pytest.approx(float(expected["loss"]), abs=1e-5)
    optimizer.step()
    after = expected["logits_after_step"]
    with torch.no_grad():
        np.testing.assert_allclose(network.eval()(batch), after[:, 1:] - after[:, :1], atol=1e-4, rtol=0)


def test_reference_attention_sums_to_one(golden: Path, batch: RegionBatch) -> None:
    network = fill(Chromoformer(7), np.load(golden / "classifier_seed123_state.npz")).eval()
    with torch.no_grad():
        maps = network.attention(batch)
    pcres = len(batch.gene)
    for resolution, slots in zip(RESOLUTIONS, (20, 80, 400), strict=True):
        assert maps[f"embedding.{resolution}"].shape == (8, 2, slots)
        assert maps[f"pairwise.{resolution}"].shape == (pcres, 2, 2, slots)
        regulation = maps[f"regulation.{resolution}"]
        assert regulation.shape == (8, 6, 8, 9, 9)
        torch.testing.assert_close(regulation[:, :, :, 0].sum(-1), torch.ones(8, 6, 8))
        torch.testing.assert_close(maps[f"pairwise.{resolution}"].sum(-1), torch.ones(pcres, 2, 2))


def test_reference_names(golden: Path) -> None:
    weights = load_weights(golden / "classifier_seed123_state.npz")
    expected = {"marks": 7, "task": "classification", "resolutions": RESOLUTIONS, "width": 128, "head": 128}
    sizes = {"embedding": (2, 128), "pairwise": (2, 2, 256), "regulation": (6, 8, 256, 256)}
    assert (weights.model, weights.hyperparameters) == ("chromoformer", {**expected, **sizes})
    arrays = np.load(golden / "classifier_seed123_state.npz")
    unused = {name for name in arrays if is_unused(name)}
    assert unused | set(weights.state) == set(arrays)
    assert sum(arrays[name].size for name in unused) == 1_086
    gradients = np.load(golden / "classifier_seed123_train_step.npz")
    assert unused == set(gradients["param_names"][np.isnan(gradients["grad_norm"])])
