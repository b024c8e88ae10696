"""A sample of the reads of a file, chosen in one pass over it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from regulome.genome.rows import Block

_LAST = np.uint64(2**64 - 1)
_STEP = np.uint64(0x9E3779B97F4A7C15)


class ReadSample:
    """``size`` reads out of all reads of a file, every choice equally likely; the same file and seed give the same.

    Each read has a priority that follows from the seed and its number; the ``size`` lowest are the sample. How many
    reads there are is known at the end alone, so reads are kept as long as they may be chosen. Reads that the parser
    passes over, on chromosomes without regions, are numbered after all others.

    Memory: at most about 1.25 · ``size`` reads of 20 bytes, of those near a region only.

    Args:
        size: How many reads.
        seed: Seed of the choice, 0 or more.
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size = size
        self._key = np.random.default_rng(seed).integers(2**64, dtype=np.uint64)
        self._seen = 0
        self._limit = _LAST
        self._check = size + size // 4 + 1
        self._parts: list[tuple[npt.NDArray[Any], ...]] = []

    def add(self, block: Block, near: npt.NDArray[np.bool_]) -> None:
        """Take a block of reads into account.

        Args:
            block: The next reads of the file.
            near: Which of them are wanted if they are chosen.
        """
        priorities = _priorities(self._key, self._seen, len(block.codes))
        kept = near & (priorities <= self._limit)
        self._parts.append(tuple(column[kept] for column in (priorities, block.codes, block.starts, block.ends)))
        self._seen += len(block.codes)
        if self._seen >= self._check:
            # The limit over more reads can only be lower: what lies above is never chosen.
            self._limit = _nth_priority(self._key, self._seen, self._size)
            self._parts = [part for part in map(self._chosen, self._parts) if len(part[0])]
            self._check = self._seen + self._seen // 4

    def blocks(self, total: int) -> Iterator[Block]:
        """Iterate over the wanted reads of the sample.

        Args:
            total: How many reads the file has.
        """
        if total > self._size:
            self._limit = _nth_priority(self._key, total, self._size)
        for part in self._parts:
            _, codes, starts, ends = self._chosen(part)
            n = len(codes)
            yield Block(codes, starts, ends, np.full(n, 2, np.uint8), np.ones(n))

    def _chosen(self, part: tuple[npt.NDArray[Any], ...]) -> tuple[npt.NDArray[Any], ...]:
        kept = part[0] <= self._limit
        return tuple(column[kept] for column in part)


@njit(cache=True, nogil=True)
def _priority(key: Any, number: Any) -> Any:
    """Mix a number so that all bits of the result depend on all of it; no two numbers give the same (SplitMix64)."""
    z = key + (np.uint64(number) + np.uint64(1)) * _STEP
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True)
def _priorities(key: Any, first: Any, count: Any) -> Any:
    out = np.empty(count, np.uint64)
    for i in range(count):
        out[i] = _priority(key, first + i)
    return out


@njit(cache=True, nogil=True)
def _nth_priority(key: Any, count: Any, nth: Any) -> Any:
    """Return the ``nth`` (from 1) lowest priority of the numbers 0 … ``count`` - 1, 16 bits at a time."""
    prefix, rest = np.uint64(0), nth
    for level in range(4):
        low = np.uint64(48 - 16 * level)
        high = np.uint64(64 - 16 * level)
        found = np.zeros(1 << 16, np.int64)
        for i in range(count):
            z = _priority(key, i)
            if level == 0 or (z >> high) == prefix:
                found[np.int64((z >> low) & np.uint64(0xFFFF))] += 1
        bits = 0
        while rest > found[bits]:
            rest -= found[bits]
            bits += 1
        prefix = (prefix << np.uint64(16)) | np.uint64(bits)
    return prefix
