"""Results of runs that predict letters: the table, what it means beside the baselines, and block by block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from regulome.errors import InputError
from regulome.report.figures.language import (
    GUESSING,
    GUESSING_BITS,
    along_figure,
    block_difference_figure,
    perplexity_history_figure,
)
from regulome.report.material import Material
from regulome.report.page import Block, Picture, Table, Words, stack
from regulome.report.wording import amount, estimate, metric_title
from regulome.training.comparison import compare

# Runs that the first is set against, block by block.
_PAIRS = 6
# Blocks in the table of the easiest and of the hardest.
_SHOWN = 5
_EPOCH, _TRIED = "epoch (once through the training text)", "setting tried, simplest first"
_NO_HISTORY = pl.DataFrame(schema={"member": pl.Int64, "epoch": pl.Int64})
_COLUMNS = ("perplexity", "bits_per_base", "accuracy")


def text_results(materials: Sequence[Material]) -> list[Block]:
    """The table of runs, best first to last as they were given, and what it says in words."""
    words = materials[0].words
    known = [name for name in _COLUMNS if all(name in m.metrics for m in materials)]
    metrics = words.metrics()
    rows = [
        [
            m.label,
            "counts words" if m.counts else "network",
            f"{m.metrics['letters']:,}",
            *(estimate(m.metrics.get(name), metrics[name].digits, "\n") for name in known),
            f"{GUESSING_BITS - m.value('bits_per_base'):.4f}".replace("-", "−"),
        ]
        for m in materials
    ]
    blocks = materials[0].metrics["n"]
    return [
        Table(
            "Scores with 95 % intervals",
            ["Run", "What it is", "Letters", *(metric_title(name) for name in known), "Bits saved per base"],
            rows,
            f"Each letter of {amount(blocks, 'test block')} is predicted from the letters before it, back to 1,000 "
            "letters before its block, and never from those after it; no block was seen in training or in choosing an "
            "epoch. Every letter counts alike. In brackets: 95 % bootstrap interval over blocks; it does not contain "
            "the spread between training seeds. Saved: 2 minus the bits per base, what the model knows beyond "
            "guessing." + words.alone(len(materials), materials[0].task),
            words.bad_score(materials[0].task),
            numbers=True,
        ),
        Words(verdict(materials), "What this says"),
    ]


def verdict(materials: Sequence[Material]) -> list[str]:
    """Say in words which run is best, whether a network beats the baselines, and who is no better than guessing."""
    said = []
    networks = [m for m in materials if not m.counts]
    counting = [m for m in materials if m.counts]
    if networks and counting:
        said.append(_against_baselines(_best(networks), _best(counting)))
    elif len(materials) > 1:
        best = _best(materials)
        said.append(f"{best.label} predicts best: {_score(best)}.")
    else:
        said.append(f"{materials[0].label}: {_score(materials[0])}.")
    for m in materials:
        entry = m.metrics["perplexity"]
        high = entry["high"] if entry["high"] is not None else entry["value"]
        if (entry["low"] or entry["value"]) > GUESSING:
            said.append(
                f"{m.label} is worse than guessing. It has learned its training text by heart, or training went wrong; "
                "its learning curves tell."
            )
        elif high >= GUESSING:
            said.append(
                f"{m.label} is no better than guessing, which is all that can be had of text without any pattern, and "
                "a failure on any genome."
            )
    return said


def _best(materials: Sequence[Material]) -> Material:
    return min(materials, key=lambda m: m.value("bits_per_base"))


def _score(material: Material) -> str:
    return (
        f"perplexity {estimate(material.metrics['perplexity'])}, "
        f"{estimate(material.metrics['bits_per_base'], 4)} bits per base"
    )


def _against_baselines(network: Material, baseline: Material) -> str:
    both = f"{network.label}: {_score(network)}; {baseline.label}: {_score(baseline)}"
    try:
        found = _difference(network, baseline)
    except InputError as error:
        return f"The best network and the best baseline cannot be compared block by block ({error}). {both}."
    ends = sorted(abs(found[end]) for end in ("low", "high")) if found["better"] else []
    by = f"{abs(found['difference']):.4f} [{', '.join(f'{end:.4f}' for end in ends)}] bits per base"
    if found["better"] is None:
        return (
            f"The best network, {network.label}, and the best baseline, {baseline.label}, cannot be told apart: "
            f"the network's bits per base less the baseline's are {_signed(found['difference'])} "
            f"[{_signed(found['low'])}, {_signed(found['high'])}] on the same blocks. {both}. Blocks that "
            "differ much from the others widen that interval: look at them below, block by block."
        )
    if found["difference"] > 0:
        return (
            f"A baseline wins: {baseline.label} predicts the held-out text better than every network on this page, by "
            f"{by} on the same blocks. {both}. What the networks have learned, counting words gives "
            "as well: train them on more letters, or use the baseline, which is a run like any other."
        )
    return (
        f"The best network, {network.label}, beats the best baseline, {baseline.label}, by {by} on the same blocks: "
        f"it has learned more than which words are common. {both}."
    )


def _difference(a: Material, b: Material) -> dict[str, Any]:
    """Bits per base of ``a`` minus those of ``b`` on the same blocks, with interval; ``better`` is None or a name."""
    table = compare([a.run, b.run]).table
    return table.filter(pl.col("metric") == "bits_per_base").row(0, named=True)


def _signed(value: float | None) -> str:
    return "—" if value is None else f"{value:+.4f}".replace("-", "−")


def text_blocks(materials: Sequence[Material]) -> list[Block]:
    """Bits per base along the genome, and the easiest and hardest blocks."""
    tables = {m.label: _blocks(m) for m in materials}
    spoken = "; ".join(
        f"{name} from {min(table['bits']):.3f} to {max(table['bits']):.3f}" for name, table in tables.items()
    )
    return [
        Picture(
            "Bits per base along the genome",
            along_figure(tables),
            f"Bits per base of each test block in the order of the genome: {spoken}.",
            "Each level stretch is a held-out block. Where all runs go down together the genome is easy: repeats, or "
            "some letters that are much commoner than others. Where one goes down alone it knows something that the "
            "others do not. For single letters: `regulome predict RUN --genome GENOME.fa --out surprise.bw`.",
            stack(tables),
            "blocks",
            "Single blocks far above the others: text of another kind, from a virus, a plasmid or a contamination, or "
            "long runs of lower-quality sequence. All blocks at 2: nothing was learned.",
        ),
        _extremes(_best(materials)),
    ]


def _blocks(material: Material) -> pl.DataFrame:
    assert material.text is not None
    return material.text.blocks


def _extremes(material: Material) -> Table:
    ordered = _blocks(material).sort("bits", maintain_order=True)
    count = min(_SHOWN, len(ordered) // 2)
    rows = [
        [kind, f"{row['chrom']}:{row['start'] + 1:,}–{row['end']:,}", f"{row['bits']:.4f}", f"{row['perplexity']:.3f}"]
        for kind, part in (("easy", ordered.head(count)), ("hard", ordered.tail(count).reverse()))
        for row in part.iter_rows(named=True)
    ]
    return Table(
        "The easiest and the hardest blocks",
        ["", "Place", "Bits per base", "Perplexity"],
        rows,
        f"By {material.label}; positions count from 1. What lies there is worth a look in a genome browser.",
    )


def text_differences(materials: Sequence[Material]) -> list[Block]:
    """How the best run differs from the others, block by block."""
    best = _best(materials)
    others = sorted((m for m in materials if m is not best), key=lambda m: m.value("bits_per_base"))[:_PAIRS]
    pairs, data = [], []
    for other in others:
        both = _blocks(best).join(_blocks(other).select("id", other="bits"), on="id", maintain_order="left")
        if both.is_empty():
            continue
        both = both.with_columns(difference=pl.col("bits") - pl.col("other"))
        values = both["difference"].to_numpy().astype(np.float64)
        pairs.append((best.label, other.label, values, _difference(best, other)))
        data.append(both.select("chrom", "start", "end", "letters", "difference", b=pl.lit(other.label)))
    if not pairs:
        return []
    spoken = "; ".join(
        f"against {other} {_signed(found['difference'])}, better on {100 * float((values < 0).mean()):.0f} % of blocks"
        for _, other, values, found in pairs
    )
    return [
        Picture(
            "Block by block",
            block_difference_figure(pairs),
            f"Histograms of the difference in bits per base between {best.label} and each other run: {spoken}.",
            f"How many blocks differ by how much. Left of the dashed line, in blue, {best.label} is better; right of "
            "it, hatched, the other run. The outermost bars count what lies beyond, too. The diamond and its bar: the "
            "difference over all letters with its 95 % interval.",
            pl.concat(data).select("b", pl.exclude("b")).with_columns(pl.col("difference").round_sig_figs(6)),
            "block-differences",
            "Most blocks near zero and a few far away: the runs differ in what they make of repeats, not of the genome "
            "at large. Everything on one side, however near zero: a small difference that can be relied on.",
        )
    ]


def text_training(materials: Sequence[Material]) -> Picture | Words:
    """Perplexity by epoch, with the levels of guessing and of the best baseline."""
    # What a baseline has tried is no course of training; it is shown where there is nothing else.
    networks = [m for m in materials if not m.counts]
    shown = [m for m in networks or materials if (m.run.path / "history.csv").is_file()]
    if not shown:
        return Words(["These runs have no history of training."])
    histories = {m.label: m.run.history() for m in shown}
    counting = [m for m in materials if m.counts and m.text is not None and np.isfinite(m.text.valid)]
    best = min(counting, key=lambda m: m.text.valid if m.text else np.inf, default=None)
    level = None if best is None or best.text is None or not networks else (best.label, best.text.valid)
    reached = "; ".join(
        f"{name} {np.exp(min(losses)):.3f}"
        for name, history in histories.items()
        if "valid_loss" in history.columns and len(losses := history["valid_loss"].drop_nulls().drop_nans())
    )
    baseline = "" if level is None else f" and of the best baseline on this page ({level[0]})"
    perplexities = {
        name: history.with_columns(
            pl.col(column).exp().alias(column.replace("loss", "perplexity"))
            for column in ("train_loss", "valid_loss")
            if column in history.columns
        )
        for name, history in histories.items()
    }
    return Picture(
        "Perplexity by epoch" if networks else "Perplexity by setting",
        # A run without a curve has its place all the same, so that colours are those of the other figures.
        perplexity_history_figure(
            {m.label: histories.get(m.label, _NO_HISTORY) for m in materials}, level, _EPOCH if networks else _TRIED
        ),
        f"Curves of the perplexity on training and on validation text by epoch. Lowest on validation text: {reached}.",
        ("Left: on the training text, while it was learned. " if networks else "Left: on the training text. ")
        + "Right: on the validation blocks; what is lowest there is kept, unless the recipe says otherwise. Dotted: "
        f"the level of guessing{baseline}.",
        stack(perplexities),
        "training",
        "Training falls while validation rises: the model learns the text by heart; fewer epochs, dropout, both "
        "strands (--strands both when the dataset is prepared) or more genomes help. Both still fall at the end: read "
        "more letters (--set training.letters=…). Stuck at 4 from the start: the learning rate is too large or far too "
        "small. A sudden rise: lower the learning rate, or give training.gradient_clip.",
    )
