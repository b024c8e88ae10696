"""The stretches of DNA that somebody asks about: regions of a genome, or the records of a FASTA file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regulome.errors import InputError
from regulome.genome.fasta import read_sequences
from regulome.genome.letters import UNKNOWN
from regulome.genome.region import Region, parse_region
from regulome.genome.sequence import Genome, open_genome

Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class Stretch:
    """A stretch of a longer sequence.

    Attributes:
        name: What people call it: the region as browsers write it, or the record's name.
        chrom: The chromosome in the genome's own spelling, or the record's name.
        start: First base in ``sequence``, 0-based.
        end: One behind the last.
        sequence: The whole chromosome or record as codes, uint8; may be mapped.
    """

    name: str
    chrom: str
    start: int
    end: int
    sequence: Codes = field(repr=False)

    def __len__(self) -> int:
        return self.end - self.start

    def tiles(self, size: int) -> list[tuple[int, int]]:
        """Cut it into as few parts as possible of at most ``size`` bases, as equal as possible."""
        parts = -(-len(self) // size)
        edges = self.start + np.arange(parts + 1) * len(self) // parts
        return [(int(a), int(b)) for a, b in pairwise(edges)]

    def window(self, middle: int, length: int) -> tuple[Codes, int]:
        """Read a window around a base.

        Args:
            middle: The base at half of the window's length, in ``sequence``.
            length: Bases of the window.

        Returns:
            uint8 [length], unknown letters beyond the sequence's ends; and where it begins in ``sequence``.
        """
        begin = middle - length // 2
        window = np.full(length, UNKNOWN, np.uint8)
        first, last = max(begin, 0), min(begin + length, len(self.sequence))
        if first < last:
            window[first - begin : last - begin] = self.sequence[first:last]
        return window, begin


def read_stretches(
    region: str | Region | Sequence[str | Region] | None,
    genome: Genome | str | PathLike[str] | None,
    fasta: str | PathLike[str] | None,
) -> list[Stretch]:
    """Find what is asked about.

    Args:
        region: A region or several, as :func:`regulome.genome.region.parse_region` reads them.
        genome: The genome that they are regions of.
        fasta: Instead of both: a FASTA file; each of its records is a stretch.

    Returns:
        At least one.

    Raises:
        InputError: Neither or both are given, a region lies outside its chromosome, or a file cannot be read.
    """
    if (region is None) == (fasta is None):
        raise InputError(
            "give either regions of a genome or a FASTA file", cure="give --region and --genome, or --fasta"
        )
    if fasta is not None:
        if genome is not None:
            raise InputError("the records of a FASTA file need no genome", cure="leave --genome out")
        records = read_sequences(fasta)
        parts = np.split(records.codes, records.offsets[1:-1])
        return [Stretch(name, name, 0, len(part), part) for name, part in zip(records.names, parts, strict=True)]
    if genome is None:
        raise InputError("a region needs a genome", cure="give --genome")
    opened = genome if isinstance(genome, Genome) else open_genome(genome)
    asked: list[str | Region] = [region] if isinstance(region, str | Region) else list(region or [])
    if not asked:
        raise InputError("there is no region", cure="name at least one")
    return [_in_genome(opened, parse_region(one) if isinstance(one, str) else one) for one in asked]


def _in_genome(genome: Genome, region: Region) -> Stretch:
    chrom = genome.names[genome.find(region.chrom)]
    length = genome.lengths[chrom]
    if not 0 <= region.start < region.end <= length:
        raise InputError(
            f"region {region} is not within {chrom}, which has {length:,} bases",
            file=Path(genome.path),
            cure="use a genome of the assembly that the region is of",
        )
    here = region._replace(chrom=chrom)
    return Stretch(str(here), chrom, here.start, here.end, genome.codes(chrom))
