"""Attention of networks on promoters and pCREs, as `regulome explain attention` leaves it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from tests.report.page_reader import check_page
from tests.training.contact_world import SPLIT, TINY, WIDTHS, WINDOW, make_contacts

from regulome.datasets import Dataset, RegionBatches
from regulome.datasets.regions import RegionTable
from regulome.errors import InputError
from regulome.explain import Explanation, explain
from regulome.models.regions import RegionBatch
from regulome.report import report
from regulome.training import Run, train

#: Promoters are narrower than the window: their bins stand in other slots on the two strands.
SEEN = 600
SMALL = TINY | {"training.epochs": 1, "model.hyperparameters.regulation": [2, 2, 16, 16], "input.window": SEEN}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_contacts(tmp_path_factory.mktemp("contacts") / "data", n=60)


@pytest.fixture(scope="module")
def run(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("runs") / "ensemble"
    return train("chromoformer", dataset, path, **SPLIT, device="cpu", ensemble=2, set=SMALL)


@pytest.fixture(scope="module")
def found(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Explanation:
    return explain("attention", run, out=tmp_path_factory.mktemp("maps") / "a", batch_size=4, device="cpu")


def _table(found: Explanation, name: str) -> pl.DataFrame:
    return pl.read_csv(found.path / f"{name}.tsv", separator="\t")


def _rows(found: Explanation, dataset: Dataset) -> list[int]:
    ids = dataset.regions["id"].to_list()
    return [ids.index(name) for name in _table(found, "genes")["id"]]


def _alone(dataset: Dataset, row: int) -> RegionBatch:
    (batch,) = RegionBatches(dataset, [row], batch_size=1, window=SEEN)
    inputs: RegionBatch = batch.inputs
    return inputs


def test_weights_are_those_of_the_networks(found: Explanation, run: Run, dataset: Dataset) -> None:
    """Gene by gene, with nothing but the network and its batch of one."""
    genes, contacts = _table(found, "genes"), _table(found, "contacts")
    models = [model.eval() for model in run.models()]
    done = 0
    for place, row in enumerate(_rows(found, dataset)):
        one = _alone(dataset, row)
        near = slice(done, done + len(one.gene))
        done = near.stop
        with torch.no_grad():
            maps = [model.attention(one) for model in models]  # type: ignore[operator]
        mean = {name: np.mean([each[name].numpy() for each in maps], axis=0) for name in maps[0]}
        for number, width in enumerate(WIDTHS):
            first = int(one.first[number, 0])
            seen = mean[f"embedding.{width}"][0].mean(0)[first : first + SEEN // width]
            np.testing.assert_allclose(found.array(f"embedding_{width}")[place], seen, atol=1e-6)
            np.testing.assert_allclose(
                found.array(f"pairwise_{width}")[near], mean[f"pairwise.{width}"].mean((1, 2)), atol=1e-6
            )
            given = mean[f"regulation.{width}"][0].mean(1)[:, 0]
            np.testing.assert_allclose(found.array(f"regulation_{width}")[near], given.mean(0)[1:], atol=1e-6)
            np.testing.assert_allclose(found.array(f"regulation_last_{width}")[near], given[-1, 1:], atol=1e-6)
            assert genes[f"own_{width}"][place] == pytest.approx(given.mean(0)[0], abs=1e-6)
    assert done == len(contacts) == found.manifest["contacts"] == genes["pcres"].sum()
    for width in WIDTHS:
        np.testing.assert_allclose(found.array(f"embedding_{width}").sum(1), 1, atol=1e-6)
        np.testing.assert_allclose(found.array(f"pairwise_{width}").sum(1), 1, atol=1e-6)
        sums = np.bincount(np.repeat(np.arange(len(genes)), genes["pcres"]), contacts[f"regulation_{width}"])
        np.testing.assert_allclose(sums + genes[f"own_{width}"].to_numpy(), 1, atol=1e-6)
        np.testing.assert_allclose(contacts[f"regulation_{width}"], found.array(f"regulation_{width}"), atol=1e-7)


def test_contacts_lie_where_the_dataset_has_them(found: Explanation, dataset: Dataset) -> None:
    contacts, regions = _table(found, "contacts"), RegionTable(dataset)
    ids, minus = dataset.regions["id"].to_list(), (dataset.regions["strand"] == "-").to_list()
    pairwise, finest = found.array("pairwise_100"), min(WIDTHS)
    for number, one in enumerate(contacts.iter_rows(named=True)):
        row = ids.index(one["id"])
        contact = regions.first[row] + one["rank"] - 1
        region = regions.contact[contact, 1]
        start, end = regions.regions.starts[region], regions.regions.ends[region]
        assert (one["chrom"], one["start"], one["end"]) == (dataset.regions["chrom"][row], start, end)
        assert one["frequency"] == pytest.approx(regions.frequency[contact])
        others = np.exp(regions.frequency[regions.first[row] : regions.first[row + 1]])
        assert one["frequency_alone"] == pytest.approx(others[one["rank"] - 1] / (1 + others.sum()), rel=1e-5)
        away = (start + end) / 2 - dataset.regions["start"][row] - WINDOW / 2
        assert one["distance"] == (-away if minus[row] else away)
        bins = -(-(end - start) // finest)
        first = -(-(WINDOW // finest - bins) // 2)
        top = start + int(pairwise[number, first : first + bins].argmax()) * finest
        assert (one["top_start"], one["top_end"]) == (top, min(top + finest, end))


def test_means_of_high_and_low_genes(found: Explanation, dataset: Dataset) -> None:
    high = dataset.targets[_rows(found, dataset), 0] > 0.5
    contacts = _table(found, "contacts")
    assert (
        contacts["group"].to_list()
        == np.repeat(np.where(high, "high", "low"), _table(found, "genes")["pcres"]).tolist()
    )
    for group, kept in (("high", high), ("low", ~high), ("all", high | ~high)):
        for width in WIDTHS:
            mean = found.array(f"embedding_{width}")[kept].mean(0)
            np.testing.assert_allclose(found.mean(f"embedding_{width}", group)[0], mean, atol=1e-6)
            near = contacts if group == "all" else contacts.filter(pl.col("group") == group)
            value = found.mean(f"regulation_{width}", group)[0]
            # Every pCRE is nearer than 20 kb.
            assert value[0] == pytest.approx(near[f"regulation_{width}"].mean(), abs=1e-6)
            assert np.isnan(value[1:]).all()
    places = found.summary.filter((pl.col("quantity") == "embedding_200") & (pl.col("group") == "all"))
    assert places["from"].to_list() == [-300, -100, 100]
    assert found.edges.tolist() == list(range(-300, 301, 100))


def test_genes_without_pcres_and_the_report(run: Run, found: Explanation, dataset: Dataset, tmp_path: Path) -> None:
    lonely = train("chromoformer", dataset, tmp_path / "lonely", **SPLIT, device="cpu", set=SMALL | {"input.pcres": 0})
    alone = explain("attention", lonely, out=tmp_path / "a", limit=6, device="cpu")
    assert alone.array("pairwise_200").shape == (0, WINDOW // 200)
    assert _table(alone, "contacts").is_empty()
    assert _table(alone, "genes")["own_100"].to_list() == pytest.approx([1] * 6)
    page = check_page(report([run, lonely], tmp_path / "r.html", explanations=[found], device="cpu", limit=20))
    for words in (
        "Attention to the bins of the promoter",
        "Attention of promoters to their pCREs",
        "Contacts with more weight than their frequency gives",
        "None of the explained genes has a pCRE",
    ):
        assert words in page.text
    assert "No maps" not in page.text


def test_other_methods_are_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="look at its attention"):
        explain("class-map", run, out=tmp_path / "b", device="cpu")
    assert not (tmp_path / "b").exists()
