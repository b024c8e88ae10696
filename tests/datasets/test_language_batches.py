import json
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regulome.datasets import LanguageBatches, Text, open_dataset, prepare_language
from regulome.errors import InputError
from regulome.genome.letters import decode, reverse_complement

SETTINGS = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
RECORDS = (1_700, 3, 900, 421)


@pytest.fixture(scope="module", params=["forward", "both"])
def dataset(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    rng = np.random.default_rng(4)
    records = ["".join(rng.choice(list("ACGT"), n)) for n in RECORDS]
    (folder / "g.fa").write_text("".join(f">r{i}\n{text}\n" for i, text in enumerate(records)))
    return prepare_language([folder / "g.fa"], folder / "d", length=10, block=37, strands=request.param)


def circle(dataset, rows):
    """The text that is read, letter by letter, and the row of each letter."""
    text = Text(dataset)
    rows = np.sort(rows)
    codes = np.concatenate([text.codes(*text.blocks[row]) for row in rows])
    index = np.concatenate([np.full(text.blocks[row, 1] - text.blocks[row, 0], row) for row in rows])
    if text.strands == "both":
        codes, index = np.r_[codes, reverse_complement(codes)], np.r_[index, index[::-1]]
    return codes, index


def epoch(batches, number=0):
    batches.set_epoch(number)
    return [(inputs.numpy(), targets.numpy(), index.numpy()) for inputs, targets, index in batches]


ROWS = st.lists(st.integers(0, sum(-(-n // 37) for n in RECORDS) - 1), min_size=3, max_size=60, unique=True)


@SETTINGS
@given(ROWS, st.integers(1, 30), st.integers(1, 9), st.integers(0, 5), st.integers(0, 3), st.booleans())
def test_streams_go_on_exactly(dataset, rows, length, batch_size, seed, number, shuffle):
    codes, index = circle(dataset, rows)
    make = {"length": length, "batch_size": batch_size, "seed": seed, "shuffle": shuffle}
    batches = LanguageBatches(dataset, rows, **make)
    found = epoch(batches, number)
    assert len(found) == len(batches)
    assert batches.examples == len(batches) * batches.batch_size
    assert all(inputs.shape == (batches.batch_size, length) for inputs, _, _ in found)
    part = len(codes) // batches.batch_size
    assert len(batches) == part // length
    assert batches.batch_size == batch_size or len(batches) >= 25 or batches.batch_size == 1
    # One beginning on the circle explains every letter of every stream.
    read = np.concatenate([inputs for inputs, _, _ in found], axis=1)
    following = np.concatenate([targets for _, targets, _ in found], axis=1)
    where = np.arange(batches.batch_size)[:, None] * part + np.arange(read.shape[1])
    fitting = [
        o
        for o in range(len(codes) if shuffle else 1)
        if (codes[(where[:, :25] + o) % len(codes)] == read[:, :25]).all()
    ]
    begins = [o for o in fitting if (codes[(where + o) % len(codes)] == read).all()]
    assert begins
    assert any((codes[(where + o + 1) % len(codes)] == following).all() for o in begins)
    rows_of = np.stack([index for _, _, index in found], axis=1)
    assert any((index[(where[:, ::length] + o) % len(codes)] == rows_of).all() for o in begins)


@SETTINGS
@given(ROWS, st.integers(1, 30), st.integers(1, 9), st.integers(0, 5))
def test_windows_by_chance_are_those_of_the_text(dataset, rows, length, batch_size, number):
    codes, index = circle(dataset, rows)
    batches = LanguageBatches(dataset, rows, length=length, batch_size=batch_size, carry=False, seed=3)
    found = epoch(batches, number)
    windows = np.concatenate([np.c_[inputs, targets[:, -1:]] for inputs, targets, _ in found])
    rows_of = np.concatenate([index for _, _, index in found])
    assert len(windows) == len(codes) // length == batches.examples
    for inputs, targets, _ in found:
        assert (inputs[:, 1:] == targets[:, :-1]).all()
    got = sorted(zip(map(decode, windows), rows_of.tolist(), strict=True))
    starts = np.arange(len(windows)) * length

    def expected(o):
        where = (starts[:, None] + o + np.arange(length + 1)) % len(codes)
        return sorted(zip(map(decode, codes[where]), index[where[:, 0]].tolist(), strict=True))

    assert any(got == expected(o) for o in [batches._begins(np.zeros(1, np.int64))[0]])


def test_an_epoch_is_a_function_of_seed_and_number(dataset):
    for carry in (True, False):
        make = {"batch_size": 4, "carry": carry}
        first = LanguageBatches(dataset, **make, seed=1)
        again = pickle.loads(pickle.dumps(open_dataset(dataset.path)))
        same = LanguageBatches(again, **make, seed=1)
        for one, other in zip(epoch(first, 2), epoch(same, 2), strict=True):
            assert (one[0] == other[0]).all()
        assert (epoch(first, 2)[0][0] != epoch(first, 3)[0][0]).any()
        assert (epoch(first, 2)[0][0] != epoch(LanguageBatches(dataset, **make, seed=2), 2)[0][0]).any()


@pytest.mark.parametrize("carry", [True, False])
def test_it_goes_on_in_the_middle_of_an_epoch(dataset, carry):
    def new():
        return LanguageBatches(dataset, batch_size=5, length=7, carry=carry, seed=8)

    whole = epoch(new(), 3)
    begun = new()
    begun.set_epoch(3)
    batches = iter(begun)
    for _ in range(11):
        next(batches)
    state = json.loads(json.dumps(begun.state_dict()))
    resumed = new()
    resumed.load_state_dict(state)
    rest = epoch(resumed, 3)
    assert len(rest) == len(whole) - 11
    for one, other in zip(whole[11:], rest, strict=True):
        assert all((a == b).all() for a, b in zip(one, other, strict=True))
    with pytest.raises(ValueError, match="length"):
        LanguageBatches(dataset, batch_size=5, length=6, carry=carry, seed=8).load_state_dict(state)


@pytest.mark.parametrize("carry", [True, False])
def test_processes_share_the_text(dataset, carry):
    make = {"length": 9, "carry": carry, "seed": 5}
    shares = [LanguageBatches(dataset, batch_size=3, rank=rank, world_size=2, **make) for rank in (0, 1)]
    assert len(shares[0]) == len(shares[1])
    both = LanguageBatches(dataset, batch_size=6, **make)
    parts = [epoch(share, 1) for share in shares]
    for one, other, together in zip(*parts, epoch(both, 1), strict=False):
        assert (np.concatenate([one[0], other[0]]) == together[0]).all()
    places = [shares[rank]._begins(shares[rank]._order()) for rank in (0, 1)]
    assert not np.intersect1d(*places).size


def test_a_short_text_gets_fewer_streams(dataset, caplog):
    caplog.set_level("INFO", "regulome")
    batches = LanguageBatches(dataset, batch_size=50, length=10)
    letters = sum(RECORDS) * (2 if Text(dataset).strands == "both" else 1)
    assert batches.batch_size == letters // 10 // 25
    assert len(batches) >= 25
    assert "a short text" in caplog.text
    with pytest.raises(InputError, match="shorter than a window"):
        LanguageBatches(dataset, [0], batch_size=1, length=100)


def test_windows_of_a_text(dataset):
    text = Text(dataset)
    whole = decode(text.codes(0, text.total))
    starts = np.array([-5, 0, 1, 1_699, text.total - 4, text.total + 3, -40])
    for length in (1, 4, 13):
        rows = [decode(row) for row in text.windows(starts, length)]
        padded = "N" * 50 + whole + "N" * 50
        assert rows == [padded[50 + start : 50 + start + length] for start in starts]
        turned = text.windows(starts, length, np.arange(len(starts)) % 2 == 1)
        pairs = str.maketrans("ACGT", "TGCA")
        for i, row in enumerate(turned):
            assert decode(row) == (rows[i][::-1].translate(pairs) if i % 2 else rows[i])
    with pytest.raises(ValueError, match="letters 0 to"):
        text.codes(0, text.total + 1)


def test_other_datasets_have_no_text(make):
    with pytest.raises(InputError, match="has no text"):
        Text(make())
