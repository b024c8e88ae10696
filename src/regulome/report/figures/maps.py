"""Maps of marks × bins: attention, class maps, gradients, mean signal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from regulome.report.figures.style import DIVERGING, HIGH, LOW, SEQUENTIAL, grid, panels, styled

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Box:
    """A planted stretch to outline on a map: ``mark`` from ``begin`` to ``end`` bp from the TSS."""

    mark: str
    begin: float
    end: float


def _axis(orient: bool) -> str:
    return "bp from the TSS, 5′ → 3′ of the gene" if orient else "bp from the TSS, along the + strand"


@styled
def heat_figure(
    panels_: Sequence[Sequence[tuple[str, Floats]]],
    marks: Sequence[str],
    edges: Floats,
    *,
    units: Sequence[str],
    orient: bool,
    signed: bool = False,
    boxes: Sequence[Box] = (),
) -> Figure:
    """Draw heat maps of marks × bins; the maps of a row share their colour scale.

    Args:
        panels_: Rows of (title, map [marks, bins]).
        marks: Names of the map's rows.
        edges: Borders of the bins in bp from the TSS, [bins + 1].
        units: What the colour of each row of panels means.
        orient: Whether bins run 5' → 3'.
        signed: Whether zero is the middle of the scale.
        boxes: Stretches to outline.
    """
    rows, columns = len(panels_), max(len(row) for row in panels_)
    size = (9.2, rows * (1.15 + 0.34 * max(len(marks), 2)) + 0.4)
    figure, axes = panels(rows, columns, size, sharex=True, sharey=True)
    for row, unit, line in zip(panels_, units, axes, strict=True):
        values = np.concatenate([np.ravel(one) for _, one in row])
        top = float(np.nanmax(np.abs(values))) or 1.0
        bottom = -top if signed else min(float(np.nanmin(values)), 0.0)
        image = None
        for (title, one), here in zip(row, line, strict=False):
            image = here.imshow(
                one,
                cmap=DIVERGING if signed else SEQUENTIAL,
                vmin=bottom,
                vmax=top,
                aspect="auto",
                interpolation="nearest",
                extent=(edges[0], edges[-1], len(marks) - 0.5, -0.5),
            )
            here.set_title(title)
            here.axvline(0, color="#1f2933" if signed else "white", linewidth=0.8, linestyle=(0, (2, 2)))
            here.set_yticks(range(len(marks)), marks)
            here.tick_params(length=0, axis="y")
            here.spines[:].set_visible(False)
            _outline(here, boxes, marks, signed)
        if image is not None:
            bar = figure.colorbar(image, ax=line, pad=0.015, aspect=14, fraction=0.05)
            bar.set_label(unit)
            bar.outline.set_visible(False)
    for here in axes[-1]:
        here.set_xlabel(_axis(orient))
    return figure


def _outline(axes: Axes, boxes: Sequence[Box], marks: Sequence[str], signed: bool) -> None:
    for box in boxes:
        if box.mark not in marks:
            continue
        place = (box.begin, marks.index(box.mark) - 0.47)
        color = "#d6006c" if signed else "white"
        axes.add_patch(Rectangle(place, box.end - box.begin, 0.94, fill=False, edgecolor=color, linewidth=1.6))


@styled
def mark_figure(high: Floats, low: Floats, marks: Sequence[str]) -> Figure:
    """Draw the attention that each mark gets (beta), in high and in low genes.

    Args:
        high: Mean beta over high genes, [marks].
        low: Mean beta over low genes, [marks].
        marks: Names.
    """
    figure, ((axes,),) = panels(1, 1, (7.0, 0.9 + 0.42 * len(marks)))
    place = np.arange(len(marks))
    axes.barh(place - 0.19, high, 0.36, color=HIGH, label="high genes")
    axes.barh(place + 0.19, low, 0.36, color=LOW, label="low genes", alpha=0.85)
    axes.axvline(1 / len(marks), color="#52606d", linewidth=1, linestyle=":", label="even")
    axes.set_yticks(place, marks)
    axes.invert_yaxis()
    axes.set(xlabel="attention to the mark (beta), sums to 1 over the marks")
    axes.set_xlim(0, None)
    grid(axes, "x")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


@styled
def signal_figure(
    means: Mapping[str, Floats], marks: Sequence[str], edges: Floats, *, unit: str, orient: bool
) -> Figure:
    """Draw the mean signal of each mark around the TSS, in high and in low genes.

    Args:
        means: "high" and "low" → [marks, bins].
        marks: Names.
        edges: Borders of the bins in bp from the TSS, [bins + 1].
        unit: Unit of the signal.
        orient: Whether bins run 5' → 3'.
    """
    columns = min(len(marks), 4 if len(marks) in (4, 7, 8) else 3)
    rows = -(-len(marks) // columns)
    figure, axes = panels(rows, columns, (9.2 if columns > 1 else 5.0, 2.1 * rows + 0.5), sharex=True)
    centres = (edges[:-1] + edges[1:]) / 2
    for index in range(rows * columns):
        here = axes[index // columns][index % columns]
        if index >= len(marks):
            here.set_visible(False)
            continue
        for group, color, style in (("high", HIGH, "-"), ("low", LOW, "--")):
            if group in means:
                here.plot(
                    centres, means[group][index], color=color, linestyle=style, linewidth=1.5, label=f"{group} genes"
                )
        here.set(title=marks[index], ylim=(min(0.0, *(float(one[index].min()) for one in means.values())), None))
        grid(here, "y")
    for row in axes:
        row[0].set_ylabel(unit)
    for index in range(max(len(marks) - columns, 0), len(marks)):
        axes[index // columns][index % columns].tick_params(labelbottom=True)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    figure.supxlabel(_axis(orient), fontsize=9.5)
    return figure
