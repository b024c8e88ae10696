"""The pictures of a grid, from results that were made up."""

from itertools import combinations

import numpy as np
import polars as pl
import pytest

from regulome.errors import InputError
from regulome.report import write_grid_figures
from regulome.report.figures.marks_grid import mark_set_figure, model_figure, score_map_figure
from regulome.training.grid_record import Grid, GridInfo, Training
from regulome.training.grid_statistics import paired_differences, summarize

MARKS = {"H3K4me3": 0.62, "H3K27ac": 0.6, "H3K36me3": 0.55, "H3K27me3": 0.3, "H3K9me3": 0.2}
MODELS = {"chromexpress": 0.0, "logistic-regression": -0.04, "chromoformer": 0.05}


def make_grid(folder, cells=("K562", "GM12878", "H1"), models=MODELS, seed=0, task="regression"):
    rng = np.random.default_rng(seed)
    sets = {"+".join(each): list(each) for size in (1, 2) for each in combinations(MARKS, size)} | {"all": list(MARKS)}
    name = "pearson" if task == "regression" else "auroc"
    trainings = []
    for number, cell in enumerate(cells):
        for fold in "1234":
            block = rng.normal(0, 0.015) - 0.03 * number
            for title, marks in sets.items():
                for model, gain in models.items():
                    value = max(MARKS[mark] for mark in marks) + 0.03 * np.log(len(marks)) + gain + block
                    value += rng.normal(0, 0.006)
                    metrics = {"n": 500, name: {"value": value, "low": value - 0.03, "high": value + 0.03}}
                    trainings.append(
                        Training(
                            cell=cell,
                            marks=title,
                            n_marks=len(marks),
                            model=model,
                            fold=fold,
                            seed=0,
                            key=f"{cell}/{model}/{title}/{fold}",
                            state="complete",
                            seconds=1.0,
                            metrics=metrics,
                        )
                    )
    inputs = {model: "regions" if model == "chromoformer" else "marks" for model in models}
    info = GridInfo(task=task, status="complete", request={"marks": sets, "inputs": inputs}, trainings=trainings)
    folder.mkdir()
    info.save(folder)
    table = info.table()
    for found, file in ((summarize, "summary.tsv"), (paired_differences, "differences.tsv")):
        found(table, [name], sets).write_csv(folder / file, separator="\t")
    return Grid(folder, info)


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    return make_grid(tmp_path_factory.mktemp("grid") / "out")


def test_figures_and_their_numbers(grid):
    files = write_grid_figures(grid)
    assert [file.name for file in files] == [
        f"{name}.{end}" for name in ("marks", "mark-sets", "models") for end in ("svg", "png", "tsv")
    ]
    results = grid.results
    marks = pl.read_csv(grid.path / "marks.tsv", separator="\t")
    assert len(marks) == 3 * 3 * 16
    assert marks["marks"].unique(maintain_order=True).to_list() == list(grid.info.request["marks"])
    where = (pl.col("cell") == "H1", pl.col("model") == "chromoformer", pl.col("marks") == "all")
    assert marks.filter(*where)["mean"][0] == pytest.approx(results.filter(*where)["pearson"].mean())
    sets = pl.read_csv(grid.path / "mark-sets.tsv", separator="\t")
    assert sets["mean"].is_sorted(descending=True)
    assert sets["model"][0] == "chromoformer"
    models = pl.read_csv(grid.path / "models.tsv", separator="\t")
    assert len(models) == 3 * 16 * 4
    assert {"chromexpress", "chromoformer"} < set(models.columns)
    # The distal model stands against the best of the others.
    text = (grid.path / "models.svg").read_text()
    assert ">chromexpress: test " in text
    assert ">chromoformer: test " in text
    assert "logistic" not in text


def test_one_cell_has_a_column_for_each_model(tmp_path):
    grid = make_grid(
        tmp_path / "one", cells=["GM12878"], models={"deepchrome": 0.0, "lstm": -0.1}, task="classification"
    )
    rows = grid.summary.filter(pl.col("by") == "cell, model, marks")
    (axes, _) = score_map_figure(rows, "auroc").axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["deepchrome", "lstm"]
    assert axes.get_title(loc="left") == "GM12878"
    write_grid_figures(grid, tmp_path)
    # Without distal models the best one stands against the others.
    assert ">deepchrome better in 64 of 64<" in (tmp_path / "models.svg").read_text()


def test_one_model_and_few_sets(tmp_path):
    grid = make_grid(tmp_path / "one", models={"chromexpress": 0.0})
    write_grid_figures(grid)
    assert "there is one model only" in (grid.path / "models.svg").read_text()
    summary = grid.summary.filter(pl.col("by") == "model, marks")
    assert len(mark_set_figure(summary, grid.results, "pearson").axes[0].get_yticklabels()) == 16
    assert (
        len(
            model_figure(
                pl.DataFrame({"cell": ["c"], "marks": ["a"], "fold": ["1"], "m": [0.1], "n": [0.2]}),
                [("m", "n")],
                "pearson",
            ).axes
        )
        == 1
    )


def test_a_folder_that_is_no_grid(tmp_path):
    with pytest.raises(InputError, match="is not a grid"):
        write_grid_figures(tmp_path)
