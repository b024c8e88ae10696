"""FASTA, 2bit and VCF files looked through from end to end, for :mod:`regulome.genome.inspection`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from regulome.errors import InputError
from regulome.genome.alleles import REASONS, Placer
from regulome.genome.fasta import Fasta, stale_index
from regulome.genome.letters import UNKNOWN, Codes
from regulome.genome.sequence import open_genome
from regulome.genome.text import read_lines
from regulome.genome.twobit import TwoBit
from regulome.genome.vcf import read_variants

if TYPE_CHECKING:
    from regulome.genome.inspection import Inspected

_CONTIG = re.compile(r"^##contig=<(?=.*\bID=([^,>]+))(?=.*\blength=([1-9][0-9]{0,11})\b)")
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


def inspect_variants(found: Inspected) -> None:
    """Note every row of a VCF that is no record, and how far the others reach."""
    variants = read_variants(found.path, skip_invalid=True)
    found.sizes = {match[1]: int(match[2]) for line in variants.header if (match := _CONTIG.match(line))}
    counts: Counter[str] = Counter()
    for sites in variants:
        ends = sites.positions + 1
        for code in np.unique(sites.chromosomes).tolist():
            here = sites.chromosomes == code
            name = sites.names[code]
            counts[name] += int(here.sum())
            found.reach[name] = max(found.reach.get(name, 0), int(ends[here].max()))
    found.add_rows(variants.invalid)
    found.chromosomes, found.records = dict(counts), counts.total()
    if not found.records:
        found.add("has no records", "make or download it again")


def compare_references(variants: Inspected, genome: Inspected) -> None:
    """Note how many REF alleles of a VCF are not what the genome has."""
    placer = Placer(open_genome(genome.path), variants.path, length=2)
    for sites in read_variants(variants.path, skip_invalid=True):
        placer.place(sites)
    try:
        placer.check_assembly()
    except InputError as error:
        variants.add(error.problem, error.cure or "")
        return
    for reason in REASONS[1:]:
        if reason.startswith(("REF differs", "position beyond")) and placer.counts[reason]:
            problem = f"{reason} at {placer.counts[reason]:,} of {placer.counts.total():,} alleles ({genome.name})"
            variants.add(problem, "mend them; they would not be scored", severity="warning")


def inspect_features(found: Inspected) -> None:
    """Note features that a table tells of twice, and rows of another length than the header."""
    lines = pl.concat(list(read_lines(found.path)))["text"].to_list()
    sign = "\t" if "\t" in lines[0] else ","
    header = [name.strip().lower() for name in lines[0].split(sign)]
    rows = [line.split(sign) for line in lines[1:] if line.strip()]
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            problem = f"has {len(row)} column{'s' * (len(row) != 1)}, expected {len(header)} as in the header"
            found.add(problem, "mend the row", record=number)
    place = header.index("name")
    names = Counter(row[place].strip() for row in rows if len(row) > place)
    repeated = [name for name, count in names.items() if count > 1]
    if repeated:
        found.add(f"tells of {repeated[0]} twice", "keep one row per feature")
    found.records = len(rows)


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
