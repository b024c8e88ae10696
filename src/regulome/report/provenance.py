"""The chapters on what was trained on what, and how to do it again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from regulome.recipes.load import to_toml
from regulome.report.material import Material
from regulome.report.page import Block, Listing, Section, Table, Words
from regulome.report.wording import HEADLINE, METRICS, amount, estimate, sentence, size
from regulome.training.metrics import LESS_IS_BETTER


def summary_section(materials: Sequence[Material]) -> Section:
    """Say in a few sentences what was done and what came out."""
    first = materials[0]
    info = first.run.info
    goal = (
        "tell highly expressed genes from lowly expressed ones"
        if first.task == "classification"
        else f"predict {sentence(info.target_names)} of each gene"
    )
    models = "One model was" if len(materials) == 1 else f"{len(materials)} models were"
    width = info.bins * info.bin_size
    what = (
        f"{models} trained to {goal} from {amount(len(info.marks), 'track')} ({sentence(info.marks)}) in {info.bins} "
        f"bins of {info.bin_size} bp, {width:,} bp around the transcription start site (TSS)."
    )
    if first.dataset is not None:
        what += f" The dataset holds {amount(len(first.dataset), 'gene')}."
    metric = HEADLINE[first.task]
    ranked = sorted(materials, key=lambda m: _value(m, metric), reverse=metric not in LESS_IS_BETTER)
    best = ranked[0]
    score = estimate(best.metrics.get(metric))
    result = (
        f"On {amount(best.metrics['n'], 'test gene')} that no model saw "
        f"before{f', {best.label} did best' if len(materials) > 1 else ''}: {METRICS[metric].title} {score} — "
        f"{METRICS[metric].meaning}."
    )
    rows = [
        [
            m.label,
            m.title,
            m.run.recipe.name,
            f"{m.run.info.parameters:,}" if m.run.info.parameters else "—",
            str(len(m.run.info.members)),
            estimate(m.metrics.get(metric)),
        ]
        for m in materials
    ]
    table = Table(
        "The runs", ["Run", "Model", "Recipe", "Parameters", "Members", f"Test {METRICS[metric].title} [95 %]"], rows
    )
    return Section("summary", "In short", [Words([what, result]), table])


def data_sections(materials: Sequence[Material]) -> list[Section]:
    """Describe each dataset once: rules, sources with checksums, split."""
    sections = []
    seen: dict[tuple[str, str], str] = {}
    for material in materials:
        dataset = material.dataset
        if dataset is None:
            continue
        key = (dataset.checksum, _split_key(material))
        if key in seen:
            continue
        seen[key] = material.label
        manifest = dataset.manifest
        facts = [
            ["Folder", str(dataset.path)],
            ["Checksum", dataset.checksum],
            ["Made", f"{manifest.created} with regulome {manifest.regulome}"],
            ["Genes", f"{len(dataset):,}"],
            ["Marks", sentence(dataset.marks)],
            ["Window", f"{dataset.bins} bins × {dataset.bin_size} bp"],
            *([["Target", str(_rule(manifest.targets.rule))]] if manifest.targets else []),
            *[[f"Rule for {source['role']}", str(source["rule"])] for source in manifest.sources if source.get("rule")],
            ["Split", material.run.info.split or "—"],
        ]
        sources = [
            [
                str(source.get("role", "")),
                Path(str(source.get("path", ""))).name,
                size(float(source.get("bytes", 0))),
                str(source.get("sha256", "")),
                _read(source),
            ]
            for source in manifest.sources
        ]
        blocks: list[Block] = [Table("How the dataset was made", ["What", "How"], facts)]
        if sources:
            blocks.append(Table("Source files", ["Role", "File", "Size", "SHA-256", "Read"], sources))
        blocks.append(_split(material))
        number = len(seen)
        title = "What it was trained on" if number == 1 else f"What {material.label} was trained on"
        sections.append(Section(f"data-{number}", title, blocks))
    return sections


def provenance_section(materials: Sequence[Material]) -> Section:
    """Give what is needed to train each run again."""
    blocks: list[Block] = []
    for material in materials:
        run, recipe = material.run, material.run.recipe
        facts = [
            ["Model", material.title],
            ["Recipe", f"{recipe.name} ({recipe.system}). {recipe.description}".strip()],
            *([["Published in", recipe.paper]] if recipe.paper else []),
            ["Differences from the publication", recipe.differences or "none noted"],
            ["Seeds", sentence([str(seed) for seed in run.info.members])],
            ["Device", run.info.device.removeprefix("device ") or "—"],
            ["Training time", f"{run.info.seconds:,.1f} s"],
            ["Trained", run.info.created or "—"],
            ["Versions", sentence([f"{name} {version}" for name, version in run.info.versions.items()])],
            ["Folder", str(run.path)],
            *[["Chosen on validation genes", str(chosen)] for chosen in run.info.hyperparameters if chosen],
        ]
        blocks.append(Table(material.label, ["What", "Value"], facts))
        blocks.append(Listing(f"Recipe of {material.label}", to_toml(recipe)))
    lead = "The same recipe, dataset and seed on the same machine give the same numbers."
    return Section("provenance", "How to do it again", blocks, lead)


def _value(material: Material, metric: str) -> float:
    value = (material.metrics.get(metric) or {}).get("value")
    return float("-inf") if value is None else float(value)


def _read(source: dict[str, Any]) -> str:
    """Say how much of a source file was read, and what was not."""
    words = []
    if source.get("n_records") is not None:
        words.append(amount(int(source["n_records"]), "record"))
    if source.get("n_skipped"):
        words.append(f"{int(source['n_skipped']):,} invalid left out")
    aliases: dict[str, str] = source.get("aliases") or {}
    if aliases:
        wanted, present = next(iter(aliases.items()))
        words.append(f"{amount(len(aliases), 'chromosome')} matched by alias ({present} = {wanted})")
    if source.get("missing_chromosomes"):
        words.append(f"nothing on {sentence([str(name) for name in source['missing_chromosomes']])}")
    return "; ".join(words) or "—"


def _rule(rule: dict[str, object]) -> str:
    words = str(rule.get("rule", ""))
    rest = ", ".join(f"{name} {value}" for name, value in rule.items() if name != "rule")
    return f"{words} ({rest})" if words and rest else words or rest or "—"


def _split_key(material: Material) -> str:
    return str(material.run.splits.hash_rows(seed=0).sort().hash().sum()) if len(material.run.splits) else ""


def _split(material: Material) -> Table:
    """Count genes by part and chromosome."""
    assert material.dataset is not None
    regions = material.dataset.regions.select("id", "chrom")
    table = regions.join(material.run.splits, on="id", how="inner", maintain_order="left").filter(pl.col("split") != "")
    rows = []
    for part, name in (("train", "training"), ("valid", "validation"), ("test", "test")):
        here = table.filter(pl.col("split") == part)
        counts = here.group_by("chrom", maintain_order=True).len()
        places = sentence([f"{chrom} ({count:,})" for chrom, count in counts.iter_rows()]) if len(here) else "—"
        rows.append([name, f"{len(here):,}", places if counts["chrom"].to_list() != ["."] else "not known"])
    shared = (
        table.group_by("chrom").agg(pl.col("split").n_unique()).filter((pl.col("split") > 1) & (pl.col("chrom") != "."))
    )
    mixed = len(shared) > 0
    known = bool((table["chrom"] != ".").any())
    return Table(
        "Training, validation and test genes",
        ["Part", "Genes", "Chromosomes (genes)"],
        rows,
        "Validation genes choose the epoch; test genes give the numbers on this page."
        + ("" if mixed or not known else " No chromosome is in two parts.")
        + ("" if known else " On which chromosome a gene lies is not known, nor whether parts share one."),
        "Some chromosomes are in several parts: neighbouring genes share signal, which makes test numbers look better "
        "than they are on new chromosomes. Split by whole chromosomes to be sure."
        if mixed
        else "",
    )
