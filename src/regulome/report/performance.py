"""The chapters on how well the runs predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from regulome.report.comparing import comparison_sections
from regulome.report.feature_results import feature_blocks, feature_results
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
from regulome.report.page import Block, Picture, Section, Table, Words, stack
from regulome.report.text_results import text_blocks, text_results, text_training
from regulome.report.wording import Wording, estimate

# Metrics that a table has room for.
_WIDE = 7


def performance_sections(materials: Sequence[Material]) -> list[Section]:
    """Results, comparison, curves and training, in this order."""
    first = materials[0]
    training = text_training if first.text is not None else _training
    if first.text is not None:
        results, detail = text_results(materials), text_blocks(materials)
    elif first.outputs is not None:
        results, detail = feature_results(materials), feature_blocks(materials)
    else:
        draw = _classification if first.task == "classification" else _regression
        results, detail = [_table(materials)], draw(materials)
    return [
        Section("results", f"Results on the test {first.words.many}", [*results, _meanings(materials)]),
        *comparison_sections(materials),
        Section("curves", "Predictions in detail" if first.text is None else "Along the genome", detail),
        Section("training", "How training went", [training(materials)]),
    ]


def _table(materials: Sequence[Material]) -> Table:
    words = materials[0].words
    known = {name: metric for name, metric in words.metrics().items() if name in materials[0].metrics}
    rows = [
        [
            m.label,
            f"{m.metrics['n']:,}",
            *(estimate(m.metrics.get(name), of.digits, "\n") for name, of in known.items()),
        ]
        for m in materials
    ]
    header = ["Run", words.many.capitalize(), *(metric.title for metric in known.values())]
    if len(known) > _WIDE >= len(materials):
        # A column per run, where a column per metric would not fit on the page.
        rows = [[title, *(row[place] for row in rows)] for place, title in enumerate(header)]
        header, *rows = [[cell.replace("\n", " ") for cell in row] for row in rows]
    return Table(
        "Scores with 95 % intervals",
        header,
        rows,
        words.say(
            "Each number is computed on test {many}, which no model saw in training or in choosing an epoch. In "
            "brackets: 95 % bootstrap interval over {many}; it does not contain the spread between training seeds."
        )
        + words.alone(len(materials), materials[0].task),
        words.bad_score(materials[0].task),
        numbers=True,
    )


def _meanings(materials: Sequence[Material]) -> Table:
    known = materials[0].words.metrics().items()
    rows = [[metric.title, metric.meaning, metric.guessing] for name, metric in known if name in materials[0].metrics]
    return Table("What the numbers mean", ["Number", "What it says", "What guessing reaches"], rows)


def _classification(materials: Sequence[Material]) -> list[Block]:
    words, names = materials[0].words, [material.label for material in materials]
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
            roc_figure(curves, legend, rate, words),
            f"ROC curves and precision-recall curves. {spoken}.",
            words.say(
                "Each point of a curve is a threshold above which {many} are called {high}. Left: the closer to the "
                "upper left corner, the better; the number in the legend is the area under the curve (AUROC). Right: "
                "of the {many} called {high}, how many are; guessing gives {rate:.2f}, the share of {high} {many}.",
                rate=rate,
            ),
            stack(curves),
            "roc-and-precision-recall",
            "Curves near the dotted lines: nothing was learned; see the advice below the table of results. Curves "
            f"with a few straight pieces: the model gives many {words.many} the same score.",
        ),
        Picture(
            "Calibration",
            calibration_figure(tables, words),
            words.say(
                "Observed share of {high} {many} against predicted probability, in ten bins, with the number of {many} "
                "in each. "
            )
            + "; ".join(f"{m.label} ECE {estimate(m.metrics['ece'])}" for m in materials),
            "Whether a predicted 0.8 means 80 %: dots should lie on the diagonal. Bars through the dots are 95 % "
            f"intervals of the observed share; below, how many {words.many} each dot stands for.",
            stack(tables).rename({"genes": words.many}),
            "calibration",
            "Dots above the diagonal on the left and below it on the right: the model is too sure, which is usual "
            "after many epochs; the ranking (AUROC) is not affected. Do not read the outputs as probabilities; use a "
            f"threshold chosen on validation {words.many}.",
        ),
        Picture(
            "Distribution of predictions",
            distribution_figure(scores, words),
            words.say(
                "Histograms of the predicted probability for {low} and for {high} {many} of {names}.",
                names=", ".join(names),
            ),
            words.say(
                "How far {high} and {low} {many} are apart. Where the two overlap are those that the model confuses."
            ),
            _histogram(scores, words),
            "distribution",
            f"Two hills at the same place: the model cannot tell the {words.many} apart. All mass at 0 and 1: it is "
            "very sure; check the calibration above.",
        ),
    ]


def _regression(materials: Sequence[Material]) -> list[Block]:
    words, target = materials[0].words, materials[0].run.info.target_names[0]
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
            f"Left: each dot is a test {words.one}; on the dotted line prediction and measurement are equal. Right: "
            "what is left over; it should be a level band around zero.",
            kept,
            "predictions",
            f"A flat cloud: the model predicts the mean. A bent band of residuals: {words.retarget}. A column of "
            f"{words.many} with one measured value, often zero, cannot be fitted well by any model; look at the rest "
            "without it.",
        )
    ]


def _training(materials: Sequence[Material]) -> Picture | Words:
    words = materials[0].words
    score = "valid_auroc" if materials[0].task == "classification" else "valid_pearson"
    histories = {m.label: m.run.history() for m in materials if (m.run.path / "history.csv").is_file()}
    steps = {m.label: "setting tried" if m.run.recipe.training.method == "scikit-learn" else "epoch" for m in materials}
    if not histories:
        return Words(["These runs have no history of training."])
    return Picture(
        "Losses and validation score",
        history_figure(histories, score, steps),
        "Training and validation loss, and validation score, by epoch, for each run.",
        words.say(
            "Left: the loss on training {many} (dotted) and on validation {many} (solid). Right: the score on "
            "validation {many}{means}; the dot is its best epoch, whose weights are kept unless the recipe says "
            "otherwise. For a baseline that a solver fits the settings that were tried are shown, simplest first.",
            means="" if materials[0].outputs is None else ", a mean over features",
        ),
        stack(histories),
        "training",
        "Training loss falls while validation loss rises: overfitting; the kept epoch is from before that, more "
        "dropout or fewer epochs would save time. Both still fall at the end: train longer. Both flat from the "
        f"start: the learning rate is too small or too large{words.unscaled}. A jumping curve: lower the learning rate "
        "or give training.gradient_clip.",
    )


def _histogram(scores: dict[str, tuple[Any, Any]], words: Wording) -> pl.DataFrame:
    parts = []
    for name, (truth, score) in scores.items():
        place = (pl.Series(score) * 40).floor()
        table = pl.DataFrame({"run": name, "group": truth >= 0.5, "from": place.clip(0, 39) / 40})
        parts.append(table.group_by("run", "group", "from").len(words.many).sort("group", "from"))
    return pl.concat(parts).with_columns(
        group=pl.when("group").then(pl.lit(words.high)).otherwise(pl.lit(words.low)), to=pl.col("from") + 1 / 40
    )
