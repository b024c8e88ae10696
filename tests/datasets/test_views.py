"""Views of marks, compared with plain numpy on the whole array."""

import logging
import re

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regulome.datasets import Batches, choose_view, open_dataset, ordered_batches, write_dataset
from regulome.datasets.views import tell_view
from regulome.errors import InputError

MARKS = ("H3K4me3", "H3K27ac", "DNase")
BINS, BIN, N = 24, 50, 30


def make(path, *, unit, dtype):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 60_000, (N, len(MARKS), BINS)).astype(dtype)
    regions = pl.DataFrame(
        {
            "id": [f"G{i}" for i in range(N)],
            "chrom": "chr1",
            "start": np.arange(N) * 5000,
            "end": np.arange(N) * 5000 + BINS * BIN,
            "strand": rng.choice(["+", "-"], N).tolist(),
        }
    )
    with write_dataset(path, line="expression", task="regression", regions=regions) as writer:
        array = writer.add_input(
            "marks",
            axes=["example", "mark", "bin"],
            shape=values.shape,
            dtype=dtype,
            mark=list(MARKS),
            bin_size=BIN,
            unit=unit,
        )
        array[:] = values
        writer.set_targets(rng.normal(size=(N, 1)).astype(np.float32), ["expression"], {})
    return open_dataset(path)


@pytest.fixture(scope="module")
def reads(tmp_path_factory):
    return make(tmp_path_factory.mktemp("reads") / "data", unit="reads", dtype="uint16")


@pytest.fixture(scope="module")
def signal(tmp_path_factory):
    return make(tmp_path_factory.mktemp("signal") / "data", unit="signal", dtype="float32")


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    summed=st.booleans(),
    held=st.booleans(),
    order=st.permutations(range(3)).flatmap(lambda p: st.integers(1, 3).map(lambda k: p[:k])),
    merged=st.sampled_from([1, 2, 3, 4, 6]),
    data=st.data(),
)
def test_batches_of_a_view(reads, signal, monkeypatch, summed, held, order, merged, data):
    monkeypatch.setattr(ordered_batches, "HELD_SHARE", 0.25 if held else 0.0)
    dataset = reads if summed else signal
    bins = data.draw(st.sampled_from([b for b in range(1, BINS // merged + 1) if (BINS - b * merged) % 2 == 0]))
    view = choose_view(dataset, [MARKS[m].lower() for m in order], bins * merged * BIN, merged * BIN)
    assert (view.bins, view.bin_size, view.window) == (bins, merged * BIN, bins * merged * BIN)
    again = choose_view(dataset, **view.settings())
    assert again == view
    rows = np.array(data.draw(st.lists(st.integers(0, N - 1), min_size=1, max_size=N, unique=True)))
    left = (BINS - bins * merged) // 2
    whole = np.array(dataset.inputs["marks"], np.float64)[rows][:, order][:, :, left : left + bins * merged]
    parts = whole.reshape(len(rows), len(order), bins, merged)
    expected = parts.sum(3) if summed else parts.mean(3)
    minus = (dataset.regions["strand"] == "-").to_numpy()[rows]
    expected[minus] = expected[minus][:, :, ::-1]
    loader = Batches(dataset, rows, batch_size=7, orient=True, view=view)
    found = torch.cat([batch.inputs for batch in loader])
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_nothing_asked_is_everything(signal):
    view = choose_view(signal)
    assert (view.marks, view.bins, view.bin_size, view.first, view.merged) == (MARKS, BINS, BIN, 0, 1)
    expected = torch.cat([batch.inputs for batch in Batches(signal, batch_size=8)])
    assert torch.equal(torch.cat([batch.inputs for batch in Batches(signal, batch_size=8, view=view)]), expected)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"marks": ["H3K9ac"]}, "data: has no mark H3K9ac: it has H3K4me3, H3K27ac, DNase (name marks that it has"),
        ({"marks": ["DNase", "dnase"]}, "a mark is asked for twice: DNase, dnase"),
        ({"window": 2000}, "data: has windows of 1,200 bp, 2,000 bp are asked for (take at most 1,200 bp"),
        ({"bin": 75}, "data: has bins of 50 bp, of which none of 75 bp can be made (take a multiple of 50 bp"),
        ({"bin": 500}, "the middle 1,200 bp in bins of 500 bp cannot be cut out"),
        ({"window": 550}, "data: has windows of 1,200 bp in bins of 50 bp: the middle 550 bp in bins of 50 bp cannot"),
    ],
)
def test_what_cannot_be_seen_is_refused(signal, asked, message):
    with pytest.raises(InputError, match=re.escape(message)):
        choose_view(signal, **asked)


def test_said(reads, caplog):
    with caplog.at_level(logging.INFO, "regulome"):
        tell_view(choose_view(reads), reads)
        assert not caplog.messages
        tell_view(choose_view(reads, ["DNase"], 600, 100), reads)
    assert caplog.messages == [
        "1 of 3 marks, in this order: DNase",
        "the middle 600 bp of windows of 1,200 bp",
        "a bin of 100 bp is the sum of 2 bins",
    ]
