from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from regulome.explain.perturbation_places import make_places
from regulome.explain.perturbation_profile import Profile


def test_means_and_intervals_of_every_group() -> None:
    random = np.random.default_rng(0)
    places = make_places("distal", 1_000, 100, chunk=250, promoter=200)
    shape = (30, 2, len(places), 2)
    difference, change = random.normal(size=shape), random.normal(size=shape)
    change[random.random(shape) < 0.2] = np.nan
    high = random.random(30) < 0.4
    profile = Profile(["A", "B"], [0.5, 0.0], places, labelled=True)
    for part in (slice(0, 12), slice(12, 30)):
        profile.add(difference[part], change[part], high[part], np.ones((30, len(places)), bool)[part])
    table = profile.table()
    assert len(table) == 2 * len(places) * 2 * 3
    for row in table.iter_rows(named=True):
        kept = {"high": high, "low": ~high, "all": high | True}[row["group"]]
        cell = ("A", "B").index(row["mark"]), int(row["place"]), (0.5, 0.0).index(row["factor"])
        values, relative = difference[kept][:, *cell], change[kept][:, *cell]
        assert row["n"] == len(values)
        assert row["difference"] == pytest.approx(values.mean())
        assert row["change"] == pytest.approx(np.nanmean(relative))
        reach = 1.959964 * values.std(ddof=1) / np.sqrt(len(values))
        assert (row["low"], row["high"]) == pytest.approx((values.mean() - reach, values.mean() + reach))


def test_pcres_go_into_classes_of_distance() -> None:
    profile = Profile(["A"], [0.0], None, labelled=False)
    difference = np.array([[[[9.0], [1.0], [3.0]]], [[[7.0], [5.0], [0.0]]]])
    present = np.array([[True, True, True], [True, True, False]])
    distance = np.array([[np.nan, -5_000.0, 60_000], [np.nan, 15_000, np.nan]])
    profile.add(difference, difference, np.zeros(2, bool), present, distance)
    table = profile.table().select("place", "n", "difference", "low")
    assert table.drop("low").rows() == [("all", 2, 8.0), ("0–20 kb", 2, 3.0), ("50–100 kb", 1, 3.0)]
    # One value has no interval.
    assert table.filter(pl.col("n") == 1)["low"].to_list() == [None]
