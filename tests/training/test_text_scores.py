"""Bits of texts, against one letter at a time."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from regulome.datasets import prepare_language
from regulome.datasets.language_text import Text
from regulome.errors import InputError
from regulome.genome.letters import decode
from regulome.training.text_scores import block_bits, perplexity, text_bits, total_bits


class Reader(nn.Module):
    """A small network with state; the batch is dimension 0 of the state."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.table = nn.Embedding(5, 6)
        self.cell = nn.GRU(6, 7, batch_first=True)
        self.head = nn.Linear(7, 4)
        self.calls: list[int] = []

    def forward(self, codes, state=None):
        self.calls.append(len(codes))
        before = None if state is None else state[0].transpose(0, 1).contiguous()
        found, after = self.cell(self.table(codes.long()), before)
        return self.head(found), (after.transpose(0, 1),)


def one_by_one(models, codes, first, place):
    """−log2 of the mean probability of the letter at a place, from those since ``first``."""
    with torch.no_grad():
        p = [torch.softmax(m(torch.from_numpy(codes[None, first:place]))[0][0, -1], 0)[codes[place]] for m in models]
    return -math.log2(sum(map(float, p)) / len(p))


@pytest.fixture(scope="module")
def text():
    return np.random.default_rng(3).integers(0, 4, 400).astype(np.uint8)


def from_array(text):
    padded = np.concatenate([text, np.full(1000, 4, np.uint8)])
    return lambda places, length: padded[places[:, None] + np.arange(length)]


def test_streams_side_by_side_give_what_each_letter_by_itself_gives(text):
    models = [Reader(0), Reader(1)]
    firsts, starts, ends = (
        np.array([0, 20, 100, 390, 50]),
        np.array([0, 30, 101, 395, 50]),
        np.array([60, 37, 399, 400, 50]),
    )
    found = np.full(len(text) * len(firsts), np.nan).reshape(len(firsts), -1)
    for piece in text_bits(models, from_array(text), firsts, starts, ends, streams=3, step=16):
        for row, place, bits in zip(piece.rows, piece.places, piece.bits, strict=True):
            kept = ~np.isnan(bits)
            found[row, place : place + len(bits)][kept[: len(text) - place]] = bits[kept]
    for row, (first, start, end) in enumerate(zip(firsts, starts, ends, strict=True)):
        # The letter at which reading begins has nothing before it.
        scored = np.arange(max(start, first + 1), end)
        assert np.flatnonzero(~np.isnan(found[row])).tolist() == scored.tolist()
        for place in scored[:: max(1, len(scored) // 7)]:
            assert found[row, place] == pytest.approx(one_by_one(models, text, first, place), abs=1e-5)
    assert min(models[0].calls) == 1
    assert max(models[0].calls) == 3


def test_totals_count_letters_bits_and_hits(text):
    model = Reader(2)
    firsts, starts, ends = np.array([0, 150, 300]), np.array([0, 200, 310]), np.array([150, 300, 400])
    found = total_bits([model], from_array(text), firsts, starts, ends)
    assert found.letters.tolist() == [149, 100, 90]
    with torch.no_grad():
        for row in range(3):
            codes = torch.from_numpy(text[firsts[row] : ends[row]])[None]
            log_p = torch.log_softmax(model(codes)[0][0, :-1], 1)
            kept = slice(max(starts[row], firsts[row] + 1) - firsts[row] - 1, None)
            truth = codes[0, 1:].long()
            bits = -log_p.gather(1, truth[:, None])[kept].sum() / math.log(2)
            assert found.bits[row] == pytest.approx(float(bits), rel=1e-6)
            assert found.hits[row] == int((log_p.argmax(1) == truth)[kept].sum())
    assert perplexity(2.0) == 4.0


def test_unknown_letters_are_read_but_not_scored(text):
    masked = text.copy()
    masked[10:20] = 4
    found = total_bits([Reader(0)], from_array(masked), np.array([0]), np.array([0]), np.array([50]))
    assert found.letters.tolist() == [39]
    assert np.isfinite(found.bits).all()


def test_models_are_left_as_they_were(text):
    model = Reader(0)
    model.train()
    pieces = text_bits([model], from_array(text), np.array([0]), np.array([0]), np.array([300]), step=50)
    next(pieces)
    assert model.training
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_answers_that_are_no_numbers_are_refused(text):
    model = Reader(0)
    with torch.no_grad():
        model.head.bias.fill_(math.nan)
    with pytest.raises(InputError, match="not a finite number"):
        total_bits([model], from_array(text), np.array([0]), np.array([0]), np.array([100]))
    with pytest.raises(InputError, match="no model"):
        total_bits([], from_array(text), np.array([0]), np.array([0]), np.array([100]))


def test_blocks_are_read_from_the_letters_before_them_in_their_record(text, tmp_path):
    records = {"a": text, "b": text[:150]}
    lines = (f">{name}\n{decode(codes)}\n" for name, codes in records.items())
    (tmp_path / "two.fa").write_text("".join(lines))
    dataset = prepare_language([tmp_path / "two.fa"], tmp_path / "data", length=20, block=70, held_out=0.3)
    blocks, whole = Text(dataset).blocks, np.concatenate([text, text[:150]])
    # The last one and the first of each record among them, in no order.
    rows = np.array([len(blocks) - 1, 0, 3, int(np.flatnonzero(blocks[:, 0] == 400)[0]), 1])
    model = Reader(4)
    found = block_bits([model], dataset, rows, context=90)
    for place, row in enumerate(rows):
        start, end = blocks[row]
        begin = 0 if start < 400 else 400
        first = max(begin, start - 90)
        scored = range(max(start, first + 1), end)
        assert found.letters[place] == len(scored)
        bits = sum(one_by_one([model], whole, first, letter) for letter in scored)
        assert found.bits[place] == pytest.approx(bits, abs=1e-3)
