"""Chromoformer's three transformers: over a promoter's bins, over the bins of its pCREs, over all of its regions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from regulome.models.chromoformer_attention import BinLayer, RegulationLayer
from regulome.models.chromoformer_fused import Bins, Neighbourhood


class _Transformer(nn.Module):
    """A stack of layers under the published name ``transformer.layers``."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.transformer = nn.ModuleDict({"layers": nn.ModuleList(layers)})

    @property
    def layers(self) -> list[nn.Module]:
        return list(self.transformer["layers"].children())


class Embedding(_Transformer):
    """Promoter's bins to the token in its middle: one layer of self-attention, of which the middle's query is kept.

    Args:
        marks: Number of marks.
        width: Length of a token.
        heads: Heads.
        hidden: Hidden units of the feed-forward part.
    """

    def __init__(self, marks: int, width: int, heads: int, hidden: int) -> None:
        super().__init__([BinLayer(width, heads, hidden, joint=True)])
        self.lin_proj = nn.Linear(marks, width, bias=False)

    def forward(self, bins: Bins, middle: int) -> tuple[Tensor, list[Tensor]]:
        """Return tokens [region, width] and each layer's weights [region, head, slot].

        Args:
            bins: The promoters.
            middle: Index of the middle slot among those of ``bins``.
        """
        projection = self.lin_proj.weight
        x = bins.rows[bins.begin + middle - bins.slot] @ projection.T + bins.codes[middle]
        (layer,) = self.layers
        attention: nn.Module = layer.self_att  # type: ignore[assignment]
        x, weights = layer(x, attention.scores(x, projection, bins.codes), bins, projection)  # type: ignore[operator]
        return x, [weights]


class PairwiseInteraction(_Transformer):
    """Promoter's token to a token for each of its pCREs, into whose bins it looks.

    Args:
        marks: Number of marks.
        width: Length of a token.
        layers: Number of layers.
        heads: Heads.
        hidden: Hidden units of the feed-forward parts.
    """

    def __init__(self, marks: int, width: int, layers: int, heads: int, hidden: int) -> None:
        super().__init__([BinLayer(width, heads, hidden, joint=False) for _ in range(layers)])
        self.lin_proj_p = nn.Linear(width, width, bias=False)
        self.lin_proj_pcre = nn.Linear(marks, width, bias=False)

    def forward(self, promoters: Tensor, gene: Tensor, bins: Bins) -> tuple[Tensor, list[Tensor]]:
        """Return tokens [pCRE, width] and each layer's weights [pCRE, head, slot].

        Args:
            promoters: Tokens [gene, width].
            gene: int64 [pCRE], which gene each belongs to.
            bins: The pCREs.
        """
        projection = self.lin_proj_pcre.weight
        x: Tensor = self.lin_proj_p(promoters)
        maps = []
        for depth, layer in enumerate(self.layers):
            marks, slots = layer.self_att.scores(x, projection, bins.codes)  # type: ignore[operator, union-attr]
            if depth == 0:
                # Until here all pCREs of a gene have the same query.
                x, marks, slots = (value.index_select(0, gene) for value in (x, marks, slots))
            x, weights = layer(x, (marks, slots), bins, projection)
            maps.append(weights)
        return x, maps


class Regulation(_Transformer):
    """All tokens of a gene to the promoter's.

    Args:
        width: Length of a token.
        layers: Number of layers.
        heads: Heads.
        inner: Channels of all heads together.
        hidden: Hidden units of the feed-forward parts.
    """

    def __init__(self, width: int, layers: int, heads: int, inner: int, hidden: int) -> None:
        super().__init__([RegulationLayer(width, heads, inner, hidden) for _ in range(layers)])

    def forward(self, x: Tensor, near: Neighbourhood) -> Tensor:
        """Map tokens [B + P, width], promoters first, to the promoters' tokens [B, width]."""
        *layers, last = self.layers
        for layer in layers:
            x, _ = layer(x, near)
        answer: Tensor = last.promoters(x, near)  # type: ignore[operator]
        return answer

    def weights(self, x: Tensor, near: Neighbourhood) -> list[Tensor]:
        """Return each layer's weights [B, head, T, T] for the same tokens."""
        maps = []
        for layer in self.layers:
            x, weights = layer(x, near)
            maps.append(weights)
        return maps
