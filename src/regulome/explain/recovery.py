"""Did an explanation find what a simulated world planted?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regulome.errors import InputError
from regulome.explain.explanation import Explanation, open_explanation


@dataclass(frozen=True)
class Rule:
    """A planted rule: more of ``mark`` between ``begin`` and ``end`` bp from the TSS moves expression ``direction``.

    Attributes:
        mark: Name of the mark.
        begin: First base pair, relative to the TSS, 5' → 3' of the gene.
        end: One past the last.
        direction: +1 raises expression, −1 lowers it.
    """

    mark: str
    begin: float
    end: float
    direction: int


@dataclass(frozen=True)
class Truth:
    """What was planted: the rules, and the decoy marks that do nothing."""

    rules: tuple[Rule, ...]
    decoys: tuple[str, ...]


def read_truth(path: str | PathLike[str]) -> Truth:
    """Read the ``truth.json`` of a simulated expression world.

    Raises:
        InputError: The file is missing, is not JSON or holds no rules.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("no such file", file=path, cure="name the truth.json that regulome simulate left")
    try:
        content = json.loads(path.read_text())
        if "bin" not in content and "n_enhancers" in content:
            raise InputError(
                "is the truth of a world with contacts, which attributions to bins cannot be scored against",
                file=path,
                cure="leave it out, and give truth_enhancers.bed to regulome perturb --loci",
            )
        size, window = float(content["bin"]), float(content["window"])
        rules = tuple(
            Rule(
                str(rule["mark"]),
                rule["bins"][0] * size - window / 2,
                (rule["bins"][1] + 1) * size - window / 2,
                {"up": 1, "down": -1}[rule["direction"]],
            )
            for rule in content["rules"]
        )
        decoys = tuple(str(decoy["mark"]) for decoy in content["decoys"])
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(
            f"is not the truth of an expression world: {type(error).__name__} {error}",
            file=path,
            cure="name the truth.json that regulome simulate left",
        ) from None
    if not rules:
        raise InputError("holds no rules", file=path)
    return Truth(rules, decoys)


def score_recovery(
    explanation: Explanation | str | PathLike[str], truth: Truth | str | PathLike[str]
) -> dict[str, Any]:
    """Score how well a gradient or attention explanation finds the planted marks and bins.

    Memory and device: reads the mean maps of ``summary.tsv`` only.

    The map that is scored, I[mark, bin]:

    - gradient: mean of gradient × (input − mean input) over high genes minus that over low genes: what tells them
      apart, seen from an average gene. It is near zero for a mark that looks the same in both, and positive for a mark
      that informs in either direction. (Without the mean input, a repressive mark on which a model saturates comes
      out negative: the gradient is large where there is none of it.)
    - attention: beta · alpha averaged over high and low genes; alpha alone where the model has no beta.

    Criteria, each of which can fail:

    - ``marks_found``: the sum of I over the bins is larger for every planted mark than for every decoy (than for
      every other mark, where no decoys are named). None where the method does not rank marks (attention without beta).
    - ``bins_found``: for every planted mark, its strongest bins (a tenth of all T bins, or as many as are planted,
      where that is fewer) are planted ones: their share lies at least halfway between chance (planted / T) and 1.
    - ``directions_right``: for every rule, the mean gradient over its bins has the planted sign. None for attention.

    Where the run did not orient genes (``orient = false``), a planted stretch shows on both sides of the TSS, and its
    mirror image counts as planted too; ``mirrored`` says so.

    Args:
        explanation: An attention or gradient explanation or its folder.
        truth: What was planted, or its ``truth.json``.

    Returns:
        method; marks_found, bins_found, directions_right (bool or None); mark_ranking (names, most important first);
        cell_auprc (average precision of planted cells among all cells of the map), cell_chance (its expectation by
        guessing); bin_precision (mark → share of its strongest
        bins that is planted); mirrored.

    Raises:
        InputError: The explanation is a class map, or lacks a planted mark.
    """
    explanation = explanation if isinstance(explanation, Explanation) else open_explanation(explanation)
    truth = truth if isinstance(truth, Truth) else read_truth(truth)
    marks = explanation.marks
    missing = [rule.mark for rule in truth.rules if rule.mark not in marks]
    if missing:
        raise InputError(f"the truth names mark {missing[0]}, which the run does not have", file=explanation.path)
    importance = importance_map(explanation)
    mirrored = not explanation.manifest["orient"]
    planted = planted_cells(truth, marks, explanation.edges, mirrored=mirrored)
    joint = len(importance) == 1 and len(marks) > 1
    ranks_marks = explanation.method == "gradient" or "beta" in explanation.quantities()
    total = importance.sum(axis=1)
    wanted = sorted({rule.mark for rule in truth.rules}, key=marks.index)
    others = [mark for mark in (truth.decoys or marks) if mark in marks and mark not in wanted]
    marks_found = None
    if ranks_marks and others:
        lowest = min(total[marks.index(mark)] for mark in wanted)
        marks_found = bool(lowest > max(total[marks.index(mark)] for mark in others))
    if joint:
        cells: NDArray[np.bool_] = np.asarray(planted.any(axis=0), bool)[None]
        precision = {"all marks": _precision(importance[0], cells[0])}
        share = {"all marks": float(cells.mean())}
    else:
        rows = {mark: marks.index(mark) for mark in wanted}
        precision = {mark: _precision(importance[row], planted[row]) for mark, row in rows.items()}
        share = {mark: float(planted[row].mean()) for mark, row in rows.items()}
        cells = planted
    return {
        "method": explanation.method,
        "marks_found": marks_found,
        "bins_found": all(precision[mark] >= (1 + share[mark]) / 2 for mark in precision),
        "directions_right": _directions(explanation, truth, mirrored),
        "mark_ranking": [marks[row] for row in np.argsort(-total, kind="stable")] if ranks_marks else [],
        "cell_auprc": _average_precision(importance.ravel(), cells.ravel()),
        "cell_chance": float(cells.mean()),
        "bin_precision": precision,
        "mirrored": mirrored,
    }


def importance_map(explanation: Explanation) -> NDArray[np.float64]:
    """Return the map that recovery scores, [marks or 1, bins]; see :func:`score_recovery`."""
    if explanation.method == "gradient":
        average = explanation.mean("input", "all")
        high, low = (
            explanation.mean("gradient_x_input", group) - explanation.mean("gradient", group) * average
            for group in ("high", "low")
        )
        return high - low
    if explanation.method == "attention":
        alpha = (explanation.mean("alpha", "high") + explanation.mean("alpha", "low")) / 2
        if "beta" not in explanation.quantities():
            return alpha
        beta = (explanation.mean("beta", "high") + explanation.mean("beta", "low")) / 2
        return alpha * beta[:, None]
    raise InputError(
        f"recovery is scored on gradient and attention, not on {explanation.method}", file=explanation.path
    )


def planted_cells(
    truth: Truth, marks: Sequence[str], edges: NDArray[np.float64], *, mirrored: bool
) -> NDArray[np.bool_]:
    """Tell which cells of a map are planted: the bin's centre lies in a rule's stretch, bool [marks, bins].

    Args:
        truth: What was planted.
        marks: Names of the map's rows.
        edges: Borders of the bins in bp from the TSS, [bins + 1].
        mirrored: Whether the mirror image of each stretch counts too.
    """
    centres = (edges[:-1] + edges[1:]) / 2
    cells: NDArray[np.bool_] = np.zeros((len(marks), len(centres)), bool)
    for rule in truth.rules:
        if rule.mark in marks:
            row = cells[marks.index(rule.mark)]
            row |= (centres >= rule.begin) & (centres < rule.end)
            if mirrored:
                row |= (-centres >= rule.begin) & (-centres < rule.end)
    return cells


def _directions(explanation: Explanation, truth: Truth, mirrored: bool) -> bool | None:
    if explanation.method != "gradient":
        return None
    slope, marks, edges = explanation.mean("gradient", "all"), explanation.marks, explanation.edges
    right = []
    for rule in truth.rules:
        cells = planted_cells(Truth((rule,), ()), marks, edges, mirrored=mirrored)
        right.append(bool(cells.any()) and np.sign(slope[cells].mean()) == rule.direction)
    return all(right)


def _precision(values: NDArray[np.float64], planted: NDArray[np.bool_]) -> float:
    top = np.argsort(-values, kind="stable")[: min(int(planted.sum()), max(len(planted) // 10, 1))]
    return float(planted[top].mean()) if len(top) else 0.0


def _average_precision(values: NDArray[np.float64], planted: NDArray[np.bool_]) -> float:
    """Σ (recall − recall before) · precision over falling thresholds, ties together."""
    order = np.argsort(-values, kind="stable")
    last = np.r_[np.flatnonzero(np.diff(values[order])), len(order) - 1]
    found = np.cumsum(planted[order])[last]
    precision = found / (last + 1)
    return float((np.diff(found, prepend=0) * precision).sum() / max(int(planted.sum()), 1))
