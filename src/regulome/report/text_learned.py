"""What models of a genome's letters have learned: how far they look back, and the words and rhythm of their texts."""

from __future__ import annotations

from collections.abc import Sequence

from regulome.explain.text_words import words_apart
from regulome.report.figures.learned import context_figure, rhythm_figure, words_figure
from regulome.report.material import Material
from regulome.report.page import Block, Listing, Picture, Section, Words, stack
from regulome.report.text_findings import SAMPLE_LETTERS, SAMPLES


def learned_section(materials: Sequence[Material]) -> Section:
    """The curve of contexts, the words and the rhythm of written text, and what else can be asked."""
    troubles = [f"{material.label}: {trouble}" for material in materials for trouble in material.troubles]
    found = {m.label: m.text for m in materials if m.text is not None and m.text.words is not None}
    blocks: list[Block] = [Words(troubles)] if troubles else []
    if found:
        blocks += [_context(materials), _words(materials), _rhythm(materials)]
    folder = materials[0].run.path
    commands = (
        f"regulome sample {folder} --length 10000 --temperature 0.8 --out sample.fa\n"
        f"regulome predict {folder} --genome GENOME.fa --out surprise.bw\n"
        f"regulome predict {folder} --fasta SEQUENCES.fa --out surprise.tsv"
    )
    blocks.append(Listing("To try", commands))
    title = "What the model has learned" if len(materials) == 1 else "What the models have learned"
    return Section("learned", title, blocks)


def _context(materials: Sequence[Material]) -> Picture:
    curves = {m.label: m.text.context for m in materials if m.text is not None and m.text.context is not None}
    lengths = [m.run.recipe.input.length or m.run.info.length for m in materials if not m.counts]
    spoken = "; ".join(
        f"{name} {curve['perplexity'][0]:.3f} after one letter, {curve['perplexity'][-1]:.3f} after {curve['to'][-1]:,}"
        for name, curve in curves.items()
    )
    return Picture(
        "How far back it looks",
        context_figure(curves, lengths),
        f"Curves of perplexity against the number of letters before the predicted one. {spoken}.",
        "Stretches of the held-out text are read from nothing; a dot at 8 is the perplexity of the letters that have 5 "
        "to 8 letters before them, at 1,024 of those that have 513 to 1,024. Bands are 95 % intervals; all runs read "
        "the same stretches, so that differences between them are surer than the bands. A curve that is level from "
        "about 12 on knows words; one that keeps falling uses genes, composition or repeats that lie further back. "
        "The vertical line is the length of the windows that a network was trained on.",
        stack(curves),
        "context",
        "A curve that turns up beyond the length of training: the network was never shown so much text at once; carry "
        "the state from window to window (input.carry_state = true), or train on longer windows. Above 4 after a few "
        "letters only: with a carried state a network hardly ever reads from nothing in training; that does no harm. A "
        "level curve of a recurrent network: it has learned no more than words; train longer.",
    )


def _words(materials: Sequence[Material]) -> Picture:
    tables = {m.label: m.text.words for m in materials if m.text is not None and m.text.words is not None}
    first = next(iter(tables.values()))
    apart = "; ".join(f"{name} {100 * words_apart(table):.1f} %" for name, table in tables.items())
    gc = {name: float((table["sample"] * table["gc"]).sum()) for name, table in tables.items()}
    composition = "; ".join(f"{name} {100 * share:.1f} %" for name, share in gc.items())
    return Picture(
        "Words of four letters",
        words_figure(tables),
        f"Scatter plots of the share of each word of four letters in what a model writes against its share in the "
        f"held-out text. To have the genome's shares so many words would have to be others: {apart}.",
        f"Each run has written {SAMPLES} texts of {SAMPLE_LETTERS:,} letters; each dot is one of the 256 words. On the "
        "dotted line it is used as often as in the genome; the words that lie farthest off are named. Words that would "
        f"have to be others: {apart}; letters drawn one by one in the genome's proportions are off by "
        f"{100 * words_apart(first, 'composition'):.1f} %, and chance alone by up to about 2 %. G and C: genome "
        f"{100 * float((first['text'] * first['gc']).sum()):.1f} %, {composition}.",
        stack(tables),
        "words",
        "A cloud around a level line: the model has learned the composition at best. Dots of one colour off the line "
        "together: its texts drift to AT or GC; it may lose itself after many letters.",
    )


def _rhythm(materials: Sequence[Material]) -> Picture:
    tables = {m.label: m.text.rhythm for m in materials if m.text is not None and m.text.rhythm is not None}
    return Picture(
        "The rhythm of genes",
        rhythm_figure(tables),
        "Curves of how much more often than by chance two letters at a distance of 1 to 60 are the same, in the "
        "held-out text and in what each model writes.",
        "By how many percentage points two letters that lie so far apart are the same more often than by chance (0). "
        "Teeth at every third distance are the codons of genes, each place of which has letters of its own. A model "
        "whose line has the teeth, and keeps them, has learned to read in frame; one that counts words loses them "
        "soon. A level that stays above 0: the composition changes along the text.",
        stack(tables),
        "rhythm",
        "No teeth in the grey line: a genome with few genes; then none are to be learned. Ragged lines without an "
        "order are chance: about ±0.3.",
    )
