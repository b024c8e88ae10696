"""Counts, probabilities and Markov models, against plain Python and a source of known entropy."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from regulome import models
from regulome.errors import InputError
from regulome.genome.letters import pack
from regulome.models.markov import Markov, text_loss
from regulome.models.markov_counts import count_contexts
from regulome.models.markov_mixing import _maximise, add_constant, learn_weights, mix_orders


def plain_counts(pieces: list[list[int]], order: int) -> np.ndarray:
    """Words of ``order`` + 1 letters, counted one by one."""
    words = Counter(tuple(p[i : i + order + 1]) for p in pieces for i in range(len(p) - order))
    table = np.zeros(4 ** (order + 1), int)
    for word, n in words.items():
        table[int("".join(map(str, word)), 4)] = n
    return table.reshape(-1, 4)


def order_three(n: int, seed: int = 0) -> tuple[np.ndarray, float]:
    """Draw a text from a source of order 3; return it and the entropy of the source in nats per letter."""
    random = np.random.default_rng(seed)
    table = random.dirichlet([0.6] * 4, 64)
    limits, draws = table.cumsum(axis=1), random.random(n)
    text, context = np.empty(n, np.uint8), 0
    for i in range(n):
        text[i] = min(3, int((draws[i] > limits[context]).sum()))
        context = (context * 4 + int(text[i])) % 64
    step = np.zeros((64, 64))
    for c in range(64):
        for x in range(4):
            step[c, (4 * c + x) % 64] += table[c, x]
    share = np.linalg.matrix_power(step, 200)[0]
    return text, float(-(share[:, None] * table * np.log(table)).sum())


def fitted(text: np.ndarray, order: int, smoothing: str = "mixed") -> Markov:
    packed, where = pack(text)[0], [[0, len(text)]]
    counts = count_contexts(packed, where, order)
    network = Markov(order=order, smoothing=smoothing)
    if smoothing == "additive":
        network.pour(list(add_constant(counts, 1.0)))
    else:
        network.pour(list(mix_orders(counts, learn_weights(packed, where, order))))
    return network


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 3), max_size=60),
    st.integers(0, 5),
    st.lists(st.integers(0, 60), min_size=2, max_size=6),
    st.booleans(),
)
def test_counts_are_those_of_a_counter(text: list[int], order: int, cuts: list[int], both: bool) -> None:
    edges = sorted({min(cut, len(text)) for cut in cuts})
    where = np.array(list(pairwise(edges)), np.int64).reshape(-1, 2)
    packed = pack(np.array(text, np.uint8))[0]
    pieces = [text[a:b] for a, b in where]
    if both:
        pieces += [[3 - x for x in piece[::-1]] for piece in pieces]
    found = count_contexts(packed, where, order, both_strands=both)
    for j, table in enumerate(found):
        np.testing.assert_array_equal(table, plain_counts(pieces, j) if pieces else 0 * table)


def test_an_added_constant_is_the_plain_formula() -> None:
    text = np.random.default_rng(0).integers(0, 4, 500, dtype=np.uint8)
    network = fitted(text, 2, "additive")
    plain = plain_counts([text.tolist()], 2)
    expected = np.log((plain + 1) / (plain.sum(axis=1, keepdims=True) + 4))
    log_p, _ = network(torch.from_numpy(text)[None])
    context = 4 * text[:-1].astype(int) + text[1:]
    np.testing.assert_allclose(log_p[0, 1:].numpy(), expected[context], rtol=1e-5)


def test_mixed_probabilities_reach_the_entropy_of_the_source() -> None:
    text, entropy = order_three(120_000)
    cut = 100_000
    packed, where = pack(text)[0], np.array([[0, cut]])
    tables = list(mix_orders(count_contexts(packed, where, 8), learn_weights(packed, where, 8)))
    held = np.array([[cut, len(text)]])
    loss = []
    for table in tables:
        np.testing.assert_allclose(table.sum(axis=1), 1, atol=1e-5)
        nats, scored = text_loss(packed, np.zeros(1, np.int64), held, table)
        assert scored == len(text) - cut
        loss.append(nats / scored)
    assert min(loss[:3]) > entropy + 0.02
    # Contexts that are too long cost next to nothing.
    assert max(abs(value - entropy) for value in loss[3:]) < 0.02


def test_the_weights_are_the_best_ones() -> None:
    random = np.random.default_rng(1)
    q, ratio = random.uniform(0.05, 0.9, 3000), random.choice([0.0, 0.3, 0.7, 1.0], 3000)
    weight = _maximise(q, ratio, np.full(3000, 10, np.int16))[10]
    grid = np.linspace(0.001, 0.999, 2000)
    best = grid[np.argmax([np.log(w * ratio + (1 - w) * q).sum() for w in grid])]
    assert weight == pytest.approx(best, abs=0.005)


@pytest.mark.parametrize("name", ["markov", "context-mixing"])
def test_a_text_may_be_read_in_pieces(name: str) -> None:
    text = order_three(3000)[0]
    if name == "markov":
        network: torch.nn.Module = fitted(text, 4)
    else:
        network = models.create(name, orders=[1, 2, 4, 12], bits=12)
        network.learn(pack(text)[0], [[0, len(text)]], both_strands=True)
    codes = torch.from_numpy(text[:400].reshape(2, 200).copy())
    codes[0, 50] = 4
    whole, end = network(codes, network.initial_state(2))
    state, parts = None, []
    for piece in torch.split(codes, [1, 2, 97, 100], dim=1):
        part, state = network(piece, state)
        parts.append(part)
    assert torch.equal(torch.cat(parts, dim=1), whole)
    assert torch.equal(state[0], end[0])
    np.testing.assert_allclose(whole.exp().sum(dim=2).numpy(), 1, atol=1e-5)
    # No later letter matters, and none before one that is not known.
    other = codes.clone()
    other[:, 150:] = 3 - other[:, 150:]
    other[0, :50] = 3 - other[0, :50]
    assert torch.equal(network(other)[0][0, 50:150], whole[0, 50:150])


def test_few_known_letters_take_the_lower_orders() -> None:
    text = order_three(5000)[0]
    long, short = fitted(text, 3), fitted(text, 1)
    codes = torch.from_numpy(text[:6].copy())[None]
    np.testing.assert_allclose(long(codes)[0][0, 0].numpy(), short(codes)[0][0, 0].numpy(), atol=1e-6)


def test_tables_are_kept(tmp_path: Path) -> None:
    text = order_three(4000)[0]
    codes = torch.from_numpy(text[:200].copy())[None]
    mixing = models.create("context-mixing", orders=[2, 3, 12, 16])
    mixing.learn(pack(text)[0], [[0, len(text)]], both_strands=False)
    for network, other in (
        (fitted(text, 5), Markov(order=5)),
        (mixing, models.create("context-mixing", orders=[2, 3, 12, 16])),
    ):
        save_file(network.state_dict(), tmp_path / "w.safetensors")
        other.load_state_dict(load_file(tmp_path / "w.safetensors"))
        assert torch.equal(other(codes)[0], network(codes)[0])


def test_high_orders_have_two_bytes() -> None:
    with torch.device("meta"):
        network = Markov(order=12)
    assert network.log_p.nbytes == 8 * (4**13 - 1) // 3


def test_settings_that_cannot_be() -> None:
    with pytest.raises(InputError, match="from 0 to 12, but got 13"):
        Markov(order=13)
    with pytest.raises(InputError, match="up to 32, but got 40"):
        models.create("context-mixing", orders=[3, 40])
    with pytest.raises(InputError, match="expected tables"):
        Markov(order=1).pour([np.ones((1, 4), np.float32)])


def test_context_mixing_reaches_the_entropy_and_finds_the_other_strand() -> None:
    text, entropy = order_three(60_000)
    network = models.create("context-mixing", orders=[1, 2, 3, 4, 6, 12, 16], bits=16)
    network.learn(pack(text[:50_000])[0], [[0, 50_000]], both_strands=False)
    codes = torch.from_numpy(text[49_000:])[None]
    log_p, _ = network(codes[:, :-1])
    loss = -log_p[0].gather(1, codes[0, 1:].long()[:, None])[1000:].mean()
    assert float(loss) == pytest.approx(entropy, abs=0.03)
    # What comes again as its reverse complement is foreseen by a model of both strands only.
    random = np.random.default_rng(3).integers(0, 4, 20_000, dtype=np.uint8)
    twice = np.concatenate([random, 3 - random[::-1]])
    losses = []
    for both in (False, True):
        network = models.create("context-mixing", orders=[2, 12, 16], bits=20)
        losses.append(network.learn(pack(twice)[0], [[0, len(twice)]], both_strands=both))
    assert losses[0] > 1.38
    assert losses[1] < 0.85
