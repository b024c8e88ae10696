"""Results of runs of many outputs: means over features, groups of features, and features one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from regulome.report.figures.features import group_names, group_title, prevalence_figure, strip_figure
from regulome.report.figures.scores import calibration_figure
from regulome.report.material import Material
from regulome.report.page import Block, Picture, Table, Words, stack
from regulome.report.wording import HEADLINE, amount, estimate, metric_title, sentence
from regulome.training.multilabel import FEATURE_COLUMNS

#: Metrics of which every feature is drawn and listed, by task.
DRAWN = {"classification": ("auroc", "auprc"), "regression": ("pearson", "r2")}
# What else the table of results has.
_BESIDE = ("f1_tuned", "f1", "mcc", "perplexity", "spearman", "mse")
#: Features in each of the tables of the best and the worst.
SHOWN = 12
# Positive test windows that a feature among them has.
_FEWEST = 10


def feature_results(materials: Sequence[Material]) -> list[Block]:
    """The table of means, the table by group, and the figure of all features."""
    first = materials[0]
    metrics = _drawn(first)
    blocks: list[Block] = [_means(materials, metrics)]
    groups = _groups(materials, metrics)
    if groups is not None:
        blocks.append(groups)
    tables = {m.label: m.features for m in materials}
    blocks.append(
        Picture(
            "Every feature",
            strip_figure(tables, metrics),
            f"Strips of dots, one dot per feature, of {sentence([metric_title(one) for one in metrics])} by group of "
            f"features and run. {_spoken(materials, metrics)}.",
            "Each dot is a feature; the thick line spans the middle half of them, its cross-stroke is the median. "
            + ("Dotted: guessing. " if first.task == "classification" else "")
            + "The data hold every feature with its intervals.",
            _every_feature(materials, metrics),
            "features",
            "A second cloud far to the left: features that the model does not learn, often for want of positives (see "
            "the figure of positives per feature) or because the window does not hold what decides. Dots left of 0.5 "
            "in AUROC have few positives in the test part, or labels of another assembly."
            if first.task == "classification"
            else "A second cloud around 0: features that the model does not learn.",
        )
    )
    return blocks


def feature_blocks(materials: Sequence[Material]) -> list[Block]:
    """AUPRC against prevalence, calibration of all features together, and the best and worst features."""
    blocks: list[Block] = []
    if materials[0].task == "classification":
        blocks += [_prevalence(materials), *_calibration(materials)]
    return [*blocks, *_extremes(materials)]


def _drawn(material: Material) -> list[str]:
    return [name for name in DRAWN[material.task] if name in material.features.columns]


def _median(entry: dict[str, Any] | None, features: pl.DataFrame, name: str) -> str:
    value = (entry or {}).get("median")
    known = features[name].drop_nulls().to_numpy() if name in features.columns else np.empty(0)
    if value is None and len(known):
        value = float(np.median(known))
    return "—" if value is None else f"{value:.3f}".replace("-", "−")


def _means(materials: Sequence[Material], metrics: Sequence[str]) -> Table:
    words = materials[0].words
    rows = []
    beside = [name for name in _BESIDE if all(name in m.metrics for m in materials)]
    if "f1_tuned" in beside:
        beside.remove("f1")
    for m in materials:
        row = [m.label, f"{m.metrics['n']:,}", f"{m.metrics.get('scorable', len(m.features)):,}"]
        for name in metrics:
            row += [estimate(m.metrics.get(name), between="\n"), _median(m.metrics.get(name), m.features, name)]
        rows.append(row + [estimate(m.metrics.get(name), between="\n") for name in beside])
    header = ["Run", words.many.capitalize(), "Scored"]
    for name in metrics:
        header += [metric_title(name), "median"]
    total = len(materials[0].features)
    scored = (
        f"Of {total:,} features those are scored that have positive and negative test {words.many}. "
        if materials[0].task == "classification"
        else ""
    )
    how = "" if "scorable" not in materials[0].metrics else " (from the infinitesimal jackknife)"
    return Table(
        "Scores with 95 % intervals",
        [*header, *(metric_title(name) for name in beside)],
        rows,
        f"Means over features, on test {words.many}, which no model saw in training or in choosing an epoch; beside "
        f"them medians. {scored}In brackets: 95 % interval over test {words.many}{how}; all features share these, so "
        "that the interval of a mean is wider than single intervals divided by the root of their number. It does not "
        f"contain the spread between training seeds.{words.alone(len(materials), materials[0].task)}",
        words.bad_score(materials[0].task),
        numbers=True,
    )


def _groups(materials: Sequence[Material], metrics: Sequence[str]) -> Table | None:
    names = [name for name in group_names(materials[0].features["group"]) if name]
    if not names:
        return None
    rows = []
    for name in names:
        for m in materials:
            members = m.features.filter(pl.col("group") == name)
            of = m.metrics.get("groups", {}).get(name, {})
            row = [
                f"{name}, {m.label}" if len(materials) > 1 else name,
                f"{len(members):,}",
                f"{of['scorable']:,}" if "scorable" in of else f"{len(members):,}",
            ]
            for metric in metrics:
                mean = members[metric].mean()
                row += [estimate(of.get(metric) or {"value": mean}, between="\n")]
                row += [_median(of.get(metric), members, metric)]
            rows.append(row)
    header = ["Group", "Features", "Scored"]
    for metric in metrics:
        header += [metric_title(metric), "median"]
    return Table(
        "By group of features",
        header,
        rows,
        "Means and medians over the features of a group, with 95 % intervals of the means.",
        "DNase sites and transcription factors are usually predicted better than histone marks, which spread over more "
        "than a window. A group far below the others with few positives needs more data, not another model.",
        numbers=True,
    )


def _spoken(materials: Sequence[Material], metrics: Sequence[str]) -> str:
    groups = group_names(materials[0].features["group"])
    parts = []
    for m in materials:
        for group in groups:
            members = m.features.filter(pl.col("group") == group)
            medians = [f"median {metric_title(name)} {_median(None, members, name)}" for name in metrics]
            parts.append(f"{m.label}, {group_title(group, groups)}: {sentence(medians)}")
    return "; ".join(parts)


def _every_feature(materials: Sequence[Material], metrics: Sequence[str]) -> pl.DataFrame:
    columns = [f"{name}{end}" for name in metrics for end in ("", "_low", "_high")]
    wanted = [*FEATURE_COLUMNS, "positives", "prevalence", *columns]
    first = materials[0].features.columns
    return stack({m.label: m.features.select(name for name in wanted if name in first) for m in materials}, 4)


def _prevalence(materials: Sequence[Material]) -> Picture:
    tables = {m.label: m.features for m in materials}
    spoken = []
    for m in materials:
        known = m.features.drop_nulls("auprc").filter(pl.col("prevalence") > 0)
        gain = known["auprc"].to_numpy() / known["prevalence"].to_numpy()
        spoken.append(f"{float(np.median(gain)) if len(gain) else 0:.1f} times ({m.label})")
    columns = ["name", "group", "positives", "prevalence", "auprc"]
    return Picture(
        "AUPRC against prevalence",
        prevalence_figure(tables),
        f"Scatter of each feature's AUPRC against the share of positive test windows, per run; in the "
        f"median {sentence(spoken)} the prevalence.",
        "Guessing reaches the prevalence (dotted line), so an AUPRC of 0.1 is excellent where one window in a thousand "
        f"is positive and useless where one in ten is. The median feature reaches {sentence(spoken)} the prevalence.",
        stack({name: table.select(columns) for name, table in tables.items()}, 4),
        "auprc-and-prevalence",
        "Dots on the line: nothing learned about that feature. All dots near the line at small prevalence: train on "
        "more windows, or give training.positive_weight.",
    )


def _calibration(materials: Sequence[Material]) -> list[Block]:
    tables = {m.label: m.outputs.pooled for m in materials if m.outputs is not None and m.outputs.pooled is not None}
    if not tables:
        return [Words(["Calibration is not shown: the labels of the test windows cannot be read."])]
    spoken = "; ".join(
        f"{name} says {np.average(t['predicted'].to_numpy(), weights=t['genes'].to_numpy()):.4f} on average, observed "
        f"is {np.average(t['observed'].to_numpy(), weights=t['genes'].to_numpy()):.4f}"
        for name, t in tables.items()
    )
    words = materials[0].words
    return [
        Picture(
            "Calibration over all features",
            calibration_figure(tables, words, counted="pairs", log=True),
            "Observed share of positives against predicted probability, in ten bins, all features together, with the "
            f"number of pairs of window and feature in each. {spoken}.",
            "Whether a predicted 0.8 means 80 %, over all pairs of a test window and a feature: dots should lie on the "
            "diagonal. Below, on a logarithmic axis, how many pairs each dot stands for; most are near 0. Bars are 95 "
            "% intervals as if pairs were independent, which those of one window are not.",
            stack(tables).rename({"genes": "pairs"}),
            "calibration",
            "Dots below the diagonal on the right: the model is too sure; dots only at the left: it never dares a high "
            "probability, usual for a training that was too short. Use the ranking, or a threshold per feature chosen "
            "on validation windows (column threshold of the run's features.tsv).",
        )
    ]


def _extremes(materials: Sequence[Material]) -> list[Block]:
    """The best and the worst features of the run with the best mean."""
    metrics = _drawn(materials[0])
    key, headline = metrics[0], HEADLINE[materials[0].task]
    best = max(materials, key=lambda m: m.value(headline))
    known = best.features.drop_nulls(key).sort(key, descending=True)
    counted = "positives" in known.columns
    # With fewer the score of a feature is chance, and the extremes would be nothing else.
    enough = known.filter(pl.col("positives") >= _FEWEST) if counted else known
    known, left_out = (known, 0) if enough.is_empty() else (enough, len(known) - len(enough))
    if known.is_empty():
        return []
    tables = (
        [("best", known)] if len(known) <= 2 * SHOWN else [("best", known[:SHOWN]), ("worst", known[-SHOWN:][::-1])]
    )
    told = [name for name in ("cell", "assay", "treatment") if (~known[name].is_in(["", "None"])).any()]
    said = "With 95 % intervals. Every feature is in the data of the figures."
    if left_out:
        said += f" Left out here: {amount(left_out, 'feature')} with fewer than {_FEWEST} positive test windows."
    blocks: list[Block] = []
    for kind, part in tables:
        rows = [
            [
                row["name"],
                *(row[name] if row[name] not in ("", "None") else "—" for name in told),
                *([f"{row['positives']:,}"] if counted else []),
                *(_with_interval(row, name) for name in metrics),
            ]
            for row in part.iter_rows(named=True)
        ]
        ranked = f"by {metric_title(key)}" + (f" of {best.label}" if len(materials) > 1 else "")
        title = f"The features, {ranked}" if len(tables) == 1 else f"The {len(part)} {kind} features, {ranked}"
        blocks.append(
            Table(
                title,
                [
                    "Feature",
                    *(name.capitalize() for name in told),
                    *(["Test positives"] if counted else []),
                    *(metric_title(name) for name in metrics),
                ],
                rows,
                "" if kind == "worst" else said,
                "Wide intervals come from few positives in the test part: such a feature is not known to be bad. "
                "Narrow ones near guessing: its peaks do not follow the sequence in the window, or the file is another "
                "experiment's; look at it with `regulome check`."
                if kind == "worst"
                else "",
            )
        )
    return blocks


def _with_interval(row: dict[str, Any], name: str) -> str:
    text = estimate({"value": row[name], "low": row.get(f"{name}_low"), "high": row.get(f"{name}_high")})
    return text.replace(" ", "\N{NO-BREAK SPACE}")
