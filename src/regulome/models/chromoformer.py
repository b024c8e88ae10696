"""Chromoformer: three transformers that read a promoter, its pairs with distal regions, and all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.models.batch_parts import Part, in_parts
from regulome.models.chromoformer_attention import neighbourhood, slot_codes
from regulome.models.chromoformer_fused import Bins, Neighbourhood
from regulome.models.chromoformer_transformers import Embedding, PairwiseInteraction, Regulation
from regulome.models.hyperparameters import Task, check_count, check_counts, check_task
from regulome.models.regions import RegionBatch
from regulome.models.registry import Paper, register

PAPER = Paper(
    "Lee D, Yang J, Kim S",
    "Learning the histone codes with large genomic windows and three-dimensional chromatin interactions using "
    "transformer",
    "Nature Communications 13:6678",
    2022,
    "10.1038/s41467-022-34152-5",
)


# Genes of a part of a batch: with fewer, products of matrices are slower.
_GENES = 64


@register("chromoformer", title="Chromoformer", paper=PAPER, inputs="regions")
class Chromoformer(nn.Module):
    """Histone marks at the promoter and at the regions that touch it in 3D, at several resolutions (Lee et al. 2022).

    For each resolution by itself: the *embedding* makes a token of the promoter's bins, the *pairwise interaction* one
    of each pCRE's bins, the *regulation* transformer lets them see each other, with the interaction frequency in the
    promoter's scores. The promoter's tokens of all resolutions, before and after the regulation added, make the answer.
    A gene may have any number of pCREs, also none; the published data have up to 8.

    The published network has 5,342,672 parameters, 1,086 of which take no part in anything; ours has the other
    5,341,586, under the same names. It gives the same answers and the same gradients from a small part of the
    operations: see :mod:`regulome.models.chromoformer_attention`.

    Args:
        marks: Number of histone marks (or other tracks).
        task: "classification" or "regression".
        resolutions: Bases of a bin, one after the other; the head reads them in this order.
        window: Bases of the window that all bins lie in; it has ⌈window / resolution⌉ slots.
        width: Length of a token, even.
        head: Hidden units of the head.
        embedding: Heads and hidden units of the embedding's one layer.
        pairwise: Layers, heads and hidden units of the pairwise interaction.
        regulation: Layers, heads, channels of all heads together, and hidden units of the regulation transformer.

    Raises:
        InputError: A value is out of range.
    """

    own_threads = True

    def __init__(
        self,
        marks: int,
        *,
        task: Task = "classification",
        resolutions: Sequence[int] = (2000, 500, 100),
        window: int = 40_000,
        width: int = 128,
        head: int = 128,
        embedding: Sequence[int] = (2, 128),
        pairwise: Sequence[int] = (2, 2, 256),
        regulation: Sequence[int] = (6, 8, 256, 256),
    ) -> None:
        super().__init__()
        check_count("marks", marks)
        check_task(task)
        self.resolutions = check_counts("resolutions", resolutions)
        if len(set(self.resolutions)) < len(self.resolutions):
            raise InputError(f"expected different `resolutions`, but got {list(resolutions)}")
        check_count("window", window, minimum=max(self.resolutions))
        check_count("head", head)
        if check_count("width", width) % 2:
            raise InputError(f"expected `width` to be even, but got {width}")
        sizes = {"embedding": (embedding, 2), "pairwise": (pairwise, 3), "regulation": (regulation, 4)}
        for name, (values, length) in sizes.items():
            if len(check_counts(name, values)) != length:
                raise InputError(f"expected `{name}` to be {length} positive integers, but got {list(values)}")
        for name, heads, channels in (
            ("embedding", embedding[0], width),
            ("pairwise", pairwise[1], width),
            ("regulation", regulation[1], regulation[2]),
        ):
            if channels % heads:
                raise InputError(f"expected the heads of `{name}` to divide {channels}, but got {heads}")
        names = [str(resolution) for resolution in self.resolutions]
        self.embed = nn.ModuleDict({name: Embedding(marks, width, embedding[0], embedding[1]) for name in names})
        self.pairwise_interaction = nn.ModuleDict(
            {name: PairwiseInteraction(marks, width, *pairwise) for name in names}
        )
        self.regulation = nn.ModuleDict({name: Regulation(width, *regulation) for name in names})
        self.fc_head = nn.Sequential(
            nn.Linear(len(names) * width, head), nn.ReLU(), nn.Linear(head, 2 if task == "classification" else 1)
        )
        for resolution in self.resolutions:
            codes = slot_codes(-(-window // resolution), width)
            self.register_buffer(f"codes_{resolution}", codes, persistent=False)

    def forward(self, x: RegionBatch) -> Tensor:
        """Map B genes to the logit of "high" (published: softmax, whose odds these are), or the value, [B, 1]."""
        self._check(x)
        resolutions = range(len(self.resolutions))
        if x.first.device.type != "cpu" or torch.is_autocast_enabled("cpu") or any(v.requires_grad for v in x.features):
            near = neighbourhood(x.gene, x.frequency, len(x))
            return self._answer([self._promoters(x, near, number) for number in resolutions])
        size = -(-len(x) // max(1, len(x) // _GENES))
        parts = []
        for begin in range(0, len(x), size):
            some = x.part(begin, min(begin + size, len(x))) if size < len(x) else x
            near = neighbourhood(some.gene, some.frequency, len(some))
            # The finest bins first: they take longest.
            for number in sorted(resolutions, key=self.resolutions.__getitem__):
                parts.append(Part(partial(self._promoters, some, near, number), self._modules_of(number)))
        answers = in_parts(parts)
        order = sorted(resolutions, key=self.resolutions.__getitem__)
        found = {n: torch.cat(answers[place :: len(order)]) for place, n in enumerate(order)}
        return self._answer([found[number] for number in resolutions])

    def _modules_of(self, number: int) -> list[nn.Module]:
        name = str(self.resolutions[number])
        return [part[name] for part in (self.embed, self.pairwise_interaction, self.regulation)]

    def _promoters(self, x: RegionBatch, near: Neighbourhood, number: int) -> Tensor:
        """Return the promoters' tokens at one resolution, before and after the regulation added, [B, width]."""
        tokens = self._tokens(x, number)
        answer: Tensor = self.regulation[str(self.resolutions[number])](tokens, near) + tokens[: len(x)]
        return answer

    def _answer(self, parts: list[Tensor]) -> Tensor:
        answer: Tensor = self.fc_head(torch.cat(parts, 1))
        return answer[:, 1:] - answer[:, :1] if answer.shape[1] == 2 else answer

    def attention(self, x: RegionBatch) -> dict[str, Tensor]:
        """Return all attention weights of B genes with P pCREs, for each resolution such as 2000.

        Returns:
            "embedding.2000" [B, head, slot]: of the promoter's middle, over the promoter's bins; "pairwise.2000"
            [P, layer, head, slot]: of the promoter's middle, over a pCRE's bins; "regulation.2000"
            [B, layer, head, region, region]: of each region (row) over all (column), the first being the promoter.
            Weights sum to 1 over the last axis; places without a bin or region have 0, in rows too.
        """
        self._check(x)
        near = neighbourhood(x.gene, x.frequency, len(x))
        answer: dict[str, Tensor] = {}
        for number, resolution in enumerate(self.resolutions):
            tokens = self._tokens(x, number, answer)
            regulation = self.regulation[str(resolution)]
            answer[f"regulation.{resolution}"] = torch.stack(regulation.weights(tokens, near), 1)  # type: ignore[operator]
        return answer

    def _check(self, x: RegionBatch) -> None:
        """Refuse what cannot be: it would give numbers, but wrong ones."""
        marks = self.embed[str(self.resolutions[0])].lin_proj.in_features  # type: ignore[union-attr]
        if len(x.features) != len(self.resolutions) or any(rows.shape[1:] != (marks,) for rows in x.features):
            raise InputError(
                f"expected features of {len(self.resolutions)} resolutions [rows, {marks} marks], "
                f"but got {', '.join(str(list(rows.shape)) for rows in x.features)}"
            )
        slots = torch.tensor([len(self._codes(r)) for r in self.resolutions], device=x.first.device)[:, None]
        middle, end = slots // 2, x.first + x.bins
        if not bool(((x.first >= 0) & (x.first <= middle) & (middle < end) & (end <= slots)).all()):
            raise InputError(
                f"a region lies outside of the window's {slots[:, 0].tolist()} slots, or not on its middle"
            )
        if bool((x.gene.diff() < 0).any()) or bool(((x.gene < 0) | (x.gene >= len(x))).any()):
            raise InputError(
                f"expected `gene` to be ascending, from 0 to {len(x) - 1}, but got {x.gene.tolist()[:8]} …"
            )
        rows = x.bins.sum(1).tolist()
        if rows != [len(values) for values in x.features]:
            raise InputError(f"expected {rows} bins, but got features of {[len(values) for values in x.features]}")

    def _codes(self, resolution: int) -> Tensor:
        return self.get_buffer(f"codes_{resolution}")

    def _tokens(self, x: RegionBatch, number: int, maps: dict[str, Tensor] | None = None) -> Tensor:
        """Return the tokens [B + P, width] of all regions at one resolution; enter their weights in ``maps``."""
        name, genes = str(self.resolutions[number]), len(x)
        codes = self._codes(self.resolutions[number])
        rows, first, bins = x.features[number], x.first[number], x.bins[number]
        split = int(bins[:genes].sum())
        promoters = lay_out(rows[:split], first[:genes], bins[:genes], codes)
        tokens, seen = self.embed[name](promoters, len(codes) // 2 - promoters.low)
        if maps is not None:
            maps[f"embedding.{name}"] = _whole(seen[0], promoters, len(codes))
        if not len(x.gene):
            answer: Tensor = tokens
            return answer
        pcres = lay_out(rows[split:], first[genes:], bins[genes:], codes)
        distal, seen = self.pairwise_interaction[name](tokens, x.gene, pcres)
        if maps is not None:
            maps[f"pairwise.{name}"] = _whole(torch.stack(seen, 1), pcres, len(codes))
        return torch.cat((tokens, distal))


def lay_out(rows: Tensor, first: Tensor, bins: Tensor, codes: Tensor) -> Bins:
    """Lay the bins of regions over each other, on the slots that any of them has.

    Args:
        rows: Features [row, marks] of all bins, region after region.
        first: int64 [region], slot of a region's first bin.
        bins: int64 [region], number of its bins.
        codes: Codes of all slots of the window, [slot, width].
    """
    low, high = int(first.min()), int((first + bins).max())
    return Bins(rows, bins.cumsum(0) - bins, first - low, bins, codes[low:high], low)


def _whole(weights: Tensor, bins: Bins, slots: int) -> Tensor:
    """Weights over some slots, as weights over all slots of the window."""
    return nn.functional.pad(weights, (bins.low, slots - bins.low - weights.shape[-1]))
