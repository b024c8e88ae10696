"""Activity of marks, compared with numpy and scipy."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from regulome.datasets import Dataset
from regulome.errors import InputError
from regulome.explain import mark_activity
from regulome.training import Run, prediction_table


def test_activity_and_its_correlations(linear: Run, dataset: Dataset) -> None:
    found = mark_activity(dataset, linear, marks=["down", "up"], window=600, device="cpu", replicates=50)
    table = prediction_table(linear, dataset, "test", device="cpu")
    rows = np.flatnonzero(dataset.regions["id"].is_in(table["id"].implode()).to_numpy())
    x = np.array(dataset.inputs["marks"], np.float64)[rows][:, [2, 0], 7:13]
    expected = np.log2(x + 1).mean(axis=2)
    np.testing.assert_allclose(found.values, expected, rtol=1e-5)
    assert found.genes["id"].to_list() == table["id"].to_list()
    error = np.abs(table["expression"].to_numpy() - dataset.targets[rows, 0])
    np.testing.assert_allclose(found.genes["error"], error, atol=1e-6)
    assert found.table()["activity_up"].to_list() == found.values[:, 1].tolist()
    for row in found.correlations.iter_rows(named=True):
        quantity = found.genes[row["quantity"]].to_numpy()
        truth = stats.pearsonr if row["coefficient"] == "pearson" else stats.spearmanr
        # Ranks are of the numbers as they are: rounding may part equals.
        activity = found.values[:, ["down", "up"].index(row["mark"])].astype(np.float64)
        assert row["value"] == pytest.approx(truth(quantity, activity).statistic, abs=1e-5)
        assert row["low"] <= row["value"] <= row["high"]
    assert found.correlations.height == 2 * 2 * 2


def test_without_a_run_all_genes_are_taken(dataset: Dataset) -> None:
    found = mark_activity(dataset, replicates=10)
    assert found.values.shape == (len(dataset), 3)
    assert found.window == 2000
    planted = found.correlations.filter(pl.col("coefficient") == "pearson").rows_by_key("mark", named=True, unique=True)
    assert planted["up"]["value"] > 0.3 > abs(planted["decoy"]["value"])
    assert planted["down"]["value"] < -0.3
    with pytest.raises(InputError, match="has no mark H3K9ac"):
        mark_activity(dataset, marks=["H3K9ac"])
