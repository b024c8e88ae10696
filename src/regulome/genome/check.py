"""Everything wrong with a set of inputs, each alone and together, before any long work."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from regulome.errors import InputError
from regulome.genome.chromosomes import UNKNOWN, Names, key
from regulome.genome.file_kinds import Kind
from regulome.genome.inspection import Finding, Inspected, Severity, inspect
from regulome.genome.sequence_inspection import compare_references

__all__ = ["Finding", "Severity", "check_files"]

#: Length of chromosome 1: tells assemblies apart.
_ASSEMBLIES = {
    249_250_621: "hg19",
    248_956_422: "hg38",
    248_387_328: "hs1",
    197_195_432: "mm9",
    195_471_971: "mm10",
    195_154_279: "mm39",
}
_MARK = re.compile(r"(H[1234][ABKRST][0-9A-Za-z.]*?(?:me[123]|ac|ub)|H2A\.?Z|DNase|ATAC|CTCF)", re.IGNORECASE)
_SIGNALS = ("reads", "alignments", "bigWig", "bedGraph", "peaks")


def check_files(
    paths: Iterable[str | os.PathLike[str]],
    *,
    sample: str | None = None,
    kinds: Mapping[str, Kind] | None = None,
) -> list[Finding]:
    """Find everything that is wrong with input files, alone and together.

    Each file is looked through to its end: gzip and BAM that are cut short, wrong rows (the first few and their
    number), files without content. Together: chromosome names in two styles, assemblies that differ, rows beyond a
    chromosome's end, an expression table whose genes the annotation does not have, a mark or a file named twice.

    Args:
        paths: GTF, BED or TSV of start sites, expression table, tagAlign, BED, BAM, narrowPeak, broadPeak, bigWig,
            bedGraph, contacts, chrom.sizes, FASTA, 2bit, VCF, tables of features, in any mix; ``MARK=FILE`` names a
            mark.
        sample: The sample of the expression table; None looks at all of them.
        kinds: File (as named in ``paths``, without the mark) to what it is, where the caller knows it.

    Returns:
        Findings in the order of the files, then those that concern several. Files that are clean have one ``note`` that
        tells what they are.
    """
    named = [_split_mark(str(path)) for path in paths]
    files: list[Inspected] = []
    findings: list[Finding] = []
    for _, name in named:
        files.append(inspect(name, Path(name), kind=(kinds or {}).get(name), sample=sample))
        findings += files[-1].findings
    findings += _twice(named, files)
    findings += _names(files)
    findings += _assemblies(files)
    findings += _reach(files)
    findings += _unknown(files)
    findings += _shared_genes(files)
    findings += _references(files)
    return findings


def _split_mark(text: str) -> tuple[str | None, str]:
    """Split ``MARK=FILE``, unless a file has that very name."""
    mark, equals, name = text.partition("=")
    if not equals or Path(text).exists() or os.sep in mark:
        return None, text
    return mark, name


def _finding(file: Inspected, problem: str, cure: str, severity: Severity = "error") -> Finding:
    return Finding(file.name, None, problem, cure, severity)


def _twice(named: list[tuple[str | None, str]], files: list[Inspected]) -> list[Finding]:
    """Find marks and files that are named more than once."""
    found: list[Finding] = []
    marks: dict[str, str] = {}
    paths: dict[Path, str] = {}
    guessed: dict[str, str] = {}
    for (mark, name), file in zip(named, files, strict=True):
        if mark is not None and mark in marks:
            found.append(_finding(file, f"mark {mark} is named twice: {marks[mark]}, too", "give each mark one file"))
        elif mark is not None:
            marks[mark] = name
        resolved = file.path.resolve()
        if resolved in paths:
            found.append(_finding(file, f"is the same file as {paths[resolved]}", "name each file once", "warning"))
        paths.setdefault(resolved, name)
        match = _MARK.search(file.path.name)
        if mark is None and match and file.kind in _SIGNALS:
            other = guessed.setdefault(match[0].lower(), name)
            if other != name:
                problem = f"seems to be of the same mark ({match[0]}) as {other}"
                found.append(_finding(file, problem, "use one of them", "note"))
    return found


def _names(files: list[Inspected]) -> list[Finding]:
    """Compare the spelling of chromosomes with that of the genes, or of the first file."""
    placed = [file for file in files if file.chromosomes]
    first = next((file for file in placed if file.kind == "genes"), placed[0] if placed else None)
    if first is None:
        return []
    found = []
    spelled = {key(name): name for name in first.chromosomes}
    for file in placed:
        if file is first:
            continue
        shared = {spelled[key(name)]: name for name in file.chromosomes if key(name) in spelled}
        if not shared:
            problem = (
                f"shares no chromosome with {first.name}: {_some(file.chromosomes)} against {_some(first.chromosomes)}"
            )
            found.append(_finding(file, problem, "use files of the same species and assembly"))
            continue
        differing = [(ours, theirs) for ours, theirs in shared.items() if ours != theirs]
        if differing:
            ours, theirs = differing[0]
            problem = f"names chromosomes otherwise than {first.name}: {theirs} = {ours}; they will be matched"
            found.append(_finding(file, problem, "", "note"))
        missing = [name for name in first.chromosomes if name not in shared]
        if missing and first.kind == "genes" and file.kind in _SIGNALS:
            n = sum(first.chromosomes[name] for name in missing)
            problem = f"has nothing on {_some(missing)}, where {first.name} has {n:,} genes; their signal will be 0"
            # Peaks of a female cell, and the mitochondrion, are no reason to worry.
            severity: Severity = "note" if {key(name) for name in missing} <= {"M", "Y"} else "warning"
            found.append(_finding(file, problem, "leave these genes out, or give a complete file", severity))
    return found


def _assemblies(files: list[Inspected]) -> list[Finding]:
    """Compare the lengths of chromosomes between files that know them."""
    sized = [file for file in files if file.sizes]
    if len(sized) < 2:
        return []
    first, found = sized[0], []
    lengths = {key(name): size for name, size in first.sizes.items()}
    for file in sized[1:]:
        pairs = [(n, size, lengths[key(n)]) for n, size in file.sizes.items() if key(n) in lengths and key(n) != "M"]
        differing = [pair for pair in pairs if pair[1] != pair[2]]
        if differing:
            name, size, other = differing[0]
            problem = (
                f"is of another assembly than {first.name}: {name} has {size:,}{_assembly(size)} against "
                f"{other:,}{_assembly(other)} bases; {len(differing)} of {len(pairs)} chromosomes differ"
            )
            found.append(_finding(file, problem, "use files of one assembly"))
    return found


def _assembly(size: int) -> str:
    return f" ({_ASSEMBLIES[size]})" if size in _ASSEMBLIES else ""


def _reach(files: list[Inspected]) -> list[Finding]:
    """Find records beyond the end that another file gives for a chromosome."""
    sized = [file for file in files if file.sizes]
    found = []
    for file in files:
        for other in sized:
            lengths = {key(name): size for name, size in other.sizes.items()}
            beyond = [n for n, end in file.reach.items() if end > lengths.get(key(n), end)]
            if file is other or not beyond:
                continue
            name = beyond[0]
            problem = (
                f"reaches position {file.reach[name]:,} of {name}, which ends at {lengths[key(name)]:,} by {other.name}"
                f"{_assembly(lengths[key(name)])}; so on {len(beyond)} chromosome{'s' * (len(beyond) > 1)}"
            )
            found.append(_finding(file, problem, "use files of one assembly"))
            break
    return found


def _unknown(files: list[Inspected]) -> list[Finding]:
    """Find chromosomes that cannot exist where the genes are."""
    genes = next((file for file in files if file.kind == "genes" and file.chromosomes), None)
    if genes is None:
        return []
    found = []
    for file in files:
        if file is genes or file.kind not in (*_SIGNALS, "contacts") or not file.chromosomes:
            continue
        names = Names(genes.chromosomes, file=file.name)
        try:
            unknown = [name for name in file.chromosomes if names.resolve(name) == UNKNOWN]
        except InputError as error:
            found.append(_finding(file, error.problem, error.cure or ""))
            continue
        if unknown:
            n = sum(file.chromosomes[name] for name in unknown)
            problem = f"{names.why_unknown(unknown[0])}; {n:,} rows on {_some(unknown)}"
            found.append(_finding(file, problem, "mend the rows, or leave them out with --skip-invalid"))
    return found


def _shared_genes(files: list[Inspected]) -> list[Finding]:
    """Compare gene ids of expression tables with those of annotations."""
    found = []
    annotations = [file for file in files if file.kind == "genes" and file.ids is not None]
    for file in files:
        if file.kind != "expression" or file.ids is None:
            continue
        for genes in annotations:
            assert genes.ids is not None
            shared = int(file.ids.is_in(genes.ids.implode()).sum())
            ours, theirs = file.ids[0], genes.ids[0]
            if not shared:
                problem = f"shares no gene with {genes.name}: ids like {ours} against {theirs}"
                found.append(_finding(file, problem, "use the same kind of gene ids in both"))
            elif shared < len(file.ids) / 2:
                problem = f"only {shared:,} of {len(file.ids):,} genes are in {genes.name}"
                found.append(_finding(file, problem, "use an annotation of the same release", "warning"))
            else:
                found.append(_finding(file, f"{shared:,} of {len(file.ids):,} genes are in {genes.name}", "", "note"))
    return found


def _references(files: list[Inspected]) -> list[Finding]:
    """Compare the REF alleles of VCF files with the genome, where both are right by themselves."""
    right = [file for file in files if all(finding.severity != "error" for finding in file.findings)]
    genome = next((file for file in right if file.kind in ("FASTA", "2bit") and file.sizes), None)
    found = []
    for file in right:
        if genome is not None and file.kind == "variants":
            known = len(file.findings)
            compare_references(file, genome)
            found += file.findings[known:]
    return found


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
