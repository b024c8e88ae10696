"""The chapters on what a model looks at: mean signal, attention, class maps, gradients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from regulome.explain.explanation import Explanation
from regulome.explain.recovery import Truth, score_recovery
from regulome.report.figures.maps import Box, heat_figure, mark_figure, signal_figure
from regulome.report.looking_dna import dna_section
from regulome.report.looking_regions import region_blocks
from regulome.report.material import Material
from regulome.report.page import Block, Picture, Section, Table, Words
from regulome.report.text_learned import learned_section
from regulome.report.wording import amount, sentence

_GROUPS = ("high", "low")


def looking_sections(materials: Sequence[Material], truth: Truth | None) -> list[Section]:
    """One chapter per run, and one on the signal itself, which all runs on a dataset share."""
    if materials[0].text is not None:
        return [learned_section(materials)]
    if materials[0].reads_dna:
        return [dna_section(materials)]
    sections = []
    signal = _signal(materials)
    if signal:
        sections.append(
            Section("signal", "What high and low genes look like", signal, "Before any model: the mean of each mark.")
        )
    for index, material in enumerate(materials, 1):
        boxes = _boxes(truth, material)
        blocks: list[Block] = []
        if material.troubles:
            blocks.append(Words(material.troubles))
        if "attention" in material.explanations:
            attention = material.explanations["attention"]
            regions = "contacts" in attention.manifest
            blocks += region_blocks(material, attention) if regions else _attention(material, attention, boxes)
        if "class-map" in material.explanations:
            blocks.append(_class_map(material, material.explanations["class-map"]))
        if "gradient" in material.explanations:
            blocks += _gradient(material, material.explanations["gradient"], boxes)
        sections.append(Section(f"inside-{index}", f"What {material.label} looks at", blocks))
    return sections


def recovery_section(materials: Sequence[Material], truth: Truth | None) -> list[Section]:
    """Score every explanation against what was planted in a simulated world."""
    if truth is None or materials[0].reads_dna:
        return []
    rows = []
    for material in materials:
        for method in ("gradient", "attention"):
            if method not in material.explanations or "contacts" in material.explanations[method].manifest:
                continue
            found = score_recovery(material.explanations[method], truth)
            rows.append(
                [
                    material.label,
                    method,
                    _verdict(found["marks_found"]),
                    _verdict(found["bins_found"]),
                    _verdict(found["directions_right"]),
                    f"{found['cell_auprc']:.3f} ({found['cell_chance']:.3f})",
                    sentence(found["mark_ranking"]) if found["mark_ranking"] else "—",
                ]
            )
    rules = [
        f"{rule.mark} from {rule.begin:+,.0f} to {rule.end:+,.0f} bp {'raises' if rule.direction > 0 else 'lowers'} "
        "expression"
        for rule in truth.rules
    ]
    decoys = f" {sentence(list(truth.decoys))} vary without effect." if truth.decoys else ""
    text = (f"Planted: {'; '.join(rules)}.".replace("-", "−")) + decoys
    table = Table(
        "Explanations against the truth",
        [
            "Run",
            "Map",
            "Marks found",
            "Bins found",
            "Directions right",
            "AUPRC of cells (guessing)",
            "Marks, strongest first",
        ],
        rows,
        "Marks found: every planted mark ranks above every decoy. Bins found: the strongest bins of every planted "
        "mark lie in its planted stretch, at least halfway between chance and always. Directions right: the gradient "
        "has the planted sign over every stretch. AUPRC of cells: how well the map separates planted (mark, bin) "
        "cells from the others.",
        "If marks are found but bins are not, neighbouring bins carry the same reads and the model needs only some "
        "of them: that is a limit of the explanation, not of the prediction. If a decoy wins, train on more genes, "
        "or distrust this map. Attention says where a recurrent network reads, which may lie beside the signal.",
    )
    return [Section("truth", "Was the planted truth found?", [Words([text]), table])]


def _verdict(value: bool | None) -> str:
    return "does not apply" if value is None else "yes" if value else "no"


def _boxes(truth: Truth | None, material: Material) -> list[Box]:
    if truth is None:
        return []
    boxes = [Box(rule.mark, rule.begin, rule.end) for rule in truth.rules]
    if not material.run.recipe.input.orient:
        boxes += [Box(rule.mark, -rule.end, -rule.begin) for rule in truth.rules if rule.begin != -rule.end]
    return boxes


def _counts(explanation: Explanation) -> str:
    groups = explanation.manifest["groups"]
    return f"{amount(groups['high'], 'high test gene')} and {amount(groups['low'], 'low one')} ({groups['rule']})"


def _signal(materials: Sequence[Material]) -> list[Block]:
    """The mean input of the first run on each dataset, part of it and orientation."""
    blocks: list[Block] = []
    seen = set()
    for material in materials:
        explanation = material.explanations.get("gradient")
        info = material.run.info
        key = (
            *(explanation.manifest["dataset"]["checksum"] if explanation else "", material.run.recipe.input.orient),
            *(tuple(info.marks), info.bins, info.bin_size),
        )
        if explanation is None or material.dataset is None or key in seen:
            continue
        seen.add(key)
        unit = material.dataset.unit
        per_bin = f"{unit} per {info.bin_size}-bp bin"
        groups = [group for group in _GROUPS if explanation.manifest["groups"][group]]
        blocks.append(
            Picture(
                "Mean signal around the TSS",
                signal_figure(
                    {group: explanation.mean("input", group) for group in groups},
                    explanation.marks,
                    explanation.edges,
                    unit=per_bin,
                    orient=explanation.manifest["orient"],
                ),
                f"Lines of the mean signal of {sentence(explanation.marks)} by distance from the TSS, for high and "
                "low genes.",
                f"The mean over {_counts(explanation)}. Active promoters carry H3K4me3 at the TSS, transcribed genes "
                "H3K36me3 downstream; H3K27me3 and H3K9me3 mark repressed regions. Where the two lines lie on each "
                "other, a mark alone cannot tell the genes apart.",
                _data(explanation, ["input"]),
                "mean-signal",
                "Flat lines without a peak of H3K4me3 at 0: the TSSs and the tracks are probably of different "
                "assemblies. A peak beside 0: the TSS rule does not fit the annotation.",
            )
        )
    return blocks


def _attention(material: Material, explanation: Explanation, boxes: Sequence[Box]) -> list[Block]:
    alpha = [(f"{group.capitalize()} genes", explanation.mean("alpha", group)) for group in _GROUPS]
    joint = len(alpha[0][1]) == 1 and len(explanation.marks) > 1
    rows = ["all marks"] if joint else explanation.marks
    figure = heat_figure(
        [alpha],
        rows,
        explanation.edges,
        units=["mean alpha"],
        orient=explanation.manifest["orient"],
        boxes=() if joint else boxes,
    )
    even = 1 / alpha[0][1].shape[1]
    blocks: list[Block] = [
        Picture(
            "Attention to bins (alpha)",
            figure,
            "Heat maps of mean attention by mark and distance from the TSS in high and low genes; "
            f"{_peaks(explanation)}.",
            f"Where the model reads. Alpha sums to 1 over the bins of a mark; even attention would be {even:.3f} "
            f"everywhere. Means over {_counts(explanation)}. {_outlined(boxes)}",
            _data(explanation, ["alpha"]),
            f"{material.label}-alpha",
            "An even map says that the model does not need to choose, often because it was trained too briefly or "
            "because the recurrent layers have already carried the signal everywhere. Attention shows where it "
            "reads, not which way that moves the answer: see the gradients.",
        )
    ]
    if "beta" in explanation.quantities():
        high, low = (explanation.mean("beta", group) for group in _GROUPS)
        blocks.append(
            Picture(
                "Attention to marks (beta)",
                mark_figure(high, low, explanation.marks),
                "Bars of mean attention to each mark in high and low genes; highest in high genes: "
                f"{explanation.marks[int(high.argmax())]}, in low genes: {explanation.marks[int(low.argmax())]}.",
                "Which marks the model reads. Beta sums to 1 over the marks of a gene; the dotted line is even "
                "attention.",
                _data(explanation, ["beta"]),
                f"{material.label}-beta",
                "Runs with other seeds may put the same information on other marks, when marks go together. Train an "
                "ensemble (--ensemble 5) and look at the mean before naming a mark.",
            )
        )
    return blocks


def _class_map(material: Material, explanation: Explanation) -> Block:
    """Show the published form for raw inputs, and the signed mean of the restarts where zero means average."""
    manifest = explanation.manifest
    raw, settings = manifest["raw"], manifest["parameters"]
    quantity = "class_map" if raw else "class_map_mean"
    form = (
        f"the best of {settings['restarts']} starts, clamped to 0 … 1 and divided by its maximum, as published."
        if raw
        else f"the mean over {settings['restarts']} starts. Scale: {manifest['space']}, so that 0 is about "
        "what a mark has on average; orange is more, purple less. (The data hold the published form, clamped to 0 … 1.)"
    )
    agreement = dict(zip(manifest["classes"], manifest["agreement"], strict=True))
    return Picture(
        "Class maps",
        heat_figure(
            [[(f"What “{group}” looks like", explanation.mean(quantity, group)) for group in _GROUPS]],
            explanation.marks,
            explanation.edges,
            units=["share of the maximum" if raw else "preferred input"],
            orient=manifest["orient"],
            signed=not raw,
        ),
        "Heat maps of the input that the network likes best for high and for low, by mark and distance from the TSS.",
        "The input that the network itself takes for the clearest high and low gene, found by optimisation (λ = "
        f"{settings['penalty']}, {settings['steps']:,} steps): {form} Starts agree with correlation "
        f"{agreement['high']:.2f} (high) and {agreement['low']:.2f} (low).".replace("-", "−"),
        _data(explanation, ["class_map", "class_map_optimum", "class_map_mean"]),
        f"{material.label}-class-map",
        "Speckles without structure mean that the network answers to single bins: train with more dropout or on more "
        "genes. Low agreement between starts means that several inputs are equally good: pooling makes a network "
        "blind to small shifts. Believe what is wide and appears in the gradients too.",
    )


def _gradient(material: Material, explanation: Explanation, boxes: Sequence[Box]) -> list[Block]:
    output = "the logit of high" if material.task == "classification" else "the predicted value"
    groups = [group for group in _GROUPS if explanation.manifest["groups"][group]]
    rows = [
        [(f"Gradient, {group} genes", explanation.mean("gradient", group)) for group in groups],
        [(f"Gradient × input, {group} genes", explanation.mean("gradient_x_input", group)) for group in groups],
    ]
    return [
        Picture(
            "Gradients",
            heat_figure(
                rows,
                explanation.marks,
                explanation.edges,
                units=["per unit of signal", "contribution"],
                orient=explanation.manifest["orient"],
                signed=True,
                boxes=boxes,
            ),
            "Heat maps of the mean gradient and gradient times input by mark and distance from the TSS; "
            f"{_signs(explanation)}.",
            f"Above: by how much one more unit of signal in a bin moves {output}. Orange raises it, purple lowers it. "
            "Below: the gradient times the signal that is there, roughly what the bin adds. Means over "
            f"{_counts(explanation)}. {_outlined(boxes)}",
            _data(explanation, ["gradient", "gradient_x_input"]),
            f"{material.label}-gradient",
            "A sign against what is known of a mark often means that it goes together with another mark, which the "
            "model already uses. Gradients near zero in genes that are clearly high or low are normal: there the "
            "answer is settled.",
        )
    ]


def _outlined(boxes: Sequence[Box]) -> str:
    return "Outlined: the stretches where the simulated world planted an effect." if boxes else ""


def _data(explanation: Explanation, quantities: Sequence[str]) -> pl.DataFrame:
    table = explanation.summary.filter(pl.col("quantity").is_in(quantities) & (pl.col("group") != "all"))
    return table.with_columns(pl.col("value").round_sig_figs(5))


def _peaks(explanation: Explanation) -> str:
    alpha = explanation.mean("alpha", "high")
    centres = (explanation.edges[:-1] + explanation.edges[1:]) / 2
    names = explanation.marks if len(alpha) == len(explanation.marks) else ["all marks"]
    return "in high genes highest at " + sentence(
        [f"{centres[int(np.argmax(row))]:+.0f} bp for {mark}" for mark, row in zip(names, alpha, strict=True)]
    )


def _signs(explanation: Explanation) -> str:
    total = explanation.mean("gradient", "all").sum(axis=1)
    return "summed over bins " + sentence(
        [f"{mark} {'raises' if value > 0 else 'lowers'}" for mark, value in zip(explanation.marks, total, strict=True)]
    )
