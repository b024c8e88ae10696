"""Wrong contacts, depths, folds and grids: one clear line with the cure, and nothing left behind."""

import gzip
import os
import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.cli.test_bad_input import refused
from tests.cli.tiny_world import SPLIT, World
from tests.datasets.published_world import GENES, HEADER, MARKS, WIDTHS, WINDOW, write_depths, write_table

from regulome.cli.app import run as run_line

ROW = "chr1\t14500\t15500\t{}\t{}\t{}\t{}\n"
#: What a test of refusals trains, if it is not refused: a moment.
SHORT = ["--set", "training.epochs=1"]


@pytest.fixture(scope="module")
def text() -> str:
    """Two contacts of each gene of the tiny world."""
    rows = []
    for chrom in ("chr1", "chr2", "chr3", "chr4"):
        for i, tss in enumerate(np.linspace(15_000, 385_000, 30).astype(int)):
            for start in (tss + 5_000, tss - 6_500):
                rows.append(f"{chrom}\t{tss - 500}\t{tss + 500}\t{chrom}\t{start}\t{start + 1_000}\t{2 + i / 10}\n")
    return "".join(rows)


@pytest.fixture(scope="module")
def prepare(world: World, text, tmp_path_factory):
    """The words of `regulome prepare contacts`, some options changed; None leaves an option away."""
    contacts = tmp_path_factory.mktemp("contacts") / "contacts.tsv"
    contacts.write_text(text)

    def words(out: Path, **changed: object) -> list[object]:
        options = {
            "genes": world.genes,
            "expression": world.expression,
            "sample": "E001",
            "track": f"H3K4me3={world.reads}",
            "contacts": contacts,
            "window": 4000,
            "resolutions": "1000,500",
            "target": "log2",
            "out": out,
        } | changed
        pairs = [(f"--{name.replace('_', '-')}", value) for name, value in options.items() if value is not None]
        return ["prepare", "contacts", *[word for pair in pairs for word in pair]]

    return words


@pytest.fixture(scope="module")
def regions(prepare, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("regions") / "dataset"
    assert run_line([str(word) for word in prepare(path)]) == 0
    return path


@pytest.fixture(scope="module")
def distal_run(regions, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("distal") / "run"
    words = ["train", "chromoformer-regression", regions, "--out", path, *SPLIT, *SHORT]
    assert run_line([str(word) for word in words]) == 0
    return path


CONTACTS = {
    "chromosome": (lambda t: t + ROW.format("chrQ", 100, 1_100, 9), ["chrQ:100-1100", "unknown chromosome"]),
    "assembly": (lambda t: t.replace("chr", "scaffold"), ["no start site", "assembly"]),
    "long": (lambda t: ROW.format("chr1", 386_000, 426_001, 9), ["at most 40,000 bases"]),
    "weak": (lambda t: ROW.format("chr1", 100, 1_100, 1.5), ["score above 1.5", "--threshold"]),
    "turned": (lambda t: t + ROW.format("chr1", 900, 100, 9), ["line 241", "900 is not before"]),
    "first": (lambda t: ROW.format("chr1", -5, 100, 9) + t, ["line 1", "start2"]),
    "columns": (lambda t: t.replace("\tchr", "\n"), ["line 1", "has 3 columns, expected chrom1"]),
    "ragged": (lambda t: t + "chr1\t1\t2\n", ["line 241", "has 3 columns, expected 7"]),
    "text": (lambda t: t + ROW.format("chr1", 100, 200, "high"), ["line 241", "score 'high'"]),
    "nan": (lambda t: t + ROW.format("chr1", 100, 200, "nan"), ["line 241", "score 'nan'"]),
    "nothing": (lambda t: "", ["is empty"]),
    "header": (lambda t: "chrom1\tstart1\tend1\tchrom2\tstart2\tend2\tscore\n", ["has no contacts"]),
    "latin": (lambda t: t + ROW.format("chr\xe9", 1, 2, 3), ["line 241", "UTF-8"]),
}


@pytest.mark.parametrize("kind", CONTACTS)
def test_wrong_contacts(kind, prepare, text, tmp_path, regulome):
    spoil, said = CONTACTS[kind]
    path = tmp_path / "pairs.tsv"
    path.write_text(spoil(text), encoding="latin1")
    refused(regulome(*prepare(tmp_path / "out" / "d", contacts=path)), tmp_path / "out", "pairs.tsv", *said)


class Hostile:
    def __reduce__(self):
        return os.mkdir, (os.environ["HOSTILE"],)


PICKLES = {
    "hostile": (lambda: pickle.dumps({"chr1:1-2": {"chr1:5-9": Hostile()}}), "mkdir"),
    "truncated": (lambda: pickle.dumps({"chr1:1-2": {"chr1:5-9": 2.0}})[:-4], "truncated"),
    "empty": (lambda: pickle.dumps({}), "holds no contacts"),
    "names": (lambda: pickle.dumps({"a": {"b": 2.0}}), "CHROM:START-END"),
    "score": (lambda: pickle.dumps({"chr1:1-2": {"chr1:5-9": "x"}}), "holds 'x'"),
    "gzip": (lambda: gzip.compress(pickle.dumps({"chr1:1-2": {"chr1:5-9": 2.0}}))[:30], "gzip ends early"),
}


@pytest.mark.parametrize("kind", PICKLES)
def test_wrong_pickles_run_nothing(kind, prepare, tmp_path, monkeypatch, regulome):
    make, said = PICKLES[kind]
    monkeypatch.setenv("HOSTILE", str(tmp_path / "harm"))
    path = tmp_path / ("pairs.pickle.gz" if kind == "gzip" else "pairs.pickle")
    path.write_bytes(make())
    refused(regulome(*prepare(tmp_path / "out" / "d", contacts=path)), tmp_path / "out", path.name, said)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"threshold": "nan"}, "threshold"),
        ({"top": -1}, "--top 0"),
        ({"resolutions": "1000,300"}, "bins of 300"),
        ({"reads": 0}, "--reads 0"),
        ({"track": None}, "--track"),
        ({"track": "A={peaks}"}, "peaks"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_wrong_options(changed, said, prepare, world, tmp_path, regulome):
    changed = {name: str(value).format(peaks=world.peaks) if value else value for name, value in changed.items()}
    refused(regulome(*prepare(tmp_path / "out" / "d", **changed)), tmp_path / "out", said)


GENE_TABLES = {
    "twice": (lambda genes: [*genes, genes[1]], ["line 7", "twice in one cell"]),
    "outside": (lambda genes: [genes[0] | {"neighbors": "chr9:1-100", "scores": "9"}, *genes[1:]], ["chr9:1-100.npy"]),
    "long": (lambda genes: [genes[0] | {"neighbors": "chr1:1-502", "scores": "9"}], ["line 2", "501 bases long"]),
    "scores": (lambda genes: [genes[0] | {"scores": "1.9;x;2"}], ["line 2", "score 'x'"]),
    "cells": (lambda genes: [*genes, genes[0] | {"eid": "E004"}], ["2 cells", "--sample"]),
}


@pytest.mark.parametrize("kind", GENE_TABLES)
def test_wrong_published_tables(kind, tmp_path, regulome):
    spoil, said = GENE_TABLES[kind]
    refused(regulome(*published(tmp_path, spoil(GENES))), tmp_path / "out", *said)


def published(folder: Path, genes: list[dict[str, str]]) -> list[object]:
    words = ["--genes", write_table(folder / "genes.csv", genes, HEADER), "--published", write_depths(folder / "npy")]
    words += ["--marks", ",".join(MARKS), "--window", WINDOW, "--resolutions", ",".join(map(str, WIDTHS))]
    return ["prepare", "contacts", *words, "--max-region", WINDOW, "--target", "log2", "--out", folder / "out" / "d"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: np.save(path, np.load(path)[:, 1:]), "129 bases, its name says 130"),
        (lambda path: np.save(path, -1 - np.load(path)), "below 0"),
        (lambda path: np.save(path, np.array([{}]), allow_pickle=True), "allow_pickle"),
        (lambda path: path.write_bytes(path.read_bytes()[:50]), "truncated"),
    ],
    ids=["short", "negative", "objects", "cut"],
)
def test_wrong_depths(spoil, said, tmp_path, regulome):
    words = published(tmp_path, GENES)
    name = "chr1:5000-5130.npy"
    spoil(tmp_path / "npy" / name)
    refused(regulome(*words), tmp_path / "out", name, said)


def test_datasets_and_runs_of_another_line(regions, dataset, trained, distal_run, tmp_path, regulome):
    out = tmp_path / "out"
    refused(regulome("train", "chromoformer", dataset, "--out", out / "r", *SPLIT), out, "no distal regions")
    refused(regulome("predict", distal_run, dataset, "--out", out / "p.tsv"), out, "prepare contacts")
    refused(regulome("predict", trained, regions, "--out", out / "p.tsv"), out, "no mark H3K27ac")
    words = ["--region", "pcre", "--action", "cut", "--marks", "all", "--out", out / "p"]
    refused(regulome("perturb", trained, *words), out, "reads no pCREs")
    refused(regulome("perturb", distal_run, *words, "--dataset", dataset), out, "no distal regions")
    refused(regulome("perturb", distal_run, "--marks", "X", "--out", out / "p"), out, "no mark 'X'", "H3K4me3")
    refused(regulome("explain", "gradient", distal_run, "--out", out / "e"), out, "regulome perturb")


def test_one_chromosome_on_both_sides(regions, tmp_path, regulome):
    """Chromosomes that are named twice are refused; a table that mixes them is, in a grid, and told otherwise."""
    out = tmp_path / "out"
    words = ["train", "chromoformer-regression", regions, "--out", out / "r", *SHORT]
    twice = ["--test-chromosomes", "chr1,chr2", "--valid-chromosomes", "chr2"]
    refused(regulome(*words, *twice), out, "chr2", "test and in valid")
    table = tmp_path / "mixed.tsv"
    names = pl.read_parquet(regions / "regions.parquet")["id"]
    table.write_text(
        "id\tsplit\n" + "".join(f"{n}\t{('train', 'valid', 'test')[i % 3]}\n" for i, n in enumerate(names))
    )
    refused(regulome(*grid(tmp_path, GRID.format(f'["{table}"]', regions))), out, "mixed.tsv", "mixed_chromosomes")
    answer = regulome(*words, "--split", table)
    assert answer.code == 0
    assert "chromosomes in more than one part" in answer.err


GRID = 'marks = ["all"]\nfolds = {}\n[cells]\nA = "{}"\n[models.chromoformer-regression]\n'


def grid(folder: Path, text: str) -> list[object]:
    path = folder / "grid.toml"
    path.write_text(text, encoding="latin1")
    return ["grid", path, "--jobs", "0", "--out", folder / "out" / "g"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: "marks = [", "is not TOML"),
        (lambda text: "# \xe9\n" + text, "is not TOML"),
        (lambda text: "", "is empty"),
        (lambda text: "colour = 1\n" + text, "unknown key colour"),
        (lambda text: text.replace('"all"', '"X"'), "no mark 'X'"),
        (lambda text: text.replace("folds = 3", "folds = 99"), "3 to 4 folds"),
        (lambda text: text.replace("regression]", "regresion]"), "chromoformer-regression"),
        (lambda text: text + "set.training.epochz = 2\n", "epochz"),
        (lambda text: text.replace('A = "', 'A = "no'), "is not there"),
    ],
    ids=["toml", "latin", "empty", "key", "mark", "folds", "recipe", "set", "cell"],
)
def test_wrong_grids(spoil, said, regions, tmp_path, regulome):
    refused(regulome(*grid(tmp_path, spoil(GRID.format(3, regions)))), tmp_path / "out", said)


def test_a_grid_of_distal_models_on_promoters_alone(dataset, tmp_path, regulome):
    refused(regulome(*grid(tmp_path, GRID.format(3, dataset))), tmp_path / "out", "no distal regions")


def test_check_knows_contacts(world, text, tmp_path, regulome):
    good, bad = tmp_path / "good.tsv", tmp_path / "bad.tsv"
    good.write_text(text)
    bad.write_text(text + ROW.format("chr1", 100, 200, "high"))
    answer = regulome("check", world.genes, good)
    assert (answer.code, "contacts: 240 records" in answer.out) == (0, True)
    answer = regulome("check", world.genes, bad)
    assert (answer.code, "line 241" in answer.out) == (2, True)
