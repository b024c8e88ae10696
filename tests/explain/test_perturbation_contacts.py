"""Perturbations of a Chromoformer's run on a dataset of contacts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from regulome.datasets import Dataset, RegionBatches, open_dataset, write_dataset
from regulome.datasets.region_writer import add_regions, number_regions
from regulome.datasets.regions import RegionTable
from regulome.errors import InputError
from regulome.explain import perturb
from regulome.models.regions import RegionBatch
from regulome.report import perturbation_figures
from regulome.training import Run, train

WINDOW, WIDTHS, MARKS, GENES = 800, (200, 100, 50), ["A", "B"], 30


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    random = np.random.default_rng(0)
    start = 20_000 * (1 + np.arange(GENES) // 3)
    genes = pl.DataFrame(
        {
            "id": [f"G{i:02d}" for i in range(GENES)], "chrom": [f"chr{1 + i % 3}" for i in range(GENES)],
            "start": start, "end": start + WINDOW, "strand": random.choice(["+", "-"], GENES).tolist(),
        }
    )  # fmt: skip
    gene = np.repeat(np.arange(GENES), random.integers(0, 4, GENES))
    away = random.integers(1_000, 9_000, len(gene)) * random.choice([-1, 1], len(gene))
    contacts = pl.DataFrame(
        {
            "example": gene.astype(np.uint32), "chrom": genes["chrom"].gather(gene), "start": start[gene] + away,
            "end": start[gene] + away + random.integers(60, WINDOW, len(gene)),
            "score": random.uniform(1.5, 5, len(gene)).astype(np.float32),
        }
    ).sort("example", "score", descending=[False, True])  # fmt: skip
    numbered = number_regions(genes, contacts)
    path = tmp_path_factory.mktemp("contacts") / "data"
    with write_dataset(path, line="expression", task="classification", regions=genes) as writer:
        sizes = {"window": WINDOW, "max_region": WINDOW, "resolutions": WIDTHS, "marks": MARKS}
        for signal in add_regions(writer, numbered, **sizes).values():  # type: ignore[arg-type]
            signal[:] = random.gamma(1, 2, signal.shape)
        writer.set_targets((np.arange(GENES) % 2).astype(np.float32)[:, None], ["expression"], {})
    return open_dataset(path)


@pytest.fixture(scope="module")
def run(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    sizes = {"width": 8, "head": 6, "embedding": [2, 8], "pairwise": [1, 2, 8], "regulation": [1, 2, 8, 8]}
    return train(
        "chromoformer", dataset, tmp_path_factory.mktemp("runs") / "r", test_chromosomes=["chr1"],
        valid_chromosomes=["chr2"], device="cpu",
        set=["training.epochs=1", *(f"model.hyperparameters.{name}={size}" for name, size in sizes.items())],
    )  # fmt: skip


def _gene(dataset: Dataset, name: str) -> RegionBatch:
    index = dataset.regions["id"].to_list().index(name)
    (batch,) = RegionBatches(dataset, [index], batch_size=1)
    found: RegionBatch = batch.inputs
    return found


def _predict(run: Run, batch: RegionBatch) -> float:
    with torch.inference_mode():
        return float(torch.sigmoid(run.models()[0](batch)))


def test_chunks_of_the_window(run: Run, dataset: Dataset, tmp_path: Path) -> None:
    found = perturb(run, tmp_path / "p", region="distal", factors=[0.4], chunk=100, promoter=100, marks=["B"])
    table = found.effects().collect()
    assert len(table) == 10 * 8
    assert set(table["from"]) == {-400, -300, -200, -100, 50, 100, 200, 300}
    for row in table.sample(10, seed=0).iter_rows(named=True):
        one = _gene(dataset, row["id"])
        for rows, width in zip(one.features, WIDTHS, strict=True):
            left = np.arange(-WINDOW // 2, WINDOW // 2, width)
            share = np.clip(np.minimum(left + width, row["to"]) - np.maximum(left, row["from"]), 0, None) / width
            rows[: len(left), 1] *= torch.from_numpy(1 - 0.6 * share).float()
        assert row["original"] == pytest.approx(_predict(run, _gene(dataset, row["id"])), abs=1e-6)
        assert row["prediction"] == pytest.approx(_predict(run, one), abs=1e-6)


def test_pcres_are_taken_off(run: Run, dataset: Dataset, tmp_path: Path) -> None:
    loci = tmp_path / "loci.bed"
    regions = RegionTable(dataset)
    where = regions.regions
    rows = [f"{where.chromosomes[where.codes[r]]}\t{where.starts[r]}\t{where.ends[r]}" for r in regions.contact[:, 1]]
    loci.write_text("\n".join(rows) + "\n")
    found = perturb(run, tmp_path / "p", region="pcre", action="cut", marks=["all"], loci=[loci], draws=50)
    table = found.effects().collect()
    genes = dataset.regions.filter(pl.col("chrom") == "chr1")
    counts = np.diff(regions.first)[::3]
    assert len(table) == counts.sum() + (counts > 0).sum()
    for row in table.iter_rows(named=True):
        index = dataset.regions["id"].to_list().index(row["id"])
        one = _gene(dataset, row["id"])
        near = regions.contact[regions.first[index] : regions.first[index + 1], 1]
        if row["place"] == "all":
            one = RegionBatch(
                tuple(r[: int(b[0])] for r, b in zip(one.features, one.bins, strict=True)),
                one.first[:, :1], one.bins[:, :1], one.gene[:0], one.frequency[:0],
            )  # fmt: skip
            assert row["prediction"] == pytest.approx(_predict(run, one), abs=1e-6)
            assert row["start"] is None
            continue
        region = near[int(row["place"]) - 1]
        assert (row["start"], row["end"]) == (regions.regions.starts[region], regions.regions.ends[region])
        tss = genes.filter(pl.col("id") == row["id"])["start"][0] + WINDOW // 2
        away = (row["start"] + row["end"]) / 2 - tss
        assert row["distance"] == (-away if dataset.regions["strand"][index] == "-" else away)
        frequency = regions.frequency[regions.first[index] + int(row["place"]) - 1]
        assert row["frequency"] == pytest.approx(frequency)
    profile = found.profile()
    assert profile.filter((pl.col("place") == "all") & (pl.col("group") == "all"))["n"].to_list() == [
        (counts > 0).sum()
    ]
    assert profile.filter((pl.col("place") != "all") & (pl.col("group") == "all"))["n"].sum() == counts.sum()
    enrichment = found.enrichment()
    assert enrichment is not None
    # Every place holds a locus, in the top and elsewhere.
    assert enrichment["observed"].to_list() == enrichment["top"].to_list()
    assert enrichment["p"].to_list() == [1.0]
    names = {path.name for path in perturbation_figures(found)}
    assert names == {f"{name}.{end}" for name in ("effect-by-distance", "enrichment") for end in ("png", "svg")}


def test_signal_of_pcres_fades(run: Run, dataset: Dataset, tmp_path: Path) -> None:
    found = perturb(run, tmp_path / "p", region="pcre", action="scale", factors=[0.5, 0], marks=["A"], limit=6)
    table = found.effects().collect().filter(pl.col("place") == "1")
    for row in table.iter_rows(named=True):
        one = _gene(dataset, row["id"])
        for rows, bins in zip(one.features, one.bins.tolist(), strict=True):
            rows[bins[0] : bins[0] + bins[1], 0] *= row["factor"]
        assert row["prediction"] == pytest.approx(_predict(run, one), abs=1e-6)


def test_genes_without_pcres_and_other_presets(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the preset never touches pCREs"):
        perturb(run, tmp_path / "p", region="pcre", preset="published")
    with pytest.raises(InputError, match="no counterpart in another gene"):
        perturb(run, tmp_path / "p", region="pcre", action="swap")
    with pytest.raises(InputError, match="windows of 40,000 bp, not of 800 bp"):
        perturb(run, tmp_path / "p", preset="published")
