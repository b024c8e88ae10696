"""Attention of networks on promoters and pCREs: to the bins of both, and of a promoter to its pCREs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.explain.as_found import network_name, untouched
from regulome.models.regions import RegionBatch

Maps = dict[str, NDArray[np.float32]]


def stream_region_attention(model: nn.Module, batches: Iterable[RegionBatch]) -> Iterator[tuple[Maps, Maps]]:
    """Collect the attention of a network on promoters and pCREs, batch by batch.

    Memory and device: works where the model is, without gradients; one batch is held. The model is left as found.

    Args:
        model: A model whose ``attention`` returns what that of :class:`regulome.models.chromoformer.Chromoformer`
            does.
        batches: Genes with their regions; all promoters have the same number of bins.

    Yields:
        Weights of the batch's genes and those of its contacts, in their order, for each resolution such as 2000.
        Of genes "embedding_2000" [genes, bins], over the bins of the promoter, mean over heads; "own_2000" [genes], the
        weight that the promoter's token keeps for itself among its pCREs, mean over heads and layers. Of contacts
        "pairwise_2000" [contacts, slots], over the bins of the pCRE, mean over heads and layers; "regulation_2000"
        [contacts], the weight that the promoter's token gives to the pCRE, mean over heads and layers;
        "regulation_last_2000" [contacts], the same in the last layer.

    Raises:
        InputError: The model has no attention.

    Source: Chromoformer (Lee et al. 2022), "Model architecture" and figure 4.
    """
    if not hasattr(model, "attention"):
        raise InputError(f"{network_name(model)} has no attention", cure="ask it with `regulome perturb`")
    with untouched(model) as device, torch.no_grad():
        for batch in batches:
            x = batch.to(device)
            yield _reduced(model.attention(x), x)  # type: ignore[operator]


def _reduced(maps: dict[str, Tensor], x: RegionBatch) -> tuple[Maps, Maps]:
    """Take means over heads, and of the regulation the promoter's row."""
    counts = torch.bincount(x.gene, minlength=len(x))
    rank = torch.arange(len(x.gene), device=x.gene.device) - (counts.cumsum(0) - counts)[x.gene]
    genes: dict[str, Tensor] = {}
    contacts: dict[str, Tensor] = {}
    names = [name.removeprefix("embedding.") for name in maps if name.startswith("embedding.")]
    for number, name in enumerate(names):
        promoters = maps[f"embedding.{name}"].mean(1)
        bins = torch.arange(int(x.bins[number, 0]), device=promoters.device)
        genes[f"embedding_{name}"] = promoters.gather(1, x.first[number, : len(x), None] + bins)
        if f"pairwise.{name}" in maps:
            contacts[f"pairwise_{name}"] = maps[f"pairwise.{name}"].mean((1, 2))
        else:
            contacts[f"pairwise_{name}"] = promoters.new_zeros(0, promoters.shape[1])
        given = maps[f"regulation.{name}"][:, :, :, 0].mean(2)
        genes[f"own_{name}"] = given[:, :, 0].mean(1)
        near = given[x.gene, :, 1 + rank]
        contacts[f"regulation_{name}"] = near.mean(1)
        contacts[f"regulation_last_{name}"] = near[:, -1]
    return _arrays(genes), _arrays(contacts)


def _arrays(values: dict[str, Tensor]) -> Maps:
    return {name: value.float().cpu().numpy() for name, value in values.items()}
