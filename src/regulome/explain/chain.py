"""A chain of layers, and how far a change at one position reaches through it.

A :class:`Patch` is what a changed input makes of a layer's output: a few neighbouring positions, laid over the
reference. Everything outside is as it was. Each step takes the patch of its input to the patch of its output:

* a convolution adds the kernel times the *change* of its input to the reference output, which costs one matrix product
  over the changed positions only, however long the kernel is;
* pooling over maxima looks at the cells that the patch touches, whose other positions come from the reference;
* what works on each position by itself (activations, batch normalisation, dropout, all in evaluation mode) is applied
  to the patch.

Layers are positions × channels here, so that a position is one row in memory.

A :class:`Strip` is the same for many windows at once that are changed at the same position.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

#: Layers that treat every number by itself in evaluation mode.
POINTWISE = (
    nn.ReLU,
    nn.Threshold,
    nn.LeakyReLU,
    nn.ELU,
    nn.SELU,
    nn.GELU,
    nn.SiLU,
    nn.Tanh,
    nn.Sigmoid,
    nn.Softplus,
    nn.Identity,
    nn.Dropout,
    nn.Dropout1d,
)


@dataclass(frozen=True)
class Patch:
    """Neighbouring positions that have, or may have, other values than the reference.

    Attributes:
        values: The values themselves, [n, width, channels]. What lies outside the layer means nothing.
        starts: Position of the first of them in the layer, int64 [n], on the CPU; may lie outside the layer.
    """

    values: Tensor
    starts: Tensor

    def places(self) -> Tensor:
        """Position of each value, int64 [n, width], on the CPU."""
        return self.starts[:, None] + torch.arange(self.values.shape[1])

    def change(self, reference: Tensor) -> Tensor:
        """Difference to ``reference`` [positions, channels], [n, width, channels]; 0 outside the layer."""
        places = self.places()
        change = self.values - _rows(reference, places)
        outside = (places < 0) | (places >= len(reference))
        if outside.any():
            change[outside.to(change.device)] = 0
        return change


@dataclass(frozen=True)
class Strip:
    """The same neighbouring positions of many windows, that have, or may have, other values than the reference.

    Attributes:
        values: The values, [n, width, channels]; all lie inside the layer.
        start: Position of the first of them in the layer.
        which: Index of the window that each belongs to, int64 [n].
    """

    values: Tensor
    start: int
    which: Tensor

    @property
    def stop(self) -> int:
        """Position behind the last of them."""
        return self.start + self.values.shape[1]

    def change(self, reference: Tensor) -> Tensor:
        """Difference to ``reference`` [windows, channels, positions], [n, width, channels]."""
        return self.values - strip_of(reference, self.start, self.stop, self.which)


class Step(ABC):
    """One layer of a chain."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer

    def reference(self, x: Tensor) -> Tensor:
        """The layer's output [positions', channels'] for the whole input [positions, channels]."""
        # A layer that works in place would spoil the reference of the one before it.
        return self.layer(x.T[None].clone())[0].T.contiguous()  # type: ignore[no-any-return]

    @abstractmethod
    def patch(self, patch: Patch, before: Tensor, after: Tensor) -> Patch:
        """Take a patch over ``before``, the reference input, to a patch over ``after``, the reference output."""

    @abstractmethod
    def strip(self, strip: Strip, before: Tensor, after: Tensor) -> Strip:
        """Take a strip over ``before`` to one over ``after``, both [windows, channels, positions]."""


class Pointwise(Step):
    """A layer that treats every number by itself."""

    def patch(self, patch: Patch, before: Tensor, after: Tensor) -> Patch:
        """Apply it to the patch."""
        return Patch(self.layer(patch.values), patch.starts)

    def strip(self, strip: Strip, before: Tensor, after: Tensor) -> Strip:
        """Apply it to the strip."""
        return Strip(self.layer(strip.values), strip.start, strip.which)


class Normalization(Step):
    """Batch normalisation in evaluation mode: a factor and an offset for each channel."""

    def __init__(self, layer: nn.BatchNorm1d) -> None:
        super().__init__(layer)
        mean, variance = torch.as_tensor(layer.running_mean), torch.as_tensor(layer.running_var)
        self.factor = torch.rsqrt(variance + layer.eps)
        if layer.affine:
            self.factor = self.factor * layer.weight.detach()
        self.offset = -mean * self.factor
        if layer.affine:
            self.offset = self.offset + layer.bias.detach()

    def patch(self, patch: Patch, before: Tensor, after: Tensor) -> Patch:
        """Apply it to the patch."""
        return Patch(torch.addcmul(self.offset, patch.values, self.factor), patch.starts)

    def strip(self, strip: Strip, before: Tensor, after: Tensor) -> Strip:
        """Apply it to the strip."""
        return Strip(torch.addcmul(self.offset, strip.values, self.factor), strip.start, strip.which)


class Convolution(Step):
    """A convolution of stride 1 and any padding with zeros and dilation."""

    def __init__(self, layer: nn.Conv1d) -> None:
        super().__init__(layer)
        self.outputs, inputs, self.width = layer.weight.shape
        self.dilation = layer.dilation[0]
        reach = (self.width - 1) * self.dilation
        padding = layer.padding if isinstance(layer.padding, str) else layer.padding[0]
        # torch pads the right side by one more where "same" cannot be even.
        self.before = reach // 2 if padding == "same" else 0 if isinstance(padding, str) else padding
        self.weight = layer.weight.detach().permute(1, 2, 0).reshape(inputs, -1)  # [in, kernel * out]

    def patch(self, patch: Patch, before: Tensor, after: Tensor) -> Patch:
        """Add what the kernel makes of the change, tap by tap, to the reference."""
        reach = (self.width - 1) * self.dilation
        starts = patch.starts + self.before - reach
        values = _rows(after, starts[:, None] + torch.arange(patch.values.shape[1] + reach))
        self._add(patch.change(before), values)
        return Patch(values, starts)

    def strip(self, strip: Strip, before: Tensor, after: Tensor) -> Strip:
        """Add what the kernel makes of the change, tap by tap, to the reference."""
        change = strip.change(before)
        reach = (self.width - 1) * self.dilation
        values = change.new_zeros(len(change), change.shape[1] + reach, self.outputs)
        self._add(change, values)
        start = strip.start + self.before - reach
        first, last = _inside(start, start + values.shape[1], after)
        inside = values[:, first - start : last - start]
        return Strip(inside + strip_of(after, first, last, strip.which), first, strip.which)

    def _add(self, change: Tensor, values: Tensor) -> None:
        """Add to ``values`` [n, width + reach, out] what the kernel makes of ``change`` [n, width, in]."""
        n, changed, _ = change.shape
        taps = (change.flatten(0, 1) @ self.weight).view(n, changed, self.width, self.outputs)
        for tap in range(self.width):
            first = (self.width - 1 - tap) * self.dilation
            values[:, first : first + changed] += taps[:, :, tap]


class MaxPooling(Step):
    """Maxima over cells without padding; cells may overlap or leave gaps."""

    def __init__(self, layer: nn.MaxPool1d) -> None:
        super().__init__(layer)
        self.size, self.stride = _single(layer.kernel_size), _single(layer.stride)

    def patch(self, patch: Patch, before: Tensor, after: Tensor) -> Patch:
        """Take the maxima of every cell that the patch touches."""
        n, width, channels = patch.values.shape
        first = torch.div(patch.starts - self.size + self.stride, self.stride, rounding_mode="floor")
        last = torch.div(patch.starts + width - 1, self.stride, rounding_mode="floor")
        cells = max(int((last - first).max()) + 1, 1)
        places = (first[:, None, None] + torch.arange(cells)[:, None]) * self.stride + torch.arange(self.size)
        inside = places - patch.starts[:, None, None]
        row = torch.arange(n)[:, None, None] * width + inside
        row = torch.where((inside >= 0) & (inside < width), row, n * width + places.clamp(0, len(before) - 1))
        rows = torch.cat([patch.values.flatten(0, 1), before])
        found = rows.index_select(0, row.flatten().to(rows.device))
        return Patch(found.view(n, cells, self.size, channels).amax(dim=2), first)

    def strip(self, strip: Strip, before: Tensor, after: Tensor) -> Strip:
        """Take the maxima of every cell that the strip touches."""
        first = (strip.start - self.size) // self.stride + 1
        first, last = _inside(first, (strip.stop - 1) // self.stride + 1, after)
        start, stop = first * self.stride, (last - 1) * self.stride + self.size
        if last == first:
            return Strip(strip.values[:, :0], first, strip.which)
        values = strip_of(before, start, stop, strip.which)
        low, high = max(strip.start, start), min(strip.stop, stop)
        values[:, low - start : high - start] = strip.values[:, low - strip.start : high - strip.start]
        return Strip(values.unfold(1, self.size, self.stride).amax(dim=3), first, strip.which)


def steps_of(layers: Iterable[nn.Module]) -> tuple[list[Step], list[nn.Module]]:
    """Split layers, in their order, into the chain at their beginning and what follows it.

    Args:
        layers: The layers; a ``Sequential`` among them counts as its layers.

    Returns:
        The steps, and the layers from the first one on that no step is known for.
    """
    flat = [inner for layer in layers for inner in _flat(layer)]
    steps: list[Step] = []
    for place, layer in enumerate(flat):
        step = _step(layer)
        if step is None:
            return steps, flat[place:]
        steps.append(step)
    return steps, []


def walk(steps: Sequence[Step], references: Sequence[Tensor], patch: Patch) -> Patch:
    """Take a patch over the input through all steps.

    Args:
        steps: The chain.
        references: The reference input, and the reference output of each step.
        patch: A patch over the input.
    """
    for step, before, after in zip(steps, references[:-1], references[1:], strict=True):
        patch = step.patch(patch, before, after)
    return patch


def strip_of(reference: Tensor, start: int, stop: int, which: Tensor) -> Tensor:
    """Copy positions of some windows of ``reference`` [windows, channels, positions], [n, positions, channels]."""
    return reference[:, :, start:stop].transpose(1, 2).contiguous().index_select(0, which)


def _inside(start: int, stop: int, layer: Tensor) -> tuple[int, int]:
    """The part of a range of positions that lies inside ``layer`` [windows, channels, positions]."""
    first = min(max(start, 0), layer.shape[2])
    return first, max(first, min(stop, layer.shape[2]))


def _flat(layer: nn.Module) -> list[nn.Module]:
    # A subclass may have a forward of its own: only a plain Sequential is surely its layers in a row.
    if type(layer) is nn.Sequential:
        return [inner for child in layer for inner in _flat(child)]
    return [layer]


def _step(layer: nn.Module) -> Step | None:
    kind = type(layer)
    if kind in POINTWISE:
        return Pointwise(layer)
    if isinstance(layer, nn.BatchNorm1d) and kind is nn.BatchNorm1d and layer.running_mean is not None:
        return Normalization(layer)
    if isinstance(layer, nn.Conv1d) and kind is nn.Conv1d:
        simple = layer.stride == (1,) and layer.groups == 1 and layer.padding_mode == "zeros"
        return Convolution(layer) if simple else None
    if isinstance(layer, nn.MaxPool1d) and kind is nn.MaxPool1d:
        plain = _single(layer.padding) == 0 and _single(layer.dilation) == 1
        return MaxPooling(layer) if plain and not layer.ceil_mode and not layer.return_indices else None
    return None


def _single(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]


def _rows(reference: Tensor, places: Tensor) -> Tensor:
    """Rows of ``reference`` [positions, channels] at ``places`` [n, width], the nearest one for those outside."""
    index = places.clamp(0, len(reference) - 1).to(reference.device)
    return reference.index_select(0, index.flatten()).view(*places.shape, reference.shape[1])
