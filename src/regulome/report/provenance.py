"""The chapters on what was trained on what, and how to do it again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from regulome.recipes.load import to_toml
from regulome.report.figures.features import group_names, group_title, positives_figure
from regulome.report.material import Material
from regulome.report.outputs import count_positives
from regulome.report.page import Block, Listing, Picture, Section, Table, Words
from regulome.report.parts import parts_table
from regulome.report.wording import HEADLINE, amount, estimate, sentence, size
from regulome.training.metrics import LESS_IS_BETTER

# Source files that a table shows.
_SOURCES = 12


def summary_section(materials: Sequence[Material]) -> Section:
    """Say in a few sentences what was done and what came out."""
    first, words = materials[0], materials[0].words
    models = "One model was" if len(materials) == 1 else f"{len(materials)} models were"
    what = f"{models} trained to {_goal(first)}."
    if first.dataset is not None:
        letters = f" of {first.dataset.regions['letters'].sum():,} letters" if first.text is not None else ""
        what += f" The dataset holds {amount(len(first.dataset), words.one)}{letters}."
    metric = HEADLINE[first.task]
    title = ("mean " * (first.outputs is not None)) + words.metrics()[metric].title
    ranked = sorted(materials, key=lambda m: m.value(metric), reverse=metric not in LESS_IS_BETTER)
    best = ranked[0]
    score = estimate(best.metrics.get(metric))
    counted = f" ({best.metrics['letters']:,} letters)" if best.text is not None else ""
    result = (
        f"On {amount(best.metrics['n'], f'test {words.one}')}{counted} that no model saw "
        f"before{f', {best.label} did best' if len(materials) > 1 else ''}: {title} {score} — "
        f"{words.metrics()[metric].meaning}."
    )
    if first.outputs is not None and "auprc" in best.metrics:
        result += f" Mean AUPRC {estimate(best.metrics['auprc'])}, where guessing reaches {_guessing(best)}."
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
    table = Table("The runs", ["Run", "Model", "Recipe", "Parameters", "Members", f"Test {title} [95 %]"], rows)
    return Section("summary", "In short", [Words([what, result]), table])


def _goal(material: Material) -> str:
    """What the model is to do, and from what."""
    info, words = material.run.info, material.words
    if material.text is not None:
        return "predict each letter of a genome from the letters before it"
    if not material.reads_dna:
        goal = (
            "tell highly expressed genes from lowly expressed ones"
            if material.task == "classification"
            else f"predict {sentence(info.target_names)} of each gene"
        )
        return (
            f"{goal} from {amount(len(info.marks), 'track')} ({sentence(info.marks)}) in {info.bins} bins of "
            f"{info.bin_size} bp, {info.bins * info.bin_size:,} bp around the transcription start site (TSS)"
        )
    if material.outputs is not None:
        kind = "" if material.task == "classification" else "the values of "
        return (
            f"predict {kind}{len(info.target_names):,} chromatin features ({_kinds(material)}) from windows of "
            f"{info.length:,} bp of DNA"
        )
    if material.task == "regression":
        return f"predict {info.target_names[0]} from windows of {info.length:,} bp of DNA"
    of = "" if words.high == "bound" else f" ({info.target_names[0]})"
    return words.say("tell {high} {many} of {length:,} bp of DNA from {low} ones{of}", of=of, length=info.length)


def _kinds(material: Material) -> str:
    """Count the features of each group; name the first where there are no groups."""
    groups = material.features["group"]
    names = group_names(groups)
    if names == [""]:
        shown = material.run.info.target_names[:3]
        return ", ".join(shown) + (", …" if len(material.run.info.target_names) > 3 else "")
    return sentence([f"{int((groups == name).sum())} {group_title(name, names)}" for name in names])


def _guessing(material: Material) -> str:
    shares = material.features.filter(pl.col("scorable"))["prevalence"].to_numpy()
    return f"{shares.mean() if len(shares) else 0.0:.3f}"


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
            [material.words.many.capitalize(), f"{len(dataset):,}"],
            *_shape(material),
            *([["Target", str(_rule(manifest.targets.rule))]] if manifest.targets else []),
            *[[f"Rule for {source['role']}", str(source["rule"])] for source in manifest.sources if source.get("rule")],
            ["Split", material.run.info.split or "—"],
        ]
        sources = [
            [
                str(source.get("role", "")),
                Path(str(source.get("path", ""))).name,
                size(float(source.get("bytes", 0))).replace(" ", "\N{NO-BREAK SPACE}"),
                str(source.get("sha256", "")),
                _read(source),
            ]
            for source in manifest.sources
        ]
        blocks: list[Block] = [Table("How the dataset was made", ["What", "How"], facts)]
        if sources:
            blocks.append(_sources(sources))
        blocks.append(parts_table(material))
        if material.outputs is not None and dataset.task == "classification":
            blocks.append(_positives(material))
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
            *[
                [f"Chosen on validation {material.words.many}", str(chosen)]
                for chosen in run.info.hyperparameters
                if chosen
            ],
        ]
        blocks.append(Table(material.label, ["What", "Value"], facts))
        blocks.append(Listing(f"Recipe of {material.label}", to_toml(recipe)))
    lead = "The same recipe, dataset and seed on the same machine give the same numbers."
    return Section("provenance", "How to do it again", blocks, lead)


def _read(source: dict[str, Any]) -> str:
    """Say how much of a source file was read, and what was not."""
    words = []
    if source.get("n_records") is not None:
        words.append(amount(int(source["n_records"]), "record"))
    if source.get("left_out") is not None:
        words.append(f"{amount(int(source['records']), 'record')}, {amount(int(source['letters']), 'letter')}")
        words.append(f"{int(source['left_out']):,} left out")
    if source.get("positives") is not None:
        words.append(amount(int(source["positives"]), "positive"))
        made = f"{int(source.get('made') or 0):,} made by {source.get('made_by')}" if source.get("made") else ""
        words.append(made or amount(int(source.get("negatives") or 0), "negative"))
    if source.get("n_skipped"):
        words.append(f"{int(source['n_skipped']):,} invalid left out")
    aliases: dict[str, str] = source.get("aliases") or {}
    if aliases:
        wanted, present = next(iter(aliases.items()))
        words.append(f"{amount(len(aliases), 'chromosome')} matched by alias ({present} = {wanted})")
    if source.get("missing_chromosomes"):
        words.append(f"nothing on {sentence([str(name) for name in source['missing_chromosomes']])}")
    return "; ".join(words) or "—"


def _shape(material: Material) -> list[list[str]]:
    """What one example of the dataset is."""
    assert material.dataset is not None
    dataset = material.dataset
    if material.text is not None:
        given = dataset.manifest.parameters
        return [
            ["Letters", f"{dataset.manifest.inputs['letters'].bases or 0:,}"],
            ["Left out (N and other letters)", f"{sum((given.get('left_out') or {}).values()):,}"],
            ["Letters of a block at most", f"{given.get('block') or 0:,}"],
            ["Letters that are read at a time", f"{dataset.length:,}"],
            ["Strands to learn from", str(given.get("strands", "forward"))],
        ]
    if not material.reads_dna:
        return [
            ["Marks", sentence(dataset.marks)],
            ["Window", f"{dataset.bins} bins × {dataset.bin_size} bp"],
        ]
    settings = {name: value for name, value in dataset.manifest.parameters.items() if name not in ("parts", "length")}
    told = ", ".join(f"{name} {_plain(value)}" for name, value in settings.items() if value not in ("", [], {}, None))
    counted = f"{len(dataset.target_names):,}" + (f" ({_kinds(material)})" if material.outputs is not None else "")
    return [
        ["Length", f"{dataset.length:,} bp"],
        ["Features", counted if material.outputs is not None else sentence(dataset.target_names)],
        *([["Prepared with", told]] if told else []),
    ]


def _plain(value: object) -> str:
    """Write a setting without the signs of a programming language."""
    if isinstance(value, dict):
        return "; ".join(f"{name}: {count}" for name, count in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return sentence([str(one) for one in value]) if isinstance(value, list) else str(value)


def _sources(rows: list[list[str]]) -> Table:
    """The files; of very many only the first, the others as CSV."""
    header = ["Role", "File", "Size", "SHA-256", "Read"]
    if len(rows) <= _SOURCES + 3:
        return Table("Source files", header, rows)
    whole = pl.DataFrame(rows, schema=header, orient="row")
    said = f"The first {_SOURCES} of {len(rows):,} files; all are in the CSV, with whole checksums."
    short = [[role, file, length, f"{checksum[:10]}…", read] for role, file, length, checksum, read in rows[:_SOURCES]]
    return Table("Source files", header, short, said, data=whole, name="source-files")


def _positives(material: Material) -> Picture:
    """How many positives each feature has in each part."""
    assert material.dataset is not None
    counts = count_positives(material.run, material.dataset)
    fewest, most = (counts[int(place or 0)] for place in (counts["train"].arg_min(), counts["train"].arg_max()))
    lacking = counts.filter((pl.col("train") == 0) | (pl.col("test") == 0))
    spoken = (
        f"from {fewest['train'][0]:,} ({fewest['name'][0]}) to {most['train'][0]:,} ({most['name'][0]}), median "
        f"{np.median(counts['train'].to_numpy()):,.0f}"
    )
    none = "" if lacking.is_empty() else f" {amount(len(lacking), 'feature')} without any in training or in test."
    return Picture(
        "Positives per feature",
        positives_figure(counts),
        f"Dots: positive windows of each feature in training, validation and test; in training {spoken}.{none}",
        f"How many windows carry each feature, in each part; none is drawn below 1. In training {spoken}.{none}",
        counts,
        "positives",
        "A feature with fewer than about a hundred positives in training is hardly learned, and one with fewer than "
        "about thirty in test is hardly measured: its scores have wide intervals. Add data, or leave it out of means.",
    )


def _rule(rule: dict[str, object]) -> str:
    words = str(rule.get("rule", ""))
    # Counts of each of many features have a figure of their own.
    rest = ", ".join(
        f"{name} {value}"
        for name, value in rule.items()
        if name != "rule" and not (isinstance(value, list) and len(value) > 1)
    )
    return f"{words} ({rest})" if words and rest else words or rest or "—"


def _split_key(material: Material) -> str:
    return str(material.run.splits.hash_rows(seed=0).sort().hash().sum()) if len(material.run.splits) else ""
