"""New text from language networks: letters drawn one after the other, each given all before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from regulome.errors import InputError
from regulome.models.compiled_generation import Compiled, compiles
from regulome.models.hyperparameters import check_count, check_number
from regulome.models.letter_mapping import NO_LETTER
from regulome.models.modes import evaluating
from regulome.models.text_predictor import TextPredictor
from regulome.models.text_recurrence import State

Codes = npt.NDArray[np.uint8]

# Letters that are drawn at a time, of all texts together: half a second's work.
_PIECE = 32_768
# Letters of a prompt that are read at a time.
_STEP = 1000


def generate(
    networks: nn.Module | Sequence[nn.Module],
    prompt: npt.ArrayLike,
    length: int,
    *,
    temperature: float = 1.0,
    rng: np.random.Generator,
) -> Codes:
    """Let networks write on.

    The same networks, prompt and state of ``rng`` give the same letters, whatever the number of threads; a longer
    text begins with the shorter one.

    Memory and device: the networks are left as they were found. Those of this package (character RNN, LSTM, GRU and
    Clockwork, all of one kind and size) are run by a compiled kernel on the CPU, wherever they are; all others letter
    by letter where they are.

    Args:
        networks: A network, or the members of an ensemble, whose probabilities are averaged: each from codes [b, l]
            and a state (None at the beginning) to logits [b, l, 4] and the state after the last letter.
        prompt: Codes [text, letter], 0 … 3 and 4 where no letter is known: what comes before. It may have no letter;
            then the texts begin.
        length: Letters to draw for each text.
        temperature: Each letter is drawn from p^(1/temperature), made to sum up to 1: below 1 the likely letters
            become more likely. 0 takes the most likely letter.
        rng: Gives one number per letter and text.

    Returns:
        The new letters, without the prompt, uint8 [text, length].

    Raises:
        InputError: A value is out of range, or a network's answer is not a number.
    """
    pieces = list(generate_pieces(networks, prompt, length, temperature=temperature, rng=rng))
    return np.concatenate(pieces, axis=1) if pieces else np.empty((len(np.asarray(prompt)), 0), np.uint8)


def generate_pieces(
    networks: nn.Module | Sequence[nn.Module],
    prompt: npt.ArrayLike,
    length: int,
    *,
    temperature: float = 1.0,
    rng: np.random.Generator,
) -> Iterator[Codes]:
    """Let networks write on, and give what is ready piece by piece; see :func:`generate`.

    Args:
        networks: See :func:`generate`, as for the other arguments.
        prompt: Codes [text, letter].
        length: Letters to draw for each text.
        temperature: See there.
        rng: Gives one number per letter and text.

    Yields:
        The next letters of all texts, uint8 [text, some].

    Raises:
        InputError: A value is out of range, or a network's answer is not a number.
    """
    given = [networks] if isinstance(networks, nn.Module) else list(networks)
    members = [network.network if isinstance(network, TextPredictor) else network for network in given]
    if not members:
        raise InputError("there is no network to write a text with")
    check_count("length", length, minimum=0)
    temperature = check_number("temperature", temperature, low=0)
    codes = np.asarray(prompt)
    if codes.ndim != 2 or not len(codes) or codes.dtype.kind not in "iu" or (codes.size and not _known(codes)):
        raise InputError(f"expected a prompt of codes 0 … {NO_LETTER} [text, letter], at least one text")
    if not codes.shape[1]:
        codes = np.full((len(codes), 1), NO_LETTER)
    codes = codes.astype(np.uint8)
    kind = Compiled if compiles(members) else _LetterByLetter
    writer = kind(members, _read(members, codes[:, :-1]), codes[:, -1], temperature)
    piece = max(1, _PIECE // len(codes))
    for begin in range(0, length, piece):
        # One row per letter, so that the numbers do not depend on the size of the pieces.
        drawn = writer.write(rng.random((min(piece, length - begin), len(codes))))
        if drawn is None:
            raise InputError("the model's answer is not a finite number", cure="train again; its weights are damaged")
        yield np.ascontiguousarray(drawn.T)


def _known(codes: npt.NDArray[Any]) -> bool:
    return bool(codes.min() >= 0) and bool(codes.max() <= NO_LETTER)


def _read(members: Sequence[nn.Module], codes: Codes) -> list[State | None]:
    """Return the networks' states after a prompt; None where it has no letter."""
    states: list[State | None] = [None] * len(members)
    with evaluating(members), torch.inference_mode():
        for begin in range(0, codes.shape[1], _STEP):
            part = torch.from_numpy(codes[:, begin : begin + _STEP])
            states = [m(part.to(_device(m)), state)[1] for m, state in zip(members, states, strict=True)]
    return states


def _device(network: nn.Module) -> torch.device:
    return next((tensor.device for tensor in (*network.parameters(), *network.buffers())), torch.device("cpu"))


class _LetterByLetter:
    """Asks any networks for one letter after the other.

    Args:
        members: The networks.
        states: Their states.
        letters: The letters to read next, uint8 [text].
        temperature: See :func:`generate`.
    """

    def __init__(
        self, members: Sequence[nn.Module], states: Sequence[State | None], letters: Codes, temperature: float
    ) -> None:
        self.members, self.states = [(member, _device(member)) for member in members], list(states)
        self.letters, self.temperature = letters.copy(), temperature

    def write(self, uniforms: npt.NDArray[np.float64]) -> Codes | None:
        """Draw as many letters [letter, text] as there are numbers; None where an answer is not a number."""
        # Compilers are slow to import, and not everyone draws letters.
        from regulome.models.generation_kernel import choose

        drawn = np.empty(uniforms.shape, np.uint8)
        with evaluating([member for member, _ in self.members]), torch.inference_mode():
            for t, numbers in enumerate(uniforms):
                codes = torch.from_numpy(self.letters[:, None])
                chances = np.zeros((len(self.letters), 4))
                for i, (member, device) in enumerate(self.members):
                    logits, self.states[i] = member(codes.to(device), self.states[i])
                    chances += logits[:, 0].double().softmax(dim=1).cpu().numpy()
                if not choose(chances / len(self.members), self.temperature, numbers, self.letters):
                    return None
                drawn[t] = self.letters
        return drawn
