"""Language networks: read a text letter by letter and say at each which one comes next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.models.clockwork_layer import ClockworkLayer
from regulome.models.hyperparameters import check_count, check_number
from regulome.models.letter_mapping import LetterMapping, check_codes
from regulome.models.registry import Paper, register
from regulome.models.text_recurrence import State, recurrence

PAPER = Paper(
    "Zhang JM, Kamath GM",
    "Learning the Language of the Genome using RNNs",
    "Stanford University, CS224d project report",
    2016,
)


class CharNetwork(nn.Module):
    """What all language networks have: letters → recurrent layers → a Linear that gives four logits.

    Args:
        layers: Number of recurrent layers; published are 2 and 3.
        hidden: Hidden units of a layer.
        mapping: How a letter is seen: "embedding", "one-hot" or "integer", see
            :class:`~regulome.models.letter_mapping.LetterMapping`.
        embedding: Size of the learned vectors of the mapping "embedding".
        dropout: Share of each layer's output that is dropped, for the layer above and for the Linear; published is 0.

    Raises:
        InputError: A value is out of range.
    """

    #: Most of its work is in the recurrence; see :func:`regulome.models.recurrent.threads_for`.
    own_threads = True

    def __init__(
        self,
        *,
        layers: int = 2,
        hidden: int = 128,
        mapping: str = "embedding",
        embedding: int = 32,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.layers = check_count("layers", layers)
        self.hidden = check_count("hidden", hidden)
        self.letters = LetterMapping(mapping, embedding)
        self.dropout = nn.Dropout(check_number("dropout", dropout, low=0, high=1))
        self.answer = nn.Linear(hidden, 4)

    def forward(self, codes: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Say at each letter which one comes next.

        Args:
            codes: Letters [batch, letter], integers: A, C, G, T = 0 … 3, and 4 where no letter is known.
            state: What the last call gave, if the text goes on here; None where it begins. Gradients flow through it
                into the call before, unless it is detached.

        Returns:
            Logits [batch, letter, 4] of the letter after each, given all letters up to it; and the state after the
            last one.

        Raises:
            InputError: The codes are not integers [batch, letter], or the state is that of another batch.
        """
        check_codes(codes)
        state = self._checked(state, codes)
        outputs, state = self._read(codes, state)
        return torch.as_tensor(self.answer(self.dropout(outputs))), state

    def initial_state(self, batch: int, device: torch.device | str | None = None) -> State:
        """Return the state before the first letter, the one that ``state=None`` means.

        Args:
            batch: Number of texts.
            device: Where the codes are; None for where the network is.
        """
        weight = self.answer.weight
        empty = torch.zeros(batch, self.layers, self.hidden, device=device or weight.device, dtype=weight.dtype)
        return self._initial(empty)

    def _initial(self, empty: Tensor) -> State:
        return (empty,)

    def _read(self, codes: Tensor, state: State) -> tuple[Tensor, State]:
        raise TypeError("a network without layers")

    def _checked(self, state: State | None, codes: Tensor) -> State:
        expected = self.initial_state(len(codes), codes.device)
        if state is None:
            return expected
        shapes = [tuple(part.shape) for part in state]
        if shapes != [tuple(part.shape) for part in expected]:
            raise InputError(f"expected a state of {[tuple(part.shape) for part in expected]}, but got {shapes}")
        return state


class _OfCells(CharNetwork):
    """A network whose layers are one module of torch, ``recurrent``."""

    cell: ClassVar[type[nn.RNN] | type[nn.LSTM] | type[nn.GRU]]

    def __init__(
        self,
        *,
        layers: int = 2,
        hidden: int = 128,
        mapping: str = "embedding",
        embedding: int = 32,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(layers=layers, hidden=hidden, mapping=mapping, embedding=embedding, dropout=dropout)
        between = dropout if layers > 1 else 0.0
        self.recurrent = self.cell(self.letters.width, hidden, layers, batch_first=True, dropout=between)

    def _read(self, codes: Tensor, state: State) -> tuple[Tensor, State]:
        return recurrence(self.recurrent, self.letters(codes), state)


@register("char-rnn", title="Character RNN", paper=PAPER, line="language", inputs="text", sizes={})
class CharRNN(_OfCells):
    """Simple RNN: h(t) = tanh(W x(t) + b + V h(t − 1) + c). By default 2 layers of 128 units, 54,404 parameters.

    Args:
        layers: Number of recurrent layers.
        hidden: Hidden units of a layer.
        mapping: How a letter is seen: "embedding", "one-hot" or "integer".
        embedding: Size of the embedding.
        dropout: Share of each layer's output that is dropped.

    Raises:
        InputError: A value is out of range.
    """

    cell = nn.RNN


@register("char-lstm", title="Character LSTM", paper=PAPER, line="language", inputs="text", sizes={})
class CharLSTM(_OfCells):
    """LSTM in torch's form (Gers et al. 2000), with two biases per gate. By default 215,684 parameters.

    Its state has two parts, h and c.

    Args:
        layers: Number of recurrent layers.
        hidden: Hidden units of a layer.
        mapping: How a letter is seen: "embedding", "one-hot" or "integer".
        embedding: Size of the embedding.
        dropout: Share of each layer's output that is dropped.

    Raises:
        InputError: A value is out of range.
    """

    cell = nn.LSTM

    def _initial(self, empty: Tensor) -> State:
        return empty, empty.clone()


@register("char-gru", title="Character GRU", paper=PAPER, line="language", inputs="text", sizes={})
class CharGRU(_OfCells):
    """GRU (Cho et al. 2014) in torch's form, with two biases per gate. By default 161,924 parameters.

    Args:
        layers: Number of recurrent layers.
        hidden: Hidden units of a layer.
        mapping: How a letter is seen: "embedding", "one-hot" or "integer".
        embedding: Size of the embedding.
        dropout: Share of each layer's output that is dropped.

    Raises:
        InputError: A value is out of range.
    """

    cell = nn.GRU


@register("char-clockwork", title="Character Clockwork RNN", paper=PAPER, line="language", inputs="text", sizes={})
class CharClockwork(CharNetwork):
    """Clockwork layers (Koutník et al. 2014): the units of a module are computed at every T-th letter only.

    By default 2 layers of 128 units in 4 modules: 41,860 parameters.

    The clock counts the letters since the text began, so it is a part of the state: int64 [batch], modulo the time
    after which all periods meet again. Texts of one batch may stand at different times; those that stand at the same
    time are computed together, so that it costs nothing where all do.

    Args:
        layers: Number of recurrent layers.
        hidden: Hidden units of a layer; a multiple of the number of periods.
        periods: Period T of each module of units, rising; the same in all layers.
        mapping: How a letter is seen: "embedding", "one-hot" or "integer".
        embedding: Size of the embedding.
        dropout: Share of each layer's output that is dropped.

    Raises:
        InputError: A value is out of range.
    """

    def __init__(
        self,
        *,
        layers: int = 2,
        hidden: int = 128,
        periods: Sequence[int] = (1, 2, 4, 8),
        mapping: str = "embedding",
        embedding: int = 32,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(layers=layers, hidden=hidden, mapping=mapping, embedding=embedding, dropout=dropout)
        widths = [self.letters.width, *[hidden] * (layers - 1)]
        self.recurrent = nn.ModuleList(
            ClockworkLayer(width, hidden, periods=periods, batch_first=True) for width in widths
        )
        self.between = nn.ModuleList(nn.Dropout(dropout) for _ in range(layers - 1))
        self.periods = self.recurrent[0].periods
        self.cycle = math.lcm(*periods)

    def _initial(self, empty: Tensor) -> State:
        return empty, torch.zeros(len(empty), dtype=torch.int64, device=empty.device)

    def _read(self, codes: Tensor, state: State) -> tuple[Tensor, State]:
        states, clock = state
        x = self.letters(codes)
        after = (clock + codes.shape[1]) % self.cycle
        times = torch.unique(clock).tolist()
        if len(times) == 1:
            x, states = self._in_step(x, states, times[0])
            return x, (states, after)
        groups = [(clock == time).nonzero()[:, 0] for time in times]
        parts = [self._in_step(x[rows], states[rows], time) for rows, time in zip(groups, times, strict=True)]
        back = torch.cat(groups).argsort()
        x, states = (torch.cat(part)[back] for part in zip(*parts, strict=True))
        return x, (states, after)

    def _in_step(self, x: Tensor, states: Tensor, time: int) -> tuple[Tensor, Tensor]:
        """Run the layers over texts whose clocks show the same time."""
        after = []
        for i, layer in enumerate(self.recurrent):
            if i:
                x = self.between[i - 1](x)
            x, last = layer(x, states[None, :, i], offset=time)
            after.append(last[0])
        return x, torch.stack(after, dim=1)
