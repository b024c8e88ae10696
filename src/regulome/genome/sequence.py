"""Any stretch of a genome at the speed of memory, whatever the genome's file is."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numba import njit

from regulome.errors import InputError
from regulome.genome.chromosomes import key
from regulome.genome.code_cache import CodeFile, Reader, map_codes
from regulome.genome.fasta import Fasta, stale_index
from regulome.genome.letters import UNKNOWN, Codes, expand
from regulome.genome.twobit import TwoBit, is_two_bit
from regulome.storage import existing_file

if TYPE_CHECKING:
    import polars as pl

logger = logging.getLogger(__name__)

#: Windows that are fetched from memory together.
_AHEAD = 8


class Genome:
    """A genome, one byte per base, mapped into memory: opening it reads nothing, processes share its pages.

    Codes are A = 0, C = 1, G = 2, T = 3 and 4 for N and the other ambiguous letters of IUPAC; soft masking (lower case)
    is ignored (:mod:`regulome.genome.letters`). Wherever a chromosome is named, ``chr20`` = ``20`` and ``chrM`` =
    ``MT``. It can be sent to other processes: they map the same file.

    Attributes:
        path: The FASTA or 2bit file.
        names: Chromosomes in the file's order.
        lengths: Chromosome → bases.
    """

    def __init__(self, path: Path, file: CodeFile) -> None:
        self.path = path
        self.names = file.names
        self.lengths = dict(zip(file.names, np.diff(file.offsets).tolist(), strict=True))
        self._codes = file.codes
        # The kernels want plain arrays; this one shares the map's memory.
        self._flat = np.asarray(file.codes)
        self._offsets = file.offsets
        self._index = {name: i for i, name in enumerate(file.names)}
        self._by_key: dict[str, int] = {}
        for i, name in enumerate(file.names):
            self._by_key.setdefault(key(name), i)

    def __reduce__(self) -> tuple[object, ...]:
        return open_genome, (self.path,)

    def __repr__(self) -> str:
        return f"Genome({str(self.path)!r}: {len(self.names)} sequences, {int(self._offsets[-1]):,} bases)"

    @property
    def sizes(self) -> dict[str, int]:
        """Chromosome → bases, the same as ``lengths``."""
        return self.lengths

    def find(self, name: str) -> int:
        """Return the index into ``names`` of a chromosome, whichever way it is spelled.

        Raises:
            InputError: The genome does not have it.
        """
        index = self._index.get(name)
        if index is None:
            index = self._by_key.get(key(name))
        if index is None:
            some = ", ".join(self.names[:5]) + (", …" if len(self.names) > 5 else "")
            cure = "use files of the same species and assembly"
            raise InputError(f"has no chromosome {name}, it has {some}", file=self.path, cure=cure)
        return index

    def codes(self, name: str) -> Codes:
        """Return one chromosome.

        Args:
            name: The chromosome.

        Returns:
            uint8 [length], mapped, read only.

        Raises:
            InputError: The genome does not have it.
        """
        index = self.find(name)
        return self._codes[self._offsets[index] : self._offsets[index + 1]]

    def indices(self, chromosomes: str | Iterable[str] | pl.Series | npt.NDArray[Any], n: int) -> npt.NDArray[np.int32]:
        """Turn the chromosomes of ``n`` windows into indices into ``names``.

        Args:
            chromosomes: A name for each window, or an index into ``names`` for each, or one name for all.
            n: Windows.

        Returns:
            int32 [n].

        Raises:
            InputError: The genome does not have one of them.
        """
        if isinstance(chromosomes, str):
            return np.full(n, self.find(chromosomes), dtype=np.int32)
        if isinstance(chromosomes, np.ndarray) and chromosomes.dtype.kind in "iu":
            found = chromosomes.astype(np.int32, copy=False)
            if len(found) and not 0 <= found.min() <= found.max() < len(self.names):
                raise ValueError(f"indices of chromosomes must be from 0 to {len(self.names) - 1}")
        else:
            import polars as pl

            names = chromosomes if isinstance(chromosomes, pl.Series) else pl.Series(list(chromosomes), dtype=pl.String)
            there = {name: self.find(name) for name in names.unique(maintain_order=True).to_list()}
            found = names.cast(pl.String).replace_strict(there, return_dtype=pl.Int32).to_numpy()
        if len(found) != n:
            raise ValueError(f"{len(found)} chromosomes for {n} windows")
        return found

    def windows(
        self,
        chromosomes: str | Sequence[str] | pl.Series | npt.NDArray[Any],
        starts: npt.ArrayLike,
        length: int,
        *,
        reverse: npt.ArrayLike | None = None,
    ) -> Codes:
        """Read windows of equal length.

        Args:
            chromosomes: [n] names or indices into ``names``; one name stands for all.
            starts: int64 [n], 0-based; may be negative or pass the chromosome's end.
            length: Bases of each window.
            reverse: bool [n], the windows that are read from the other strand, reverse-complemented.

        Returns:
            uint8 [n, length]; bases outside the chromosome are unknown (4).

        Raises:
            InputError: The genome does not have a chromosome.
        """
        places = self._places(chromosomes, starts, reverse)
        out = np.empty((len(places[1]), length), dtype=np.uint8)
        _read_codes(self._flat, self._offsets, *places, out)
        return out

    def one_hot(
        self,
        chromosomes: str | Sequence[str] | pl.Series | npt.NDArray[Any],
        starts: npt.ArrayLike,
        length: int,
        *,
        reverse: npt.ArrayLike | None = None,
        unknown: float = 0.0,
        out: npt.NDArray[np.float32] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Read windows of equal length as one-hot channels A, C, G, T.

        Args:
            chromosomes: As for :meth:`windows`.
            starts: As for :meth:`windows`.
            length: Bases of each window.
            reverse: As for :meth:`windows`.
            unknown: The value of all four channels at unknown letters and outside the chromosome.
            out: float32 [n, 4, length] to write to; a new array otherwise. Using one again spares the system from
                finding fresh memory.

        Returns:
            float32 [n, 4, length].

        Raises:
            InputError: The genome does not have a chromosome.
        """
        places = self._places(chromosomes, starts, reverse)
        shape = (len(places[1]), 4, length)
        if out is None:
            out = np.empty(shape, dtype=np.float32)
        elif out.shape != shape or out.dtype != np.float32:
            raise ValueError(f"out is {out.dtype} {out.shape}, expected float32 {shape}")
        _read_one_hot(self._flat, self._offsets, *places, np.float32(unknown), out)
        return out

    def _places(
        self, chromosomes: str | Sequence[str] | pl.Series | npt.NDArray[Any], starts: Any, reverse: Any
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        # Copies, because kernels are compiled once more for arrays that are read only.
        begins = np.array(starts, dtype=np.int64)
        found = np.array(self.indices(chromosomes, len(begins)))
        # An empty array says that no window is turned.
        turned = np.array(() if reverse is None else reverse, dtype=np.bool_)
        if reverse is not None and len(turned) != len(begins):
            raise ValueError(f"{len(turned)} strands for {len(begins)} windows")
        return found, begins, turned


def open_genome(path: str | os.PathLike[str]) -> Genome:
    """Open a genome.

    The first time, its bases are written to a cache, one byte each (:mod:`regulome.genome.code_cache`: the folder
    ``$REGULOME_CACHE/genomes``, by default ``~/.cache/regulome/genomes``; 3.1 GB for a human genome); from then on it
    opens at once. When the file's size or time changes, the cache is made anew. Memory does not grow with the genome.

    Args:
        path: FASTA (plain, gzip or bgzip) or 2bit.

    Raises:
        InputError: The file is missing, empty, cut short, or is neither; a name is used twice, a record has no
            sequence, or a letter is not DNA; or the cache cannot be written.
    """
    path = existing_file(path)
    genome = Genome(path, map_codes(path, lambda: open_letters(path)))
    stale = stale_index(path, genome.lengths)
    if stale:
        logger.warning(f"{path.name}: {stale} (make it again with `samtools faidx`)")
    return genome


def open_letters(path: Path) -> Reader:
    """Open a genome's file to be read through once, in bounded memory.

    Args:
        path: FASTA, plain or compressed with gzip, or 2bit.

    Returns:
        Its codes in pieces, each overwritten by the next; and what gives names and offsets when those are through.

    Raises:
        InputError: It is no such file (FASTA says so while it is read).
    """
    if is_two_bit(path):
        packed = TwoBit(path)
        return packed, packed.finish
    if path.suffix.lower() == ".2bit":
        TwoBit(path)  # says why it is not
    fasta = Fasta(path)
    return fasta, fasta.finish


@njit(cache=True, nogil=True)
def _read_row(flat: Any, first: Any, size: Any, start: Any, turned: Any, row: Any) -> None:
    """Read one window of a chromosome that begins at ``first`` and has ``size`` bases."""
    length = len(row)
    low = min(max(-start, 0), length)
    high = max(min(size - start, length), low)
    begin = first + start
    if turned:
        last = length - 1
        part = flat[begin + low : begin + high]
        for i in range(low, high):
            code = part[i - low]
            row[last - i] = np.uint8(3) - code if code < UNKNOWN else np.uint8(UNKNOWN)
        row[: length - high] = UNKNOWN
        row[length - low :] = UNKNOWN
    else:
        row[low:high] = flat[begin + low : begin + high]
        row[:low] = UNKNOWN
        row[high:] = UNKNOWN


@njit(cache=True, nogil=True)
def _touch(flat: Any, offsets: Any, chromosomes: Any, starts: Any, length: Any, row: Any) -> Any:
    """Read a byte of each cache line of the next windows and return something that depends on all of them.

    Nothing waits for these reads, so that memory serves many of them at a time.
    """
    seen = np.uint8(0)
    for i in range(row, min(row + _AHEAD, len(starts))):
        first = offsets[chromosomes[i]]
        size = offsets[chromosomes[i] + 1] - first
        for position in range(first + max(starts[i], 0), first + min(starts[i] + length, size), 64):
            seen ^= flat[position]
    return seen


@njit(cache=True, nogil=True)
def _read_codes(flat: Any, offsets: Any, chromosomes: Any, starts: Any, turned: Any, out: Any) -> None:
    length = out.shape[1]
    for i in range(len(starts)):
        if i % _AHEAD == 0 and length:
            # Overwritten below; storing it keeps the compiler from leaving the reads out.
            out[i, 0] = _touch(flat, offsets, chromosomes, starts, length, i)
        first = offsets[chromosomes[i]]
        turn = len(turned) > 0 and turned[i]
        _read_row(flat, first, offsets[chromosomes[i] + 1] - first, starts[i], turn, out[i])


@njit(cache=True, nogil=True)
def _read_one_hot(flat: Any, offsets: Any, chromosomes: Any, starts: Any, turned: Any, unknown: Any, out: Any) -> None:
    length = out.shape[2]
    row = np.empty(length, dtype=np.uint8)
    for i in range(len(starts)):
        if i % _AHEAD == 0 and length:
            row[0] = _touch(flat, offsets, chromosomes, starts, length, i)
        first = offsets[chromosomes[i]]
        turn = len(turned) > 0 and turned[i]
        _read_row(flat, first, offsets[chromosomes[i] + 1] - first, starts[i], turn, row)
        expand(row, unknown, out[i])
