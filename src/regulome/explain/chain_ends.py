"""What follows a chain of layers: from a patch over its last layer to the model's outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from regulome.explain.chain import Patch, Strip


class End(ABC):
    """The layers behind a chain: for one window after the other, or for many windows at once."""

    @abstractmethod
    def start(self, reference: Tensor) -> Tensor:
        """Take in the last layer's reference [positions, channels]; gives the model's outputs for it, [1, outputs]."""

    @abstractmethod
    def outputs(self, patch: Patch) -> Tensor:
        """The model's outputs for each changed input, [n, outputs]."""

    @abstractmethod
    def strip(self, strip: Strip, reference: Tensor) -> tuple[Tensor, Tensor]:
        """The model's outputs for many windows, [windows, outputs], and for each changed one, [n, outputs].

        Args:
            strip: The last layer's changes.
            reference: The last layer, [windows, channels, positions].
        """


class DenseEnd(End):
    """Flatten and Linear, then anything: the Linear is multiplied with what changed only.

    Memory: a copy of the Linear's weights, ordered by position.
    """

    def __init__(self, linear: nn.Linear, rest: nn.Module, positions: int) -> None:
        self.linear, self.rest = linear, rest
        # Flattening puts positions inside; here a position's weights lie together: [out, position, channel].
        self.weight = linear.weight.detach().view(linear.out_features, -1, positions).transpose(1, 2).contiguous()

    def start(self, reference: Tensor) -> Tensor:
        """Keep the reference and its hidden layer."""
        self.reference = reference
        self.hidden = self.linear(reference.T.reshape(1, -1))
        return self.rest(self.hidden.clone())  # type: ignore[no-any-return]

    def outputs(self, patch: Patch) -> Tensor:
        """Add position by position what the change there does to the hidden layer."""
        n, width, _ = patch.values.shape
        change = patch.change(self.reference)
        rows = change.flatten(0, 1)
        hidden = self.hidden.repeat(n, 1)
        first = max(int(patch.starts.min()), 0)
        last = min(int(patch.starts.max()) + width, len(self.reference))
        for position in range(first, last):
            offset = position - patch.starts
            those = torch.nonzero((offset >= 0) & (offset < width))[:, 0]
            picked = (those * width + offset[those]).to(rows.device)
            part = rows.index_select(0, picked) @ self.weight[:, position].T
            hidden.index_add_(0, those.to(rows.device), part)
        return self.rest(hidden)  # type: ignore[no-any-return]

    def strip(self, strip: Strip, reference: Tensor) -> tuple[Tensor, Tensor]:
        """Add what the change does to the hidden layer."""
        windows = self.linear(reference.flatten(1))
        weight = self.weight[:, strip.start : strip.stop].flatten(1)
        changed = windows.index_select(0, strip.which).addmm_(strip.change(reference).flatten(1), weight.T)
        return _both(self.rest, windows, changed)


class MaximumEnd(End):
    """The maximum over all positions, then anything: the reference's maxima left and right of a patch are known."""

    def __init__(self, rest: nn.Module) -> None:
        self.rest = rest

    def start(self, reference: Tensor) -> Tensor:
        """Compute the maxima of everything before, and of everything after, each position."""
        nothing = reference.new_full((1, reference.shape[1]), -torch.inf)
        self.length = len(reference)
        self.before = torch.cat([nothing, reference.cummax(dim=0).values])
        self.after = torch.cat([reference.flip(0).cummax(dim=0).values.flip(0), nothing])
        return self.rest(self.before[-1:].clone())  # type: ignore[no-any-return]

    def outputs(self, patch: Patch) -> Tensor:
        """Take the maximum of the patch and of what lies on both sides of it."""
        values, places = patch.values, patch.places()
        outside = (places < 0) | (places >= self.length)
        if outside.any():
            values = values.masked_fill(outside.to(values.device)[:, :, None], -torch.inf)
        left = self.before[places[:, 0].clamp(0, self.length).to(values.device)]
        right = self.after[(places[:, -1] + 1).clamp(0, self.length).to(values.device)]
        return self.rest(torch.maximum(torch.maximum(left, right), values.amax(dim=1)))  # type: ignore[no-any-return]

    def strip(self, strip: Strip, reference: Tensor) -> tuple[Tensor, Tensor]:
        """Take the maximum of the strip and of what lies on both sides of it."""
        beside = torch.maximum(_highest(reference[:, :, : strip.start]), _highest(reference[:, :, strip.stop :]))
        changed = torch.maximum(beside.index_select(0, strip.which), _highest(strip.values.transpose(1, 2)))
        return _both(self.rest, reference.amax(dim=2), changed)


class WholeEnd(End):
    """Anything else, a recurrent layer for example: it sees the whole last layer with the patch laid over it."""

    def __init__(self, rest: nn.Module) -> None:
        self.rest = rest

    def start(self, reference: Tensor) -> Tensor:
        """Keep the reference."""
        self.reference = reference
        return self.rest(reference.T[None].clone())  # type: ignore[no-any-return]

    def outputs(self, patch: Patch) -> Tensor:
        """Lay every patch over a copy of the reference."""
        n, _, channels = patch.values.shape
        places = patch.places()
        inside = ((places >= 0) & (places < len(self.reference))).flatten()
        rows = (torch.arange(n)[:, None] * len(self.reference) + places).flatten()[inside].to(patch.values.device)
        whole = self.reference.repeat(n, 1)
        whole[rows] = patch.values.flatten(0, 1)[inside.to(rows.device)]
        return self.rest(whole.view(n, -1, channels).transpose(1, 2))  # type: ignore[no-any-return]

    def strip(self, strip: Strip, reference: Tensor) -> tuple[Tensor, Tensor]:
        """Lay every strip over a copy of its window."""
        changed = reference.index_select(0, strip.which)
        changed[:, :, strip.start : strip.stop] = strip.values.transpose(1, 2)
        return _both(self.rest, reference, changed)


def _highest(x: Tensor) -> Tensor:
    """Maxima over positions [n, channels] of [n, channels, positions]; minus infinity where there are none."""
    return x.amax(dim=2) if x.shape[2] else x.new_full(x.shape[:2], -torch.inf)


def _both(rest: nn.Module, windows: Tensor, changed: Tensor) -> tuple[Tensor, Tensor]:
    """Apply the last layers to windows and to changed ones together."""
    outputs = rest(torch.cat([windows, changed]))
    return outputs[: len(windows)], outputs[len(windows) :]


class GoOn(nn.Module):
    """A function as a layer; what it belongs to is not held as a part of it."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = (function,)

    def forward(self, x: Tensor) -> Tensor:
        """Call it."""
        return self.function[0](x)


def end_of(layers: Sequence[nn.Module], positions: int, channels: int) -> End:
    """Choose how to go on behind a chain.

    Args:
        layers: What follows the chain, as :func:`regulome.explain.chain.steps_of` gives it.
        positions: Positions of the chain's last layer.
        channels: Its channels.
    """
    if len(layers) >= 2 and _flattens(layers[0]):
        linear = layers[1]
        if type(linear) is nn.Linear and linear.in_features == positions * channels:
            return DenseEnd(linear, nn.Sequential(*layers[2:]), positions)
    if len(layers) >= 2 and _maximum(layers[0], positions) and _flattens(layers[1]):
        return MaximumEnd(nn.Sequential(*layers[2:]))
    return WholeEnd(nn.Sequential(*layers))


def _flattens(layer: nn.Module) -> bool:
    return type(layer) is nn.Flatten and (layer.start_dim, layer.end_dim) == (1, -1)


def _maximum(layer: nn.Module, positions: int) -> bool:
    return type(layer) is nn.AdaptiveMaxPool1d and layer.output_size in (1, (1,)) and positions > 0
