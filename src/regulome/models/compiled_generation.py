"""Character networks of one kind, as arrays for the kernel that draws letters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from regulome.models.char_networks import CharClockwork, CharGRU, CharLSTM, CharNetwork, CharRNN
from regulome.models.recurrent import share_out
from regulome.models.text_recurrence import State

Codes = npt.NDArray[np.uint8]
Floats = npt.NDArray[Any]

# The kernel's numbers of the cells.
_CELLS: dict[type[nn.Module], int] = {CharRNN: 0, CharLSTM: 1, CharGRU: 2, CharClockwork: 3}
# Texts that are computed together by one thread; the number of threads has no part in it.
_BLOCK = 16


def compiles(networks: Sequence[nn.Module]) -> bool:
    """Tell whether the kernel can run these networks together: the same class, and the same sizes."""
    setting = [
        (type(network), network.layers, network.hidden, getattr(network, "periods", ()))
        for network in networks
        if isinstance(network, CharNetwork) and type(network) in _CELLS
    ]
    return len(setting) == len(networks) and setting == setting[:1] * len(setting)


class Compiled:
    """Draws letters from networks that :func:`compiles` lets pass, on the CPU, with copies of their weights.

    Args:
        members: The networks.
        states: Their states; None where a text begins.
        letters: The letters to read next, uint8 [text].
        temperature: See :func:`regulome.models.generation.generate`.
    """

    def __init__(
        self, members: Sequence[nn.Module], states: Sequence[State | None], letters: Codes, temperature: float
    ) -> None:
        networks = [member for member in members if isinstance(member, CharNetwork)]
        first = networks[0]
        self.cell, self.temperature = _CELLS[type(first)], temperature
        self.periods = np.array(getattr(first, "periods", (1,)), np.int64)
        with torch.no_grad():
            self.weights = [_stack(parts) for parts in zip(*(_weights(network) for network in networks), strict=True)]
            known = [
                network.initial_state(len(letters)) if state is None else state
                for network, state in zip(networks, states, strict=True)
            ]
            # The second part of a state is an LSTM's cells, or the time of a clock, which is the same everywhere.
            self.time = int(known[0][1][0]) if isinstance(first, CharClockwork) else 0
            parts = [[state[0] for state in known], [state[1 if isinstance(first, CharLSTM) else 0] for state in known]]
            kept = [np.ascontiguousarray(_stack(part).swapaxes(1, 2)) for part in parts]
        rows = [slice(begin, begin + _BLOCK) for begin in range(0, len(letters), _BLOCK)]
        self.blocks: list[tuple[slice, Floats, Floats, Codes]] = [
            (r, kept[0][:, :, r].copy(), kept[1][:, :, r].copy(), letters[r].copy()) for r in rows
        ]

    def write(self, uniforms: npt.NDArray[np.float64]) -> Codes | None:
        """Draw as many letters [letter, text] as there are numbers; None where an answer is not a number."""
        # Compilers are slow to import, and only this needs them.
        from regulome.models.generation_kernel import draw

        drawn = np.empty(uniforms.shape, np.uint8)
        fine = [True] * len(self.blocks)

        def work(task: int) -> None:
            rows, h, c, letters = self.blocks[task]
            here = np.empty((len(uniforms), len(letters)), np.uint8)
            numbers = np.ascontiguousarray(uniforms[:, rows])
            arguments: tuple[Any, ...] = (*self.weights, h, c, letters, numbers, here)
            fine[task] = draw(self.cell, self.periods, self.time, self.temperature, *arguments)
            drawn[:, rows] = here

        share_out(work, len(self.blocks), uniforms.size)
        self.time += len(uniforms)
        return drawn if all(fine) else None


def _stack(parts: Iterable[Tensor]) -> Floats:
    """Stack tensors as numbers that the kernel computes with: float64 if they are, else float32."""
    stacked = torch.stack([part.cpu() for part in parts])
    return np.ascontiguousarray((stacked if stacked.dtype == torch.float64 else stacked.float()).numpy())


def _weights(network: CharNetwork) -> list[Tensor]:
    """Return what :func:`regulome.models.generation_kernel.draw` takes, of one network."""
    layers: Any = network.recurrent
    if isinstance(network, CharClockwork):
        into = [layer.weight_ih for layer in layers]
        into_bias = [layer.bias for layer in layers]
        across = [layer.recurrent_weights() for layer in layers]
        across_bias = [torch.zeros_like(bias) for bias in into_bias]
    else:
        kinds = ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
        into, into_bias, across, across_bias = (
            [getattr(layers, f"{kind}_l{i}") for i in range(network.layers)] for kind in kinds
        )
    first = network.letters.table() @ into[0].T + into_bias[0]
    return [
        first,
        # Networks of one layer have none of these; the kernel wants an array all the same.
        torch.stack([weight.T for weight in into[1:]]) if into[1:] else first.new_zeros(0, 1, 1),
        torch.stack(into_bias[1:]) if into[1:] else first.new_zeros(0, 1),
        torch.stack([weight.T for weight in across]),
        torch.stack(across_bias),
        network.answer.weight.T,
        network.answer.bias,
    ]
