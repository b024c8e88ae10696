"""The chapter that sets runs against each other on the same examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from regulome.errors import InputError
from regulome.report.figures.comparison import comparison_figure
from regulome.report.figures.features import against_figure
from regulome.report.material import Material
from regulome.report.page import Block, Picture, Section, Table, Words
from regulome.report.text_results import text_differences
from regulome.report.wording import amount, metric_title, sentence
from regulome.training.comparison import compare
from regulome.training.feature_comparison import Comparison
from regulome.training.multilabel import FEATURE_COLUMNS


def comparison_sections(materials: Sequence[Material]) -> list[Section]:
    """Paired differences between runs; of many outputs also feature by feature."""
    if len(materials) < 2:
        return []
    words = materials[0].words
    try:
        found = compare([material.run for material in materials])
    except InputError as error:
        said = words.say("The runs cannot be compared {one} by {one}: {error}.", error=error)
        return [Section("comparison", "Run against run", [Words([said])])]
    table = _relabelled(found.table, found, materials)
    lost = {
        name: count for name, count in zip((m.label for m in materials), found.dropped.values(), strict=True) if count
    }
    left_out = "".join(
        f" {amount(count, f'test {words.one}')} of {name} are not in every run." for name, count in lost.items()
    )
    rows = [_pair(row) for row in table.iter_rows(named=True)]
    means = "" if materials[0].outputs is None else " Scores are means over the features that can be scored."
    blocks: list[Block] = [
        Picture(
            "Paired differences",
            comparison_figure(table),
            "Dots with intervals: the difference in score between each two runs. "
            + "; ".join(f"{row[1]}: {row[2]}" for row in rows if row[0] == rows[0][0]),
            words.say(
                "Differences on the same {count:,} test {many}, {how}, so that a {one} that is hard for both runs "
                "cancels out. Right of zero the run named first is better. Filled and blue: zero "
                "lies outside the 95 % interval.{means}{left_out}",
                count=found.n,
                how="resampled together" if found.features.is_empty() else "each weighed alike for both runs",
                means=means,
                left_out=left_out,
            ),
            table,
            "comparison",
            words.say(
                "An interval that contains zero does not say that two runs are equal, but that these test {many} "
                "cannot tell them apart. Use more test {many}, or several seeds, before calling one better."
            ),
        ),
        Table("Every metric", ["Metric", "Runs", "Difference", "95 % interval", "p", "Better"], rows),
    ]
    if materials[0].text is not None:
        blocks += text_differences(materials)
    if not found.features.is_empty():
        blocks += _by_feature(found, materials)
    return [Section("comparison", "Run against run", blocks)]


def _by_feature(found: Comparison, materials: Sequence[Material]) -> list[Block]:
    metrics = [name for name in ("auroc", "auprc") if name in set(found.features["metric"])]
    tables = {m.label: m.features for m in materials}
    wins = _relabelled(found.wins(), found, materials).filter(pl.col("metric").is_in(metrics))
    rows = [
        [
            metric_title(row["metric"]),
            f"{row['a']} against {row['b']}",
            f"{row['better_a']:,}",
            f"{row['better_b']:,}",
            f"{row['features'] - row['better_a'] - row['better_b']:,}",
        ]
        for row in wins.iter_rows(named=True)
    ]
    first, *others = tables
    spoken = "; ".join(
        f"{row[0]}: {first} is better than {other} on {row[2]} features and worse on {row[3]}"
        for other in others
        for row in rows
        if row[1] == f"{first} against {other}"
    )
    titles = sentence([metric_title(metric) for metric in metrics])
    return [
        Picture(
            "Feature by feature",
            against_figure(tables, metrics),
            f"Scatter plots of {titles} of each feature: {first} against {sentence(others)}. {spoken}.",
            f"Each dot is a feature. Above the dotted line {first} is better. Dots in a narrow band say that the runs "
            "find the same features easy.",
            _wide(tables, metrics),
            "feature-by-feature",
            "Dots of one group far from the line while the others lie on it: the runs differ in what they learned, not "
            "in how well. Features with few positives scatter widely by chance: intervals are in the data above.",
        ),
        Table(
            "On how many features each run is better",
            ["Metric", "Runs", "First is better", "Second is better", "Equal"],
            rows,
            "Counts of features, however small the difference.",
        ),
    ]


def _wide(tables: dict[str, pl.DataFrame], metrics: Sequence[str]) -> pl.DataFrame:
    """A row per feature, a column per run and metric."""
    first = next(iter(tables.values()))
    columns = [
        table[metric].round_sig_figs(5).alias(f"{metric} {name}")
        for metric in metrics
        for name, table in tables.items()
    ]
    return first.select(FEATURE_COLUMNS).with_columns(columns)


def _relabelled(table: pl.DataFrame, found: Comparison, materials: Sequence[Material]) -> pl.DataFrame:
    """Use the page's names of the runs, which are in the order of the comparison's."""
    names = dict(zip(found.metrics, (material.label for material in materials), strict=True))
    return table.with_columns(pl.col(name).replace(names) for name in ("a", "b", "better") if name in table.columns)


def _pair(row: dict[str, Any]) -> list[str]:
    title = metric_title(row["metric"])
    if row["difference"] is None or row["low"] is None:
        return [title, f"{row['a']} − {row['b']}", "—", "—", "—", "—"]
    return [
        title,
        f"{row['a']} − {row['b']}",
        f"{row['difference']:+.4f}".replace("-", "−"),
        f"{row['low']:+.4f} to {row['high']:+.4f}".replace("-", "−"),
        "< 0.001" if row["p"] < 0.0005 else f"{row['p']:.3f}",
        row["better"] or "not told apart",
    ]
