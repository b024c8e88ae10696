"""The folder of a search: what it leaves, and how it is read.

``search.json`` says what was searched, how, and what was found; ``trials.tsv`` has a row per setting; ``best.toml`` is
the recipe with the best setting; ``best`` the run that was trained by it. While the search goes on its folder is called
``NAME.partial``, and ``search.json`` has all that a resumed search goes on from.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from regulome import storage
from regulome.errors import InputError
from regulome.recipes.load import load_recipe
from regulome.recipes.schema import Recipe
from regulome.records import flat, read_folder_record, validated
from regulome.training import runs
from regulome.training.partial import write_text

if TYPE_CHECKING:
    from optuna.study import Study

FORMAT: Final = "regulome-search"
SCHEMA: Final = 1
INFO, TRIALS, RECIPE, RUN = "search.json", "trials.tsv", "best.toml", "best"
# Columns of a search over a text.
_TEXT = ("valid_perplexity", "valid_bits", "test_perplexity", "test_bits")
# Metrics of which less is better.
_COSTS = ("valid_loss", "valid_perplexity")


class Trial(BaseModel):
    """One setting.

    Attributes:
        number: From 1.
        state: ``"running"``, ``"complete"``, or ``"failed"``: it could not be trained.
        score: Its score, mean over folds; None unless it is complete.
        settings: Value of each key.
        drawn: What was drawn for each key, before it became the value.
        folds: Score of each fold; without folds the one score.
        test: Of a text the perplexity on the test part; nothing is chosen by it.
        seconds: Time spent training.
        note: Why it failed.
    """

    number: int
    state: Literal["running", "complete", "failed"] = "running"
    score: float | None = None
    settings: dict[str, Any]
    drawn: dict[str, Any]
    folds: list[float] = Field(default_factory=list)
    test: float | None = None
    seconds: float = 0.0
    note: str = ""


class Candidate(BaseModel):
    """A training of the best setting: its seed, and its validation score (None: it could not be trained)."""

    seed: int
    score: float | None


class SearchInfo(BaseModel):
    """The content of ``search.json``.

    Attributes:
        format: Always ``"regulome-search"``.
        schema_version: Version of the folder's layout, ``schema`` in the file.
        status: ``"searching"`` until everything is there, then ``"complete"``.
        recipe: Name of the recipe.
        line: Line of work.
        task: What is learned; empty in old searches.
        dataset: The dataset.
        split: The split in words.
        request: Everything that decides the trials; a search is resumed only with the same.
        trials: The settings, in the order in which they were tried.
        best: Number of the best trial.
        candidates: Trainings of the best setting.
        seed: Seed of the candidate that was kept.
        created: When the search began (ISO 8601, UTC).
        versions: Versions of regulome and of what it computes with.
    """

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    format: Literal["regulome-search"] = FORMAT
    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    status: Literal["searching", "complete"] = "searching"
    recipe: str
    line: str
    task: str = ""
    dataset: runs.DatasetRecord
    split: str
    request: dict[str, Any]
    trials: list[Trial] = Field(default_factory=list)
    best: int | None = None
    candidates: list[Candidate] = Field(default_factory=list)
    seed: int | None = None
    created: str = ""
    versions: dict[str, str] = Field(default_factory=dict)

    @property
    def metric(self) -> str:
        """What trials are scored by."""
        return str(self.request["metric"])

    @property
    def maximize(self) -> bool:
        """Whether more of it is better."""
        return self.metric not in _COSTS

    def goodness(self, score: float | None) -> float:
        """Turn a score so that more is better."""
        if score is None:
            return float("-inf")
        return score if self.maximize else -score

    def leader(self) -> Trial | None:
        """Return the best trial so far, the first of equals."""
        complete = [trial for trial in self.trials if trial.state == "complete"]
        return max(complete, key=lambda trial: self.goodness(trial.score), default=None)

    def save(self, folder: Path) -> None:
        """Write ``search.json`` and ``trials.tsv``."""
        text = json.dumps(self.model_dump(mode="json", by_alias=True), indent=2, ensure_ascii=False)
        write_text(folder / INFO, text + "\n")
        with storage.new_file(folder / TRIALS) as temporary:
            self.table().write_csv(temporary, separator="\t")

    def table(self) -> pl.DataFrame:
        """Return a row per trial: number, state, score, each key, the folds, seconds, note.

        Of texts there are also ``valid_perplexity``, ``valid_bits`` (per letter), ``test_perplexity``, ``test_bits``.
        """
        folds, text = range(int(self.request["folds"])), self.line == "language"
        rows = [
            {
                "number": trial.number,
                "state": trial.state,
                "score": trial.score,
                **{key: _cell(trial.settings[key]) for key in self.request["space"]},
                **{f"fold_{k + 1}": trial.folds[k] if k < len(trial.folds) else None for k in folds},
                **(self._text_scores(trial) if text else {}),
                "seconds": round(trial.seconds, 3),
                "note": trial.note or None,
            }
            for trial in self.trials
        ]
        fixed = {"number": pl.Int64, "state": pl.String, "score": pl.Float64}
        floats = dict.fromkeys([*(f"fold_{k + 1}" for k in folds), *(_TEXT if text else ()), "seconds"], pl.Float64)
        kinds = {key: _column([row[key] for row in rows]) for key in self.request["space"]}
        return pl.DataFrame(rows, schema={**fixed, **kinds, **floats, "note": pl.String}, strict=False)

    def _text_scores(self, trial: Trial) -> dict[str, float | None]:
        bits = trial.score
        if bits is not None:
            bits = bits / math.log(2) if self.metric == "valid_loss" else math.log2(bits)
        pairs = (None if bits is None else 2.0**bits, bits, trial.test, trial.test and math.log2(trial.test))
        return dict(zip(_TEXT, pairs, strict=True))


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list) else value


def _column(values: list[Any]) -> pl.DataType | type[pl.DataType]:
    kinds = {type(value) for value in values}
    if kinds <= {int}:
        return pl.Int64
    if kinds <= {int, float}:
        return pl.Float64
    return pl.Boolean if kinds == {bool} else pl.String


@dataclass(frozen=True)
class Search:
    """A finished search; :func:`regulome.training.search` gives one, :func:`open_search` opens one.

    Attributes:
        path: The folder.
        info: The content of ``search.json``.
    """

    path: Path
    info: SearchInfo = field(repr=False)

    @property
    def trials(self) -> pl.DataFrame:
        """A row per trial: number, state, score, the value of each key, the score of each fold, seconds, note."""
        return self.info.table()

    @property
    def best(self) -> Trial:
        """The best trial."""
        return self.info.trials[(self.info.best or 1) - 1]

    @property
    def recipe(self) -> Recipe:
        """The recipe with the best setting, and the seed that was kept."""
        return load_recipe(self.path / RECIPE)

    @property
    def run(self) -> runs.Run:
        """The run that was trained by it."""
        return runs.open_run(self.path / RUN)

    def study(self) -> Study:
        """Return the trials as a study of Optuna, for its importances and figures."""
        from regulome.training.proposals import study_of

        return study_of(self.info.trials, self.info.request["space"], maximize=self.info.maximize)


def open_search(path: str | os.PathLike[str]) -> Search:
    """Open the folder of a finished search.

    Raises:
        InputError: It is none, or of another schema version.
    """
    folder = runs.finished_folder(path, what="search", verb="search")
    return Search(folder, read_info(folder))


def read_info(folder: Path) -> SearchInfo:
    """Read and check ``search.json``.

    Raises:
        InputError: It is missing, damaged, or of another format or schema version.
    """
    make, again = "make one with `regulome search`", "search again"
    content = read_folder_record(folder, INFO, format=FORMAT, schema=SCHEMA, what="search", make=make, again=again)
    return validated(SearchInfo, content, folder / INFO, again=again)


def check_same(folder: Path, before: SearchInfo, request: Mapping[str, Any]) -> None:
    """Refuse to resume a search for something else.

    Raises:
        InputError: Recipe, dataset, split, space, sampler, metric, folds or seed differ.
    """
    old, new = flat(before.request, " "), flat(json.loads(json.dumps(request)), " ")
    differs = next((key for key in [*new, *old] if old.get(key) != new.get(key)), None)
    if differs is None:
        return
    values = "" if differs in ("dataset", "split") else f" ({old.get(differs)}, now {new.get(differs)})"
    raise InputError(
        f"was begun with another {differs}{values}", file=folder, cure="give the same, or start anew with --overwrite"
    )
