"""What each number means, in plain words, and what to do when it is bad."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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


_METRICS: Mapping[str, Metric] = {
    "auroc": Metric(
        "AUROC",
        "how often a randomly drawn {high} {one} is ranked above a randomly drawn {low} one; 1 is perfect",
        "0.5",
    ),
    "auprc": Metric(
        "AUPRC",
        "average share of truly {high} {many} among those called {high}, over all thresholds; 1 is perfect",
        "the share of {high} {many}",
    ),
    "accuracy": Metric(
        "Accuracy", "share of {many} on the right side of probability 0.5", "the share of the larger class"
    ),
    "f1": Metric(
        "F1", "harmonic mean of precision and recall of {high} {many} at probability 0.5", "depends on the classes"
    ),
    "f1_tuned": Metric(
        "F1, tuned",
        "the same at the threshold of each feature that was best on the validation part",
        "depends on the classes",
    ),
    "mcc": Metric("MCC", "correlation between true and called class at probability 0.5, from −1 to 1", "0"),
    "brier": Metric(
        "Brier", "mean squared distance between probability and truth; smaller is better", "0.25 at even odds"
    ),
    "ece": Metric(
        "ECE",
        "how far predicted probabilities lie from observed shares, on average; smaller is better, and it says "
        "nothing about the ranking",
        "0 for always predicting the share of {high} {many}",
    ),
    "perplexity": Metric(
        "Perplexity",
        "exp of the mean cross-entropy: how many equally likely answers the model still sees; smaller is better, "
        "1 is perfect",
        "2 at even odds, nearer 1 where positives are rare",
    ),
    "r2": Metric(
        "R²",
        "share of the variance between {many} that is explained; 1 is perfect, below 0 is worse than the mean",
        "0",
    ),
    "pearson": Metric("Pearson", "linear correlation between prediction and measurement", "0"),
    "spearman": Metric("Spearman", "correlation of ranks: whether {many} are put in the right order", "0"),
    "mse": Metric(
        "MSE", "mean squared error in squared units of the target; smaller is better", "the target's variance"
    ),
}

# Metrics of a text, where they differ.
_OF_TEXT: Mapping[str, Metric] = {
    "perplexity": Metric(
        "Perplexity",
        "how many equally likely letters the model still hesitates between, on average (2 to the power of the bits per "
        "base); smaller is better, 1 is perfect",
        "4, which nothing can beat on text without any pattern",
    ),
    "bits_per_base": Metric(
        "Bits per base",
        "the logarithm of the perplexity to base 2: what a letter would take in a file that is compressed with this "
        "model; smaller is better, 0 is perfect",
        "2",
        digits=4,
    ),
    "accuracy": Metric(
        "Accuracy", "share of letters that the model held for the likeliest", "the share of the commonest letter"
    ),
}

#: The metric that a sentence about a run names, by task.
HEADLINE = {"classification": "auroc", "regression": "pearson", "next-letter": "perplexity"}
#: Baselines that count words instead of learning a network, in the line of texts.
COUNTING = ("markov", "context-mixing")


def metric_title(name: str) -> str:
    """The short name of a metric, as people write it."""
    known = {**_OF_TEXT, **_METRICS}
    return known[name].title if name in known else name


@dataclass(frozen=True)
class Wording:
    """The words of a line of work; sentences that lines share are filled in with :meth:`say`.

    Attributes:
        one: What an example is called.
        many: The same of several.
        high: What examples of label 1 are called.
        low: What examples of label 0 are called.
        subject: What a model of this line learns.
        baseline: Recipe of the baseline to compare with, by task; where there is none, runs are compared as they are.
        sums: What a linear baseline adds up.
        causes: What a score like guessing usually comes from.
        unscaled: Another reason why a loss may stay flat.
        neighbours: Why parts that share a chromosome are a worry.
        retarget: What to do about a target that bends away from the predictions.
        bad: What a bad table of results means, where that is not about labels or values.
        known: The metrics.
    """

    one: str
    many: str
    high: str
    low: str
    subject: str
    baseline: Mapping[str, str]
    sums: str
    causes: str
    unscaled: str
    neighbours: str
    retarget: str
    bad: str = ""
    known: Mapping[str, Metric] = field(default_factory=lambda: _METRICS)

    def say(self, sentence: str, **values: object) -> str:
        """Fill a sentence: ``{one}``, ``{many}``, ``{high}``, ``{low}`` and what else is given."""
        return sentence.format(one=self.one, many=self.many, high=self.high, low=self.low, **values)

    def metrics(self) -> dict[str, Metric]:
        """Every metric in these words."""
        return {
            name: replace(metric, meaning=self.say(metric.meaning), guessing=self.say(metric.guessing))
            for name, metric in self.known.items()
        }

    def alone(self, runs: int, task: str) -> str:
        """What to say where one run stands alone."""
        if runs > 1:
            return ""
        if task not in self.baseline:
            return " Only one run is shown. A number means little without another: give several runs."
        return (
            f" Only one run is shown. A number means little without a baseline: train {self.baseline[task]} on the "
            "same split and give both runs."
        )

    def bad_score(self, task: str) -> str:
        """What to do about a bad table of results."""
        if self.bad:
            return self.bad
        first = (
            "First compare with the baseline: a network that does not beat a linear model has learned nothing that a "
            f"weighted sum of {self.sums} would not. Then look at the training curves."
        )
        near = "An AUROC near 0.5" if task == "classification" else "A correlation near 0"
        if task not in self.baseline:
            first = "First look at the training curves."
        return f"{first} {near} usually means that {self.causes}."


_GENES = Wording(
    one="gene",
    many="genes",
    high="high",
    low="low",
    subject="gene expression from histone marks",
    baseline={"classification": "logistic-regression", "regression": "logistic-regression"},
    sums="bins",
    causes="the genes of the expression table and of the annotation do not match, that the files are of another "
    "assembly, or that bins were not oriented although the marks lie on one side of the TSS (input.orient = true)",
    unscaled=", or the inputs are not scaled",
    neighbours="neighbouring genes share signal, which makes test numbers look better than they are on new "
    "chromosomes. Split by whole chromosomes to be sure.",
    retarget="the target needs another transformation (log2 instead of raw)",
)
_WINDOWS = Wording(
    one="window",
    many="windows",
    high="positive",
    low="negative",
    subject="chromatin features from DNA",
    baseline={"classification": "kmer-logistic-regression"},
    sums="counts of short words",
    causes="the peaks are of another assembly than the genome, that there are too few positive windows, or that the "
    "training was too short",
    unscaled="",
    neighbours="neighbouring windows share letters and signal. The split 'blocks' keeps parts a window's width apart, "
    "but repeats and gene families may lie in both. Split by whole chromosomes to be sure.",
    retarget="the target needs another transformation (its logarithm instead of the raw signal)",
)
_TEXT = Wording(
    one="block",
    many="blocks",
    high="",
    low="",
    subject="the next letter of a genome",
    baseline={"next-letter": "markov"},
    sums="counts of words",
    causes="the learning rate does not fit",
    unscaled="",
    neighbours="they touch without a gap, and repeats may lie in both, which makes test numbers look better than they "
    "are on new chromosomes. Hold out whole chromosomes (--split chromosomes) to be sure.",
    retarget="",
    bad="Near 4 the model has learned nothing, above 4 it is worse than guessing: look at the learning curves; the "
    "learning rate is too large, the training too short, or the text too short to learn from. A little below 4 may be "
    "all there is: bacterial genomes are dense with information and stay near 3.6, whereas letters that are used "
    "unevenly, and repeats, make a genome easier to predict. A network that does not beat the baselines has learned "
    "nothing that counting words would not give: train it on more letters, or use the baseline.",
    known=_OF_TEXT,
)


def wording(line: str, targets: Sequence[str] = ()) -> Wording:
    """Return the words of a line of work.

    Args:
        line: The line.
        targets: Names of the outputs: a single one that is called "bound" lends its name to the positives.
    """
    if line == "language":
        return _TEXT
    if line != "sequence":
        return _GENES
    if list(targets) == ["bound"]:
        return replace(
            _WINDOWS,
            one="sequence",
            many="sequences",
            high="bound",
            low="unbound",
            subject="binding from DNA",
            causes="positives and negatives do not differ in what the model can see, that there are too few of them, "
            "or that the training was too short",
        )
    return _WINDOWS


def estimate(entry: Mapping[str, Any] | None, digits: int = 3, between: str = " ") -> str:
    """Write a metric with its interval: ``0.912 [0.901, 0.923]``, ``between`` standing between the two."""
    if not entry or entry.get("value") is None:
        return f"— ({entry['reason']})" if entry and entry.get("reason") else "—"
    # Adding zero takes the sign off a rounded zero.
    parts = [entry[part] for part in ("value", "low", "high") if entry.get(part) is not None]
    value, *ends = (f"{round(part, digits) + 0.0:.{digits}f}" for part in parts)
    text = f"{value}{between}[{', '.join(ends)}]" if len(ends) == 2 else value
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
