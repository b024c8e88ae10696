"""Texts whose best possible perplexity is known: a repeat, letters by chance, and a genome of planted statistics."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from regulome.datasets.simulated_text import ORDER, Source, make_source
from regulome.errors import InputError
from regulome.genome.fasta_writer import write_record
from regulome.genome.letters import UNKNOWN, Codes, decode, encode
from regulome.storage import new_folder

logger = logging.getLogger(__name__)

#: Letters of the genome of each size; the two other texts are as long as the published ones.
LANGUAGE_SIZES = {"small": 1_000_000, "medium": 10_000_000}
REPEAT, CORPUS = "AGCTTGAGGC", 30_000

#: Records of the genome, relative to its length.
_SHARES = {"chrI": 0.4, "chrII": 0.3, "chrIII": 0.2, "chrIV": 0.1}
#: Runs of N in a record, and the longest of them; letters of a masked stretch.
_GAPS, _LONGEST_GAP, _MASKED = 3, 2_000, 300
#: The default share of the letters that `regulome prepare language` holds out.
_HELD_OUT = 0.1

_README = """Texts whose best possible perplexity is known
(regulome simulate language --seed {seed} --size {size})

repeat.fa    {corpus:,} letters, {repeat} again and again: perplexity 1
random.fa    {corpus:,} letters by chance: perplexity 4
markov.fa    a genome of {records} records and {letters:,} letters, each drawn after the {order} before it, in the same
             way on both strands; masked stretches in small letters, and {unknown:,} N between neighbours: perplexity
             {perplexity:.4f}, {bits:.4f} bits per base
truth.json   these numbers, and the probability of each letter after each context

No honest model can do better on held-out letters, beyond chance. From this folder:

regulome prepare language --fasta markov.fa --length 100 --out DATASET
regulome train char-gru DATASET --out RUN
regulome evaluate RUN
regulome sample RUN --length 1000 --out sample.fa
"""


def simulate_language(
    out: str | os.PathLike[str], *, seed: int = 0, size: str = "small", overwrite: bool = False
) -> Path:
    """Write a folder of texts, as FASTA, of which it is known how well they can be predicted.

    The genome comes from a stationary Markov chain of order 3: its entropy per letter is the mean over contexts of the
    entropy of what follows, in closed form. The runs of N were put between the letters afterwards: without them the
    text of all records, one after the other, is one draw of the chain. The same seed and size give the same bytes with
    the same versions of the libraries.

    Args:
        out: The folder to make.
        seed: Seed of all random numbers.
        size: ``small`` (a genome of 1 million letters) or ``medium`` (10 million).
        overwrite: Replace ``out`` if it exists.

    Returns:
        The folder. ``README.txt`` in it names its files and the commands to go on with; ``truth.json`` the entropies.

    Raises:
        InputError: There is no such size, the seed is negative, or ``out`` exists.
    """
    if size not in LANGUAGE_SIZES:
        raise InputError(f"no size {size!r}", cure=f"one of {', '.join(LANGUAGE_SIZES)}")
    if seed < 0:
        raise InputError(f"seed {seed} is negative", cure="choose a whole number from 0")
    rng = np.random.default_rng([seed, 0])
    source = make_source(rng)
    text = source.draw(LANGUAGE_SIZES[size], rng)
    with new_folder(out, overwrite=overwrite) as folder:
        repeat = np.resize(encode(REPEAT), CORPUS)
        chance = rng.integers(0, 4, CORPUS, dtype=np.uint8)
        for name, codes in (("repeat", repeat), ("random", chance)):
            with (folder / f"{name}.fa").open("wb") as stream:
                write_record(stream, name, codes)
        unknown = _write_genome(folder / "markov.fa", text, rng)
        truth = _truth(source, text, unknown, seed, size)
        (folder / "truth.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")
        readme = _README.format(
            seed=seed,
            size=size,
            corpus=CORPUS,
            repeat=REPEAT,
            records=len(_SHARES),
            letters=len(text),
            order=ORDER,
            unknown=unknown,
            perplexity=2**source.bits,
            bits=source.bits,
        )
        (folder / "README.txt").write_text(readme, encoding="utf-8")
    logger.info(
        "%s: texts of perplexity 1, 4 and %.3f (%s letters); see README.txt in it",
        out,
        2**source.bits,
        f"{len(text):,}",
    )
    return Path(out)


def _write_genome(path: Path, text: Codes, rng: np.random.Generator) -> int:
    """Write the text as records with runs of N; return how many N there are."""
    ends = np.round(np.cumsum(list(_SHARES.values())) * len(text)).astype(np.int64)
    unknown = 0
    with path.open("wb") as stream:
        for name, begin, end in zip(_SHARES, [0, *ends[:-1]], ends, strict=True):
            codes = text[begin:end]
            # A gap at the record's beginning, and others anywhere.
            places = np.r_[0, rng.integers(0, len(codes), _GAPS - 1)]
            gaps = rng.integers(1, _LONGEST_GAP, _GAPS)
            codes = np.insert(codes, np.repeat(places, gaps), UNKNOWN)
            unknown += int(gaps.sum())
            write_record(stream, name, codes, small=_masked(len(codes), rng))
    return unknown


def _masked(letters: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    begins = rng.integers(0, max(1, letters - _MASKED), letters // (10 * _MASKED))
    masked = np.zeros(letters, np.bool_)
    masked[begins[:, None] + np.arange(_MASKED)] = True
    return masked


def _truth(source: Source, text: Codes, unknown: int, seed: int, size: str) -> dict[str, Any]:
    cost = source.cost(text)
    held_out = round(_HELD_OUT * len(text))
    last = float(cost[-held_out:].mean())
    contexts = [decode([i // 16, i // 4 % 4, i % 4]) for i in range(len(source.contexts))]
    return {
        "line": "language",
        "seed": seed,
        "size": size,
        "repeat": {"file": "repeat.fa", "letters": CORPUS, "unit": REPEAT, "bits_per_base": 0.0, "perplexity": 1.0},
        "random": {"file": "random.fa", "letters": CORPUS, "bits_per_base": 2.0, "perplexity": 4.0},
        "markov": {
            "file": "markov.fa",
            "letters": len(text),
            "unknown": unknown,
            "records": list(_SHARES),
            "order": ORDER,
            "bits_per_base": source.bits,
            "perplexity": 2**source.bits,
            "held_out": {
                "letters": held_out,
                "bits_per_base": last,
                "perplexity": 2**last,
                "words": "what the source itself reaches on the last tenth of the letters: by chance a little more or "
                "less than its entropy",
            },
            "contexts": dict(zip(contexts, source.contexts.tolist(), strict=True)),
            "following": dict(zip(contexts, source.following.tolist(), strict=True)),
            "words": "following: probability of A, C, G and T after each context; contexts: how often it is met; "
            "bits_per_base: the mean entropy of what follows",
        },
    }
