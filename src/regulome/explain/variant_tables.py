"""Effects of variants as tables, as INFO fields of the VCF they came from, and the list of what was left out."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import polars as pl

import regulome
from regulome import storage
from regulome.errors import InputError
from regulome.explain.number_text import key_values
from regulome.explain.variant_comparison import Effects
from regulome.genome.alleles import Placed, Placer
from regulome.genome.vcf import Sites, Variants
from regulome.training.feature_choice import distinct_names
from regulome.training.table_stream import new_table, new_text, table_ending

#: Endings of VCF output; tables have those of :mod:`regulome.training.table_stream`.
VCF_ENDINGS = (".vcf", ".vcf.gz")
_SITE = {"chrom": pl.String, "pos": pl.Int64, "id": pl.String, "ref": pl.String, "alt": pl.String}
SKIPPED = {"line": pl.Int64, **_SITE, "allele": pl.Int64, "reason": pl.String}


#: Takes the alleles of some records, those that were scored (index into the alleles), and the effects of these.
Save = Callable[[Placed, npt.NDArray[np.int64], Effects], object]


@contextmanager
def new_effects(
    out: str | os.PathLike[str], variants: Variants, empty: Effects, *, prefix: str, model: str, overwrite: bool
) -> Iterator[Save]:
    """Give a function that appends the effects of some records to a VCF file or a table, by its ending.

    Args:
        out: The file; it appears when the block ends well.
        variants: The VCF file that is scored.
        empty: Effects of no allele, for names and quantities.
        prefix: What the names of INFO fields begin with.
        model: What scored, for the header of a VCF file.
        overwrite: Replace an existing file.

    Raises:
        InputError: Another ending, the file exists, or the VCF has INFO fields of these names.
    """
    ending = table_ending(out, others=VCF_ENDINGS)
    if ending in VCF_ENDINGS:
        fields = info_fields(empty, prefix)
        header = _header(variants, fields, model)
        keys = [key for key, _, _ in fields]
        with (
            storage.new_file(out, overwrite=overwrite) as temporary,
            new_text(temporary, compress=ending == ".vcf.gz") as write,
        ):
            write("".join(f"{line}\n" for line in header).encode())
            yield lambda placed, scored, effects: _write_records(write, keys, placed, scored, effects)
        return
    schema = {**_SITE, "allele": pl.Int64, **empty.table().schema}
    with new_table(out, schema, overwrite=overwrite) as append:
        yield lambda placed, scored, effects: append(
            pl.concat([allele_table(placed, scored).drop("line"), effects.table()], how="horizontal")
        )


def skipped_alleles(placed: Placed, placer: Placer) -> pl.DataFrame:
    """List the alleles that cannot be scored, with the reason."""
    rows = np.flatnonzero(placed.reason)
    reasons = pl.Series("reason", placer.told(placed, rows), pl.String)
    return allele_table(placed, rows).with_columns(reasons)


def wrong_rows(sites: Sites) -> pl.DataFrame:
    """List the wrong rows among some records in the same form, with their line and what is wrong."""
    lines, problems = zip(*sites.wrong, strict=True) if sites.wrong else ((), ())
    empty = pl.DataFrame(schema=SKIPPED)
    return pl.concat([empty, pl.DataFrame({"line": lines, "reason": problems})], how="diagonal_relaxed")


def allele_table(placed: Placed, rows: npt.NDArray[np.int64]) -> pl.DataFrame:
    """Tell which alleles these are, as the VCF file has them: line, chrom, pos (1-based), id, ref, alt, allele."""
    record, sites = placed.record[rows], placed.sites
    of_record = {"line": sites.lines, "chrom": sites.column(0), "pos": sites.positions + 1}
    of_record |= {"id": sites.column(2), "ref": sites.column(3), "alt": sites.column(4)}
    table = pl.DataFrame(of_record)[record]
    number = pl.Series("allele", placed.number[rows])
    alt = pl.col("alt").str.split(",").list.get(pl.col("allele") - 1)
    return table.with_columns(number).with_columns(alt)


def info_fields(empty: Effects, prefix: str) -> list[tuple[str, str, str]]:
    """Name the INFO fields: key, type and description, in the order of the columns of :meth:`Effects.table`."""
    words = {
        "ref": "prediction for the reference",
        "alt": "prediction for the alternative allele",
        "difference": "prediction for the alternative allele minus that for the reference",
        "log_odds": "ln odds of the alternative allele minus ln odds of the reference",
        "e_value": "share of background alleles with an effect at least as large",
    }
    short = {"ref": "REF", "alt": "ALT", "difference": "DIFF", "log_odds": "LOGODDS", "e_value": "E"}
    fields = [
        (f"{prefix}_SCORE", "Float", "Largest absolute difference over the features"),
        (f"{prefix}_TOP", "String", "Feature with the largest absolute difference"),
    ]
    if empty.rarity is not None:
        fields.append((f"{prefix}_MLOGE", "Float", "Mean over the features of -log10 E-value"))
    for name, key in zip(empty.names, feature_keys(empty.names), strict=True):
        fields += [(f"{prefix}_{key}_{short[what]}", "Float", f"{name}: {words[what]}") for what in empty.columns]
    return fields


def feature_keys(names: Sequence[str]) -> list[str]:
    """Turn names of features into words that may stand in the name of an INFO field, each of them once."""
    return distinct_names([re.sub(r"[^0-9A-Za-z_.]+", "_", name) for name in names])


def _header(variants: Variants, fields: Sequence[tuple[str, str, str]], model: str) -> list[str]:
    known = {match[1] for line in variants.header if (match := re.match(r"##INFO=<ID=([^,>]+)", line))}
    twice = next((key for key, _, _ in fields if key in known), None)
    if twice is not None:
        cure = "name the VCF as it was before it was scored, or choose another prefix"
        raise InputError(f"has an INFO field {twice} already", file=variants.path, cure=cure)
    added = [f"##regulome=<Version={regulome.__version__},Model={_quoted(model)}>"]
    added += [f"##INFO=<ID={key},Number=A,Type={kind},Description={_quoted(what)}>" for key, kind, what in fields]
    return [*variants.header[:-1], *added, variants.header[-1]]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _write_records(
    write: Callable[[bytes], object],
    keys: Sequence[str],
    placed: Placed,
    scored: npt.NDArray[np.int64],
    effects: Effects,
) -> None:
    """Write every record with its own fields, and ours where an allele of it was scored."""
    sites = placed.sites
    short = feature_keys(effects.names)
    summary = 2 if effects.rarity is None else 3
    ours = [_summary(keys[:summary], short, placed, scored, effects)]
    numbers = np.stack(list(effects.columns.values()), axis=2).reshape(len(scored), len(keys) - summary)
    place = np.full(len(placed), -1, np.int64)
    place[scored] = np.arange(len(scored))
    ours.append(pl.Series("features", key_values(keys[summary:], numbers, placed.record, place, len(sites)), pl.String))
    some = np.zeros(len(sites), bool)
    some[placed.record[scored]] = True
    records = pl.DataFrame([pl.Series(str(i), sites.column(i), pl.String) for i in range(8)])
    records = records.with_columns(*ours, rest=pl.Series(sites.rest(), dtype=pl.String), some=some)
    before = pl.when(pl.col("7") == ".").then(pl.lit("")).otherwise(pl.col("7") + ";")
    info = pl.when("some").then(pl.concat_str(before + pl.col("summary"), "features", separator=";")).otherwise("7")
    columns = [*(pl.col(str(i)) for i in range(7)), info]
    lines = records.select(pl.concat_str(columns, separator="\t") + pl.col("rest") + "\n")
    write("".join(lines.to_series().to_list()).encode())


def _summary(
    keys: Sequence[str], short: Sequence[str], placed: Placed, scored: npt.NDArray[np.int64], effects: Effects
) -> pl.Series:
    """Write the fields over all features for each record: ``KEY=v,v;KEY=v,v``."""
    # Six digits are what the numbers are good for.
    columns = {"at": scored, "score": effects.score.astype(np.float64), "top": [short[i] for i in effects.top]}
    if effects.rarity is not None:
        columns["rarity"] = effects.rarity.astype(np.float64)
    values = pl.DataFrame(columns, schema_overrides={"top": pl.String}).with_columns(
        pl.col(pl.Float64).round_sig_figs(6)
    )
    values = values.with_columns(pl.exclude("at").cast(pl.String))
    every = pl.DataFrame({"record": placed.record, "at": np.arange(len(placed))})
    found = every.join(values, on="at", how="left", maintain_order="left").drop("at")
    joined = found.group_by("record", maintain_order=True).agg(pl.all().fill_null(".").str.join(",")).drop("record")
    fields = [pl.lit(f"{key}=") + pl.col(name) for key, name in zip(keys, joined.columns, strict=True)]
    return joined.select(pl.concat_str(fields, separator=";").alias("summary")).to_series()
