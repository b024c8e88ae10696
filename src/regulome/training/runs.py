"""The run folder: what training leaves, and how everything later reads it.

``run.json`` says what the run is; ``recipe.toml`` how it was trained; ``splits.parquet`` which example was in which
part; ``weights.safetensors`` (``member-I/weights.safetensors`` for ensembles) hold preprocessing and network;
``history.csv`` has a row per epoch; ``predictions.parquet`` the predictions for validation and test;
``metrics.json`` the metrics of the test part. With many outputs ``predictions.parquet`` has only the examples, and the
probabilities lie in ``predictions.npy`` (float32 [examples, outputs]); ``features.tsv`` has the metrics of each output
on the test part. While a run is trained its folder is called ``NAME.partial``.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import polars as pl
import torch
from pydantic import BaseModel, ConfigDict, Field

from regulome import storage
from regulome.datasets.dataset import Dataset, open_dataset
from regulome.errors import InputError
from regulome.models.preprocess import Predictor
from regulome.recipes.load import load_recipe
from regulome.recipes.schema import Recipe
from regulome.records import read_folder_record, validated
from regulome.training.build import new_predictor
from regulome.training.line import Task
from regulome.training.lines import line_named

FORMAT: Final = "regulome-run"
SCHEMA: Final = 1
INFO, RECIPE, SPLITS, HISTORY = "run.json", "recipe.toml", "splits.parquet", "history.csv"
PREDICTIONS, METRICS, WEIGHTS = "predictions.parquet", "metrics.json", "weights.safetensors"
SCORES, FEATURES = "predictions.npy", "features.tsv"
#: Columns of ``history.csv`` that are numbers, after member, epoch and step.
HISTORY_NUMBERS = (
    *("train_loss", "valid_loss", "valid_auroc", "valid_auprc", "valid_pearson"),
    *("learning_rate", "seconds"),
)


class DatasetRecord(BaseModel):
    """Which dataset a run was trained on."""

    path: str
    checksum: str


class RunInfo(BaseModel):
    """The content of ``run.json``.

    Attributes:
        format: Always ``"regulome-run"``.
        schema_version: Version of the folder's layout, ``schema`` in the file.
        status: ``"training"`` until everything is there, then ``"complete"``.
        recipe: Name of the recipe.
        model: Name of the network.
        line: Line of work.
        task: ``"classification"``, ``"regression"``, or of a text ``"next-letter"``.
        marks: Names of the marks, in the order in which the network takes them.
        bins: Number of bins.
        bin_size: Width of a bin in base pairs.
        resolutions: Of networks on distal regions, widths of bins, in the order in which the network takes them;
            ``bins`` and ``bin_size`` are then those of the finest in a promoter.
        span: Base pairs of the window in which distal regions are centred.
        pcres: pCREs of a gene that the network takes at most; -1 = all.
        length: Bases of a window, in the lines of sequences and texts.
        features: What each output is, in the line of sequences: name, cell, assay, treatment, group.
        target_names: Name of each output.
        dataset: The dataset; None for imported weights.
        split: The split in words.
        members: Seed of each member.
        hyperparameters: For each member what was chosen on the validation part, in addition to the recipe's.
        parameters: Trainable parameters of a member.
        device: The device in words.
        devices: Number of devices.
        seconds: Time spent training, over all members.
        created: When training began (ISO 8601, UTC).
        versions: Versions of regulome and of what it computes with.
    """

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    format: Literal["regulome-run"] = FORMAT
    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    status: Literal["training", "complete"] = "training"
    recipe: str
    model: str
    line: str = "expression"
    task: Task
    marks: list[str] = Field(default_factory=list)
    bins: int = 0
    bin_size: int = 0
    resolutions: list[int] = Field(default_factory=list)
    span: int = 0
    pcres: int = -1
    length: int = 0
    features: list[dict[str, str]] = Field(default_factory=list)
    target_names: list[str]
    dataset: DatasetRecord | None = None
    split: str = ""
    members: list[int] = Field(min_length=1)
    hyperparameters: list[dict[str, Any]] = Field(default_factory=list)
    parameters: int = 0
    device: str = ""
    devices: int = 1
    seconds: float = 0.0
    created: str = ""
    versions: dict[str, str] = Field(default_factory=dict)

    def to_json(self) -> str:
        """The text of ``run.json``."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=2, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class Run:
    """An opened run; make one with :func:`open_run`.

    Attributes:
        path: The run folder.
        info: The content of ``run.json``.
        recipe: The resolved recipe.
    """

    path: Path
    info: RunInfo
    recipe: Recipe = field(repr=False)

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.name

    @property
    def splits(self) -> pl.DataFrame:
        """Columns ``id`` and ``split`` (train, valid, test or empty), one row per example of the dataset."""
        if not (self.path / SPLITS).exists():
            return pl.DataFrame(schema={"id": pl.String, "split": pl.String})
        return pl.read_parquet(self.path / SPLITS)

    def models(self, device: str | torch.device = "cpu") -> list[Predictor]:
        """Load every member: inputs in, logit or value [batch, targets] out; in eval mode.

        Inputs are raw marks [batch, mark, bin], regions, or codes of letters uint8 [batch, base]. Members that predict
        the next letter take and return a state, too: see :class:`regulome.models.text_predictor.TextPredictor`.

        Raises:
            InputError: Weights are missing, damaged, or of another architecture.
        """
        members = []
        for member in range(len(self.info.members)):
            # The weights are replaced at once: drawing them must not move the caller's random numbers.
            with torch.random.fork_rng(devices=[]):
                predictor = new_predictor(
                    self.recipe,
                    task=self.info.task,
                    hyperparameters=self.info.hyperparameters[member] if self.info.hyperparameters else None,
                    **line_named(self.recipe.line, self.recipe.model.name).stored_sizes(self.info),
                )
            load_weights_into(predictor, self.path / weights_name(member, len(self.info.members)))
            members.append(predictor.to(device).eval())
        return members

    def dataset(self) -> Dataset:
        """Open the dataset that the run was trained on.

        Raises:
            InputError: It was moved or has changed.
        """
        if self.info.dataset is None:
            raise InputError("the run has no dataset of its own", file=self.path, cure="name a dataset")
        path = Path(self.info.dataset.path)
        if not path.exists():
            raise InputError(f"its dataset {path} is gone", file=self.path, cure="name the dataset where it is now")
        dataset = open_dataset(path)
        if dataset.checksum != self.info.dataset.checksum:
            raise InputError(
                f"its dataset {path} is not the one it was trained on",
                file=self.path,
                cure="name the dataset to use, or train again",
            )
        return dataset

    def predictions(self) -> pl.DataFrame:
        """Predictions for the validation and test parts: region, id, split, then NAME and NAME_true per target.

        With many outputs the table ends with ``split``: :meth:`scores` has the numbers.
        """
        return pl.read_parquet(_present(self.path / PREDICTIONS))

    def scores(self) -> tuple[pl.DataFrame, np.ndarray[Any, np.dtype[np.float32]]]:
        """Predictions for the validation and test parts as an array, however many outputs there are.

        Returns:
            One row per example (``chrom, start, end, strand, id, split``), and probabilities or values float32
            [examples, outputs] in the same order: a read-only memory map where they are many.
        """
        table = self.predictions()
        rows = table.select("chrom", "start", "end", "strand", "id", "split")
        if (self.path / SCORES).exists():
            return rows, np.load(self.path / SCORES, mmap_mode="r")
        return rows, table.select(self.info.target_names).to_numpy().astype(np.float32)

    def history(self) -> pl.DataFrame:
        """One row per member and epoch; scores of the other task (AUROC and AUPRC, or Pearson) are null."""
        return pl.read_csv(_present(self.path / HISTORY), schema_overrides=dict.fromkeys(HISTORY_NUMBERS, pl.Float64))

    def metrics(self) -> dict[str, Any]:
        """Metrics of the test part with intervals, as :func:`regulome.training.evaluate` returns them."""
        content: dict[str, Any] = json.loads(_present(self.path / METRICS).read_text("utf-8"))
        return content


def open_run(path: str | os.PathLike[str] | Run) -> Run:
    """Open a run folder; an opened run is returned as it is.

    Raises:
        InputError: It is no complete run, or of another schema version.
    """
    if isinstance(path, Run):
        return path
    folder = finished_folder(path, what="run", verb="train")
    info = read_info(folder)
    if info.status != "complete":
        raise InputError("is not finished", file=path, cure="finish it with `regulome train … --resume`")
    return Run(folder, info, load_recipe(_present(folder / RECIPE)))


def finished_folder(path: str | os.PathLike[str], *, what: str, verb: str) -> Path:
    """Return the absolute path of a folder that a verb leaves when its work is done.

    Args:
        path: The folder.
        what: What it is, for messages: ``"run"``.
        verb: The verb that finishes it: ``"train"``.

    Raises:
        InputError: There is none, or only the unfinished one.
    """
    folder = Path(path).absolute()
    if not folder.exists():
        partial = partial_folder(folder)
        if partial.exists():
            raise InputError("is not finished", file=partial, cure=f"finish it with `regulome {verb} … --resume`")
        raise InputError(f"no such {what}", file=path, cure="check the path")
    return folder


def read_info(folder: Path) -> RunInfo:
    """Read and check ``run.json``.

    Raises:
        InputError: It is missing, damaged, or of another format or schema version.
    """
    make, again = "make one with `regulome train`", "train again"
    content = read_folder_record(folder, INFO, format=FORMAT, schema=SCHEMA, what="run", make=make, again=again)
    return validated(RunInfo, content, folder / INFO, again=again)


def partial_folder(out: Path) -> Path:
    """Return the name of a run's folder while it is trained."""
    return out.with_name(out.name + ".partial")


def weights_name(member: int, members: int) -> str:
    """Return the weights file of a member, relative to the run folder."""
    return WEIGHTS if members == 1 else f"member-{member}/{WEIGHTS}"


def save_weights(path: Path, weights: dict[str, torch.Tensor]) -> None:
    """Write a state dictionary as safetensors; the file appears when it is complete."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    with storage.new_file(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, temporary)


def load_weights_into(predictor: Predictor, path: Path) -> None:
    """Load weights that :func:`save_weights` wrote.

    Raises:
        InputError: The file is missing or damaged, or belongs to another architecture.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(storage.existing_file(path))
    except (SafetensorError, OSError) as error:
        raise InputError(f"weights cannot be read: {error}", file=path, cure="train again") from None
    try:
        predictor.load_state_dict(weights)
    except RuntimeError as error:
        detail = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise InputError(
            f"the weights belong to another architecture than the recipe's: {detail}",
            file=path,
            cure="use the recipe.toml that was stored with them",
        ) from None


def _present(path: Path) -> Path:
    return storage.existing_file(path)
