"""``dataset.json``: what a dataset folder says about itself (see ``docs/dataset-format.md``)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from regulome.errors import InputError
from regulome.records import read_record, validated

#: The value of ``format`` in every manifest.
FORMAT = "regulome-dataset"
#: The version of the format that this release writes and reads.
SCHEMA = 1
#: The name of the manifest in a dataset folder.
MANIFEST = "dataset.json"

#: Number types that arrays may have, as numpy names them.
DType = Literal[
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64"
]


#: What the targets are; see :class:`Manifest`.
Task = Literal["classification", "regression", "unlabelled"]


class FileEntry(BaseModel):
    """A file of the dataset and its checksum.

    Attributes:
        file: Path relative to the dataset folder, with ``/`` as separator.
        sha256: SHA-256 of the file, 64 hexadecimal digits.
    """

    model_config = ConfigDict(extra="allow")

    file: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _stays_inside(self) -> FileEntry:
        path = PurePosixPath(self.file)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"the file {self.file!r} is not inside the dataset folder")
        return self


class ArrayEntry(FileEntry):
    """An input array.

    An axis with coordinates has a list of that axis' length under the axis' own name: ``mark`` holds the names along
    the axis ``"mark"``. Arrays whose first axis is ``"example"`` have one row per example; others (the values of a
    sparse matrix, packed letters of a genome) may have any length.

    Attributes:
        axes: Name of each axis, in order.
        shape: Length of each axis.
        dtype: Number type of the array.
        mark: Names along the axis ``"mark"``, when there is one.
        bin_size: Width of a step along the axis ``"bin"`` in base pairs, when there is one.
        unit: What a value means: ``"reads"`` for counts, ``"signal"`` otherwise.
        bases: Letters that the input ``"letters"`` of sequences or of a text holds.
        length: Letters of an example's window, at the input ``"start"`` of sequences; letters that a model of a text
            reads at a time, at the input ``"block"``.
        margin: Letters on both sides of every window of sequences that belong to it, there too.
    """

    axes: list[str] = Field(min_length=1)
    shape: list[int] = Field(min_length=1)
    dtype: DType
    mark: list[str] | None = None
    bin_size: int | None = Field(default=None, gt=0)
    unit: str | None = None
    bases: int | None = Field(default=None, ge=0)
    length: int | None = Field(default=None, gt=0)
    margin: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _axes_agree(self) -> ArrayEntry:
        if len(self.axes) != len(self.shape):
            raise ValueError(f"{len(self.axes)} axes but {len(self.shape)} lengths")
        extra = self.model_extra or {}
        for axis, length in zip(self.axes, self.shape, strict=True):
            names = self.mark if axis == "mark" else extra.get(axis)
            if isinstance(names, list) and len(names) != length:
                raise ValueError(f"{len(names)} names for the axis {axis!r} of length {length}")
        return self


class TargetsEntry(FileEntry):
    """The target array: one row per example, one column per name.

    Attributes:
        names: Name of each column.
        shape: ``[examples, columns]``.
        dtype: Number type of the array.
        rule: How the values came about, in words, with its parameters (the median of a label, for example).
        features: What each column measures, for datasets of sequences; see :attr:`Dataset.features`.
    """

    names: list[str]
    shape: list[int] = Field(min_length=2, max_length=2)
    dtype: DType
    rule: dict[str, Any] = Field(default_factory=dict)
    features: list[dict[str, str]] | None = None

    @model_validator(mode="after")
    def _names_agree(self) -> TargetsEntry:
        if len(self.names) != self.shape[1]:
            raise ValueError(f"{len(self.names)} target names for {self.shape[1]} columns")
        if self.features is not None and len(self.features) != self.shape[1]:
            raise ValueError(f"{len(self.features)} features for {self.shape[1]} columns")
        return self


class Manifest(BaseModel):
    """The whole manifest.

    Attributes:
        format: Always ``"regulome-dataset"``.
        schema_version: Version of the format, ``schema`` in the file.
        line: Which line of work the examples belong to, for example ``"expression"``.
        created: When the dataset was written (ISO 8601, UTC).
        regulome: Version of regulome that wrote it.
        examples: Number of examples.
        task: ``"classification"`` (targets 0 or 1), ``"regression"``, or ``"unlabelled"`` (no targets).
        inputs: The input arrays by name.
        targets: The target array; None when the task is ``"unlabelled"``.
        regions: The table of examples (Parquet).
        sources: Each file that the dataset was made from: role, path, bytes, SHA-256, and what was read from it.
        parameters: How the dataset was made.
    """

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    format: Literal["regulome-dataset"] = "regulome-dataset"
    schema_version: Literal[1] = Field(default=1, alias="schema")
    line: str
    created: str
    regulome: str
    examples: int = Field(gt=0)
    task: Task
    inputs: dict[str, ArrayEntry] = Field(min_length=1)
    targets: TargetsEntry | None = None
    regions: FileEntry
    sources: list[dict[str, Any]] = Field(default_factory=list)
    parameters: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _lengths_agree(self) -> Manifest:
        for name, entry in self.inputs.items():
            if entry.axes[0] == "example" and entry.shape[0] != self.examples:
                raise ValueError(f"input {name!r} has {entry.shape[0]:,} rows for {self.examples:,} examples")
        if self.targets is not None and self.targets.shape[0] != self.examples:
            raise ValueError(f"the targets have {self.targets.shape[0]:,} rows for {self.examples:,} examples")
        if (self.targets is None) != (self.task == "unlabelled"):
            raise ValueError(f"task {self.task!r} {'without' if self.targets is None else 'with'} targets")
        return self

    @property
    def checksum(self) -> str:
        """SHA-256 over the content: line, task, arrays, targets and regions, not when or from where it was made."""
        content = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        for key in ("created", "regulome", "sources", "parameters"):
            content.pop(key, None)
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> str:
        """The text of ``dataset.json``."""
        content = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """Read and validate the manifest of a dataset folder.

    Raises:
        InputError: There is no manifest, it is not JSON, it belongs to another format or schema version, or it
            contradicts itself.
    """
    if not folder.exists():
        raise InputError("no such dataset", file=folder, cure="check the path")
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(
            f"is not a dataset: it has no {MANIFEST}", file=folder, cure="make one with `regulome prepare`"
        )
    again = "prepare the dataset again"
    content = read_record(path, format=FORMAT, schema=SCHEMA, what="dataset", again=again)
    return validated(Manifest, content, path, again=again)
