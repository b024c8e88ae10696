from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from tests.explain.sequence_run import sequence_run

from regulome.cli.app import run as run_command
from regulome.datasets import Dataset
from regulome.errors import InputError
from regulome.explain import open_perturbation, perturb
from regulome.explain.recovery import read_truth
from regulome.training import Run, train


def _weights(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """What a unit of a transformed value adds to the logit, [marks, bins], and the rule that transforms it."""
    (model,) = run.models()
    preprocess = model.preprocess
    assert preprocess.transform == "log1p"
    probe = torch.zeros(1, 3, 20, requires_grad=True)
    model.network(preprocess.scaled(probe)).sum().backward()
    return probe.grad[0].numpy().astype(np.float64), preprocess.mean.numpy()


def _logit(p: np.ndarray) -> np.ndarray:
    return np.log(p / (1 - p))


def _features(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    x = np.log1p(dataset.inputs["marks"][rows].astype(np.float64))
    minus = (dataset.regions["strand"] == "-").to_numpy()[rows]
    x[minus] = x[minus][:, :, ::-1]
    return x


def _rows(dataset: Dataset, table: pl.DataFrame) -> np.ndarray:
    place = {name: row for row, name in enumerate(dataset.regions["id"])}
    return np.array([place[name] for name in table["id"]])


def test_of_a_linear_model_the_effect_is_weight_times_removed_signal(
    linear: Run, dataset: Dataset, tmp_path: Path
) -> None:
    found = perturb(
        linear, tmp_path / "p", region="distal", factors=[0.3, 0.0], chunk=300, promoter=500, relative_to="nothing"
    )
    table = found.effects().collect()
    weights, _ = _weights(linear)
    features = _features(dataset, _rows(dataset, table))
    centres = (np.arange(20) - 9.5) * 100
    # Chunks are cut at the promoter in the middle of a bin: such a bin counts half.
    low, high = (table[name].to_numpy()[:, None] for name in ("from", "to"))
    share = np.clip((np.minimum(high, centres + 50) - np.maximum(low, centres - 50)) / 100, 0, 1)
    mark = np.array([dataset.marks.index(name) for name in table["mark"]])
    each = np.arange(len(table))
    removed = (1 - table["factor"].to_numpy())[:, None] * share * features[each, mark]
    truth = -(weights[mark] * removed).sum(axis=1)
    effect = _logit(table["prediction"].to_numpy().astype(np.float64))
    effect -= _logit(table["original"].to_numpy().astype(np.float64))
    np.testing.assert_allclose(effect, truth, atol=2e-4)
    np.testing.assert_allclose(table["difference"], table["prediction"] - table["original"], atol=1e-6)
    np.testing.assert_allclose(table["change"], table["difference"])
    signal = (share * features[each, mark]).sum(axis=1) / share.sum(axis=1)
    np.testing.assert_allclose(table["signal"], signal, rtol=1e-5)
    assert sorted(set(table["from"])) == [-1000, -700, -400, 250, 500, 800]
    assert len(table) == 60 * 3 * 6 * 2


def test_predictions_are_those_of_one_copy_at_a_time(attentive: Run, dataset: Dataset, tmp_path: Path) -> None:
    found = perturb(attentive, tmp_path / "p", region="distal", factors=[0.5], limit=6, chunk=500, promoter=0)
    table = found.effects().collect()
    models = attentive.models()
    for row in table.sample(12, seed=1).iter_rows(named=True):
        index = dataset.regions["id"].to_list().index(row["id"])
        x = torch.from_numpy(dataset.inputs["marks"][[index]].astype(np.float32))
        x = x.flip(2) if dataset.regions["strand"][index] == "-" else x
        features = torch.log1p(x)
        first = int(row["from"] / 100) + 10
        features[0, dataset.marks.index(row["mark"]), first : first + 5] *= 0.5
        with torch.inference_mode():
            truth = np.mean([float(torch.sigmoid(m.network(m.preprocess.scaled(features)))) for m in models])
        assert row["prediction"] == pytest.approx(truth, abs=1e-6)
        assert row["change"] == pytest.approx((row["prediction"] - row["original"]) / row["original"], abs=1e-5)
        region = dataset.regions.row(index, named=True)
        begin, end = (region["start"] + 1000 + row[name] for name in ("from", "to"))
        if region["strand"] == "-":
            begin, end = (region["end"] - 1000 - row[name] for name in ("to", "from"))
        assert (row["start"], row["end"]) == (begin, end)
    assert found.manifest["groups"]["high"] == found.manifest["groups"]["low"] == 3


def test_planted_marks_and_bins_are_found(linear: Run, truth: Path, tmp_path: Path) -> None:
    found = perturb(linear, tmp_path / "p", region="distal", action="remove", chunk=100, promoter=0)
    profile = found.profile().filter(pl.col("group") == "all").sort("mark", "from")
    planted = set()
    for rule in read_truth(truth).rules:
        planted |= {(rule.mark, begin, rule.direction) for begin in np.arange(rule.begin, rule.end, 100)}
    ranked = profile.sort(pl.col("difference").abs(), descending=True).head(len(planted))
    # Without the signal of a mark that raises expression, less is predicted.
    seen = {(mark, begin, -np.sign(effect)) for mark, begin, effect in ranked["mark", "from", "difference"].iter_rows()}
    precision = len(seen & planted) / len(seen)
    assert len(planted) == 11
    assert precision >= 10 / 11, ranked
    top = found.top()
    assert top is not None
    assert set(top["mark"]) == {"up", "decoy", "down"}
    assert len(top.filter(pl.col("mark") == "up")) == 60 * 20 * 0.1
    assert (top.filter(pl.col("mark") == "up")["from"].is_between(300, 799)).mean() > 0.9


def test_unoriented_runs_are_perturbed_along_the_gene(dataset: Dataset, tmp_path: Path) -> None:
    run = train(
        "logistic-regression", dataset, tmp_path / "r", test_chromosomes=["chr1"], valid_chromosomes=["chr2"],
        device="cpu", set=["input.orient=false"],
    )  # fmt: skip
    found = perturb(run, tmp_path / "p", region="-1000:-900", marks=["all"], action="remove")
    (model,) = run.models()
    table = found.effects().collect()
    for row in table.head(8).iter_rows(named=True):
        index = dataset.regions["id"].to_list().index(row["id"])
        x = torch.from_numpy(dataset.inputs["marks"][[index]].astype(np.float32))
        x[:, :, -1 if dataset.regions["strand"][index] == "-" else 0] = 0
        with torch.inference_mode():
            assert row["prediction"] == pytest.approx(float(torch.sigmoid(model(x))), abs=1e-6)


def test_each_gene_by_the_fold_that_did_not_see_it(dataset: Dataset, linear: Run, tmp_path: Path) -> None:
    second = train(
        "logistic-regression", dataset, tmp_path / "r", test_chromosomes=["chr3"], valid_chromosomes=["chr2"],
        device="cpu",
    )  # fmt: skip
    both = perturb([linear, second.path], tmp_path / "p", marks=["up"]).effects().collect()
    alone = perturb(linear, tmp_path / "q", marks=["up"]).effects().collect()
    assert both["id"].n_unique() == 120
    assert set(both["runs"]) == {1}
    same = both.join(alone, on=["id", "factor"], how="inner")
    assert len(same) == len(alone)
    np.testing.assert_allclose(same["prediction"], same["prediction_right"], atol=1e-7)
    every = perturb([linear, second], tmp_path / "e", marks=["up"], split="all", limit=10).effects().collect()
    assert set(every["runs"]) == {2}
    one, two = (run.predictions().select("id", "expression") for run in (linear, second))
    means = one.join(two, on="id").select("id", mean=(pl.col("expression") + pl.col("expression_right")) / 2)
    seen = every.join(means, on="id")
    np.testing.assert_allclose(seen["original"], seen["mean"], atol=1e-6)


@pytest.mark.parametrize("donor", ["mean", "high", "random", "G007"])
def test_swaps_move_toward_another_signal(linear: Run, dataset: Dataset, tmp_path: Path, donor: str) -> None:
    settings = {"region": "-1000:1000", "action": "swap", "marks": ["all"], "factors": [0.0, 1.0]}
    found = perturb(linear, tmp_path / "p", donor=donor, seed=3, **settings)  # type: ignore[arg-type]
    table = found.effects().collect()
    swapped = table.filter(pl.col("factor") == 0)["prediction"].to_numpy()
    rows = _rows(dataset, table.filter(pl.col("factor") == 0))
    (model,) = linear.models()

    def predicted(features: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            x = model.preprocess.scaled(torch.from_numpy(features).float())
            return torch.sigmoid(model.network(x))[:, 0].numpy()

    if donor == "random":
        original = table.filter(pl.col("factor") == 1)["prediction"].to_numpy()
        np.testing.assert_allclose(np.sort(swapped), np.sort(original), atol=1e-6)
        assert not np.isclose(swapped, original).all()
        return
    if donor == "G007":
        rows = np.array([7])
    elif donor == "high":
        rows = rows[dataset.targets[rows, 0] > 0.5]
    np.testing.assert_allclose(swapped, predicted(_features(dataset, rows).mean(axis=0)[None])[0], atol=1e-5)


def test_genes_are_chosen_by_group_value_or_name(linear: Run, dataset: Dataset, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("# mine\nG006\nS12\n")
    chosen = {
        genes: perturb(linear, tmp_path / f"p{number}", marks=["up"], factors=[0], genes=genes)
        for number, genes in enumerate(("high", "low", str(names)))
    }
    label = dict(zip(dataset.regions["id"], dataset.targets[:, 0] > 0.5, strict=True))
    ids = {genes: found.effects().collect()["id"].to_list() for genes, found in chosen.items()}
    assert all(label[name] for name in ids["high"])
    assert not any(label[name] for name in ids["low"])
    assert len(ids["high"]) + len(ids["low"]) == 60
    assert ids[str(names)] == ["G006", "G012"]


def test_a_folder_says_what_it_is(linear: Run, tmp_path: Path) -> None:
    found = perturb(linear.path, tmp_path / "p", marks=["up+down", "decoy"], loci=[])
    assert found.manifest["factors"] == [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
    assert found.top() is None
    assert found.enrichment() is None
    assert str(found) == f"60 genes, 2 marks, promoter: {tmp_path / 'p'}"
    profile = found.profile()
    assert profile["mark"].unique(maintain_order=True).to_list() == ["up+down", "decoy"]
    untouched = profile.filter(pl.col("factor") == 1)
    assert untouched["difference"].to_list() == [0.0] * 6
    # A twentieth of the window of 2 kb is a bin, the promoter three.
    assert set(profile["from"]) == {-150}
    manifest = json.loads((tmp_path / "p" / "perturbation.json").read_text())
    (tmp_path / "p" / "perturbation.json").write_text(json.dumps(manifest | {"schema": 2}))
    with pytest.raises(InputError, match="this release reads version 1"):
        open_perturbation(tmp_path / "p")
    with pytest.raises(InputError, match=r"no perturbation\.json"):
        open_perturbation(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"marks": ["H3K27ac"]}, "there is no mark 'H3K27ac' .*the run has up, decoy, down"),
        ({"marks": ["up", "UP"]}, "named twice"),
        ({"region": "enhancer"}, "unknown region 'enhancer'"),
        ({"region": "pcre"}, "its network reads no pCREs"),
        ({"action": "cut"}, "only pCREs can be cut off"),
        ({"action": "delete"}, "unknown action 'delete'"),
        ({"factors": [2.0]}, "different numbers from 0 to 1"),
        ({"preset": "published"}, "windows of 40,000 bp, not of 2,000 bp"),
        ({"preset": "mine"}, "unknown preset"),
        ({"chunk": 5000, "region": "distal"}, "chunk = 5,000"),
        ({"promoter": 2000, "region": "distal"}, "leaves nothing"),
        ({"genes": "some"}, "neither a group nor a file"),
        ({"genes": "top:2"}, "a share between 0 and 1"),
        ({"action": "swap", "donor": "G999"}, "no such gene"),
        ({"split": "tests"}, "unknown split"),
        ({"top": 1.5}, "top = 1.5"),
        ({"relative_to": "it"}, "unknown relative_to"),
    ],
)
def test_wrong_requests_leave_nothing(linear: Run, tmp_path: Path, settings: dict, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(InputError, match=message):
        perturb(linear, tmp_path / "x", **settings)
    assert not list(tmp_path.iterdir())


def test_runs_on_dna_and_unlike_runs_are_refused(linear: Run, dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="perturb takes runs on histone marks"):
        perturb(sequence_run(tmp_path), tmp_path / "x")
    other = train(
        "logistic-regression", dataset, tmp_path / "r", test_chromosomes=["chr1"], valid_chromosomes=["chr2"],
        device="cpu", set=["input.marks=up"],
    )  # fmt: skip
    with pytest.raises(InputError, match="sees other marks or another window"):
        perturb([linear, other], tmp_path / "x")


def test_the_verb_leaves_tables_and_figures(linear: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loci = tmp_path / "loci.bed"
    loci.write_text("chr1\t6000\t6100\nchr1\t66000\t66300\n")
    words = ["perturb", str(linear.path), "--out", str(tmp_path / "p"), "--marks", "up,down", "--region", "distal"]
    assert run_command([*words, "--factors", "0.5,0", "--loci", str(loci), "--draws", "20", "--limit", "20"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "p")
    found = open_perturbation(tmp_path / "p")
    assert {path.name for path in found.path.iterdir()} == {
        "perturbation.json", "effects.parquet", "profile.tsv", "top.tsv", "enrichment.tsv", "figures"
    }  # fmt: skip
    names = ("change-by-factor", "effect-by-distance", "enrichment")
    drawn = {path.name: path.read_text("utf-8") for path in (found.path / "figures").glob("*.svg")}
    assert set(drawn) == {f"{name}.svg" for name in names}
    assert "High genes: chunks of 100 bp removed" in drawn["effect-by-distance.svg"]
    assert "p, what is left of the signal" in drawn["change-by-factor.svg"]
    enrichment = found.enrichment()
    assert enrichment is not None
    assert enrichment["mark"].to_list() == ["up", "down"]
    assert run_command(words) == 2
    assert "exists already" in capsys.readouterr().err
