"""FASTA and 2bit files looked through from end to end, for :mod:`regulome.genome.inspection`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from regulome.errors import InputError
from regulome.genome.fasta import Fasta, stale_index
from regulome.genome.letters import UNKNOWN, Codes
from regulome.genome.twobit import TwoBit

if TYPE_CHECKING:
    from regulome.genome.inspection import Inspected

#: More records than this, all shorter than that, are a set of sequences and no genome: names need not match others.
_MANY, _SHORT = 100, 20_000


def inspect_fasta(found: Inspected) -> None:
    """Note every record of a FASTA file that is not right, and an index that does not fit."""
    fasta = Fasta(found.path, strict=False)
    unknown = _count_unknown(fasta)
    names, offsets = fasta.finish()
    for problem in fasta.problems:
        found.add(problem.problem, problem.cure or "", record=problem.record)
    more = fasta.n_problems - len(fasta.problems)
    if more > 0:
        cure = "mend the records, or take them out"
        found.add(f"{more:,} more wrong record{'s' * (more > 1)}, {fasta.n_problems:,} in all", cure)
    if names:
        lengths = dict(zip(names, np.diff(offsets).tolist(), strict=True))
        stale = stale_index(found.path, lengths)
        if stale and not fasta.n_problems:
            found.add(stale, "make it again with `samtools faidx`", severity="warning")
        _tell(found, lengths, unknown)


def inspect_two_bit(found: Inspected) -> None:
    """Note what is wrong with a 2bit file."""
    try:
        packed = TwoBit(found.path)
    except InputError as error:
        found.add(error.problem, error.cure or "", record=error.record)
        return
    _tell(found, packed.lengths, _count_unknown(packed))


def _count_unknown(pieces: Iterable[Codes]) -> int:
    return sum(int(np.count_nonzero(codes == UNKNOWN)) for codes in pieces)


def _tell(found: Inspected, lengths: dict[str, int], unknown: int) -> None:
    bases = sum(lengths.values())
    if len(lengths) <= _MANY or max(lengths.values()) >= _SHORT:
        found.sizes, found.chromosomes = lengths, dict.fromkeys(lengths, 0)
    if unknown == bases and not found.findings:
        found.add("has no known letter, all bases are N", "download or make it again", severity="warning")
        return
    what = f"{bases:,} bases in {len(lengths):,} sequence{'s' * (len(lengths) > 1)} (named like {next(iter(lengths))})"
    found.add(f"{found.kind}: {what}, {unknown / bases:.1%} of them unknown", severity="note")
