"""Windows scored together with substitutions in their middle: what a substitution leaves as it was is reused."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.explain.chain import Strip
from regulome.explain.chain_ends import End
from regulome.explain.saturation import end_behind, network_of, parts_of
from regulome.models.modes import evaluating
from regulome.models.one_hot import OneHot
from regulome.training.scorer import Scorer, mean_log_odds, mean_output
from regulome.training.strands import reverse_complement

Floats = npt.NDArray[np.float32]
#: A chain whose answer is further than this (relative to the largest output) from the model's own is not the model.
_SAME = 1e-3


class SubstitutionScorer:
    """Scores windows and, with each, substitutions of one letter at a position that all windows share.

    The windows go through the whole network. A substitution reaches few positions of a convolution: only these are
    computed for it, for all windows of a batch at once, as :class:`regulome.explain.saturation.Saturator` does for all
    positions of one window; there it stands which networks allow this. The results are those of scoring every window
    with its substitution, up to the rounding of sums in another order.

    In every call each model's answers for one window and one of its substitutions are compared with its own.

    Memory and device: works where the scorer's models are, with a batch of its windows at a time; one layer of all of
    them, and a copy of a large Linear behind the convolutions for each model.

    Args:
        scorer: The models, and how their answers are averaged.

    Attributes:
        possible: Whether the models are, as far as is known, such networks.
    """

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self._chains = [_Chain(model) for model in scorer.models]
        self.possible = all(chain.parts is not None for chain in self._chains)

    def __call__(
        self,
        windows: npt.NDArray[np.uint8],
        position: int,
        which: npt.NDArray[np.int64],
        letters: npt.NDArray[np.uint8],
    ) -> tuple[Floats, Floats] | None:
        """Score windows and substitutions.

        Args:
            windows: Codes, uint8 [windows, length].
            position: The position that is substituted.
            which: Window of each substitution, int64 [n].
            letters: The letter that is put there, uint8 [n], 0 to 3.

        Returns:
            Log odds of the mean probability (or mean values), float32 [windows, targets] and [n, targets]; None where
            the models are not what they seemed (then ``possible`` is False from now on).

        Raises:
            InputError: The model's answer is not finite.
        """
        order = np.argsort(which, kind="stable")
        size, device = self.scorer.batch_size, self.scorer.device
        begins = np.searchsorted(which[order], np.arange(0, len(windows) + size, size))
        targets = len(self.scorer.target_names)
        found = np.empty((len(windows), targets), np.float32), np.empty((len(which), targets), np.float32)
        with evaluating(self.scorer.models), torch.inference_mode():
            for number, begin in enumerate(range(0, len(windows), size)):
                rows = order[begins[number] : begins[number + 1]]
                outputs = self._outputs(
                    not number,
                    torch.from_numpy(windows[begin : begin + size]).to(device),
                    position,
                    torch.from_numpy(which[rows] - begin).to(device),
                    torch.from_numpy(letters[rows].astype(np.int64)).to(device),
                )
                answers = list(outputs)
                if len(answers) < len(self.scorer.models) * (1 + self.scorer.both_strands):
                    self.possible = False
                    return None
                mean = mean_log_odds if self.scorer.task == "classification" else mean_output
                found[0][begin : begin + size] = mean(window for window, _ in answers).cpu().numpy()
                found[1][rows] = mean(changed for _, changed in answers).cpu().numpy()
        if not all(math.isfinite(one.sum(dtype=np.float64)) for one in found):
            raise InputError("the model's answer is not a finite number", cure="train again; its weights are damaged")
        return found

    def _outputs(
        self, compare: bool, codes: Tensor, position: int, which: Tensor, letters: Tensor
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Give each member's outputs for each strand; nothing more once a model is not what it seemed."""
        strands = [(codes, position, letters)]
        if self.scorer.both_strands:
            strands.append((reverse_complement(codes), codes.shape[1] - 1 - position, 3 - letters))
        for chain in self._chains:
            for strand, place, new in strands:
                found = chain.outputs(strand, place, which, new, compare=compare and strand is codes)
                if found is None:
                    return
                yield found


class _Chain:
    """A model as a chain of layers and what follows it; ``parts`` is None where it is none."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        network, unknown = network_of(model)
        self.parts = parts_of(network)
        device = next((p.device for p in model.parameters()), None)
        self._one_hot = OneHot(unknown).to(device, next((p.dtype for p in model.parameters()), torch.float32))
        self._end: tuple[torch.Size, End | None] | None = None

    def outputs(
        self, codes: Tensor, position: int, which: Tensor, letters: Tensor, *, compare: bool
    ) -> tuple[Tensor, Tensor] | None:
        """Outputs of windows [windows, targets] and of substitutions [n, targets]; None where it is not the model."""
        if self.parts is None:
            return None
        found = self._walk(codes, position, which, letters)
        if found is None or (compare and not self._agrees(found, codes, position, which, letters)):
            self.parts = None
            return None
        return found[0].float(), found[1].float()

    def _walk(self, codes: Tensor, position: int, which: Tensor, letters: Tensor) -> tuple[Tensor, Tensor] | None:
        assert self.parts is not None
        steps, rest = self.parts
        before = self._one_hot(codes)
        new = torch.eye(4, dtype=before.dtype, device=before.device)[letters]
        strip = Strip(new[:, None], position, which)
        try:
            for step in steps:
                # What a layer that works in place makes of its input is no longer asked for: none of them pools.
                after = step.layer(before)
                strip = step.strip(strip, before, after)
                before = after
            shape = before.shape[1:]
            if self._end is None or self._end[0] != shape:
                self._end = shape, end_behind(rest, shape[1], shape[0])
            end = self._end[1]
            return None if end is None else end.strip(strip, before)
        except RuntimeError:  # layers that do not fit together: the forward does something between them
            return None

    def _agrees(
        self, found: tuple[Tensor, Tensor], codes: Tensor, position: int, which: Tensor, letters: Tensor
    ) -> bool:
        """Compare the first window and its substitution with what the model itself says to them."""
        row = int(which[0]) if len(which) else 0
        some = codes[[row, row]]
        ours = torch.stack([found[0][row], found[1][0] if len(which) else found[0][row]])
        if len(which):
            some[1, position] = letters[0]
        own = self.model(some)
        if not isinstance(own, Tensor) or own.shape != ours.shape:
            return False
        return bool(((ours - own).abs() <= _SAME * own.abs().clamp(min=1)).all())
