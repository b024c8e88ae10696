"""What each number means, in plain words, and what to do when it is bad."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Metric:
    """A metric in words.

    Attributes:
        title: Its short name, as people write it.
        meaning: What it says.
        guessing: What guessing reaches.
        digits: Decimals to show.
    """

    title: str
    meaning: str
    guessing: str
    digits: int = 3


METRICS: Mapping[str, Metric] = {
    "auroc": Metric(
        "AUROC", "how often a randomly drawn high gene is ranked above a randomly drawn low one; 1 is perfect", "0.5"
    ),
    "auprc": Metric(
        "AUPRC",
        "average share of truly high genes among those called high, over all thresholds; 1 is perfect",
        "the share of high genes",
    ),
    "accuracy": Metric(
        "Accuracy", "share of genes on the right side of probability 0.5", "the share of the larger class"
    ),
    "f1": Metric(
        "F1", "harmonic mean of precision and recall of high genes at probability 0.5", "depends on the classes"
    ),
    "mcc": Metric("MCC", "correlation between true and called class at probability 0.5, from −1 to 1", "0"),
    "brier": Metric(
        "Brier", "mean squared distance between probability and truth; smaller is better", "0.25 at even odds"
    ),
    "ece": Metric(
        "ECE",
        "how far predicted probabilities lie from observed shares, on average; smaller is better, and it says "
        "nothing about the ranking",
        "0 for always predicting the share of high genes",
    ),
    "r2": Metric(
        "R²", "share of the variance between genes that is explained; 1 is perfect, below 0 is worse than the mean", "0"
    ),
    "pearson": Metric("Pearson", "linear correlation between prediction and measurement", "0"),
    "spearman": Metric("Spearman", "correlation of ranks: whether genes are put in the right order", "0"),
    "mse": Metric(
        "MSE", "mean squared error in squared units of the target; smaller is better", "the target's variance"
    ),
}

#: The metric that a sentence about a run names, by task.
HEADLINE = {"classification": "auroc", "regression": "pearson"}

_BASELINE = (
    "First compare with the baseline: a network that does not beat a linear model has learned nothing that a weighted "
    "sum of bins would not. Then look at the training curves. "
)
_CAUSES = (
    " usually means that the genes of the expression table and of the annotation do not match, that the files are of "
    "another assembly, or that bins were not oriented although the marks lie on one side of the TSS (input.orient = "
    "true)."
)
#: What to do about a bad table of results, by task.
BAD_SCORE = {
    "classification": _BASELINE + "An AUROC near 0.5" + _CAUSES,
    "regression": _BASELINE + "A correlation near 0" + _CAUSES,
}


def estimate(entry: Mapping[str, Any] | None, digits: int = 3, between: str = " ") -> str:
    """Write a metric with its interval: ``0.912 [0.901, 0.923]``, ``between`` standing between the two."""
    if not entry or entry.get("value") is None:
        return f"— ({entry['reason']})" if entry and entry.get("reason") else "—"
    text = f"{entry['value']:.{digits}f}"
    if entry.get("low") is not None and entry.get("high") is not None:
        text += f"{between}[{entry['low']:.{digits}f}, {entry['high']:.{digits}f}]"
    return text.replace("-", "−")


def sentence(words: list[str]) -> str:
    """Join words to ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else "none"


def amount(count: int, word: str) -> str:
    """Write ``1 gene``, ``2,000 genes``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def size(count: float) -> str:
    """Write a number of bytes: ``3.2 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return ""
