"""What networks on a gene's promoter and its distal regions take: a batch of genes with regions of many sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from regulome.errors import InputError


# Not frozen: for mixed precision Lightning makes a copy and sets its fields.
@dataclass(eq=False)
class RegionBatch:
    """A batch of genes: the promoter of each and the pCREs (distal regions) that touch it, nothing padded.

    Regions stand in one list: first the promoters of the B genes, in the genes' order, then all P pCREs, those of the
    first gene first. A region covers a run of the window's slots; the rows of its bins are stored one region after the
    other, so that a dataset that keeps each region's bins once has only to copy runs of rows.

    Attributes:
        features: For each resolution float32 [rows, marks]: ln(1 + mean depth) of the bins of all regions, in their
            order. Bins run 5'→3' of the gene in promoters, along the chromosome in pCREs.
        first: int64 [resolutions, B + P]: slot of a region's first bin. Centred regions have
            ⌈(slots − bins) / 2⌉, promoters of "−" genes ⌊(slots − bins) / 2⌋. The slot in the window's middle,
            slots // 2, has to be among a promoter's bins and among a pCRE's.
        bins: int64 [resolutions, B + P]: number of a region's bins, at least 1.
        gene: int64 [P], ascending: which gene (0 … B − 1) a pCRE belongs to.
        frequency: float32 [P]: how often gene and pCRE touch, the normalised interaction frequency.

    Raises:
        InputError: The shapes contradict each other.
    """

    features: tuple[Tensor, ...]
    first: Tensor
    bins: Tensor
    gene: Tensor
    frequency: Tensor

    def __post_init__(self) -> None:
        wanted = (len(self.features), *self.bins.shape[1:])
        shapes = (tuple(self.first.shape), tuple(self.bins.shape))
        if len(wanted) != 2 or shapes != (wanted, wanted) or wanted[1] < len(self.gene):
            raise InputError(
                f"expected `first` and `bins` of {len(self.features)} resolutions × (genes + {len(self.gene)} pCREs), "
                f"but got {list(self.first.shape)} and {list(self.bins.shape)}"
            )
        if self.gene.ndim != 1 or self.gene.shape != self.frequency.shape:
            raise InputError(
                f"expected a gene and a frequency for each pCRE, "
                f"but got {list(self.gene.shape)} and {list(self.frequency.shape)}"
            )

    def __len__(self) -> int:
        """Number of genes."""
        return self.bins.shape[1] - len(self.gene)

    @property
    def shape(self) -> tuple[int]:
        """(number of genes,)."""
        return (len(self),)

    def part(self, begin: int, end: int) -> RegionBatch:
        """Return the genes from ``begin`` to ``end`` - 1."""
        genes = len(self)
        near = slice(*torch.searchsorted(self.gene, torch.tensor([begin, end], device=self.gene.device)).tolist())
        runs = slice(begin, end), slice(genes + near.start, genes + near.stop)
        features = []
        for rows, bins in zip(self.features, self.bins, strict=True):
            ends = nn.functional.pad(bins.cumsum(0), (1, 0))
            features.append(torch.cat([rows[ends[run.start] : ends[run.stop]] for run in runs]))
        first, bins = (torch.cat([value[:, run] for run in runs], 1) for value in (self.first, self.bins))
        return RegionBatch(tuple(features), first, bins, self.gene[near] - begin, self.frequency[near])

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> RegionBatch:
        """Return the batch on another device."""

        def move(value: Tensor) -> Tensor:
            return value.to(device, non_blocking=non_blocking)

        return RegionBatch(tuple(map(move, self.features)), *(move(getattr(self, f.name)) for f in fields(self)[1:]))

    def pin_memory(self) -> RegionBatch:
        """Return the batch in page-locked memory, from which it can be copied to a GPU while that computes."""
        return RegionBatch(
            tuple(values.pin_memory() for values in self.features),
            *(getattr(self, f.name).pin_memory() for f in fields(self)[1:]),
        )


def from_published(
    promoter_feats: Mapping[int, Tensor],
    promoter_pad_masks: Mapping[int, Tensor],
    pcre_feats: Mapping[int, Tensor],
    pcre_pad_masks: Mapping[int, Tensor],
    interaction_mask: Tensor,
    interaction_freq: Tensor,
) -> RegionBatch:
    """Make a batch of the dense tensors that Chromoformer's published data set class gives.

    Masks are true where a pair of slots, or of regions, is left out. Of a mask over pairs only the row of the middle
    slot, or of the promoter, is looked at: it alone has an influence on the answer.

    Args:
        promoter_feats: For each resolution (bases of a bin) float32 [B, 1, slots, marks].
        promoter_pad_masks: For each resolution bool [B, 1, 1, slots, slots].
        pcre_feats: For each resolution float32 [B, N, slots, marks], N regions for each gene, some of which are no more
            than padding.
        pcre_pad_masks: For each resolution bool [B, N, 1, slots, slots].
        interaction_mask: bool [B, 1, 1 + N, 1 + N]; the first region is the promoter.
        interaction_freq: float32 [B, 1 + N, 1 + N], of which the first row counts.

    Returns:
        The batch, resolutions in the order of ``promoter_feats``.
    """
    genes = len(interaction_freq)
    real = ~interaction_mask[:, 0, 0, 1:]
    features, first, bins = [], [], []
    for resolution, promoters in promoter_feats.items():
        masks = (promoter_pad_masks[resolution][:, 0, 0], pcre_pad_masks[resolution][:, :, 0][real])
        present = ~torch.cat([mask[:, mask.shape[1] // 2] for mask in masks])
        features.append(torch.cat((promoters[:, 0], pcre_feats[resolution][real]))[present])
        first.append(present.int().argmax(1))
        bins.append(present.sum(1))
    gene = torch.arange(genes, device=real.device)[:, None].expand_as(real)[real]
    return RegionBatch(tuple(features), torch.stack(first), torch.stack(bins), gene, interaction_freq[:, 0, 1:][real])
