"""Alleles of variants on a genome: which can be placed, and the windows of DNA with and without them.

An allele is first reduced to what it changes: the letters that REF and ALT share at their ends, then those at their
beginnings, are left out, so that one change has one placement however it is written. What is left, ``removed`` bases of
the reference and the letters put in their place, is centred: in a window of ``L`` bases the middle of the removed
bases (or of the inserted letters, in the alternative window) stands at base ``L // 2``. Both windows are exactly ``L``
long; an insertion pushes half of its length out of the window on either side, a deletion takes that much in. (Of an odd
length the larger half is on the right.)
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from regulome.errors import InputError
from regulome.genome import vcf_parser as parser
from regulome.genome.allele_kernel import BEYOND, DIFFERS, GENOME_UNKNOWN, SAME, TOO_LONG, cut, place
from regulome.genome.chromosomes import key
from regulome.genome.letters import CODE_OF, decode
from regulome.genome.vcf import Sites

logger = logging.getLogger(__name__)

#: Why an allele cannot be scored, by number (see :mod:`regulome.genome.allele_kernel`); 0 for alleles that can.
REASONS = (
    "",
    "no alternative allele",
    "spanning deletion (*)",
    "symbolic allele",
    "breakend",
    "chromosome not in the genome",
    "position beyond the chromosome's end",
    "REF differs from the genome",
    "the genome is unknown there (N)",
    "an allele has letters other than A, C, G, T",
    "ALT is the same as REF",
    "the allele does not fit into the window",
)
_NO_CHROMOSOME = 5
#: From so many alleles on it is said that a VCF is of another assembly.
_ENOUGH = 20


class GenomeLike(Protocol):
    """What is needed of a genome; see :class:`regulome.genome.sequence.Genome`."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the chromosomes."""

    def codes(self, name: str) -> npt.NDArray[np.uint8]:
        """Return the letters of a chromosome as codes."""


@dataclass(frozen=True)
class Placed:
    """Alleles of some records, in file order.

    Attributes:
        sites: The records.
        record: int64 [alleles], index of the record.
        number: int64 [alleles], which of the record's alternative alleles, from 1.
        reason: uint8 [alleles], index into :data:`REASONS`; what follows has meaning where it is 0.
        chromosome: int32 [alleles], index into the genome's names.
        start: int64 [alleles], 0-based, where the reference is changed.
        removed: int64 [alleles], how many bases of the reference are replaced.
        letters: int64 [alleles, 2], where the letters put in their place begin and end in the text.
    """

    sites: Sites
    record: npt.NDArray[np.int64]
    number: npt.NDArray[np.int64]
    reason: npt.NDArray[np.uint8]
    chromosome: npt.NDArray[np.int32]
    start: npt.NDArray[np.int64]
    removed: npt.NDArray[np.int64]
    letters: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.record)

    def take(self, rows: Any) -> Placed:
        """Choose alleles by index or mask; the records stay."""
        columns = (self.record, self.number, self.reason, self.chromosome, self.start, self.removed, self.letters)
        record, number, reason, chromosome, start, removed, letters = (column[rows] for column in columns)
        return Placed(self.sites, record, number, reason, chromosome, start, removed, letters)


class Placer:
    """Places the alleles of a VCF file on a genome.

    Args:
        genome: The genome; chromosomes are matched by name, ``chr1`` = ``1``.
        file: The VCF file, for messages.
        length: Bases of a window.
        shifts: How far windows are moved to the right; each gives a window of its own.

    Attributes:
        counts: How many alleles were placed, by reason; ``""`` for those that can be scored.
    """

    def __init__(
        self, genome: GenomeLike, file: str | os.PathLike[str], *, length: int, shifts: Sequence[int] = (0,)
    ) -> None:
        if not shifts or len(set(shifts)) < len(shifts) or max(abs(shift) for shift in shifts) >= length // 2:
            cure = f"give different whole numbers between {-(length // 2) + 1} and {length // 2 - 1}"
            raise InputError(f"windows of {length} bp cannot be shifted by {list(shifts)}", cure=cure)
        self.genome = genome
        self.file = file
        self.length = length
        self.shifts = np.asarray(shifts, np.int64)
        self.counts: Counter[str] = Counter()
        self._places = {name: code for code, name in enumerate(genome.names)}
        self._by_key: dict[str, int] = {}
        for code, name in enumerate(genome.names):
            self._by_key.setdefault(key(name), code)
        self._found: dict[str, int] = {}

    def place(self, sites: Sites) -> Placed:
        """Place the alleles of some records."""
        alleles = sites.alleles()
        record = alleles[:, 0]
        chromosome = np.array([self._code(name) for name in sites.names], np.int32)[sites.chromosomes][record]
        reason = np.zeros(len(alleles), np.uint8)
        start, removed = np.zeros(len(alleles), np.int64), np.zeros(len(alleles), np.int64)
        letters = np.ascontiguousarray(alleles[:, 2:4])
        reason[chromosome < 0] = _NO_CHROMOSOME
        other = alleles[:, 4] != parser.LETTERS
        reason[other] = alleles[other, 4]
        span = (self.length, int(self.shifts.min()), int(self.shifts.max()))
        for code in np.unique(chromosome[reason == 0]).tolist():
            rows = np.flatnonzero((chromosome == code) & (reason == 0))
            codes = np.asarray(self.genome.codes(self.genome.names[code]))
            text = (sites.text, sites.ends, sites.positions, CODE_OF)
            place(*text, codes, record, rows, *span, start, removed, letters, reason)
        self.counts.update({REASONS[i]: n for i, n in enumerate(np.bincount(reason).tolist()) if n})
        return Placed(sites, record, alleles[:, 1], reason, chromosome, start, removed, letters)

    def references(self, placed: Placed) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """Cut the windows without the alleles; windows that alleles share are cut once.

        Args:
            placed: Alleles that can be scored.

        Returns:
            uint8 [windows, length], and for each allele and shift its window, int64 [alleles, shifts].
        """
        half = self.length // 2
        starts = (placed.start - half + placed.removed // 2)[:, None] + self.shifts
        # Names and starts as one number: starts are above -2^31.
        where = (placed.chromosome.astype(np.int64)[:, None] << 40) + starts + (1 << 32)
        different, inverse = np.unique(where, return_inverse=True)
        chromosome, begin = different >> 40, (different & ((1 << 40) - 1)) - (1 << 32)
        nothing = np.zeros(len(different), np.int64)
        windows = self._cut(placed.sites.text, chromosome, begin, nothing, np.zeros((len(different), 2), np.int64), 0)
        return windows, inverse.reshape(starts.shape)

    def alternatives_at(self, placed: Placed, starts: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Cut windows at given places with the alleles, wherever in the windows these lie.

        Of an insertion or deletion the side of the window's middle stays in its place, the other side moves.

        Args:
            placed: Alleles that can be scored; one comes as often as there are windows with it.
            starts: int64 [n], where each window begins in the reference.

        Returns:
            uint8 [n, length]; where a window does not reach its allele it is the reference.
        """
        before = placed.start - starts
        right = starts + self.length // 2 >= placed.start + placed.removed // 2
        before[right] += (placed.removed - (placed.letters[:, 1] - placed.letters[:, 0]))[right]
        return self._cut(placed.sites.text, placed.chromosome, placed.start, placed.removed, placed.letters, before)

    def alternatives(self, placed: Placed) -> npt.NDArray[np.uint8]:
        """Cut the windows with the alleles.

        Args:
            placed: Alleles that can be scored.

        Returns:
            uint8 [alleles, shifts, length].
        """
        inserted = placed.letters[:, 1] - placed.letters[:, 0]
        windows = np.empty((len(placed), len(self.shifts), self.length), np.uint8)
        for number, shift in enumerate(self.shifts.tolist()):
            before = self.length // 2 - inserted // 2 - shift
            windows[:, number] = self._cut(
                placed.sites.text, placed.chromosome, placed.start, placed.removed, placed.letters, before
            )
        return windows

    def _cut(
        self,
        text: npt.NDArray[np.uint8],
        chromosome: npt.NDArray[Any],
        start: npt.NDArray[np.int64],
        removed: npt.NDArray[np.int64],
        letters: npt.NDArray[np.int64],
        before: npt.NDArray[np.int64] | int,
    ) -> npt.NDArray[np.uint8]:
        windows = np.empty((len(start), self.length), np.uint8)
        before = np.broadcast_to(np.asarray(before, np.int64), start.shape)
        for code in np.unique(chromosome).tolist():
            codes = np.asarray(self.genome.codes(self.genome.names[code]))
            cut(text, CODE_OF, codes, np.flatnonzero(chromosome == code), start, removed, letters, before, windows)
        return windows

    def _code(self, name: str) -> int:
        """Return the genome's code of a chromosome, -1 where it has none, and say once where the names differ."""
        if name not in self._found:
            code = self._places.get(name, self._by_key.get(key(name), -1))
            self._found[name] = code
            if code >= 0 and self.genome.names[code] != name:
                logger.info(f"chromosome {name} of the VCF = {self.genome.names[code]} of the genome")
        return self._found[name]

    def told(self, placed: Placed, rows: npt.NDArray[np.int64]) -> list[str]:
        """Say why alleles cannot be scored; where REF differs, what the genome has."""
        words = []
        for row in rows.tolist():
            reason = int(placed.reason[row])
            more = ""
            if reason in (DIFFERS, GENOME_UNKNOWN):
                site = placed.record[row]
                begin = int(placed.sites.positions[site])
                size = min(int(placed.sites.ends[site, 3] - placed.sites.ends[site, 2] - 1), 40)
                codes = self.genome.codes(self.genome.names[placed.chromosome[row]])[begin : begin + size]
                more = f", which has {decode(codes)}" if reason == DIFFERS else ""
            words.append(REASONS[reason] + more)
        return words

    def check_assembly(self) -> None:
        """Refuse a file most of whose alleles lie elsewhere than the genome has them.

        Raises:
            InputError: None of the chromosomes is in the genome, or most of the alleles differ in REF or lie beyond an
                end.
        """
        if self._found and max(self._found.values()) < 0:
            raise InputError(
                f"none of its chromosomes ({', '.join(list(self._found)[:3])}) is in the genome "
                f"({', '.join(self.genome.names[:3])})",
                file=self.file,
                cure="name the genome that the variants were called on",
            )
        off = self.counts[REASONS[DIFFERS]] + self.counts[REASONS[BEYOND]]
        compared = off + sum(self.counts[REASONS[i]] for i in (0, SAME, TOO_LONG))
        if compared >= _ENOUGH and off > compared / 2:
            raise InputError(
                f"REF differs from the genome at {off:,} of {compared:,} alleles: a VCF of another assembly",
                file=self.file,
                cure="name the genome that the variants were called on, or lift the variants over",
            )
