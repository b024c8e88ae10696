"""Everything about a run that its page needs, gathered before a line is written."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulome.datasets.dataset import Dataset
from regulome.errors import InputError
from regulome.explain.explanation import Explanation
from regulome.explain.from_run import explain
from regulome.models.registry import list_models
from regulome.report.outputs import Outputs, gather_outputs
from regulome.report.text_findings import TextFindings, gather_text
from regulome.report.wording import COUNTING, Wording, wording
from regulome.training.evaluation import evaluate
from regulome.training.runs import Run

logger = logging.getLogger(__name__)

#: Linear models need no class map: their gradient is their weights.
_LINEAR = ("logistic-regression", "linear-svm", "deepchrome-linear")

# What a page lacks beside the sources where the dataset is not there, by line.
_LOST = {"sequence": "", "language": " and what the model has learned of the text"}


@dataclass(frozen=True)
class Material:
    """A run and what was found about it.

    Attributes:
        label: Its name on the page, unlike that of every other run.
        run: The run.
        dataset: Its dataset; None where it cannot be opened.
        ids: Test examples, [n]; empty where outputs are many.
        truth: Their labels or values, [n].
        score: What the run predicts for them: probabilities of high (positive), or values, [n].
        metrics: Metrics on the test examples with intervals.
        explanations: Method → explanation.
        troubles: What could not be had, and why.
        outputs: What is known of each output, where a run of the line of sequences has several.
        text: What is known of the held-out text, where a run predicts letters.
    """

    label: str
    run: Run
    dataset: Dataset | None
    ids: list[str]
    truth: NDArray[np.float64]
    score: NDArray[np.float64]
    metrics: Mapping[str, Any]
    explanations: dict[str, Explanation] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    outputs: Outputs | None = None
    text: TextFindings | None = None

    @property
    def features(self) -> pl.DataFrame:
        """A row per output; empty where there is one."""
        return pl.DataFrame() if self.outputs is None else self.outputs.features

    @property
    def words(self) -> Wording:
        """The words of the run's line."""
        return wording(self.run.info.line, self.run.info.target_names)

    @property
    def reads_dna(self) -> bool:
        """Whether the run is of the line of sequences."""
        return self.run.info.line == "sequence"

    def value(self, metric: str) -> float:
        """A metric on the test examples; minus infinity where it is not defined."""
        value = (self.metrics.get(metric) or {}).get("value")
        return float("-inf") if value is None else float(value)

    @property
    def counts(self) -> bool:
        """Whether it is a baseline that counts words of a text."""
        return self.run.recipe.model.name in COUNTING

    @property
    def task(self) -> str:
        """Classification or regression."""
        return self.run.info.task

    @property
    def title(self) -> str:
        """The model's name as people write it."""
        name = self.run.recipe.model.name
        return next((model.title for model in list_models() if model.name == name), name)


def labels(runs: Sequence[Run]) -> list[str]:
    """Name each run by its folder, and by its parent's too where that is not enough."""
    names = [Path(run.path).resolve().name for run in runs]
    if len(set(names)) < len(names):
        names = ["/".join(Path(run.path).resolve().parts[-2:]) for run in runs]
    return [name if names.count(name) == 1 else f"{name} ({index})" for index, name in enumerate(names, 1)]


def gather(
    run: Run,
    label: str,
    folder: Path,
    *,
    dataset: Dataset | None,
    given: Sequence[Explanation],
    device: str,
    limit: int,
) -> Material:
    """Collect predictions, metrics and explanations of a run.

    Args:
        run: The run.
        label: Its name on the page.
        folder: Where explanations may be written.
        dataset: The dataset to use instead of the recorded one.
        given: Explanations that exist; those of this run are used.
        device: Where models work.
        limit: Number of test genes to explain, at most.

    Raises:
        InputError: The run has no predictions of test examples.
    """
    troubles: list[str] = []
    if dataset is None:
        try:
            dataset = run.dataset()
        except InputError as error:
            maps = _LOST.get(run.info.line, " and the model's maps")
            troubles.append(f"The dataset cannot be opened, so that its sources{maps} are missing: {error}")
            logger.warning("%s: reported without its dataset: %s", label, error)
    none = np.empty(0)
    if run.info.line == "language":
        text, lacking = gather_text(run, dataset, device=device)
        return Material(label, run, dataset, [], none, none, evaluate(run), troubles=[*troubles, *lacking], text=text)
    if run.info.line == "sequence" and len(run.info.target_names) > 1:
        found = gather_outputs(run, dataset)
        return Material(label, run, dataset, [], none, none, found.metrics, troubles=troubles, outputs=found)
    target = run.info.target_names[0]
    table = run.predictions().filter(pl.col("split") == "test")
    if not len(table) or target not in table.columns or f"{target}_true" not in table.columns:
        raise InputError(
            f"holds no predictions of labelled test {wording(run.info.line, run.info.target_names).many}",
            file=run.path,
            cure="train it with a test split",
        )
    table = table.drop_nulls([target, f"{target}_true"])
    material = Material(
        label,
        run,
        dataset,
        table["id"].to_list(),
        table[f"{target}_true"].to_numpy().astype(np.float64),
        table[target].to_numpy().astype(np.float64),
        evaluate(run, split="test"),
        troubles=troubles,
    )
    for explanation in given:
        if Path(explanation.manifest["run"]["path"]) == Path(run.path).resolve():
            material.explanations[explanation.method] = explanation
    if dataset is not None and not material.reads_dna:
        _explain(material, dataset, folder, device=device, limit=limit)
    return material


def _explain(material: Material, dataset: Dataset, folder: Path, *, device: str, limit: int) -> None:
    """Compute the explanations that nobody gave."""
    attends = all(hasattr(model, "attention") for model in material.run.models())
    methods = ["gradient", "attention"] if attends else ["gradient"]
    # A thousand steps through recurrent networks take minutes, and their attention is shown instead.
    if not attends and material.run.recipe.model.name not in _LINEAR:
        methods.append("class-map")
    if material.run.info.resolutions:
        methods = ["attention"]
    for method in methods:
        if method in material.explanations:
            continue
        try:
            material.explanations[method] = explain(
                method,
                material.run,
                dataset,
                out=folder / f"{material.label.replace('/', '_')}-{method}",
                limit=limit,
                device=device,
            )
        except InputError as error:
            if method == "gradient":
                material.troubles.append(f"No maps of what this model looks at: {error}.")
                return
            material.troubles.append(f"No {method}: {error}.")
