"""BigWig files written from a stream of values, and checked: a file that was cut short is an error."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from regulome.errors import InputError

#: Values of one chromosome: its name, then start and end (int64 [n], sorted, disjoint) and value (float32 [n]) of each.
Values = tuple[str, npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]


def write_bigwig(path: str | os.PathLike[str], sizes: Mapping[str, int], values: Iterable[Values]) -> None:
    """Write a bigWig file.

    Memory: one of the pieces of ``values``, and some megabytes.

    Args:
        path: The file; its name ends in ``.bw``.
        sizes: Chromosome → length in bases.
        values: Pieces in which chromosomes follow each other in the order of their names and positions ascend.

    Raises:
        InputError: There is no value, or the file could not be written (the disk is full).
    """
    import pybigtools

    state = _Written()
    pybigtools.open(os.fspath(path), "w").write({name: sizes[name] for name in sorted(sizes)}, state.rows(values))
    if state.failed is not None:
        raise state.failed
    if not state.bases:
        raise InputError("there is no value to write", file=path)
    # The writer only prints what went wrong: what is in the file is compared with what should be.
    try:
        found = pybigtools.open(os.fspath(path)).info()["summary"]["basesCovered"]
    except Exception as error:
        raise _unwritten(path) from error
    if found != state.bases:
        raise _unwritten(path)


def _unwritten(path: str | os.PathLike[str]) -> InputError:
    return InputError("could not be written to its end", file=Path(path), cure="is the disk full? try again elsewhere")


class _Written:
    """Turns pieces into rows, counts bases, and keeps an error that the writer would swallow."""

    def __init__(self) -> None:
        self.bases = 0
        self.failed: BaseException | None = None

    def rows(self, values: Iterable[Values]) -> Iterator[tuple[str, int, int, float]]:
        try:
            for name, starts, ends, numbers in values:
                yield from zip([name] * len(starts), starts.tolist(), ends.tolist(), numbers.tolist(), strict=True)
                self.bases += int((ends - starts).sum())
        except BaseException as error:
            self.failed = error
