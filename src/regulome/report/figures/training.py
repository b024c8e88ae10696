"""How training went: losses and validation score by epoch."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from regulome.report.figures.style import RUNS, grid, note, panels, styled
from regulome.report.wording import metric_title


@styled
def history_figure(histories: Mapping[str, pl.DataFrame], score: str, steps: Mapping[str, str]) -> Figure:
    """Draw losses (left) and the validation score (right) of each run, the best epoch marked.

    Args:
        histories: Run → member, epoch, train_loss, valid_loss and ``score``; missing values are null.
        steps: Run → what a row of its history is: "epoch", or what a solver tried.
        score: Column of the validation score, for example ``"valid_auroc"``.
    """
    figure, axes = panels(len(histories), 2, (9.2, 2.9 * len(histories)))
    for index, (name, history) in enumerate(histories.items()):
        left, right = axes[index]
        color = RUNS[index % len(RUNS)]
        for number, member in enumerate(history["member"].unique(maintain_order=True)):
            rows = history.filter(pl.col("member") == member).sort("epoch")
            first = number == 0
            for column, style, label in (("train_loss", ":", "training"), ("valid_loss", "-", "validation")):
                known = rows.drop_nulls(column).drop_nans(column) if column in rows.columns else rows[:0]
                marker = "o" if len(known) == 1 else None
                left.plot(
                    known["epoch"],
                    known[column] if len(known) else [],
                    color=color,
                    linestyle=style,
                    marker=marker,
                    linewidth=1.5,
                    label=label if first and len(known) else None,
                )
            known = rows.drop_nulls(score).drop_nans(score) if score in rows.columns else rows[:0]
            right.plot(known["epoch"], known[score] if len(known) else [], color=color, linewidth=1.5)
            if len(known):
                best = known[int(known[score].arg_max() or 0)]
                right.plot(best["epoch"], best[score], "o", color=color, markersize=5, label="best" if first else None)
        if not left.get_legend_handles_labels()[0]:
            note(left, "fitted in one step: no epochs")
        left.set(title=name, xlabel=steps[name], ylabel="loss")
        right.set(title="Validation", xlabel=steps[name], ylabel=metric_title(score.removeprefix("valid_")))
        for here in (left, right):
            here.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
            grid(here)
            if here.get_legend_handles_labels()[0]:
                here.legend()
    return figure
