from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.models.full_chromoformer import dense, full
from tests.models.tester import auroc
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.models.chromoformer import Chromoformer
from regulome.models.regions import RegionBatch, from_published

SMALL: dict[str, Any] = {
    "resolutions": (400, 100),
    "window": 2100,
    "width": 8,
    "head": 6,
    "embedding": (2, 10),
    "pairwise": (2, 2, 12),
    "regulation": (3, 4, 16, 10),
}
SLOTS = {400: 6, 100: 21}


def small(marks: int = 3, **hyperparameters: Any) -> Chromoformer:
    torch.manual_seed(0)
    network = Chromoformer(marks, **{**SMALL, **hyperparameters})
    # Gamma begins as 1 everywhere, and norms as 1 and 0: errors could hide.
    for parameter in network.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, 0.5, 0.3)
    return network


def genes(*pcres: int, marks: int = 3, seed: int = 1, dtype: torch.dtype = torch.float32) -> RegionBatch:
    """Genes with so many pCREs; every second promoter belongs to the other strand, one is cut."""
    random = torch.Generator().manual_seed(seed)
    promoters, total = len(pcres), sum(pcres)
    bases = torch.cat((torch.full((promoters,), 2100), torch.randint(30, 2100, (total,), generator=random)))
    bases[0] = 1300
    bins = torch.stack([-(-bases // resolution) for resolution in SLOTS])
    gap = torch.tensor(list(SLOTS.values()))[:, None] - bins
    first = (gap + 1) // 2
    first[:, 1:promoters:2] = gap[:, 1:promoters:2] // 2
    features = tuple(torch.rand(int(n.sum()), marks, generator=random, dtype=dtype) * 3 for n in bins)
    gene = torch.arange(promoters).repeat_interleave(torch.tensor(pcres))
    return RegionBatch(features, first, bins, gene, 1.5 + torch.rand(total, generator=random, dtype=dtype))


def laid_out(batch: RegionBatch, most: int) -> dict[str, Any]:
    return dense(batch, tuple(SLOTS), SLOTS, most)


def test_parameter_count() -> None:
    with torch.device("meta"):
        network = Chromoformer(7)
        regressor = Chromoformer(7, task="regression")
    # The published 5,342,672 and 5,342,543, less the 1,086 that take no part.
    assert sum(p.numel() for p in network.parameters()) == 5_342_672 - 1_086
    assert sum(p.numel() for p in regressor.parameters()) == 5_342_543 - 1_086


@pytest.mark.parametrize(
    ("pcres", "task"),
    [((3, 0, 1), "classification"), ((2, 2), "regression"), ((0, 9, 4, 1), "regression"), ((1, 18), "classification")],
)
def test_full_attention_agrees_in_every_gradient(pcres: tuple[int, ...], task: str) -> None:
    network = small(task=task).double()
    batch = genes(*pcres, dtype=torch.float64)
    leaves = [*batch.features, batch.frequency]
    for leaf in leaves:
        leaf.requires_grad_()
    factors = torch.arange(1.0, len(batch) + 1, dtype=torch.float64)[:, None]
    head, maps = full(network, laid_out(batch, max(pcres)))
    expected = head[:, 1:] - head[:, :1] if task == "classification" else head
    wanted = [*network.parameters(), *leaves]
    gradients = torch.autograd.grad((expected * factors).sum(), wanted)
    answer = network(batch)
    torch.testing.assert_close(answer, expected)
    for name, got, right in zip(
        [*dict(network.named_parameters()), "coarse", "fine", "frequency"],
        torch.autograd.grad((answer * factors).sum(), wanted),
        gradients,
        strict=True,
    ):
        torch.testing.assert_close(got, right, msg=lambda text, name=name: f"{name}: {text}")
    real = torch.arange(max(pcres)) < torch.tensor(pcres)[:, None]
    tokens = torch.cat((torch.ones_like(real[:, :1]), real), 1)
    found = network.attention(batch)
    assert set(found) == set(maps)
    for name, weights in maps.items():
        if name.startswith("pairwise"):
            weights = weights[real]
        elif name.startswith("regulation"):
            weights = weights * tokens[:, None, None, :, None]
        torch.testing.assert_close(found[name], weights)


def test_gradient_of_attention() -> None:
    network = small().double()
    batch = genes(2, 1, dtype=torch.float64)
    batch.features[1].requires_grad_()
    for name in ("embedding.100", "pairwise.100", "regulation.100"):
        expected = full(network, laid_out(batch, 2))[1][name]
        found = network.attention(batch)[name]
        if name.startswith("pairwise"):
            expected = expected.flatten(0, 1)[:3]
        elif name.startswith("regulation"):
            expected, found = expected[:, :, :, :2], found[:, :, :, :2]
        gradients = [torch.autograd.grad(w.square().sum(), batch.features[1])[0] for w in (expected, found)]
        torch.testing.assert_close(*gradients)


def test_published_layout_and_back() -> None:
    batch = genes(3, 0, 2)
    back = from_published(**laid_out(batch, 4))
    for name in ("first", "bins", "gene", "frequency"):
        assert torch.equal(getattr(back, name), getattr(batch, name))
    assert all(map(torch.equal, back.features, batch.features))
    assert len(back) == 3
    assert back.shape == (3,)


def test_gene_does_not_depend_on_others() -> None:
    network = small().eval()
    batch = genes(2, 0, 3)
    together = network(batch)
    begin = [0, 2, 2, 5]
    for gene in range(3):
        regions = [gene, *range(3 + begin[gene], 3 + begin[gene + 1])]
        rows = [torch.split(f, n.tolist()) for f, n in zip(batch.features, batch.bins, strict=True)]
        alone = RegionBatch(
            tuple(torch.cat([parts[r] for r in regions]) for parts in rows),
            batch.first[:, regions],
            batch.bins[:, regions],
            torch.zeros(len(regions) - 1, dtype=torch.int64),
            batch.frequency[begin[gene] : begin[gene + 1]],
        )
        torch.testing.assert_close(network(alone)[0], together[gene], atol=2e-6, rtol=1e-5)


def test_no_gene_has_a_pcre() -> None:
    network = small().double()
    batch = genes(0, 0, dtype=torch.float64)
    layout = laid_out(genes(1, 0, dtype=torch.float64), 1)
    layout |= {"interaction_mask": laid_out(batch, 1)["interaction_mask"]}
    for name in ("promoter_feats", "promoter_pad_masks"):
        layout[name] = laid_out(batch, 1)[name]
    head, _ = full(network, layout)
    torch.testing.assert_close(network(batch), head[:, 1:] - head[:, :1])
    assert set(network.attention(batch)) == {f"{n}.{r}" for n in ("embedding", "regulation") for r in SLOTS}
    network(batch).sum().backward()


def test_bfloat16_agrees() -> None:
    network, batch = small().eval(), genes(2, 0, 3)
    exact = network(batch)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(batch)
        rough.sum().backward()
    torch.testing.assert_close(rough.float(), exact, atol=0.05, rtol=0.05)


def test_save_and_load(tmp_path: Path) -> None:
    network, batch = small().eval(), genes(2, 1)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    other = Chromoformer(3, **SMALL).eval()
    before = other(batch)
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(other(batch), network(batch))
    assert not torch.equal(before, other(batch))


def test_other_sizes() -> None:
    for marks, most in ((1, 2), (5, 12)):
        assert small(marks).eval()(genes(most, 1, marks=marks)).shape == (2, 1)


@pytest.mark.parametrize(
    ("hyperparameters", "message"),
    [
        ({"marks": 0}, "`marks` to be an integer of at least 1"),
        ({"task": "both"}, "`task` to be one of"),
        ({"resolutions": []}, "`resolutions` to be a list of positive integers"),
        ({"resolutions": (100, 100)}, "different `resolutions`"),
        ({"window": 300}, "`window` to be an integer of at least 400"),
        ({"width": 7}, "`width` to be even"),
        ({"pairwise": (2, 2)}, "`pairwise` to be 3 positive integers"),
        ({"regulation": (2, 5, 16, 8)}, "heads of `regulation` to divide 16"),
    ],
)
def test_refusals(hyperparameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Chromoformer(**{"marks": 3, **SMALL, **hyperparameters})


def test_batches_that_cannot_be() -> None:
    network, batch = small(), genes(2, 1)

    def changed(**parts: Any) -> RegionBatch:
        return RegionBatch(**{**vars(batch), **parts})

    with pytest.raises(InputError, match=r"of 2 resolutions × \(genes \+ 3 pCREs\)"):
        changed(first=batch.first[:1])
    with pytest.raises(InputError, match="a gene and a frequency for each pCRE"):
        changed(frequency=batch.frequency[:2])
    for features in (batch.features[:1] * 3, tuple(f[:, :2] for f in batch.features)):
        with pytest.raises(InputError, match=r"expected features of 2 resolutions \[rows, 3 marks\]"):
            network(
                RegionBatch(
                    features,
                    *(t[:1].repeat(len(features), 1) for t in (batch.first, batch.bins)),
                    batch.gene,
                    batch.frequency,
                )
            )
    with pytest.raises(InputError, match=r"outside of the window's \[6, 21\] slots"):
        network(changed(first=batch.first + 6))
    with pytest.raises(InputError, match="bins, but got features of"):
        network(changed(features=tuple(f[:-1] for f in batch.features)))
    with pytest.raises(InputError, match="`gene` to be ascending"):
        network(changed(gene=batch.gene.flip(0)))


def test_learns_which_pcres_matter() -> None:
    """What is planted is in the pCREs alone: one of a gene's two has a signal in its first mark."""

    def planted(n: int, seed: int) -> tuple[RegionBatch, Tensor]:
        batch = genes(*[2] * n, marks=2, seed=seed)
        y = (torch.arange(n) % 2).float()[:, None]
        for features, bins in zip(batch.features, batch.bins, strict=True):
            signal = torch.cat((torch.zeros(n), (y * torch.tensor([[0.0, 1.5]])).flatten()))
            features[:, 0] += signal.repeat_interleave(bins)
        return batch, y

    torch.manual_seed(0)
    network = Chromoformer(2, **{**SMALL, "width": 16})
    optimizer = torch.optim.Adam(network.parameters(), 0.005)
    for step in range(40):
        batch, y = planted(64, seed=10 + step)
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(network(batch), y).backward()
        optimizer.step()
    batch, y = planted(256, seed=4)
    with torch.no_grad():
        assert auroc(network.eval()(batch), y) > 0.95
