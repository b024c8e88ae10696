import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regulome.datasets import Batches, ordered_batches

quick = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def indices_of(loader):
    return [batch.index.tolist() for batch in loader]


@pytest.fixture(params=["held", "blocks"])
def way(request, monkeypatch):
    """The two ways: everything in memory and shuffled as a whole, or read and shuffled in blocks."""
    if request.param == "blocks":
        monkeypatch.setattr(ordered_batches, "BLOCK_ROWS", 16)
        monkeypatch.setattr(ordered_batches, "WHOLE_BYTES", 0)
        monkeypatch.setattr(ordered_batches, "HELD_SHARE", 0.0)
    return request.param


@quick
@given(
    rows=st.lists(st.integers(0, 99), min_size=1, max_size=100, unique=True),
    batch_size=st.integers(1, 40),
    shuffle=st.booleans(),
    epoch=st.integers(0, 5),
)
def test_every_example_exactly_once_with_its_own_values(make, way, rows, batch_size, shuffle, epoch):
    dataset = make(100)
    loader = Batches(dataset, rows, batch_size=batch_size, shuffle=shuffle, seed=3)
    loader.set_epoch(epoch)
    seen = list(loader)
    assert len(seen) == len(loader)
    index = torch.cat([batch.index for batch in seen])
    assert sorted(index.tolist()) == sorted(rows)
    assert shuffle or index.tolist() == rows
    assert torch.cat([batch.inputs for batch in seen])[:, 1, 4].tolist() == (index * 1000 + 104).tolist()
    np.testing.assert_allclose(torch.cat([batch.targets for batch in seen])[:, 0], index / 7, rtol=1e-6)
    assert all(len(batch.index) == batch_size for batch in seen[:-1])
    assert seen[0].inputs.dtype == seen[0].targets.dtype == torch.float32


@quick
@given(batch_size=st.integers(1, 30), stop=st.integers(1, 100), epoch=st.integers(0, 3))
def test_a_resumed_epoch_gives_the_rest(make, way, batch_size, stop, epoch):
    dataset = make(100)
    options = {"batch_size": batch_size, "shuffle": True, "seed": 5}
    whole = Batches(dataset, **options)
    whole.set_epoch(epoch)
    expected, state, stop = [], None, min(stop, len(whole))
    for number, batch in enumerate(whole, start=1):
        expected.append(batch.index.tolist())
        if number == stop:
            state = whole.state_dict()
    resumed = Batches(dataset, **options)
    resumed.load_state_dict(state)
    resumed.set_epoch(epoch)
    assert indices_of(resumed) == expected[stop:]
    assert indices_of(resumed) == expected
    resumed.set_epoch(epoch + 1)
    assert len(indices_of(resumed)) == len(expected)


def test_the_order_depends_on_seed_and_epoch_only(make, way):
    dataset = make(100)
    first = Batches(dataset, batch_size=7, shuffle=True, seed=1)
    again = Batches(dataset, batch_size=7, shuffle=True, seed=1)
    zero = indices_of(first)
    first.set_epoch(1)
    one = indices_of(first)
    again.set_epoch(1)
    assert indices_of(again) == one
    again.set_epoch(0)
    assert indices_of(again) == zero
    assert zero != one
    assert indices_of(Batches(dataset, batch_size=7, shuffle=True, seed=2)) != zero


def test_how_much_memory_is_free_does_not_change_the_order(make, monkeypatch):
    dataset = make(100)
    held = indices_of(Batches(dataset, batch_size=7, shuffle=True, seed=1))
    monkeypatch.setattr(ordered_batches, "free_memory", lambda: 0)
    assert indices_of(Batches(dataset, batch_size=7, shuffle=True, seed=1)) == held


def test_blocks_are_shuffled_inside_and_as_wholes(make, monkeypatch):
    monkeypatch.setattr(ordered_batches, "BLOCK_ROWS", 16)
    monkeypatch.setattr(ordered_batches, "WHOLE_BYTES", 0)
    order = torch.cat([batch.index for batch in Batches(make(64), batch_size=16, shuffle=True, seed=2)]).numpy()
    blocks = order.reshape(4, 16) // 16
    assert (blocks == blocks[:, :1]).all()
    assert blocks[:, 0].tolist() != [0, 1, 2, 3]
    assert (np.diff(order.reshape(4, 16)) < 0).any(axis=1).all()


def test_orient_turns_the_bins_of_the_minus_strand(make, way):
    dataset = make(30)
    minus = (dataset.regions["strand"] == "-").to_numpy()
    expected = np.array(dataset.inputs["marks"], np.float32)
    expected[minus] = expected[minus][:, :, ::-1]
    for batch in Batches(dataset, batch_size=8, shuffle=True, orient=True):
        assert np.array_equal(batch.inputs, expected[batch.index])
    plain = torch.cat([batch.inputs for batch in Batches(dataset, batch_size=8)])
    assert np.array_equal(plain, dataset.inputs["marks"])


@quick
@given(n=st.integers(4, 100), batch_size=st.integers(1, 20), world=st.integers(2, 4))
def test_processes_share_the_same_order(make, n, batch_size, world):
    dataset = make(100)
    rows = np.arange(n)
    parts = [
        indices_of(Batches(dataset, rows, batch_size=batch_size, shuffle=True, seed=1, rank=rank, world_size=world))
        for rank in range(world)
    ]
    sizes = [[len(batch) for batch in part] for part in parts]
    assert all(size == sizes[0] for size in sizes)
    together = [i for part in parts for batch in part for i in batch]
    assert len(together) == len(set(together)) == n // world * world
    alone = indices_of(Batches(dataset, rows, batch_size=batch_size * world, shuffle=True, seed=1))
    for step in range(n // (batch_size * world)):
        assert [i for part in parts for i in part[step]] == alone[step]
    calm = [
        i
        for rank in range(world)
        for batch in indices_of(Batches(dataset, rows, batch_size=batch_size, rank=rank, world_size=world))
        for i in batch
    ]
    assert calm == rows.tolist()


def test_drop_last_leaves_whole_batches(make, way):
    loader = Batches(make(50), batch_size=8, shuffle=True, drop_last=True)
    assert [len(batch) for batch in indices_of(loader)] == [8] * 6
    assert len(loader) == 6


def test_a_mask_chooses_rows(make):
    dataset = make(20)
    mask = np.arange(20) % 3 == 0
    assert [i for batch in indices_of(Batches(dataset, mask, batch_size=4)) for i in batch] == np.flatnonzero(
        mask
    ).tolist()


def test_a_state_of_other_batches_is_refused(make):
    dataset = make(20)
    state = Batches(dataset, batch_size=4, shuffle=True, seed=1).state_dict()
    with pytest.raises(ValueError, match="seed 1, these have 2"):
        Batches(dataset, batch_size=4, shuffle=True, seed=2).load_state_dict(state)


def test_free_memory_is_that_of_a_machine():
    assert 2**20 < ordered_batches.free_memory() < 2**50
