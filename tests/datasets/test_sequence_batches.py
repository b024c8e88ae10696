import math

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regulome.datasets import (
    Batches,
    SequenceBatches,
    new_sequence_dataset,
    open_dataset,
    ordered_batches,
    sequence_batches,
    window_codes,
)
from regulome.errors import InputError

quick = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
LENGTH, MARGIN, TARGETS = 21, 5, 3


@pytest.fixture
def sequences(tmp_path):
    """A dataset of random windows, a third of them on the minus strand."""

    def build(n=100, task="classification"):
        rng = np.random.default_rng(n)
        regions = pl.DataFrame(
            {
                "id": [f"w{i}" for i in range(n)],
                "chrom": ["chr1"] * n,
                "start": np.arange(n),
                "end": np.arange(n) + LENGTH,
                "strand": ["+-."[i % 3] for i in range(n)],
            }
        )
        with new_sequence_dataset(tmp_path / "d", length=LENGTH, margin=MARGIN, task=task, overwrite=True) as writer:
            writer.add_codes(rng.choice(5, (n, LENGTH + 2 * MARGIN), p=[0.24] * 4 + [0.04]).astype(np.uint8))
            values = rng.random((n, TARGETS)) if task == "regression" else rng.integers(0, 2, (n, TARGETS))
            writer.add_targets(values)
            writer.finish(regions=regions, target_names=list("abc"))
        return open_dataset(tmp_path / "d")

    return build


@pytest.fixture(params=["held", "blocks"])
def way(request, monkeypatch):
    """The two ways: shuffled as a whole with targets in memory, or in blocks with targets read from the disk."""
    monkeypatch.setattr(sequence_batches, "CODES_AT_ONCE", 16)
    if request.param == "blocks":
        monkeypatch.setattr(ordered_batches, "BLOCK_ROWS", 16)
        monkeypatch.setattr(ordered_batches, "WHOLE_BYTES", -1)
        monkeypatch.setattr(ordered_batches, "HELD_SHARE", -1.0)
    return request.param


def joined(loader):
    batches = list(loader)
    assert len(batches) == len(loader)
    return [torch.cat(parts).numpy() for parts in zip(*batches, strict=True)]


def turned(codes):
    return np.where(codes < 4, 3 - codes, 4)[..., ::-1]


@quick
@given(
    rows=st.lists(st.integers(0, 99), min_size=1, max_size=100, unique=True),
    batch_size=st.integers(1, 40),
    shuffle=st.booleans(),
    epoch=st.integers(0, 3),
)
def test_every_example_with_its_own_letters_and_targets(sequences, way, rows, batch_size, shuffle, epoch):
    dataset = sequences()
    loader = SequenceBatches(dataset, rows, batch_size=batch_size, shuffle=shuffle, seed=3)
    loader.set_epoch(epoch)
    inputs, targets, index = joined(loader)
    assert sorted(index) == sorted(rows)
    assert shuffle or index.tolist() == rows
    assert np.array_equal(inputs, window_codes(dataset, index))
    assert np.array_equal(targets, dataset.targets[index])
    assert (inputs.dtype, targets.dtype, index.dtype) == (np.uint8, np.float32, np.int64)


def test_the_order_is_that_of_other_lines(sequences, make, way):
    options = {"batch_size": 7, "shuffle": True, "seed": 4}
    assert np.array_equal(joined(SequenceBatches(sequences(60), **options))[2], joined(Batches(make(60), **options))[2])


def test_one_hot(sequences):
    dataset = sequences()
    inputs, _, index = joined(SequenceBatches(dataset, batch_size=8, shuffle=True, one_hot=True))
    codes = window_codes(dataset, index)
    assert inputs.dtype == np.float32
    assert np.array_equal(inputs, codes[:, None] == np.arange(4)[:, None])


def test_both_strands_come_in_every_epoch(sequences, way):
    dataset = sequences()
    rows = np.arange(10, 90, 3)
    for shuffle in (False, True):
        loader = SequenceBatches(dataset, rows, batch_size=8, shuffle=shuffle, seed=1, reverse_complement="both")
        assert len(loader) == math.ceil(2 * len(rows) / 8)
        inputs, targets, index = joined(loader)
        assert sorted(index) == sorted([*rows, *rows])
        assert np.array_equal(targets, dataset.targets[index])
        if not shuffle:
            assert np.array_equal(inputs[0::2], window_codes(dataset, rows))
            assert np.array_equal(inputs[1::2], turned(window_codes(dataset, rows)))
        for row in rows:
            pair = inputs[index == row]
            assert np.array_equal(pair[0], turned(pair[1]))


def test_strands_and_shifts_are_drawn_anew_and_by_example(sequences, way):
    dataset = sequences(600)
    options = {"seed": 2, "reverse_complement": "random", "shift": 4}
    loader = SequenceBatches(dataset, batch_size=50, shuffle=True, **options)
    seen = []
    for epoch in (0, 1):
        loader.set_epoch(epoch)
        inputs, _, index = joined(loader)
        found = np.full((600, 2), -9)
        for shift in range(-4, 5):
            for flip in (False, True):
                shifts, flips = np.full(600, shift, np.int32), np.full(600, flip)
                same = (window_codes(dataset, index, shift=shifts, flip=flips) == inputs).all(1)
                found[index[same]] = shift, flip
        assert (found != -9).all()
        assert 0.4 < found[:, 1].mean() < 0.6
        assert (np.bincount(found[:, 0] + 4, minlength=9) > 35).all()
        seen.append(found)
        # Neither order, batch size, choice of rows nor number of processes matters.
        other = SequenceBatches(dataset, np.arange(0, 600, 7)[::-1], batch_size=9, rank=1, world_size=2, **options)
        other.set_epoch(epoch)
        some, _, where = joined(other)
        place = np.argsort(index)
        assert np.array_equal(some, inputs[place][where])
    assert 0.3 < (seen[0][:, 1] != seen[1][:, 1]).mean() < 0.7


@quick
@given(batch_size=st.integers(1, 30), stop=st.integers(1, 200), both=st.booleans())
def test_a_resumed_epoch_gives_the_rest(sequences, way, batch_size, stop, both):
    strands = "both" if both else "random"
    options = {"batch_size": batch_size, "shuffle": True, "seed": 5, "reverse_complement": strands, "shift": 2}
    whole = SequenceBatches(sequences(), **options)
    whole.set_epoch(2)
    expected, state, stop = [], None, min(stop, len(whole))
    for number, batch in enumerate(whole, start=1):
        expected.append(batch)
        if number == stop:
            state = whole.state_dict()
    resumed = SequenceBatches(sequences(), **options)
    resumed.load_state_dict(state)
    rest = list(resumed)
    assert len(rest) == len(expected) - stop
    for one, other in zip(rest, expected[stop:], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@quick
@given(n=st.integers(4, 100), batch_size=st.integers(1, 20), world=st.integers(2, 4), both=st.booleans())
def test_processes_share_the_same_order(sequences, n, batch_size, world, both):
    dataset = sequences()
    options = {"shuffle": True, "seed": 1, "reverse_complement": "both" if both else "none"}
    parts = [
        list(SequenceBatches(dataset, np.arange(n), batch_size=batch_size, rank=rank, world_size=world, **options))
        for rank in range(world)
    ]
    alone = list(SequenceBatches(dataset, np.arange(n), batch_size=batch_size * world, **options))
    for step in range(n * (1 + both) // (batch_size * world)):
        together = torch.cat([part[step].inputs for part in parts])
        assert torch.equal(together, alone[step].inputs)


def test_numbers_stay_numbers(sequences, way):
    dataset = sequences(task="regression")
    _, targets, index = joined(SequenceBatches(dataset, batch_size=9, shuffle=True))
    assert np.array_equal(targets, dataset.targets[index])


def test_labels_are_held_as_bytes(sequences):
    loader = SequenceBatches(sequences(), batch_size=9)
    assert loader._held is not None
    assert loader._held.dtype == torch.uint8


def test_what_cannot_be(sequences, make):
    with pytest.raises(ValueError, match="reverse_complement must be"):
        SequenceBatches(sequences(), batch_size=4, reverse_complement="yes")
    with pytest.raises(ValueError, match="shift must be"):
        SequenceBatches(sequences(), batch_size=4, shift=-1)
    with pytest.raises(InputError, match="has no sequences"):
        SequenceBatches(make(5), batch_size=4)
    state = SequenceBatches(sequences(), batch_size=4).state_dict()
    with pytest.raises(ValueError, match="shift 0, these have 3"):
        SequenceBatches(sequences(), batch_size=4, shift=3).load_state_dict(state)
