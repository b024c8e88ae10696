"""Against the exact distribution of a small Markov source, and the compiled kernel against single steps."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from regulome import models
from regulome.errors import InputError
from regulome.models import compiled_generation, generation
from regulome.models.generation import generate, generate_pieces
from regulome.models.text_predictor import TextPredictor

SMALL = {
    "char-rnn": {"hidden": 12},
    "char-lstm": {"hidden": 10},
    "char-gru": {"hidden": 17},
    "char-clockwork": {"hidden": 12, "periods": [1, 2, 5]},
}


class OfOrderTwo(nn.Module):
    """Its answers are those of a table [4 · the letter before the last + the last, 4]; its state is the last letter."""

    def __init__(self, chances: Tensor) -> None:
        super().__init__()
        self.register_buffer("logits", chances.log())
        self.modes: set[bool] = set()

    def forward(self, codes: Tensor, state: Any = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        self.modes.add(self.training)
        before = torch.zeros(len(codes), 1, dtype=torch.int64) if state is None else state[0]
        letters = torch.cat((before, codes.long()), dim=1)
        return self.logits[4 * letters[:, :-1] + letters[:, 1:]], (letters[:, -1:],)


def random_chances(seed: int) -> Tensor:
    return torch.softmax(2 * torch.randn(16, 4, generator=torch.Generator().manual_seed(seed)), dim=1)


def network(name: str, seed: int = 0, **hyperparameters: Any) -> nn.Module:
    torch.manual_seed(seed)
    made = models.create(name, embedding=3, **{**SMALL[name], **hyperparameters}).double()
    with torch.no_grad():
        # Answers that depend on what was read.
        made.answer.weight.mul_(8)
    return made


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def prompt(texts: int = 3, letters: int = 7) -> np.ndarray:
    return rng(5).integers(0, 4, (texts, letters), np.uint8)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_distribution_of_a_markov_source(temperature: float) -> None:
    chances = random_chances(1)
    drawn = generate(OfOrderTwo(chances), prompt(2000, 3), 60, temperature=temperature, rng=rng())
    letters = np.concatenate((prompt(2000, 3)[:, -2:], drawn), axis=1).astype(np.int64)
    words = 16 * letters[:, :-2] + 4 * letters[:, 1:-1] + letters[:, 2:]
    counts = np.bincount(words.ravel(), minlength=64).reshape(16, 4)
    exact = chances.double().numpy() ** (1 / temperature)
    expected = exact / exact.sum(axis=1, keepdims=True) * counts.sum(axis=1, keepdims=True)
    assert counts.sum() == 120_000
    # Chi-squared with 48 degrees of freedom is above 94 once in ten thousand times.
    assert ((counts - expected) ** 2 / expected).sum() < 94


def test_members_are_averaged() -> None:
    one, other = random_chances(1), random_chances(2)
    together = generate([OfOrderTwo(one), OfOrderTwo(other)], prompt(), 500, rng=rng())
    assert np.array_equal(together, generate(OfOrderTwo((one + other) / 2), prompt(), 500, rng=rng()))


def test_temperature_zero_takes_the_most_likely_letter() -> None:
    chances = random_chances(3)
    drawn = generate(OfOrderTwo(chances), prompt(), 30, temperature=0, rng=rng())
    for text, begin in zip(drawn, prompt(), strict=True):
        a, b = (int(letter) for letter in begin[-2:])
        for letter in text:
            assert letter == chances[4 * a + b].argmax()
            a, b = b, int(letter)


def test_impossible_letters_are_never_drawn() -> None:
    chances = torch.tensor([0.0, 0.5, 0.0, 0.5]).repeat(16, 1)
    for temperature in (0.3, 1.0, 5.0):
        drawn = generate(OfOrderTwo(chances), prompt(), 300, temperature=temperature, rng=rng())
        assert set(np.unique(drawn)) == {1, 3}


@pytest.mark.parametrize(("layers", "mapping"), [(1, "integer"), (2, "one-hot"), (3, "embedding")])
@pytest.mark.parametrize("name", list(SMALL))
def test_kernel_equals_single_steps(name: str, layers: int, mapping: str, monkeypatch: pytest.MonkeyPatch) -> None:
    members = [network(name, seed, layers=layers, mapping=mapping) for seed in range(2)]
    # 33 texts are three blocks, one of them a single text.
    asked = [(prompt(1, 0), 1.0), (prompt(2, 1), 0.0), (prompt(33, 6), 0.7)]
    ours = [generate(members, begin, 25, temperature=t, rng=rng()) for begin, t in asked]
    assert compiled_generation.compiles(members)
    monkeypatch.setattr(generation, "compiles", lambda _: False)
    theirs = [generate(members, begin, 25, temperature=t, rng=rng()) for begin, t in asked]
    for one, other in zip(ours, theirs, strict=True):
        assert np.array_equal(one, other)
    assert len(np.unique(ours[0])) > 1


@pytest.mark.parametrize("name", list(SMALL))
def test_letters_are_as_likely_as_the_network_says(name: str) -> None:
    made = network(name, seed=3).float()
    drawn = generate(TextPredictor(made), prompt(40, 4), 200, rng=rng())
    with torch.no_grad():
        logits, _ = made(torch.from_numpy(np.concatenate((prompt(40, 4), drawn), axis=1)))
    log_p = logits[:, 3:-1].double().log_softmax(dim=2)
    own = log_p.gather(2, torch.from_numpy(drawn).long()[..., None])[..., 0]
    entropy = -(log_p.exp() * log_p).sum(dim=2)
    # What its own letters cost is, but for chance, what it expects them to cost.
    surprise = -own - entropy
    assert abs(float(surprise.mean())) < 4 * float(surprise.std()) / 8000**0.5
    greedy = generate(made, prompt(5, 4), 40, temperature=0, rng=rng())
    with torch.no_grad():
        logits, _ = made(torch.from_numpy(np.concatenate((prompt(5, 4), greedy), axis=1)))
    assert np.array_equal(logits[:, 3:-1].argmax(dim=2).numpy(), greedy)


@pytest.mark.parametrize("made", [network("char-gru"), OfOrderTwo(random_chances(4))], ids=["gru", "markov"])
def test_same_letters_again_in_pieces_and_of_a_longer_text(made: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    first = generate(made, prompt(), 100, rng=rng())
    assert first.shape == (3, 100)
    assert first.dtype == np.uint8
    assert np.array_equal(first, generate(made, prompt(), 100, rng=rng()))
    assert not np.array_equal(first, generate(made, prompt(), 100, rng=rng(1)))
    assert np.array_equal(first[:, :37], generate(made, prompt(), 37, rng=rng()))
    monkeypatch.setattr(generation, "_PIECE", 60)
    pieces = list(generate_pieces(made, prompt(), 100, rng=rng()))
    assert [piece.shape[1] for piece in pieces] == [20] * 5
    assert np.array_equal(first, np.concatenate(pieces, axis=1))
    monkeypatch.setattr(generation, "_STEP", 2)
    assert np.array_equal(first, generate(made, prompt(), 100, rng=rng()))


def test_networks_are_left_as_they_were() -> None:
    made = network("char-lstm", dropout=0.5)
    made.answer.eval()
    before = {name: part.clone() for name, part in made.state_dict().items()}
    begin = prompt()
    drawn = generate(made, begin, 50, rng=rng())
    assert made.training
    assert not made.answer.training
    assert all(torch.equal(part, before[name]) for name, part in made.state_dict().items())
    assert np.array_equal(begin, prompt())
    assert all(parameter.requires_grad for parameter in made.parameters())
    assert np.array_equal(drawn, generate(made.eval(), begin, 50, rng=rng()))
    other = OfOrderTwo(random_chances(1))
    pieces = generate_pieces(other, prompt(), 10, rng=rng())
    next(pieces)
    assert other.modes == {False}
    assert other.training
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_ensembles_of_several_kinds() -> None:
    members = [network("char-gru"), network("char-rnn")]
    assert not compiled_generation.compiles(members)
    assert generate(members, prompt(), 5, rng=rng()).shape == (3, 5)
    assert not compiled_generation.compiles([network("char-gru"), network("char-gru", hidden=9)])


def test_nothing_to_write() -> None:
    assert generate(network("char-rnn"), prompt(), 0, rng=rng()).shape == (3, 0)


@pytest.mark.parametrize(
    ("begin", "length", "temperature", "match"),
    [
        (prompt(), -1, 1.0, "`length` to be an integer of at least 0"),
        (prompt(), 5, -0.5, r"`temperature` to be a number in \[0, inf\)"),
        (prompt(), 5, float("nan"), "`temperature` to be a number"),
        (prompt()[0], 5, 1.0, "expected a prompt of codes"),
        (prompt(0, 4), 5, 1.0, "expected a prompt of codes"),
        (prompt() + 4, 5, 1.0, "expected a prompt of codes"),
        (prompt().astype(float), 5, 1.0, "expected a prompt of codes"),
    ],
)
def test_values_out_of_range(begin: np.ndarray, length: int, temperature: float, match: str) -> None:
    with pytest.raises(InputError, match=match):
        generate(network("char-rnn"), begin, length, temperature=temperature, rng=rng())


@pytest.mark.parametrize("compiled", [True, False])
def test_damaged_weights(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    made = network("char-gru")
    with torch.no_grad():
        made.answer.bias[2] = float("nan")
    monkeypatch.setattr(generation, "compiles", lambda _: compiled)
    with pytest.raises(InputError, match="not a finite number"):
        generate(made, prompt(), 5, rng=rng())
    with pytest.raises(InputError, match="no network"):
        generate([], prompt(), 5, rng=rng())
