"""In-silico saturation mutagenesis: what a model says when every letter of a window is replaced by every other one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.explain.as_found import network_name, untouched
from regulome.explain.chain import Patch, Step, steps_of, walk
from regulome.explain.chain_ends import End, GoOn, end_of
from regulome.explain.chain_recurrent import recurrent_end
from regulome.models.one_hot import OneHot

#: Mutants at a time: along a chain, and where the whole model is evaluated for each.
CHAIN_BATCH, PLAIN_BATCH = 256, 64
#: A chain whose answer for the window itself is further than this (relative to the largest output) from the model's
#: own is not the model.
_SAME = 1e-3


@dataclass(frozen=True)
class Saturation:
    """A model's outputs for a window and for all its substitutions.

    Attributes:
        reference: Outputs of the window itself, float32 [outputs].
        mutants: Outputs with the letter at a position replaced by A, C, G, T, float32 [positions, 4, outputs]; where
            the letter is the window's own, the reference.
        reused: Whether what a substitution cannot change was reused; False says that every mutant went through the
            whole model.
    """

    reference: NDArray[np.float32]
    mutants: NDArray[np.float32]
    reused: bool


class Saturator:
    """Computes a model's outputs for every substitution of a window, for one window after the other.

    Memory and device: works where the model is, on ``batch_size`` mutants at a time; a result takes 16 bytes per
    position and output. Where the network ends in Flatten and Linear, a copy of that Linear's weights is held as long
    as this object. The model is left as found: mode, device, ``requires_grad``, hooks, random generators. Its weights
    must not change between windows.

    A substitution reaches only a few positions of a convolution. Where the network begins with a chain of convolutions
    (stride 1), activations, batch normalisation, dropout and maximum pooling, only these positions are computed, layer
    by layer, and the rest is the window's own; behind the chain, Flatten and Linear are given the change only, a
    maximum over all positions only the patch, an LSTM goes on from the states beside the change, and anything else gets
    the whole with the patch laid over it. The results are those of evaluating every mutant, up to the rounding of sums
    in another order. Every other model is evaluated for every mutant.

    A network shows its chain by being a plain ``nn.Sequential``; or by an attribute ``convolutions``, its first layers,
    with an attribute ``head``, the layers that follow (``lstm`` between both, where there is one), or a method
    ``after_convolutions`` that goes on with their output [batch, channels, positions]. The chain's answer for each
    window is compared with the model's own, so that a network which does more than these attributes say is evaluated
    for every mutant.

    Args:
        model: From one-hot [batch, 4, length] (or, for a predictor of a sequence run, from codes) to [batch, outputs].
        reuse: False evaluates every mutant.
        batch_size: Mutants at a time; None takes what suits the way of computing.

    Raises:
        InputError: ``batch_size`` is not positive.
    """

    def __init__(self, model: nn.Module, *, reuse: bool = True, batch_size: int | None = None) -> None:
        if batch_size is not None and batch_size < 1:
            raise InputError(f"batch_size must be at least 1, but got {batch_size}")
        self.model = model
        self.batch_size = batch_size
        network, self.unknown = network_of(model)
        self._parts = parts_of(network) if reuse else None
        self._end: tuple[torch.Size, End | None] | None = None

    def __call__(
        self,
        codes: NDArray[np.uint8],
        *,
        positions: Sequence[int] | NDArray[np.integer] | None = None,
        outputs: Sequence[int] | None = None,
    ) -> Saturation:
        """Mutate a window.

        Args:
            codes: The window, uint8 [length]: A 0, C 1, G 2, T 3, unknown 4. An unknown letter is replaced by all four.
            positions: Which positions to mutate, in increasing order; None takes all.
            outputs: Which outputs to keep; None takes all.

        Returns:
            The outputs, before any sigmoid.

        Raises:
            InputError: Wrong shapes, positions outside the window, or an answer that is not finite.
        """
        window, places = _checked(codes, positions)
        with untouched(self.model) as device, torch.inference_mode():
            dtype = next((p.dtype for p in self.model.parameters() if p.is_floating_point()), torch.float32)
            letters = torch.cat([torch.eye(4), torch.full((1, 4), self.unknown)]).to(device, dtype)
            inside = letters[torch.from_numpy(window.astype(np.int64)).to(device)]
            answer = self.model(inside.T[None])
            if not isinstance(answer, Tensor) or answer.ndim != 2:
                raise InputError(f"{network_name(self.model)} does not answer [batch, outputs]")
            keep = slice(None) if outputs is None else torch.as_tensor(list(outputs), device=device)
            reference = answer[:, keep].float().cpu().numpy()[0]
            result = np.empty((len(places), 4, len(reference)), np.float32)
            result[:] = reference
            mutated = self._along_the_chain(inside, answer)
            size = self.batch_size or (CHAIN_BATCH if mutated else PLAIN_BATCH)
            position, letter = np.nonzero(np.arange(4) != window[places][:, None])
            for begin in range(0, len(position), size):
                part = slice(begin, begin + size)
                where = torch.from_numpy(places[position[part]])
                new = letters[torch.from_numpy(letter[part]).to(device)]
                found = mutated(new, where) if mutated else self.model(_mutants(inside, new, where))
                result[position[part], letter[part]] = found[:, keep].float().cpu().numpy()
        if not (math.isfinite(result.sum(dtype=np.float64)) and np.isfinite(reference).all()):
            raise InputError("the model's answer is not a finite number", cure="train again; its weights are damaged")
        return Saturation(reference, result, mutated is not None)

    def _along_the_chain(self, inside: Tensor, answer: Tensor) -> Callable[[Tensor, Tensor], Tensor] | None:
        """Run the window itself through the chain; gives None where that does not lead to the model's answer."""
        if self._parts is None:
            return None
        steps, rest = self._parts
        references = [inside]
        try:
            for step in steps:
                references.append(step.reference(references[-1]))
            shape = references[-1].shape
            if self._end is None or self._end[0] != shape:
                self._end = shape, end_behind(rest, *shape)
            end = self._end[1]
            if end is None:
                return None
            own = end.start(references[-1])
        except RuntimeError:  # layers that do not fit together: the forward does something between them
            return None
        if own.shape != answer.shape or not bool(((own - answer).abs() <= _SAME * answer.abs().clamp(min=1)).all()):
            return None
        return lambda new, where: end.outputs(walk(steps, references, Patch(new[:, None], where)))


def saturate(
    model: nn.Module,
    codes: NDArray[np.uint8],
    *,
    positions: Sequence[int] | NDArray[np.integer] | None = None,
    outputs: Sequence[int] | None = None,
    reuse: bool = True,
    batch_size: int | None = None,
) -> Saturation:
    """Compute a model's outputs for every substitution of one window: a :class:`Saturator`, used once.

    Args:
        model: See :class:`Saturator`, like ``reuse`` and ``batch_size``.
        codes: The window, uint8 [length].
        positions: Which positions to mutate, in increasing order; None takes all.
        outputs: Which outputs to keep; None takes all.
        reuse: False evaluates every mutant.
        batch_size: Mutants at a time.

    Returns:
        The outputs, before any sigmoid.

    Raises:
        InputError: Wrong shapes, positions outside the window, or an answer that is not finite.
    """
    return Saturator(model, reuse=reuse, batch_size=batch_size)(codes, positions=positions, outputs=outputs)


def _checked(
    codes: NDArray[np.uint8], positions: Sequence[int] | NDArray[np.integer] | None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    window = np.asarray(codes)
    if window.ndim != 1 or not len(window) or window.dtype != np.uint8 or int(window.max()) > 4:
        raise InputError(f"expected one window as codes 0 to 4, uint8 [length], but got {window.dtype} {window.shape}")
    places = np.arange(len(window)) if positions is None else np.asarray(positions, np.int64)
    if len(places) and (places[0] < 0 or places[-1] >= len(window) or (np.diff(places) <= 0).any()):
        raise InputError(f"expected positions from 0 to {len(window) - 1} in increasing order")
    return window, places


def _mutants(inside: Tensor, new: Tensor, where: Tensor) -> Tensor:
    """One-hot [n, 4, length] of the window [length, 4] with new letters [n, 4] at positions [n]."""
    mutants = inside.T.repeat(len(where), 1, 1)
    mutants[torch.arange(len(where), device=mutants.device), :, where.to(mutants.device)] = new
    return mutants


def network_of(model: nn.Module) -> tuple[nn.Module, float]:
    """The network inside a predictor of a sequence run, or the model itself, and what it reads for unknown letters."""
    before = getattr(model, "preprocess", None)
    if isinstance(before, OneHot):
        return getattr(model, "network", model), float(before.unknown)
    return model, float(getattr(model, "unknown", 0.0))


def parts_of(network: nn.Module) -> tuple[list[Step], list[nn.Module]] | None:
    """The chain at the beginning of a network and what follows it; None where it shows none."""
    convolutions, head = getattr(network, "convolutions", None), getattr(network, "head", None)
    go_on = getattr(network, "after_convolutions", None)
    if not isinstance(convolutions, nn.Module):
        steps, rest = steps_of([network])
    elif go_on is not None:
        steps, rest = steps_of([convolutions])
        rest = [*rest, GoOn(go_on)]
    elif isinstance(head, nn.Module):
        lstm = getattr(network, "lstm", None)
        steps, rest = steps_of([convolutions, *([lstm] if isinstance(lstm, nn.Module) else []), head])
    else:
        return None
    return (steps, rest) if any(isinstance(step.layer, nn.Conv1d) for step in steps) else None


def end_behind(rest: Sequence[nn.Module], positions: int, channels: int) -> End | None:
    """What goes on behind the chain; None for an LSTM that is read in a way of its own.

    Args:
        rest: The layers that follow the chain, as :func:`parts_of` gives them.
        positions: Positions of the chain's last layer.
        channels: Its channels.
    """
    recurrent = bool(rest) and isinstance(rest[0], nn.LSTM)
    return recurrent_end(rest, positions) if recurrent else end_of(rest, positions, channels)
