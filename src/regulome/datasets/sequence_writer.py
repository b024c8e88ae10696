"""Write a dataset of sequences as a stream: letters at two bits each, windows of a genome stored once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome.datasets.manifest import Task
from regulome.datasets.packed_letters import PackedLetters
from regulome.datasets.writer import DatasetWriter, write_dataset
from regulome.genome.letters import UNKNOWN

if TYPE_CHECKING:
    from regulome.genome.sequence import Genome

#: Letters that are handled at a time.
BLOCK = 1 << 22

Codes = npt.NDArray[np.uint8]


@contextmanager
def new_sequence_dataset(
    path: str | os.PathLike[str],
    *,
    length: int,
    margin: int = 0,
    task: Task = "classification",
    overwrite: bool = False,
) -> Iterator[SequenceWriter]:
    """Give a writer for a dataset of sequences, which appears when the block ends well and not otherwise.

    Memory does not grow with the number of examples, except for 8 bytes per run of unknown letters and the table of
    examples.

    Args:
        path: The folder to make.
        length: Letters of each window.
        margin: Letters that are stored on both sides of every window, for windows that are shifted in training.
        task: ``"classification"`` (targets uint8 0 or 1), ``"regression"`` (float32), or ``"unlabelled"``.
        overwrite: Replace an existing dataset.

    Raises:
        InputError: ``path`` exists already.
        OSError: The disk is full.

    Example:
        >>> with new_sequence_dataset("out", length=1000) as writer:  # doctest: +SKIP
        ...     writer.add_codes(codes)
        ...     writer.add_targets(labels)
        ...     writer.finish(regions=table, target_names=["CTCF"])
    """
    if length < 1 or margin < 0:
        raise ValueError(f"windows of {length} letters with a margin of {margin}")
    with write_dataset(path, line="sequence", task=task, overwrite=overwrite) as writer:
        yield SequenceWriter(writer, length=length, margin=margin, task=task)


class SequenceWriter:
    """What :func:`new_sequence_dataset` gives. Examples are numbered in the order in which they are added.

    Attributes:
        length: Letters of each window.
        margin: Letters stored on both sides of each window.
        sources: Records of the input files, one dictionary each; append to it.
        parameters: How the examples were made; update it.
    """

    def __init__(self, writer: DatasetWriter, *, length: int, margin: int, task: Task) -> None:
        self.length, self.margin = length, margin
        self.sources, self.parameters = writer.sources, writer.parameters
        self._writer = writer
        self._task = task
        self._letters = PackedLetters(writer.grow_input("letters", axes=["byte"], dtype=np.uint8))
        self._starts = writer.grow_input("start", axes=["example"], dtype=np.int64, length=length, margin=margin)
        self._targets: Any = None

    def __len__(self) -> int:
        """Examples so far."""
        return len(self._starts)

    def add_codes(self, codes: Codes) -> None:
        """Add windows that are given as letters, one after the other.

        Args:
            codes: ``[n, margin + length + margin]`` codes 0 … 4, on the forward strand.
        """
        width = self.length + 2 * self.margin
        if codes.ndim != 2 or codes.shape[1] != width:
            raise ValueError(f"windows of shape {codes.shape}, expected [n, {width}]")
        starts = self._letters.bases + self.margin + np.arange(len(codes), dtype=np.int64) * width
        self._starts.append(starts)
        rows = max(1, BLOCK // width)
        for first in range(0, len(codes), rows):
            self._letters.append(np.ascontiguousarray(codes[first : first + rows]).reshape(-1))

    def add_genome_windows(self, genome: Genome, chromosome: str, starts: npt.NDArray[np.int64]) -> None:
        """Add windows of one chromosome; where those of one call overlap, their letters are stored once.

        Args:
            genome: The genome.
            chromosome: One of its names.
            starts: ``[n]`` first base of each window, in any order; may lie outside the chromosome, where letters are
                unknown.
        """
        starts = np.asarray(starts, np.int64)
        if not len(starts):
            return
        order = np.argsort(starts, kind="stable")
        lows = starts[order] - self.margin
        highs = lows + self.length + 2 * self.margin
        first = np.flatnonzero(np.r_[True, lows[1:] > highs[:-1]])
        piece_lows, piece_highs = lows[first], highs[np.r_[first[1:] - 1, len(highs) - 1]]
        offsets = self._letters.bases + np.cumsum(piece_highs - piece_lows) - (piece_highs - piece_lows)
        piece = np.searchsorted(piece_lows, starts - self.margin, side="right") - 1
        self._starts.append(offsets[piece] + starts - piece_lows[piece])
        codes = genome.codes(chromosome)
        for low, high in _batched(piece_lows, piece_highs):
            self._letters.append(_cut(codes, low, high))

    def add_targets(self, targets: npt.NDArray[Any]) -> None:
        """Add the targets of the next examples, independently of when their windows are added.

        Args:
            targets: ``[n, targets]``: 0 or 1, or numbers where the task is ``"regression"``.
        """
        if self._targets is None:
            dtype = np.float32 if self._task == "regression" else np.uint8
            self._targets = self._writer.grow_targets(dtype, targets.shape[1])
        self._targets.append(targets)

    def finish(
        self,
        *,
        regions: pl.DataFrame,
        target_names: Sequence[str] = (),
        features: pl.DataFrame | Sequence[Mapping[str, str]] | None = None,
        rule: Mapping[str, Any] | None = None,
        sources: Sequence[Mapping[str, Any]] = (),
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        """Complete the dataset.

        Args:
            regions: One row per example; see :func:`regulome.datasets.write_dataset`.
            target_names: Name of each target.
            features: ``name, cell, assay, treatment, group`` of each target, where known.
            rule: How the targets came about.
            sources: Records of the input files.
            parameters: How the examples were made.
        """
        if self._targets is not None:
            rows = features.to_dicts() if isinstance(features, pl.DataFrame) else features
            self._writer.describe_targets(target_names, rule or {}, rows)
        self._letters.finish()
        runs = self._letters.unknown.joined()
        unknown = self._writer.add_input("unknown", axes=["run", "edge"], shape=runs.shape, dtype=np.int64)
        unknown[:] = runs
        self._writer.describe_input("letters", bases=self._letters.bases)
        self._writer.set_regions(regions)
        self.sources.extend(dict(record) for record in sources)
        self.parameters.update(parameters or {})


def _batched(lows: npt.NDArray[np.int64], highs: npt.NDArray[np.int64]) -> Iterator[tuple[Any, Any]]:
    """Give pieces in groups of about ``BLOCK`` letters; a longer piece comes in parts."""
    parts = -(-(highs - lows) // BLOCK)
    piece = np.repeat(np.arange(len(lows)), parts)
    number = np.arange(len(piece)) - np.repeat(np.cumsum(parts) - parts, parts)
    begins = lows[piece] + number * BLOCK
    ends = np.minimum(begins + BLOCK, highs[piece])
    group = (np.cumsum(ends - begins) - 1) // BLOCK
    edges = np.flatnonzero(np.r_[True, group[1:] != group[:-1], True])
    for first, last in pairwise(edges):
        yield begins[first:last], ends[first:last]


def _cut(codes: Codes, lows: npt.NDArray[np.int64], highs: npt.NDArray[np.int64]) -> Codes:
    """Return the letters of pieces, one after the other; those outside the chromosome are unknown."""
    widths = highs - lows
    where = np.arange(int(widths.sum())) + np.repeat(lows - (np.cumsum(widths) - widths), widths)
    outside = (where < 0) | (where >= len(codes))
    if not outside.any():
        return np.asarray(codes[where])
    found = np.asarray(codes[np.clip(where, 0, len(codes) - 1)])
    found[outside] = UNKNOWN
    return found
