"""One input file looked through from end to end: what it is, what it holds, and everything wrong with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pybigtools

from regulome.errors import InputError
from regulome.genome.bam import Alignments, chromosome_sizes
from regulome.genome.chromosomes import ELSEWHERE, Names
from regulome.genome.contacts import read_contacts
from regulome.genome.expression import choose_sample, read_expression_text, sample_values
from regulome.genome.file_kinds import Kind, find_kind
from regulome.genome.genes import gene_file_kind, normalize_ids, read_genes
from regulome.genome.gtf import read_gtf
from regulome.genome.peaks import VALUES, choose_value
from regulome.genome.row_problems import find_row_problems
from regulome.genome.rows import Block, Rows, Tally
from regulome.genome.sequence_inspection import inspect_fasta, inspect_features, inspect_two_bit, inspect_variants
from regulome.genome.start_sites import read_start_sites
from regulome.genome.text import KEPT_ROWS, BadRows, read_lines
from regulome.genome.tracks import bigwig_sizes, is_bigwig

Severity = Literal["error", "warning", "note"]

_MOST_CHROMOSOMES = 20_000
_SKIP = "mend the rows, or leave them out with --skip-invalid"


@dataclass(frozen=True)
class Finding:
    """Something to know about an input.

    Attributes:
        file: The file, as it was named.
        record: Where in it: a 1-based line, or a name; None where it is about the whole file.
        problem: What is wrong, or what was found.
        cure: What can be done about it; empty for a note.
        severity: ``error`` (work would stop), ``warning`` (work would go on, perhaps not as meant), ``note``.
    """

    file: str
    record: int | str | None
    problem: str
    cure: str
    severity: Severity

    def __str__(self) -> str:
        told = InputError(self.problem, file=self.file, record=self.record, cure=self.cure or None)
        return f"{self.severity}: {told}"


@dataclass
class Inspected:
    """What one file holds, as far as other files must agree with it.

    Attributes:
        name: The file, as it was named.
        path: Where it is.
        kind: What it is; None where that could not be found out.
        records: Valid records.
        chromosomes: Chromosome to its number of records.
        reach: Chromosome to the largest end of a record.
        sizes: Chromosome to its length, where the file says so.
        ids: Gene ids, normalised.
        findings: What was found.
    """

    name: str
    path: Path
    kind: Kind | None = None
    records: int = 0
    chromosomes: dict[str, int] = field(default_factory=dict)
    reach: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    ids: pl.Series | None = None
    findings: list[Finding] = field(default_factory=list)

    def add(
        self, problem: str, cure: str = "", *, record: int | str | None = None, severity: Severity = "error"
    ) -> None:
        """Note a finding about this file."""
        self.findings.append(Finding(self.name, record, problem, cure, severity))

    def add_rows(self, bad: BadRows, cure: str = _SKIP) -> None:
        """Note the first wrong rows, and how many more there are."""
        for line, problem in bad.first:
            self.add(problem, cure, record=line)
        more = bad.count - len(bad.first)
        if more > 0:
            self.add(f"{more:,} more wrong row{'s' * (more > 1)}, {bad.count:,} in all", cure)


class _EveryName(Names):
    """Takes every chromosome that a file names as wanted, in order of appearance."""

    def __init__(self, file: str | os.PathLike[str]) -> None:
        super().__init__((f"\0{i}" for i in range(_MOST_CHROMOSOMES)), file=file)

    def resolve(self, name: str) -> int:
        code = len(self.present) if len(self.present) < _MOST_CHROMOSOMES else ELSEWHERE
        self.present[name] = code
        return code


def inspect(name: str, path: Path, *, kind: Kind | None = None, sample: str | None = None) -> Inspected:
    """Look through a file and note everything that is wrong with it, without stopping at the first.

    Args:
        name: The file as the user named it.
        path: Where it is.
        kind: What it is, if known.
        sample: The sample of expression tables to look at; None looks at all.
    """
    found = Inspected(name, path)
    try:
        found.kind = kind or find_kind(path)
        if found.kind == "expression":
            _inspect_expression(found, sample)
        else:
            _INSPECTORS[found.kind](found)
    except InputError as error:
        found.add(error.problem, error.cure or "", record=error.record)
    if found.records and found.kind:
        what = f"{found.kind}: {found.records:,} records"
        if found.chromosomes:
            what += f" on {len(found.chromosomes)} chromosome{'s' * (len(found.chromosomes) > 1)}"
            what += f" (named like {next(iter(found.chromosomes))})"
        found.add(what, severity="note")
    return found


def _inspect_genes(found: Inspected) -> None:
    is_gtf = gene_file_kind(found.path) == "gtf"
    bad = read_gtf(found.path).bad if is_gtf else read_start_sites(found.path)[1]
    found.add_rows(bad)
    for rule in ("gene", "first-transcript"):
        try:
            genes = read_genes(found.path, tss=rule, biotype=None, skip_invalid=True)
            break
        except InputError as error:
            if rule == "first-transcript":
                raise
            found.add(error.problem, error.cure or "", severity="warning")
    table, record = genes.table, genes.record
    found.records, found.ids = table.height, table["id"]
    per_chromosome = table.group_by("chrom", maintain_order=True).agg(pl.len(), pl.col("tss").max())
    found.chromosomes = dict(per_chromosome.select("chrom", "len").iter_rows())
    found.reach = {chrom: tss + 1 for chrom, tss in per_chromosome.select("chrom", "tss").iter_rows()}
    if record["n_duplicates"]:
        problem = f"{record['n_duplicates']:,} repeated gene ids, the first is {record['first_duplicate']}"
        found.add(problem, record["duplicate_rule"], severity="warning")
    biotypes = table["biotype"].drop_nulls()
    if is_gtf and not (biotypes == "protein_coding").any():
        problem = "has no genes of biotype protein_coding" if len(biotypes) else "has no biotypes"
        found.add(problem, "keep all biotypes (--biotype all), or name another", severity="warning")


def _inspect_expression(found: Inspected, sample: str | None) -> None:
    text = read_expression_text(found.path)
    if sample is not None and sample not in text.columns:
        sample = choose_sample(found.path, text.columns, sample)
    wrong = BadRows(text.bad.first, text.bad.count)
    for name in text.columns if sample is None else [sample]:
        table, bad = sample_values(text, name)
        n_wrong = bad.count - text.bad.count
        if sample is None and n_wrong and n_wrong == text.rows.height:
            found.add(f"column {name} holds no expression values", "name another column as the sample", severity="note")
            continue
        wrong.count += n_wrong
        wrong.first = sorted({*wrong.first, *bad.first})[:KEPT_ROWS]
        if table.height and table["value"].n_unique() == 1:
            found.add(f"all values of {name} are equal", "choose another sample", severity="warning")
    found.add_rows(wrong)
    if text.rows.is_empty():
        found.add("has no genes", "name a table with a row per gene")
        return
    ids = text.rows.select(normalize_ids(pl.col(text.id_column)))[text.id_column]
    found.ids, found.records = ids.unique(maintain_order=True), len(ids)
    if len(found.ids) < len(ids):
        first = ids.filter(ids.is_duplicated())[0]
        problem = f"{len(ids) - len(found.ids):,} lines repeat a gene id, the first is {first}"
        found.add(problem, "the first line of each is kept", severity="warning")


def _take_blocks(found: Inspected, names: Names, blocks: Iterable[Block], tally: Tally) -> bool:
    """Follow a file's rows; note chromosomes and how far they reach; return whether the rows are sorted."""
    reach = np.zeros(_MOST_CHROMOSOMES, dtype=np.int64)
    is_sorted, last = True, (-1, -1)
    for block in blocks:
        if not len(block.codes):
            continue
        np.maximum.at(reach, block.codes, block.ends)
        codes, starts = block.codes.astype(np.int64), block.starts.astype(np.int64)
        place = (codes << 32) + starts
        first = (int(codes[0]), int(starts[0]))
        is_sorted &= first >= last and bool((place[1:] >= place[:-1]).all())
        last = (int(codes[-1]), int(starts[-1]))
    for name, code in names.present.items():
        if code >= 0 and tally.rows[code]:
            found.chromosomes[name] = int(tally.rows[code])
            found.reach[name] = int(reach[code])
    found.records = tally.records
    return is_sorted


def _inspect_rows(found: Inspected) -> None:
    value = 4 if found.kind == "bedGraph" else 0
    if found.kind == "peaks":
        value = VALUES[choose_value(found.path)]
    names = _EveryName(found.path)
    rows = Rows(found.path, names, value=value, skip_invalid=True, description=f"checking {found.path.name}")
    try:
        _take_blocks(found, names, rows, rows.tally)
    finally:
        if rows.tally.skipped:
            first = find_row_problems(found.path, value_column=value)
            found.add_rows(BadRows(first, rows.tally.skipped))


def _inspect_alignments(found: Inspected) -> None:
    names = _EveryName(found.path)
    alignments = Alignments(
        found.path, names, keep_duplicates=True, skip_invalid=True, description=f"checking {found.path.name}"
    )
    found.sizes = chromosome_sizes(found.path)
    is_sorted = _take_blocks(found, names, alignments, alignments.tally)
    tally = alignments.tally
    if tally.first_skipped:
        record, problem = tally.first_skipped
        more = f"; {tally.skipped - 1:,} more such alignments" if tally.skipped > 1 else ""
        found.add(problem + more, "map the reads to one assembly", record=record)
    if not is_sorted:
        cure = "counting works all the same; other tools need `samtools sort`"
        found.add("is not sorted by position", cure, severity="warning")
    indices = [
        found.path.with_name(found.path.name + ".bai"),
        found.path.with_suffix(".bai"),
        found.path.with_name(found.path.name + ".csi"),
    ]
    index = next((path for path in indices if path.exists()), None)
    if index is None:
        cure = "counting works all the same; other tools need `samtools index`"
        found.add("has no index (.bai or .csi)", cure, severity="warning")
    elif index.stat().st_mtime < found.path.stat().st_mtime - 1:
        found.add(f"is newer than its index {index.name}", "make it again with `samtools index`", severity="warning")


def _inspect_big_wig(found: Inspected) -> None:
    if not is_bigwig(found.path):
        raise InputError("is not bigWig", cure="name it after its format, or convert it with bedGraphToBigWig")
    try:
        found.sizes = bigwig_sizes(found.path)
        with found.path.open("rb") as raw:
            track = pybigtools.open(raw)
            covered = int(track.info()["summary"]["basesCovered"])
            name, size = max(found.sizes.items(), key=lambda item: item[1])
            track.values(name, max(0, size - 10_000), size, fillna=0.0)
    except BaseException as error:
        # On damaged files the reader may panic, which comes as a BaseException that it does not export.
        known = (pybigtools.BBIReadError, OSError, ValueError, KeyError)
        if not isinstance(error, known) and type(error).__name__ != "PanicException":
            raise
        raise InputError("bigWig is damaged or ends early", cure="download or make it again") from error
    found.chromosomes = dict.fromkeys(found.sizes, 0)
    if covered == 0:
        found.add("has no values", "make or download it again")
    else:
        names = f"{len(found.sizes)} chromosomes (named like {next(iter(found.sizes))})"
        found.add(f"bigWig: {covered:,} bases with values on {names}", severity="note")


def _inspect_sizes(found: Inspected) -> None:
    lines = pl.concat(list(read_lines(found.path)))
    good = pl.col("text").str.contains(r"^\S+\s+[1-9][0-9]{0,11}(\s.*)?$")
    wrong = lines.filter(~good)
    bad = BadRows()
    bad.add(wrong["line"], pl.Series(["is not a chromosome and its length"] * wrong.height, dtype=pl.String))
    found.add_rows(bad, "give two columns: chromosome, length")
    table = lines.filter(good).select(
        pl.col("text").str.extract(r"^(\S+)").alias("chrom"), pl.col("text").str.extract(r"^\S+\s+(\d+)").cast(pl.Int64)
    )
    found.sizes = dict(table.iter_rows())
    found.records, found.chromosomes = len(found.sizes), dict.fromkeys(found.sizes, 1)


def _inspect_contacts(found: Inspected) -> None:
    contacts = read_contacts(found.path)
    found.records = len(contacts)
    ends = pl.concat([contacts.table.select(chrom=f"chrom{i}", end=f"end{i}") for i in (1, 2)])
    for chrom, n, end in ends.group_by("chrom", maintain_order=True).agg(pl.len(), pl.max("end")).iter_rows():
        found.chromosomes[chrom], found.reach[chrom] = n, end


_INSPECTORS: dict[Kind, Callable[[Inspected], None]] = {
    "genes": _inspect_genes,
    "reads": _inspect_rows,
    "peaks": _inspect_rows,
    "bedGraph": _inspect_rows,
    "alignments": _inspect_alignments,
    "bigWig": _inspect_big_wig,
    "sizes": _inspect_sizes,
    "FASTA": inspect_fasta,
    "2bit": inspect_two_bit,
    "variants": inspect_variants,
    "features": inspect_features,
    "contacts": _inspect_contacts,
}
