"""Figures of the attention of networks on promoters and pCREs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from regulome.report.figures.style import HIGH, LOW, RUNS, grid, panels, styled

Floats = NDArray[np.float64]


@styled
def embedding_figure(means: Mapping[int, Mapping[str, Floats]], edges: Mapping[int, Floats]) -> Figure:
    """Draw the mean attention to the bins of promoters, a panel for each resolution.

    Args:
        means: Resolution → group ("high", "low" or "all") → weight of each bin, [bins].
        edges: Resolution → borders of the bins in bp from the TSS, [bins + 1].
    """
    figure, lines = panels(len(means), 1, (9.2, 0.6 + 1.7 * len(means)), sharex=True)
    looks = {"high": (HIGH, "-"), "low": (LOW, "--"), "all": (RUNS[0], "-")}
    for (width, groups), (here,) in zip(means.items(), lines, strict=True):
        for group, values in groups.items():
            color, dash = looks[group]
            here.stairs(values, edges[width] / 1000, color=color, linestyle=dash, linewidth=1.4, label=f"{group} genes")
        even = 1 / len(edges[width][1:])
        here.axhline(even, color="#52606d", linewidth=1, linestyle=":", label="even")
        here.axvline(0, color="#52606d", linewidth=0.8, linestyle=(0, (2, 2)))
        here.set(title=f"Bins of {width:,} bp", ylabel="mean weight", ylim=(0, None))
        grid(here, "y")
    lines[-1][0].set_xlabel("kb from the TSS, 5′ → 3′ of the gene")
    figure.legend(*lines[0][0].get_legend_handles_labels(), loc="outside right upper")
    return figure


@styled
def regulation_figure(means: Mapping[str, Mapping[str, Floats]], classes: Sequence[str]) -> Figure:
    """Draw the mean weight that promoters give to pCREs by distance, dots of one look for each quantity.

    Args:
        means: Name of a quantity → group → weight in each class of distance, [classes]; NaN where there are no
            contacts. The last quantity is what the others are compared with.
        classes: Names of the classes; those without contacts are left out.
    """
    groups = list(next(iter(means.values())))
    figure, (line,) = panels(1, len(groups), (1.8 + 3.9 * len(groups), 3.4), sharey=True)
    seen = np.any([np.isfinite(values) for by_group in means.values() for values in by_group.values()], axis=0).tolist()
    at = np.arange(sum(seen))
    for group, here in zip(groups, line, strict=True):
        for number, (name, values) in enumerate(means.items()):
            last = number == len(means) - 1
            color, mark = ("#52606d", "x") if last else (RUNS[number % len(RUNS)], "osD^v"[number % 5])
            x = at + 0.14 * (number - (len(means) - 1) / 2)
            here.plot(x, values[group][seen], mark, color=color, markersize=5, label=name)
        here.set_xticks(at, [name for name, some in zip(classes, seen, strict=True) if some], rotation=30, ha="right")
        here.set(title=f"{group.capitalize()} genes", xlabel="distance of the pCRE", xlim=(-0.5, len(at) - 0.5))
        grid(here, "y")
    line[0].set(ylabel="mean weight of a pCRE", ylim=(0, None))
    figure.legend(*line[0].get_legend_handles_labels(), loc="outside right center")
    return figure
