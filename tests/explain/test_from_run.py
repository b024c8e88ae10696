import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.explain.sequence_run import sequence_run

from regulome.datasets import Batches, Dataset, open_dataset, write_dataset
from regulome.errors import InputError
from regulome.explain import Average, attention_maps, explain, gradients, open_explanation
from regulome.training import Run


def _rows(run: Run, dataset: Dataset) -> np.ndarray:
    test = run.splits.filter(pl.col("split") == "test")["id"]
    return np.flatnonzero(dataset.regions["id"].is_in(test.implode()).to_numpy())


def test_attention_of_an_ensemble(attentive: Run, dataset: Dataset, tmp_path: Path) -> None:
    found = explain("attention", attentive, out=tmp_path / "a", batch_size=7, device="cpu")
    rows = _rows(attentive, dataset)
    batches = Batches(dataset, rows, batch_size=1000, orient=True)
    truth = attention_maps(Average(attentive.models()), batches)
    np.testing.assert_allclose(found.array("alpha"), truth.bins, atol=1e-6)
    np.testing.assert_allclose(found.array("beta"), truth.marks, atol=1e-6)
    high = dataset.targets[rows, 0] > 0.5
    np.testing.assert_allclose(found.mean("alpha", "high"), truth.bins[high].mean(axis=0), atol=1e-6)
    assert truth.marks is not None
    np.testing.assert_allclose(found.mean("beta", "low"), truth.marks[~high].mean(axis=0), atol=1e-6)
    assert found.manifest["groups"]["high"] == high.sum()
    assert found.manifest["run"]["members"] == 2
    assert found.manifest["dataset"]["checksum"] == dataset.checksum
    assert found.edges.tolist() == list(range(-1000, 1001, 100))


def test_genes_name_their_strongest_cell_on_the_chromosome(attentive: Run, dataset: Dataset, tmp_path: Path) -> None:
    found = explain("attention", attentive.path, dataset.path, out=tmp_path / "a", device="cpu")
    genes = pl.read_csv(tmp_path / "a" / "genes.tsv", separator="\t")
    alpha, beta = found.array("alpha"), found.array("beta")
    for index in (0, 5, 11):
        gene = genes.row(index, named=True)
        mark = beta[index].argmax()
        assert gene["top_mark"] == dataset.marks[mark]
        assert gene["top_bin"] == alpha[index, mark].argmax() + 1
        assert gene["value"] == pytest.approx(alpha[index, mark].max(), rel=1e-4)
        region = dataset.regions.filter(pl.col("id") == gene["id"]).row(0, named=True)
        # The bins of "-" genes were turned, so that bin 1 is at the end of the window.
        offset = (gene["top_bin"] - 1) * 100
        start = region["start"] + offset if region["strand"] == "+" else region["end"] - offset - 100
        assert (gene["bin_start"], gene["bin_end"]) == (start, start + 100)
        assert gene["from"] == offset - 1000


def test_positions_of_a_convolution(convolutional: Run, tmp_path: Path) -> None:
    found = explain("attention", convolutional, out=tmp_path / "c", device="cpu")
    assert found.array("alpha").shape[1:] == (1, 11)
    assert set(found.summary["mark"]) == {"all marks"}
    centres = (found.edges[:-1] + found.edges[1:]) / 2
    # Position 0 sees bins 0 … 9, whose middle is 500 bp from the start of the window.
    assert centres[0] == -500
    assert centres[-1] == 500
    genes = pl.read_csv(tmp_path / "c" / "genes.tsv", separator="\t")
    assert set(genes["top_mark"]) == {"all marks"}
    assert "beta" not in genes.columns


def test_gradients_are_streamed_to_disk(linear: Run, dataset: Dataset, tmp_path: Path) -> None:
    found = explain("gradient", linear, out=tmp_path / "g", split="valid", batch_size=9, device="cpu")
    test = linear.splits.filter(pl.col("split") == "valid")["id"]
    rows = np.flatnonzero(dataset.regions["id"].is_in(test.implode()).to_numpy())
    truth = gradients(linear.models()[0], Batches(dataset, rows, batch_size=1000, orient=True))
    np.testing.assert_allclose(found.array("gradient"), truth.gradient, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found.array("gradient_x_input"), truth.gradient_x_input, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.mean("gradient", "all"), truth.gradient.mean(axis=0), rtol=1e-4, atol=1e-7)
    assert found.quantities() == ["gradient", "gradient_x_input", "input"]


def _copy(dataset: Dataset, path: Path, task: str, order: list[int]) -> Dataset:
    """The same genes with marks in another order, perhaps without labels or places."""
    regions = dataset.regions
    if task == "unlabelled":
        regions = regions.with_columns(chrom=pl.lit("."), start=pl.lit(-1, pl.Int64), end=pl.lit(-1, pl.Int64))
    with write_dataset(path, line="expression", task=task, regions=regions) as writer:  # type: ignore[arg-type]
        marks = [dataset.marks[place] for place in order]
        shape = dataset.inputs["marks"].shape
        array = writer.add_input(
            "marks", axes=["example", "mark", "bin"], shape=shape, dtype="uint16", mark=marks, bin_size=100
        )
        array[:] = dataset.inputs["marks"][:, order]
        if task != "unlabelled":
            writer.set_targets(np.asarray(dataset.targets), ["expression"], {})
    return open_dataset(path)


def test_marks_are_taken_in_the_order_of_the_run(linear: Run, dataset: Dataset, tmp_path: Path) -> None:
    other = _copy(dataset, tmp_path / "other", "classification", [2, 0, 1])
    one = explain("gradient", linear, out=tmp_path / "one", device="cpu")
    two = explain("gradient", linear, other, out=tmp_path / "two", device="cpu")
    assert one.marks == two.marks == dataset.marks
    np.testing.assert_array_equal(one.array("gradient_x_input"), two.array("gradient_x_input"))


def test_genes_without_labels_or_places(attentive: Run, dataset: Dataset, tmp_path: Path) -> None:
    other = _copy(dataset, tmp_path / "other", "unlabelled", [0, 1, 2])
    found = explain("attention", attentive, other.path, split="all", out=tmp_path / "a", device="cpu")
    assert set(found.summary["group"]) == {"all"}
    assert found.array("alpha").shape[0] == len(dataset)
    genes = pl.read_csv(tmp_path / "a" / "genes.tsv", separator="\t")
    assert genes["bin_start"].null_count() == len(genes)
    assert "target" not in genes.columns


def test_a_limit_draws_from_both_groups(linear: Run, tmp_path: Path) -> None:
    found = explain("gradient", linear, out=tmp_path / "g", limit=10, device="cpu")
    assert found.manifest["groups"]["high"] == found.manifest["groups"]["low"] == 5
    assert found.array("gradient").shape == (10, 3, 20)


def test_class_maps_of_a_run(linear: Run, tmp_path: Path) -> None:
    found = explain("class-map", linear, out=tmp_path / "m", steps=10, restarts=2, device="cpu")
    assert found.array("class_map").shape == (2, 3, 20)
    np.testing.assert_allclose(found.array("class_map")[1], found.mean("class_map", "high"), rtol=1e-5)
    assert found.manifest["parameters"]["steps"] == 10
    assert found.manifest["parameters"]["penalty"] == 0.009
    assert not (tmp_path / "m" / "genes.tsv").exists()
    # To the letter where the inputs are raw, the mean of the last steps where they are not.
    assert (found.manifest["settle"] == 1) == found.manifest["raw"]


@pytest.mark.parametrize(
    ("method", "parameters", "message"),
    [
        ("saliency", {}, "there is no method 'saliency'"),
        ("gradient", {"steps": 3}, "gradient has no parameter 'steps'"),
        ("attention", {}, "LogisticRegression has no attention"),
    ],
)
def test_wrong_requests_leave_nothing(
    linear: Run, tmp_path: Path, method: str, parameters: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        explain(method, linear, out=tmp_path / "x", device="cpu", **parameters)
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_kept(linear: Run, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(InputError, match="exists already"):
        explain("gradient", linear, out=tmp_path / "x", device="cpu")
    explain("gradient", linear, out=tmp_path / "x", device="cpu", overwrite=True)
    assert (tmp_path / "x" / "explanation.json").exists()


def test_only_explanations_open(linear: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no explanation\.json"):
        open_explanation(tmp_path)
    found = explain("gradient", linear, out=tmp_path / "x", limit=4, device="cpu")
    with pytest.raises(InputError, match="holds no array 'beta'"):
        found.array("beta")
    with pytest.raises(InputError, match="holds no alpha of group high"):
        found.mean("alpha", "high")
    manifest = json.loads((tmp_path / "x" / "explanation.json").read_text())
    (tmp_path / "x" / "explanation.json").write_text(json.dumps(manifest | {"schema": 2}))
    with pytest.raises(InputError, match="expected regulome-explanation schema 1, but got"):
        open_explanation(tmp_path / "x")
    (tmp_path / "x" / "explanation.json").write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        open_explanation(tmp_path / "x")


@pytest.mark.parametrize("method", ["attention", "class-map", "gradient"])
def test_runs_that_read_dna_are_looked_into_elsewhere(method: str, tmp_path: Path) -> None:
    run = sequence_run(tmp_path)
    with pytest.raises(InputError, match=r"this run reads DNA .*regulome mutate.*regulome profile.*regulome variants"):
        explain(method, run, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
