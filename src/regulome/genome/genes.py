"""Genes: one transcription start site each, from a GTF, or from a plain BED or TSV of start sites."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from regulome.errors import InputError
from regulome.genome.gtf import CANONICAL_TAGS, Gtf, read_gtf
from regulome.genome.start_sites import read_start_sites
from regulome.genome.text import read_lines

logger = logging.getLogger(__name__)

#: The rules that choose one start site per gene, in words. Positions of the 5' end go by the strand.
TSS_RULES = {
    "gene": "the 5' end of the gene record",
    "first-transcript": "the 5' end of the gene's most upstream transcript",
    "longest-transcript": "the 5' end of the gene's longest transcript (genomic span; among equals the most upstream)",
    "canonical": "the 5' end of the gene's canonical transcript (tag Ensembl_canonical, else MANE_Select, else "
    "appris_principal, else basic; among equals the longest, then the most upstream; the longest transcript where none "
    "has a tag)",
}
_DUPLICATES = "of several genes with one id, a copy outside chromosome Y is kept, else the first in the file"
#: An Ensembl id, then what is dropped (version, symbol), then what is kept (the copy in a pseudoautosomal region).
_ENSEMBL = r"^(ENS[A-Z]*[0-9]{6,})(?:\.[0-9]+)?(_PAR_Y)?(?:_.*)?$"


@dataclass(frozen=True)
class Genes:
    """Genes with one start site each.

    Attributes:
        table: One row per gene in file order: ``id`` (version stripped), ``symbol`` (null where unknown), ``chrom`` (as
            in the file), ``tss`` (int64, 0-based), ``strand`` (+, - or .), ``biotype`` (null where unknown).
        record: How the table was made, for the dataset's own record: the rules in words and what was left out.
    """

    table: pl.DataFrame
    record: dict[str, Any]

    def __len__(self) -> int:
        return self.table.height


def normalize_ids(ids: pl.Expr) -> pl.Expr:
    """Bring gene ids to one form.

    Ensembl ids lose their version and a symbol that follows (``ENSG00000130749.5``, ``ENSG00000130749_ZC3H4`` →
    ``ENSG00000130749``); ``_PAR_Y`` stays, because it names another copy of the gene. Other ids stay as they are: the
    dot in ``AC005895.4`` is part of the name.
    """
    ids = ids.str.strip_chars().str.strip_chars('"')
    short = pl.concat_str(ids.str.extract(_ENSEMBL, 1), ids.str.extract(_ENSEMBL, 2).fill_null(""))
    return pl.coalesce(short, ids)


def gene_file_kind(path: str | os.PathLike[str]) -> str:
    """Say how a file tells its genes: ``gtf``, or ``sites`` for a BED or TSV of start sites."""
    name = Path(path).name.lower().removesuffix(".gz")
    if name.endswith((".gtf", ".gff", ".gff2", ".gff3")):
        return "gtf"
    first = next((table["text"][0] for table in read_lines(path, 1 << 16) if table.height), "")
    fields = first.split("\t")
    return "gtf" if len(fields) == 9 and fields[3].isdigit() and fields[4].isdigit() else "sites"


def read_genes(
    path: str | os.PathLike[str],
    *,
    tss: str = "gene",
    biotype: str | Sequence[str] | None = "protein_coding",
    skip_invalid: bool = False,
) -> Genes:
    """Read genes and choose one start site (TSS) for each.

    Args:
        path: GTF (1-based; plain or gzipped), BED (4 columns or more: name = gene id, strand in column 6), or a table
            with a header (see :func:`regulome.genome.start_sites.read_start_sites`).
        tss: The rule, for a GTF: ``gene`` (5' end of the gene record), ``first-transcript`` (5' end of the most
            upstream transcript), ``longest-transcript`` (by genomic span), ``canonical`` (Ensembl_canonical, else
            MANE_Select, else appris_principal, else basic). The other files have one site per gene, and take only
            ``gene``.
        biotype: Keep the genes of this biotype or these (``gene_type`` or ``gene_biotype``); None keeps all. Start-site
            files without biotypes are not filtered.
        skip_invalid: Leave wrong lines out, counted in the record, instead of refusing the file.

    Returns:
        The genes in file order. Of several genes with one id a copy outside chromosome Y is kept, else the first.

    Raises:
        InputError: The file is damaged or has a wrong line, lacks the records, tags or biotypes that the rules need, or
            no gene is left.
    """
    if tss not in TSS_RULES:
        raise InputError(f"no start-site rule {tss!r}", cure=f"one of {', '.join(TSS_RULES)}")
    wanted = [biotype] if isinstance(biotype, str) else biotype
    record: dict[str, Any] = {"tss": tss}
    if gene_file_kind(path) == "gtf":
        gtf = read_gtf(path)
        bad, n_records = gtf.bad, gtf.records.height
        bad.refuse(path, skip_invalid=skip_invalid)
        table = _choose(gtf, tss, path, record)
        record |= {"kind": "gtf", "rule": TSS_RULES[tss]}
    else:
        table, bad, record["rule"] = read_start_sites(path)
        bad.refuse(path, skip_invalid=skip_invalid)
        n_records = table.height
        if tss != "gene":
            raise InputError(
                f"has no transcripts, so the rule {tss!r} cannot choose among them", file=path, cure="give a GTF"
            )
        record["kind"] = "start sites"
    record |= {"n_records": n_records, "n_genes_read": table.height, **bad.record()}
    table = _filter_biotype(table, wanted, path, record)
    table = _drop_duplicates(table.with_columns(normalize_ids(pl.col("id"))), record)
    if table.is_empty():
        raise InputError("no gene is left" if bad.count else "has no genes", file=path, cure="name a file with genes")
    record["n_genes"] = table.height
    record["words"] = _words(record)
    logger.info("%s: %s", path, record["words"])
    return Genes(table.select("id", "symbol", "chrom", "tss", "strand", "biotype"), record)


def _choose(gtf: Gtf, tss: str, path: str | os.PathLike[str], record: dict[str, Any]) -> pl.DataFrame:
    """Choose one start site per gene of a GTF; rows in the order of the genes' first records."""
    feature = "gene" if tss == "gene" else "transcript"
    records = gtf.records.filter(pl.col("feature") == feature)
    if records.is_empty():
        other = "transcript" if feature == "gene" else "gene"
        has = f"it has {', '.join(gtf.features) or 'nothing'}"
        cure = "choose the rule first-transcript" if feature == "gene" else "choose the rule gene, or give the full GTF"
        if other not in gtf.features:
            cure = "download the full GTF"
        raise InputError(f"has no {feature} records, which the rule {tss!r} needs ({has})", file=path, cure=cure)
    five_prime = pl.when(pl.col("strand") == "+").then(pl.col("start")).otherwise(pl.col("end") - 1)
    records = records.with_columns(
        tss=five_prime,
        upstream=pl.when(pl.col("strand") == "+").then(pl.col("start")).otherwise(-pl.col("end")),
        span=pl.col("end") - pl.col("start"),
    )
    order = {
        "gene": ["line"],
        "first-transcript": ["upstream", "line"],
        "longest-transcript": ["span", "upstream", "line"],
        "canonical": ["tag", "span", "upstream", "line"],
    }[tss]
    key = ["gene_id", "chrom", "strand"]
    if tss == "canonical":
        if records["tag"].is_null().all():
            tags = ", ".join(CANONICAL_TAGS)
            cure = "choose the rule longest-transcript, or give a newer GENCODE or Ensembl GTF"
            raise InputError(f"no transcript has one of the tags {tags}, which the rule needs", file=path, cure=cure)
        best = records.group_by(key).agg(pl.col("tag").is_null().all().alias("none"))
        record["n_without_tag"] = int(best["none"].sum())
    if tss == "gene":  # every record stands for itself: equal ids are counted as duplicates
        return records.rename({"gene_id": "id"})
    records = records.with_columns(pl.col("line").min().over(key).alias("place"))
    descending = [name == "span" for name in order]
    chosen = records.sort(order, descending=descending, nulls_last=True).unique(key, keep="first", maintain_order=True)
    return chosen.sort("place").rename({"gene_id": "id"})


def _filter_biotype(
    table: pl.DataFrame, wanted: Sequence[str] | None, path: str | os.PathLike[str], record: dict[str, Any]
) -> pl.DataFrame:
    record["biotype"] = None if wanted is None else list(wanted)
    record["n_other_biotypes"] = 0
    if wanted is None:
        return table
    if table["biotype"].is_null().all():
        if record["kind"] == "gtf":
            cure = "keep all biotypes (--biotype all), or give a GENCODE or Ensembl GTF"
            raise InputError("has neither gene_type nor gene_biotype to choose by", file=path, cure=cure)
        record["biotype"] = None
        return table
    kept = table.filter(pl.col("biotype").is_in(list(wanted)))
    if kept.is_empty() and not table.is_empty():
        counts = table["biotype"].drop_nulls().value_counts(sort=True).head(8)
        present = ", ".join(f"{name} ({n:,})" for name, n in counts.iter_rows())
        names = ", ".join(wanted)
        raise InputError(f"has no genes of biotype {names}", file=path, cure=f"choose among {present}")
    record["n_other_biotypes"] = table.height - kept.height
    return kept


def _drop_duplicates(table: pl.DataFrame, record: dict[str, Any]) -> pl.DataFrame:
    on_y = pl.col("chrom").str.to_lowercase().is_in(["chry", "y"])
    ordered = table.with_row_index("row").with_columns(on_y.alias("on_y")).sort("on_y", "row")
    kept = ordered.unique("id", keep="first", maintain_order=True).sort("row")
    record["n_duplicates"] = table.height - kept.height
    twice = table.filter(pl.col("id").is_duplicated())["id"]
    record["first_duplicate"] = twice[0] if len(twice) else None
    record["duplicate_rule"] = _DUPLICATES
    return kept


def _words(record: dict[str, Any]) -> str:
    """Tell in one sentence how the genes were chosen."""
    kinds = "of any biotype" if record["biotype"] is None else f"of biotype {', '.join(record['biotype'])}"
    words = f"{record['n_genes']:,} genes {kinds}; start site = {record['rule']}"
    if record["n_duplicates"]:
        words += f"; {record['n_duplicates']:,} repeated ids dropped ({_DUPLICATES})"
    if record.get("n_without_tag"):
        words += f"; {record['n_without_tag']:,} genes without a tag took their longest transcript"
    if record["n_skipped"]:
        words += f"; {record['n_skipped']:,} wrong lines left out"
    return words
