"""The chapters on how well the runs predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from regulome.errors import InputError
from regulome.report.figures.comparison import comparison_figure
from regulome.report.figures.scores import (
    calibration_figure,
    curve_points,
    distribution_figure,
    reliability,
    roc_figure,
    scatter_figure,
)
from regulome.report.figures.training import history_figure
from regulome.report.material import Material
from regulome.report.page import Block, Picture, Section, Table, Words
from regulome.report.wording import BAD_SCORE, METRICS, amount, estimate
from regulome.training.comparison import Comparison, compare


def performance_sections(materials: Sequence[Material]) -> list[Section]:
    """Results, comparison, curves and training, in this order."""
    task = materials[0].task
    draw = _classification if task == "classification" else _regression
    return [
        Section("results", "Results on the test genes", [_table(materials), _meanings(materials)]),
        *_comparison(materials),
        Section("curves", "Predictions in detail", draw(materials)),
        Section("training", "How training went", [_training(materials)]),
    ]


def _table(materials: Sequence[Material]) -> Table:
    names = [name for name in METRICS if name in materials[0].metrics]
    rows = [
        [m.label, f"{m.metrics['n']:,}", *(estimate(m.metrics.get(name), METRICS[name].digits, "\n") for name in names)]
        for m in materials
    ]
    alone = (
        " Only one run is shown. A number means little without a baseline: train logistic-regression on the same "
        "split and give both runs."
        if len(materials) == 1
        else ""
    )
    return Table(
        "Scores with 95 % intervals",
        ["Run", "Genes", *(METRICS[name].title for name in names)],
        rows,
        "Each number is computed on test genes, which no model saw in training or in choosing an epoch. In brackets: "
        "95 % "
        "bootstrap interval over genes; it does not contain the spread between training seeds." + alone,
        BAD_SCORE[materials[0].task],
        numbers=True,
    )


def _meanings(materials: Sequence[Material]) -> Table:
    rows = [
        [words.title, words.meaning, words.guessing] for name, words in METRICS.items() if name in materials[0].metrics
    ]
    return Table("What the numbers mean", ["Number", "What it says", "What guessing reaches"], rows)


def _comparison(materials: Sequence[Material]) -> list[Section]:
    if len(materials) < 2:
        return []
    try:
        found = compare([material.run for material in materials])
    except InputError as error:
        return [
            Section("comparison", "Run against run", [Words([f"The runs cannot be compared gene by gene: {error}."])])
        ]
    table = _relabelled(found, materials)
    lost = {
        name: count for name, count in zip((m.label for m in materials), found.dropped.values(), strict=True) if count
    }
    left_out = "".join(f" {amount(count, 'test gene')} of {name} are not in every run." for name, count in lost.items())
    rows = [_pair(row) for row in table.iter_rows(named=True)]
    return [
        Section(
            "comparison",
            "Run against run",
            [
                Picture(
                    "Paired differences",
                    comparison_figure(table),
                    "Dots with intervals: the difference in score between each two runs. "
                    + "; ".join(f"{row[1]}: {row[2]}" for row in rows if row[0] == rows[0][0]),
                    f"Differences on the same {found.n:,} test genes, resampled together, so that a gene that is hard "
                    "for both runs cancels out. Right of zero the run named first is better. Filled and blue: zero "
                    f"lies outside the 95 % interval.{left_out}",
                    table,
                    "comparison",
                    "An interval that contains zero does not say that two runs are equal, but that these test genes "
                    "cannot tell them apart. Use more test genes, or several seeds, before calling one better.",
                ),
                Table("Every metric", ["Metric", "Runs", "Difference", "95 % interval", "p", "Better"], rows),
            ],
        )
    ]


def _relabelled(found: Comparison, materials: Sequence[Material]) -> pl.DataFrame:
    """Use the page's names of the runs, which are in the order of the comparison's."""
    names = dict(zip(found.metrics, (material.label for material in materials), strict=True))
    return found.table.with_columns(pl.col("a", "b", "better").replace(names))


def _pair(row: dict[str, Any]) -> list[str]:
    if row["difference"] is None or row["low"] is None:
        return [row["metric"], f"{row['a']} − {row['b']}", "—", "—", "—", "—"]
    title = METRICS[row["metric"]].title if row["metric"] in METRICS else row["metric"]
    return [
        title,
        f"{row['a']} − {row['b']}",
        f"{row['difference']:+.4f}".replace("-", "−"),
        f"{row['low']:+.4f} to {row['high']:+.4f}".replace("-", "−"),
        f"{row['p']:.3f}",
        row["better"] or "not told apart",
    ]


def _classification(materials: Sequence[Material]) -> list[Block]:
    names = [material.label for material in materials]
    curves = {m.label: curve_points(m.truth, m.score) for m in materials}
    tables = {m.label: reliability(m.truth, m.score) for m in materials}
    scores = {m.label: (m.truth, m.score) for m in materials}
    legend = {m.label: f"{m.label}  {estimate({'value': m.metrics['auroc']['value']})}" for m in materials}
    rate = float(materials[0].truth.mean())
    spoken = "; ".join(
        f"{m.label} AUROC {estimate(m.metrics['auroc'])}, AUPRC {estimate(m.metrics['auprc'])}" for m in materials
    )
    return [
        Picture(
            "ROC and precision-recall curves",
            roc_figure(curves, legend, rate),
            f"ROC curves and precision-recall curves. {spoken}.",
            "Each point of a curve is a threshold above which genes are called high. Left: the closer to the upper "
            "left corner, the better; the number in the legend is the area under the curve (AUROC). Right: of the "
            f"genes called high, how many are; guessing gives {rate:.2f}, the share of high genes.",
            _stack(curves),
            "roc-and-precision-recall",
            "Curves near the dotted lines: nothing was learned; see the advice below the table of results. Curves "
            "with a few straight pieces: the model gives many genes the same score.",
        ),
        Picture(
            "Calibration",
            calibration_figure(tables),
            "Observed share of high genes against predicted probability, in ten bins, with the number of genes in "
            "each. " + "; ".join(f"{m.label} ECE {estimate(m.metrics['ece'])}" for m in materials),
            "Whether a predicted 0.8 means 80 %: dots should lie on the diagonal. Bars through the dots are 95 % "
            "intervals of the observed share; below, how many genes each dot stands for.",
            _stack(tables),
            "calibration",
            "Dots above the diagonal on the left and below it on the right: the model is too sure, which is usual "
            "after many epochs; the ranking (AUROC) is not affected. Do not read the outputs as probabilities; use a "
            "threshold chosen on validation genes.",
        ),
        Picture(
            "Distribution of predictions",
            distribution_figure(scores),
            f"Histograms of the predicted probability for low and for high genes of {', '.join(names)}.",
            "How far high and low genes are apart. Genes where the two overlap are those that the model confuses.",
            _histogram(scores),
            "distribution",
            "Two hills at the same place: the model cannot tell the genes apart. All mass at 0 and 1: it is very "
            "sure; check the calibration above.",
        ),
    ]


def _regression(materials: Sequence[Material]) -> list[Block]:
    target = materials[0].run.info.target_names[0]
    scores = {m.label: (m.truth, m.score) for m in materials}
    spoken = "; ".join(
        f"{m.label} Pearson {estimate(m.metrics['pearson'])}, R² {estimate(m.metrics['r2'])}" for m in materials
    )
    table = pl.concat(
        pl.DataFrame({"run": m.label, "id": m.ids, "measured": m.truth, "predicted": m.score}) for m in materials
    )
    kept = table.sample(min(len(table), 20_000), seed=0).with_columns(pl.col("measured", "predicted").round_sig_figs(5))
    return [
        Picture(
            "Prediction against measurement",
            scatter_figure(scores, target),
            f"Scatter plots of prediction against measurement, and residuals, per run. {spoken}.",
            "Left: each dot is a test gene; on the dotted line prediction and measurement are equal. Right: what is "
            "left over; it should be a level band around zero.",
            kept,
            "predictions",
            "A flat cloud: the model predicts the mean. A bent band of residuals: the target needs another "
            "transformation (log2 instead of raw). A column of genes with one measured value, often zero, cannot be "
            "fitted well by any model; look at the rest without it.",
        )
    ]


def _training(materials: Sequence[Material]) -> Picture | Words:
    score = "valid_auroc" if materials[0].task == "classification" else "valid_pearson"
    histories = {m.label: m.run.history() for m in materials if (m.run.path / "history.csv").is_file()}
    steps = {m.label: "setting tried" if m.run.recipe.training.method == "scikit-learn" else "epoch" for m in materials}
    if not histories:
        return Words(["These runs have no history of training."])
    return Picture(
        "Losses and validation score",
        history_figure(histories, score, steps),
        "Training and validation loss, and validation score, by epoch, for each run.",
        "Left: the loss on training genes (dotted) and on validation genes (solid). Right: the score on validation "
        "genes; the dot is its best epoch, whose weights are kept unless the recipe says otherwise. For a baseline "
        "that a solver fits the settings that were tried are shown, simplest first.",
        _stack(histories),
        "training",
        "Training loss falls while validation loss rises: overfitting; the kept epoch is from before that, more "
        "dropout or fewer epochs would save time. Both still fall at the end: train longer. Both flat from the "
        "start: the learning rate is too small or too large, or the inputs are not scaled. A jumping curve: lower "
        "the learning rate or give training.gradient_clip.",
    )


def _stack(tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    parts = [table.with_columns(run=pl.lit(name)) for name, table in tables.items()]
    stacked = pl.concat(parts, how="diagonal_relaxed")
    numbers = [name for name, kind in stacked.schema.items() if kind.is_float()]
    return stacked.select("run", pl.exclude("run")).with_columns(pl.col(numbers).round_sig_figs(6))


def _histogram(scores: dict[str, tuple[Any, Any]]) -> pl.DataFrame:
    parts = []
    for name, (truth, score) in scores.items():
        place = (pl.Series(score) * 40).floor()
        table = pl.DataFrame({"run": name, "group": truth >= 0.5, "from": place.clip(0, 39) / 40})
        parts.append(table.group_by("run", "group", "from").len("genes").sort("group", "from"))
    return pl.concat(parts).with_columns(
        group=pl.when("group").then(pl.lit("high")).otherwise(pl.lit("low")), to=pl.col("from") + 1 / 40
    )
