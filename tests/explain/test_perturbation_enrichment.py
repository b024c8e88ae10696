from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from regulome.datasets import Dataset
from regulome.errors import InputError
from regulome.explain.perturbation_enrichment import enrich, is_top, matched_draws, rank_places, read_loci
from regulome.explain.perturbation_folder import COLUMNS


def _bed(path: Path, rows: list[tuple[str, int, int]]) -> Path:
    path.write_text("".join(f"{chrom}\t{start}\t{end}\n" for chrom, start, end in rows))
    return path


def test_loci_of_bed_and_vcf(dataset: Dataset, tmp_path: Path) -> None:
    rows = [("1", 5_100, 5_101), ("chr1", 65_000, 65_500), ("chr2", 15_100, 15_103), ("chrY", 1, 2)]
    with pytest.raises(InputError, match="names one chromosome in two ways"):
        read_loci(_bed(tmp_path / "two.bed", rows), dataset)
    rows[1] = ("1", 65_000, 65_500)
    bed = read_loci(_bed(tmp_path / "a.bed", rows), dataset)
    text = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    text += "chr1\t5101\t.\tA\tC\t.\t.\t.\nchr2\t15101\t.\tACG\tA\t.\t.\t.\nchrY\t9\t.\tA\tC\t.\t.\t.\n"
    (tmp_path / "a.vcf.gz").write_bytes(gzip.compress(text.encode()))
    vcf = read_loci(tmp_path / "a.vcf.gz", dataset)
    assert (bed.record["on_chromosomes"], vcf.record["on_chromosomes"]) == (3, 2)
    table = pl.DataFrame(
        {
            "chrom": ["chr1", "chr1", "chr1", "chr2", "chr2", "chr3", "."],
            "start": [5_000, 5_101, 5_000, 15_103, 15_102, 0, None],
            "end": [5_100, 70_000, 70_000, 16_000, 15_104, 99_999, None],
        }
    )
    assert bed.count(table).tolist() == [0, 1, 2, 0, 1, 0, 0]
    assert vcf.count(table).tolist() == [0, 0, 1, 0, 1, 0, 0]
    with pytest.raises(InputError, match="none of its chromosomes"):
        read_loci(_bed(tmp_path / "b.bed", [("scaffold1", 1, 2)]), dataset)
    with pytest.raises(InputError, match="start 9 is not before end 2"):
        read_loci(_bed(tmp_path / "c.bed", [("chr1", 9, 2)]), dataset)


def test_the_top_is_a_share_of_all() -> None:
    values = np.array([0.1, -3, 2, np.nan, 0, 0, 0, 2, 1, 0.5])
    assert np.flatnonzero(is_top(values, 0.3)).tolist() == [1, 2, 7]
    assert np.flatnonzero(is_top(values, 0.01)).tolist() == [1]
    # What changes nothing is never among those that matter most.
    assert not is_top(np.zeros(5), 0.5).any()


def test_random_sets_are_matched() -> None:
    random = np.random.default_rng(0)
    strata = random.integers(0, 6, 300)
    hit, chosen = random.random(300) < 0.3, random.random(300) < 0.1
    observed, null = matched_draws(hit, chosen, strata, 20_000, random)
    assert observed == (hit & chosen).sum()
    plain = []
    for _ in range(4_000):
        drawn = [random.permutation(np.flatnonzero(strata == s))[: (chosen & (strata == s)).sum()] for s in range(6)]
        plain.append(hit[np.concatenate(drawn)].sum())
    assert null.mean() == pytest.approx(np.mean(plain), abs=0.15)
    assert null.std() == pytest.approx(np.std(plain), rel=0.06)


def _effects(path: Path, genes: int, seed: int) -> pl.DataFrame:
    """Two marks; places of 2 kb that matter by chance, more where there is signal."""
    random = np.random.default_rng(seed)
    gene, mark, place = (axis.ravel() for axis in np.indices((genes, 2, 18)))
    distance = np.where(place < 9, (place - 9) * 2000.0 - 2000, (place - 8) * 2000.0 + 2000)
    signal = random.gamma(1, 1, len(gene))
    change = signal * random.normal(size=len(gene)) * np.exp(-np.abs(distance) / 2e4)
    start = gene * 60_000 + 30_000 + distance.astype(np.int64)
    table = pl.DataFrame(
        {
            "id": [f"G{i}" for i in gene], "mark": np.array(["A", "B"])[mark], "place": place.astype(str),
            "from": distance, "to": distance + 2000, "chrom": ["chr1"] * len(gene), "start": start, "end": start + 2000,
            "distance": distance, "frequency": np.nan, "signal": signal, "factor": 0.0, "original": 0.5,
            "prediction": 0.5 + change, "difference": change, "change": change, "runs": 1,
        }
    )  # fmt: skip
    table = table.select(pl.col(name).cast(kind) for name, kind in COLUMNS.items())
    table.write_parquet(path)
    return table


def test_planted_loci_are_enriched_and_random_ones_are_not(dataset: Dataset, tmp_path: Path) -> None:
    path, random = tmp_path / "effects.parquet", np.random.default_rng(1)
    table = _effects(path, 120, 0)
    # Loci in half of the places that matter most for A, and at random.
    mine = table.filter(pl.col("mark") == "A").sort(pl.col("change").abs(), descending=True)["start"][:216:2]
    loci = [
        read_loci(_bed(tmp_path / f"{name}.bed", [("chr1", s + 700, s + 701) for s in starts]), dataset)
        for name, starts in (("planted", mine), ("random", random.integers(0, 7_000_000, 400)))
    ]
    found = enrich(path, ["A", "B"], 0.0, loci, draws=2_000)
    rows = {(row["mark"], row["loci"]): row for row in found.iter_rows(named=True)}
    planted = rows["A", "planted.bed"]
    assert planted["observed"] == 108
    assert planted["top"] == 216
    assert planted["p"] == 1 / 2001
    assert planted["q"] < 0.01
    assert planted["ratio"] > 2
    assert all(row["p"] > 0.01 for key, row in rows.items() if key != ("A", "planted.bed"))
    listed = rank_places(path, ["A", "B"], 0.0, 0.1, loci)
    assert len(listed) == 432
    assert listed["change"].abs()[:216].is_sorted(descending=True)
    assert listed["rank"][:3].to_list() == [1, 2, 3]
    assert listed.filter(pl.col("mark") == "A")["planted.bed"].sum() == 108


def test_p_values_are_uniform_under_the_null(dataset: Dataset, tmp_path: Path) -> None:
    path, random, p = tmp_path / "effects.parquet", np.random.default_rng(2), []
    # Loci prefer places with signal and near the gene, as effects do, and are otherwise independent of them.
    for seed in range(60):
        table = _effects(path, 60, seed).filter(pl.col("mark") == "A")
        odds = table["signal"].to_numpy() * np.exp(-table["distance"].abs().to_numpy() / 2e4)
        starts = table["start"].to_numpy()[random.random(len(table)) < 0.35 * odds / odds.mean()]
        loci = read_loci(_bed(tmp_path / "null.bed", [("chr1", s, s + 1) for s in starts]), dataset)
        p += enrich(path, ["A"], 0.0, [loci], draws=300, seed=seed)["p"].to_list()
    values = np.sort(p)
    # Kolmogorov and Smirnov's distance stays below what one sample in a hundred exceeds.
    assert np.abs(values - (np.arange(60) + 0.5) / 60).max() < 1.63 / np.sqrt(60)
